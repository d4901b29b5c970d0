"""The workshop paper's experiments, which it shows as curves and not in numbers."""

from mmaml.experiments.table import TableSpec
from mmaml.rl.experiment import PolicyExperiment
from mmaml.rl.presets import PRESETS


WORKSHOP = TableSpec(
    name="workshop",
    caption="Return of an episode",
    settings={name: PRESETS[name] for name in ("navigation", "cheetah-location", "cheetah-speed")},
    methods={"maml": {"learner": "maml"}, "mmaml": {"learner": "mmaml"}},
    experiment=PolicyExperiment,
    stages=(("post-adaptation", -1),),
    digits=1,
)
