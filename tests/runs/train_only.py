"""Train the run named on the command line, or go on with it; a program, so that tests can kill it."""

import sys
from pathlib import Path

from rich.console import Console

from mmaml.experiments.run import train_run
from mmaml.regression.config import RegressionConfig
from mmaml.regression.experiment import RegressionExperiment
from mmaml.runs.config import to_dict
from mmaml.runs.devices import prepare_jax
from mmaml.runs.folder import RunFolder


CONFIG = RegressionConfig(
    ("sinusoid", "linear"),
    meta_iterations=60,
    evaluation_tasks=20,
    tasks_per_mode=2,
    hidden=(8, 8),
    encoder_hidden=4,
    inner_steps=1,
    meta_optimiser="muon",  # which has Adam for all that is no matrix
)

if __name__ == "__main__":
    prepare_jax(1)
    path = Path(sys.argv[1])
    exists = (path / "config.json").is_file()
    folder = RunFolder.open(path) if exists else RunFolder.create(path, "regression", "tiny", to_dict(CONFIG))
    try:
        with folder.locked():
            train_run(folder, RegressionExperiment(CONFIG), Console(), lambda step, numbers: None)
    except Exception as error:
        print(error)
        sys.exit(getattr(error, "exit_code", 1))
