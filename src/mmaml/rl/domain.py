"""Meta-reinforcement learning, all its parts."""

from mmaml.experiments.domain import Domain
from mmaml.rl.config import PolicyConfig
from mmaml.rl.experiment import PolicyExperiment
from mmaml.rl.model import PolicyModel
from mmaml.rl.paper import TABLE3, WORKSHOP
from mmaml.rl.pictures.figures import CAPTIONS, compare_trajectories
from mmaml.rl.pictures.video import write_video
from mmaml.rl.presets import PRESETS


RL = Domain(
    title="meta-reinforcement learning",
    config=PolicyConfig,
    presets=PRESETS,
    experiment=PolicyExperiment,
    model=PolicyModel.restore,
    tables=(TABLE3, WORKSHOP),
    glossary=CAPTIONS,
    compare=compare_trajectories,
    film=write_video,
)
