"""What each choice of ours is worth in regression: the defaults, and the same with one thing changed."""

from mmaml.experiments.paper_tables.spec import TableSpec
from mmaml.regression.experiment import RegressionExperiment
from mmaml.regression.paper import MUON, TUNED
from mmaml.regression.presets import PRESETS


ABLATION = TableSpec(
    name="ablation",
    caption="Query MSE",
    settings={"5 modes": PRESETS["regression-5"]},
    methods={
        "mmaml": {},
        "meta-lr-0.001": {"meta_lr": 0.001},
        "meta-lr-0.01": {"meta_lr": 0.01},
        "constant-meta-lr": {"meta_schedule": "constant"},
        "muon": MUON,
        "small-weights": {"initialisation": "small"},
        "encoder-80": {"encoder_hidden": 80},
        "unsorted-support": {"sort_support": False},
        "first-block-modulated": {"modulated": "first"},
        "weak-modulation": {"modulation_scale": 0.1},
        "prior-counts": {"post_modulation_share": 0.1},
        "no-steps": {"learner": "lstm"},
        "first-order": {"first_order": True},
        "head-adapts": {"adapts": "head"},
        "inner-lr-0.01": {"inner_lr": 0.01},
        "learnt-step-sizes": {"step_sizes": "per-layer"},
        "inner-bound-20": {"inner_clip_norm": 20.0},
        "pretraining": {"pretraining": 3.0},
        "tuned": TUNED,
        "tuned-pretraining": {**TUNED, "pretraining": 3.0},
        "maml": {"learner": "maml"},
        "maml-inner-bound-20": {"learner": "maml", "inner_clip_norm": 20.0},
    },
    experiment=RegressionExperiment,
    baseline="mmaml",
    stages=(("post-modulation", 0), ("post-adaptation", -1)),
)
"""`meta-lr-0.001`, `constant-meta-lr`, `small-weights` and `unsorted-support` are as in the reference; `tuned` is Table
1's row `mmaml-tuned`."""
