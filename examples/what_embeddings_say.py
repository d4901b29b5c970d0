"""What does a modulator tell the prior: the kind of a task, or the task itself?

Judges trained runs of MMAML once more on their own tasks, with each task's embedding replaced by the nearest of the
kinds' mean embeddings, so that nothing of the task is left but its kind, and by the mean of all, so that nothing is.

    python examples/what_embeddings_say.py results/runs/regression-5-mmaml-film-cpu-seed0 --tasks 1000
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import tyro
from jaxtyping import Array, Float, Int

import mmaml
from mmaml.domains import open_experiment
from mmaml.runs.folder import RunFolder
from mmaml.runs.provenance import provenance
from mmaml.runs.statistics import mean_and_ci


class NearestMean(mmaml.AbstractEncoder):
    """Says the nearest of some embeddings instead of the task's own."""

    encoder: mmaml.AbstractEncoder
    means: Float[Array, "kinds embedding"]

    @property
    def embedding_size(self) -> int:
        """That of the encoder."""
        return self.encoder.embedding_size

    def __call__(self, support: mmaml.Samples) -> Float[Array, " embedding"]:
        """The nearest mean to a task's embedding."""
        distances = jnp.square(self.means - self.encoder(support)).sum(1)
        return self.means[distances.argmin()]


@dataclass(frozen=True)
class Options:
    """What to judge."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Runs of MMAML on functions or images."""
    tasks: int = 1000
    """Tasks each is judged on."""
    seen: int = 500
    """Training tasks that the means are taken over."""
    out: Path | None = None
    """JSON file for the figures."""
    batch: int = 20
    """Training tasks drawn at a time."""


def embeddings(
    encoder: mmaml.AbstractEncoder, source: mmaml.AbstractTaskSource, options: Options
) -> tuple[Float[np.ndarray, "tasks embedding"], Int[np.ndarray, " tasks"]]:
    """Embeddings and kinds of training tasks."""

    @eqx.filter_jit
    def draw(source: mmaml.AbstractTaskSource, key: Array) -> tuple[Array, Array]:
        tasks = source.sample(key, options.batch)
        return jax.lax.map(encoder, tasks.support), tasks.mode

    keys = jr.split(jr.key(1), -(-options.seen // options.batch))
    points, modes = zip(*(draw(source, key) for key in keys), strict=True)
    return np.concatenate(points), np.concatenate(modes)


def judge(run: Path, options: Options) -> dict[str, Any]:
    """What a run comes to with each kind of embedding."""
    experiment, learner = open_experiment(RunFolder.open(run)), mmaml.load(run).learner
    if not (isinstance(learner, mmaml.MMAML) and isinstance(experiment.trainer, mmaml.MetaTrainer)):
        raise SystemExit(f"{run} is no run of MMAML on functions or images.")
    encoder = learner.modulator.encoder
    points, modes = embeddings(encoder, experiment.trainer.source, options)
    of_kinds = np.stack([points[modes == kind].mean(0) for kind in np.unique(modes)])
    encoders = {
        "its own": encoder,
        "the nearest kind's mean": NearestMean(encoder, jnp.asarray(of_kinds)),
        "the mean of all": NearestMean(encoder, jnp.asarray(of_kinds.mean(0, keepdims=True))),
    }
    judged = {
        name: experiment.evaluate(
            eqx.tree_at(lambda learner: learner.modulator.encoder, learner, used), options.tasks, None
        )
        for name, used in encoders.items()
    }
    own, groups = judged["its own"].values[:, -1], judged["its own"].groups
    rows = {
        name: {
            **mean_and_ci(evaluation.values[:, -1], groups),
            "minus_its_own": mean_and_ci(evaluation.values[:, -1] - own, groups),
        }
        for name, evaluation in judged.items()
    }
    return {"run": run.name, "metric": experiment.metric, "tasks": options.tasks, "embedding": rows}


def main(options: Options) -> None:
    """Judge and print."""
    found = []
    for run in options.runs:
        found.append(judge(run, options))
        print(f"{run.name}, {found[-1]['metric']} of {options.tasks} tasks with the embedding")
        for name, row in found[-1]["embedding"].items():
            less = row["minus_its_own"]
            print(
                f"  {name:24} {row['mean']:.3f} ± {row['ci95']:.3f}; "
                f"minus its own {less['mean']:+.3f} ± {less['ci95']:.3f}",
                flush=True,
            )
    if options.out:
        options.out.write_text(json.dumps({"runs": found, **provenance()}, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Options))
