"""Omniglot alone, the workshop paper's experiment on images: what its table consists of and what is published."""

from dataclasses import replace

from mmaml.classification.experiment import ClassificationExperiment
from mmaml.classification.presets import PRESETS, ClassificationConfig
from mmaml.experiments.table import TableSpec


def _setting(way: int, shot: int) -> ClassificationConfig:
    """With the step sizes that MAML was published with on Omniglot, also for MMAML."""
    steps = {"inner_lr": 0.4, "inner_steps": 1} if way == 5 else {"inner_lr": 0.1, "meta_batch": 5}
    return replace(PRESETS["omniglot"], way=way, shot=shot, **steps)


OMNIGLOT = TableSpec(
    name="omniglot",
    caption="Accuracy in per cent",
    settings={f"{way}-way {shot}-shot": _setting(way, shot) for way in (5, 20) for shot in (1, 5)},
    methods={"maml": {"learner": "maml"}, "mmaml": {"learner": "mmaml"}}
    | {f"{learner}-tuned": {"learner": learner, "step_sizes": "per-layer"} for learner in ("maml", "mmaml")},
    paper={
        ("maml", "post-adaptation"): {
            "5-way 1-shot": 0.987,
            "5-way 5-shot": 0.999,
            "20-way 1-shot": 0.958,
            "20-way 5-shot": 0.989,
        }
    },
    experiment=ClassificationExperiment,
    stages=(("post-adaptation", -1),),
    digits=2,
    scale=100.0,
)
"""The numbers are those of Finn, Abbeel and Levine (ICML 2017)."""
