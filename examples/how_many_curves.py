"""How many tasks does it take? The curves of `curves_of_an_instrument.py`, learnt from few and from many of each kind.

Every model is judged on the same curves, 100 of each kind, beside a Gaussian process that fits each curve alone.
Interrupted, the same command goes on where it stopped.

    python examples/how_many_curves.py --folder how-many --out results/ablation_own_tasks.json
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.figure
import tyro

import mmaml
from curves_of_an_instrument import write_tasks


MODELS: dict[str, dict[str, Any]] = {
    "MMAML": {"learner": "mmaml"},
    "MMAML without augmentation": {"learner": "mmaml", "augment": False},
    "MAML": {"learner": "maml"},
}


@dataclass(frozen=True)
class Options:
    """What to compare."""

    folder: Path = Path("how-many")
    """Where the CSV files and the runs go."""
    out: Path = Path("how-many/how_many_curves.json")
    """The figures; a picture is drawn beside them."""
    curves: tuple[int, ...] = (5, 10, 20, 40, 80)
    """Curves of each kind to learn from."""
    judged_on: int = 100
    """Curves of each kind to be judged on."""
    meta_iterations: int = 5000
    """Meta-iterations of each training."""


def result(options: Options, curves: int, model: str) -> dict[str, Any]:
    """What one training comes to: done now, or before."""
    tasks = options.folder / f"{curves}-curves"
    run = options.folder / f"{curves}-curves-{model.lower().replace(' ', '-')}"
    if not (run / "config.json").exists():
        write_tasks(tasks / "train", curves, seed=0)
        write_tasks(tasks / "test", options.judged_on, seed=1)
        mmaml.train(
            "regression",
            data=tasks,
            **MODELS[model],
            meta_iterations=options.meta_iterations,
            evaluation_tasks=30 * options.judged_on,
            out=run,
        )
    elif not (run / "result.json").exists():
        mmaml.resume(run)
    return json.loads((run / "result.json").read_text())


def draw(rows: list[dict[str, Any]], options: Options, path: Path) -> None:
    """Error over the number of curves, of each model and of the Gaussian process."""
    figure = matplotlib.figure.Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    of_model = {model: [row for row in rows if row["model"] == model] for model in MODELS}
    lines = {model: [row["result"] for row in of_one] for model, of_one in of_model.items()}
    lines["a Gaussian process for each curve"] = [row["reference"] for row in of_model["MMAML"]]
    for label, estimates in lines.items():
        means, intervals = ([estimate[key] for estimate in estimates] for key in ("mean", "ci95"))
        axes.errorbar(options.curves, means, intervals, marker="o", capsize=3, label=label)
    axes.set(xscale="log", ylabel="mean squared error", xlabel="curves of each kind to learn from")
    axes.set_ylim(bottom=0)
    axes.set_xticks(options.curves, map(str, options.curves))
    axes.minorticks_off()
    figure.legend(loc="outside upper center", ncols=2)
    figure.savefig(path, dpi=150)


def main(options: Options) -> None:
    """Train what is missing, print and draw."""
    rows = []
    for curves in options.curves:
        for model in MODELS:
            found = result(options, curves, model)
            kept = {key: found[key] for key in ("reference", "excess", "seed", "tasks", "commit", "machine")}
            final = {key: found["stages"][-1][key] for key in ("mean", "ci95")}
            settings = {**MODELS[model], "meta_iterations": options.meta_iterations}
            rows.append({"curves": curves, "model": model, "options": settings, "result": final, **kept})
            print(f"{curves} curves of each kind, {model}: {final['mean']:.3f} ± {final['ci95']:.3f}", flush=True)
    options.out.write_text(json.dumps({"metric": "mse", "rows": rows}, indent=2) + "\n")
    draw(rows, options, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main(tyro.cli(Options))
