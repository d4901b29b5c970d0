"""Where the time of a meta-iteration goes: programs that each do one part more, timed in one process on one core.

    python benchmarks/parts.py --out results/parts_speed.json

`regression-5` as published, and `classification-5` in 5-way 1-shot on random images of 28 pixels, both with MMAML and
the presets' own optimiser and precision. What one program takes longer than the one before is the part that it adds;
where XLA does two parts at once the difference is what the second costs beside the first.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, PyTree

from images import random_images
from mmaml.classification.learner import make_learner
from mmaml.classification.loss import cross_entropy
from mmaml.classification.presets import PRESETS
from mmaml.core.learners import AbstractLearner
from mmaml.core.meta import MetaState, MetaTrainer
from mmaml.core.parallel import mean_over_tasks, mean_value_and_grad
from mmaml.core.task import Task
from mmaml.regression.experiment import RegressionExperiment
from mmaml.regression.presets import PRESETS as REGRESSION
from mmaml.runs.devices import prepare_jax
from mmaml.runs.files import write_json
from mmaml.runs.provenance import provenance
from mmaml.supervised.build import make_trainer


Program = Callable[[MetaTrainer, MetaState, Int[Array, ""]], Float[Array, ""]]
REPEATS = 5


def draw(trainer: MetaTrainer, step: Int[Array, ""]) -> Task:
    return trainer.source.sample(jr.fold_in(trainer.key, step), trainer.tasks_per_step)


def outer_loss(
    trainer: MetaTrainer, steps: int | None, first_order: bool
) -> Callable[[PyTree, Task], Float[Array, ""]]:
    rest = eqx.filter(trainer.learner, eqx.is_inexact_array, inverse=True)

    def of_task(parameters: PyTree, task: Task) -> Float[Array, ""]:
        learner: AbstractLearner = eqx.combine(parameters, rest)
        learner = eqx.tree_at(lambda learner: learner.inner, learner, replace(learner.inner, first_order=first_order))
        *_, adapted = learner.adapt(task.support, task.mode, trainer.loss, steps=steps)
        return trainer.loss(adapted(task.query.inputs), task.query.targets)

    return of_task


def forward(steps: int | None) -> Program:
    def program(trainer: MetaTrainer, state: MetaState, step: Int[Array, ""]) -> Float[Array, ""]:
        loss = outer_loss(trainer, steps, first_order=False)
        return mean_over_tasks(loss, state.parameters, draw(trainer, step), trainer.mesh, trainer.task_microbatch)

    return program


def gradient(*, first_order: bool) -> Program:
    def program(trainer: MetaTrainer, state: MetaState, step: Int[Array, ""]) -> Float[Array, ""]:
        loss = outer_loss(trainer, None, first_order)
        tasks = draw(trainer, step)
        done = mean_value_and_grad(loss, state.parameters, tasks, trainer.mesh, trainer.task_microbatch)
        return total(done)

    return program


def total(tree: PyTree) -> Float[Array, ""]:
    """A number that everything in `tree` is needed for."""
    return sum((leaf.astype(jnp.float32).sum() for leaf in jax.tree.leaves(tree)), start=jnp.zeros(()))


PROGRAMS: dict[str, Program] = {
    "drawing the tasks": lambda trainer, _, step: total(
        [leaf for leaf in jax.tree.leaves(draw(trainer, step)) if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)]
    ),
    "encoder, modulation, prediction": forward(steps=0),
    "inner steps": forward(steps=None),
    "outer gradient, first order": gradient(first_order=True),
    "its second order": gradient(first_order=False),
}


def seconds_each(work: Callable[[int], PyTree], iterations: int) -> float:
    """The best of some dispatches, for one iteration."""
    jax.block_until_ready(work(iterations))
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        jax.block_until_ready(work(iterations))
        taken.append((time.perf_counter() - began) / iterations)
    return min(taken)


def measure(trainer: MetaTrainer, iterations: int) -> dict[str, float]:
    """Seconds that each part adds to a meta-iteration."""
    state = trainer.initial_state()

    def repeated(program: Program) -> Callable[[int], PyTree]:
        @eqx.filter_jit
        def loop(trainer: MetaTrainer, state: MetaState, iterations: Int[Array, ""]) -> Float[Array, ""]:
            return jax.lax.fori_loop(0, iterations, lambda i, sum_: sum_ + program(trainer, state, i), jnp.zeros(()))

        return lambda iterations: loop(trainer, state, jnp.asarray(iterations))

    until = {name: seconds_each(repeated(program), iterations) for name, program in PROGRAMS.items()}
    until["outer optimiser"] = seconds_each(lambda iterations: trainer.run(state, iterations, iterations), iterations)
    names, after = list(until), list(until.values())
    return dict(zip(names, (now - before for before, now in zip([0.0, *after], after, strict=False)), strict=True))


def of_functions() -> MetaTrainer:
    trainer = RegressionExperiment(REGRESSION["regression-5"]).trainer
    assert isinstance(trainer, MetaTrainer)
    return trainer


def of_images() -> MetaTrainer:
    config = replace(PRESETS["classification-5"], image_size=28)
    source = random_images(config, 28)
    learner = make_learner(config, channels=3, modes=source.modes, key=jr.key(0))
    return make_trainer(
        config,
        source,
        learner,
        cross_entropy,
        tasks_per_step=config.tasks_per_step,
        key=jr.key(1),
        precision=config.rounded_to,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="where to write the record (JSON)")
    out = parser.parse_args().out
    prepare_jax(1)
    rows = {}
    for name, trainer, iterations in (
        ("regression-5", of_functions(), 20),
        ("classification-5, 28 pixels", of_images(), 5),
    ):
        rows[name] = measure(trainer, iterations)
        whole = sum(rows[name].values())
        print(f"{name}: {whole * 1e3:.1f} ms")
        for part, seconds in rows[name].items():
            print(f"  {part:32} {seconds * 1e3:7.1f} ms  {seconds / whole:6.1%}")
    if out:
        write_json(out, {"rows": rows} | provenance())


if __name__ == "__main__":
    main()
