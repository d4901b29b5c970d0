"""One run from beginning to end: train, evaluate, draw, report."""

from typing import Any

from rich.console import Console

from mmaml.regression.evaluate import evaluate_run
from mmaml.regression.presets import RegressionConfig
from mmaml.regression.train import train_run
from mmaml.runs.folder import RunFolder
from mmaml.runs.trackers import Track


def complete_run(folder: RunFolder, config: RegressionConfig, console: Console, track: Track) -> dict[str, Any]:
    """Do what is left to do of the run in `folder`, and return its result.

    Raises what `mmaml.runs.training.train` raises, and `UserError` if another process works on the run.
    """
    with folder.locked():
        learner = train_run(folder, config, console, track)
        with console.status("evaluating"):
            result = evaluate_run(folder, config)
        with console.status("drawing"):
            # Plotting libraries take a while to import; training should not wait for them.
            from mmaml.regression.figures import write_figures
            from mmaml.report.html import write_report

            write_figures(folder, learner, config)
            write_report([folder], folder.report_path)
    return result
