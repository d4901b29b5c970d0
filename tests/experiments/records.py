"""Records of runs, made up so that every number is known, and the table that they are of."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mmaml.experiments.paper_tables.spec import TableSpec
from mmaml.regression.presets import PRESETS
from mmaml.runs.config import to_dict
from mmaml.runs.folder import RunFolder


SPEC = TableSpec(
    name="table9",
    caption="Error",
    settings={"2 modes": PRESETS["regression-2"]},
    methods={"maml": {"learner": "maml"}, "mmaml-film": {}, "lstm": {"learner": "lstm"}},
    paper={("mmaml-film", "post-adaptation"): {"2 modes": 0.5}},
    workshop={("mmaml-film", "post-adaptation"): {"2 modes": 0.25}, ("maml", "post-adaptation"): {"2 modes": 0.75}},
    experiment=lambda config: pytest.fail("no run is to be done"),
    stages=(("post-modulation", 0), ("post-adaptation", -1)),
    digits=1,
    scale=10.0,
)


def record(out, method, values, seed=0, trained=15_000, ci95=0.25, **options):
    """An evaluated run whose task i has the error `values[i][s]` after s steps; the path of its result."""
    values = np.asarray(values, np.float32)
    folder = out / "runs" / f"regression-2-{method}-cpu-seed{seed}"
    config = replace(SPEC.config("2 modes", method, "cpu", seed), task_microbatch=3, **options)
    RunFolder.create(folder, "regression", "regression-2", to_dict(config))
    stages = [{"steps": s, "mean": float(v.mean()), "ci95": ci95, "per_mode": {}} for s, v in enumerate(values.T)]
    result = {"preset": "regression-2", "learner": config.learner, "modulation": None, "budget": "cpu", "seed": seed}
    result |= {"tasks": len(values), "meta_iterations": trained, "trained": trained, "planned": 15_000}
    made = {"command": "c", "commit": "d", "versions": {}, "machine": "m", "devices": 1}
    result |= {"train_seconds": 1.0, **made, "evaluated": made}
    metric = {"metric": "mse", "lower_is_better": True, "data": "made up"}
    (folder / "result.json").write_text(json.dumps(result | metric | {"stages": stages}))
    np.save(folder / "evaluation.npy", values)
    return folder / "result.json"
