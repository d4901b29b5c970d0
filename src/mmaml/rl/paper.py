"""Table 3 of the paper, and the experiments that the workshop paper shows as curves: of what, and what is published."""

from mmaml.experiments.paper_tables.spec import TableSpec
from mmaml.rl.experiment import PolicyExperiment
from mmaml.rl.presets import PRESETS


_SETTINGS = ("point-2", "point-4", "point-6", "reacher-2", "reacher-4", "reacher-6", "ant-2", "ant-4")


def _by_setting(*numbers: float | int) -> dict[str, float]:
    return {setting: float(number) for setting, number in zip(_SETTINGS, numbers, strict=True)}


TABLE3 = TableSpec(
    name="table3",
    caption="Return of an episode",
    settings={name: PRESETS[name] for name in _SETTINGS},
    methods={"promp": {"learner": "maml"}, "multi-promp": {"learner": "multi-maml"}, "mmaml": {"learner": "mmaml"}},
    paper={
        ("promp", "post-adaptation"): _by_setting(-397, -523, -330, -12.0, -13.8, -14.9, -761, -953),
        ("multi-promp", "post-adaptation"): _by_setting(-109, -109, -92, -4.3, -4.3, -4.3, -624, -611),
        ("mmaml", "post-adaptation"): _by_setting(-136, -209, -169, -10.0, -11.0, -10.9, -711, -904),
    },
    experiment=PolicyExperiment,
    baseline="promp",
    digits=1,
)

WORKSHOP = TableSpec(
    name="workshop",
    caption="Return of an episode",
    settings={name: PRESETS[name] for name in ("navigation", "cheetah-location", "cheetah-speed")},
    methods={"maml": {"learner": "maml"}, "mmaml": {"learner": "mmaml"}},
    experiment=PolicyExperiment,
    digits=1,
)
