"""Three kinds of laboratory curves, made as CSV files, learnt by one model, and fitted from five points each.

Dose–response (sigmoid in the dose), decay (exponential in time) and calibration (saturating in concentration): every
instrument, sample or day has its own parameters, and nobody tells the model which kind a new curve is of.

    python examples/curves_of_an_instrument.py --folder curves
"""

from dataclasses import dataclass
from pathlib import Path

import matplotlib.figure
import numpy as np
import tyro

import mmaml


@dataclass(frozen=True)
class Options:
    """What to make and how long to train."""

    folder: Path = Path("curves")
    """Where the CSV files, the run and the picture go."""
    tasks: int = 60
    """Curves of each kind."""
    meta_iterations: int = 5000
    """Meta-iterations of training."""


def curve(kind: str, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One curve of a kind at `x`, in [0, 10], with measurement noise."""
    if kind == "dose-response":
        y = rng.uniform(5, 10) / (1 + np.exp(-rng.uniform(1, 3) * (x - rng.uniform(2, 8))))
    elif kind == "decay":
        y = rng.uniform(5, 10) * np.exp(-x / rng.uniform(0.5, 5)) + rng.uniform(0, 1)
    else:
        y = rng.uniform(5, 12) * x / (x + rng.uniform(0.5, 5))
    return y + rng.normal(0, 0.1, x.shape)


KINDS = ("dose-response", "decay", "calibration")


def write_tasks(folder: Path, tasks: int, seed: int = 0) -> None:
    """One CSV file a curve, 12 to 30 points each, one sub-folder a kind."""
    rng = np.random.default_rng(seed)
    for kind in KINDS:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for i in range(tasks):
            x = rng.uniform(0, 10, rng.integers(12, 31))
            rows = np.column_stack([x, curve(kind, x, rng)])
            np.savetxt(folder / kind / f"{i:03}.csv", rows, delimiter=",", header="x,y", comments="", fmt="%.5f")


def draw(model: mmaml.RegressionModel, path: Path) -> None:
    """Fit a new curve of each kind from five points; draw the fit and the true curve."""
    rng = np.random.default_rng(1)
    figure = matplotlib.figure.Figure(figsize=(12, 3.5), layout="constrained")
    grid = np.linspace(0, 10, 200)
    for panel, kind in zip(figure.subplots(1, len(KINDS)), KINDS, strict=True):
        x = rng.uniform(0, 10, 30)
        y = curve(kind, x, rng)
        fitted = model.adapt(x[:5], y[:5])
        panel.plot(x[5:], y[5:], ".", color="silver", label="more measurements")
        panel.plot(grid, fitted.predict(grid), label="MMAML from five points")
        panel.plot(x[:5], y[:5], "o", color="black", label="five points")
        panel.set_title(kind)
        panel.legend()
    figure.savefig(path)


def main(options: Options) -> None:
    """Make the files, train on them, use the model."""
    tasks = options.folder / "tasks"
    write_tasks(tasks, options.tasks)
    model = mmaml.train(
        "regression",
        data=tasks,
        meta_iterations=options.meta_iterations,
        evaluation_tasks=500,
        out=options.folder / "run",
        overwrite=True,
    )
    draw(model, options.folder / "fits.png")
    print(f"Fits: {options.folder / 'fits.png'}")


if __name__ == "__main__":
    main(tyro.cli(Options))
