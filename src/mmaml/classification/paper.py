"""Table 2 of the paper, and the workshop paper's Omniglot alone: what they consist of, and what is published."""

from dataclasses import replace
from typing import Any

from mmaml.classification.config import ClassificationConfig
from mmaml.classification.experiment import ClassificationExperiment
from mmaml.classification.presets import PRESETS
from mmaml.experiments.paper_tables.spec import TableSpec


_EPISODES = {"5-way 1-shot": (5, 1, 10), "5-way 5-shot": (5, 5, 10), "20-way 1-shot": (20, 1, 5)}
"""Way, shot and meta-batch."""

_PAPER = {
    "maml": ((66.80, 77.79, 44.69), (54.55, 67.97, 28.22), (44.09, 54.41, 28.85)),
    "multi-maml": ((66.85, 73.07, 53.15), (55.90, 62.20, 39.77), (45.46, 55.92, 33.78)),
    "mmaml": ((69.93, 78.73, 47.80), (57.47, 70.15, 36.27), (49.06, 60.83, 33.97)),
}
"""Accuracy in per cent by method, for 2, 3 and 5 modes and within each for the three kinds of episodes."""

_SETTINGS: dict[str, ClassificationConfig] = {
    f"{modes} modes, {name}": replace(PRESETS[f"classification-{modes}"], way=way, shot=shot, meta_batch=batch)
    for modes in (2, 3, 5)
    for name, (way, shot, batch) in _EPISODES.items()
}


_TUNED: dict[str, dict[str, Any]] = {
    "maml-tuned": {"learner": "maml", "step_sizes": "per-layer"},
    "mmaml-tuned": {"learner": "mmaml", "step_sizes": "per-layer", "modulation_scale": 0.1},
}
"""Rows of ours: a step size for each layer and step, meta-learnt, and weaker modulation."""

TABLE2 = TableSpec(
    name="table2",
    caption="Accuracy in per cent",
    settings=dict(_SETTINGS),
    methods={name: {"learner": name} for name in _PAPER}
    | {f"{name}-augmented": {"learner": name, "augment": True} for name in _PAPER}
    | {name: {**options, "augment": True} for name, options in _TUNED.items()},
    paper={
        (method, "post-adaptation"): dict(
            zip(_SETTINGS, (number / 100 for modes in rows for number in modes), strict=True)
        )
        for method, rows in _PAPER.items()
    },
    experiment=ClassificationExperiment,
    digits=2,
    scale=100.0,
)
"""Beside the paper's rows, the same with training images mirrored and moved, so that few classes are not learnt by
heart, and the tuned rows with that (`docs/classification.md`)."""


def _of_omniglot(way: int, shot: int) -> ClassificationConfig:
    """With the step sizes that MAML was published with on Omniglot, also for MMAML."""
    steps = {"inner_lr": 0.4, "inner_steps": 1} if way == 5 else {"inner_lr": 0.1, "inner_steps": 5}
    batch = 10 if way == 5 else 5
    return replace(PRESETS["omniglot"], way=way, shot=shot, meta_batch=batch, mode_rates="published", **steps)


OMNIGLOT = TableSpec(
    name="omniglot",
    caption="Accuracy in per cent",
    settings={f"{way}-way {shot}-shot": _of_omniglot(way, shot) for way in (5, 20) for shot in (1, 5)},
    methods={"maml": {"learner": "maml"}, "mmaml": {"learner": "mmaml"}} | _TUNED,
    paper={
        ("maml", "post-adaptation"): {
            "5-way 1-shot": 0.987,
            "5-way 5-shot": 0.999,
            "20-way 1-shot": 0.958,
            "20-way 5-shot": 0.989,
        }
    },
    experiment=ClassificationExperiment,
    digits=2,
    scale=100.0,
)
"""The numbers are those of Finn, Abbeel and Levine (ICML 2017)."""
