"""The environments by the names they have in presets and results."""

from functools import partial

from mmaml.rl.envs.ant import Ant
from mmaml.rl.envs.cheetah import CheetahLocation, CheetahSpeed
from mmaml.rl.envs.environment import AbstractJaxEnvironment, Environment
from mmaml.rl.envs.mujoco import AbstractMujocoEnvironment
from mmaml.rl.envs.navigation import Navigation
from mmaml.rl.envs.own.factory import find_factory
from mmaml.rl.envs.point_mass import PointMass
from mmaml.rl.envs.reacher import Reacher


ENVIRONMENTS: dict[str, partial[AbstractJaxEnvironment | AbstractMujocoEnvironment]] = {
    **{f"point-{modes}": partial(PointMass, modes) for modes in (1, 2, 4, 6)},
    **{f"reacher-{modes}": partial(Reacher, modes) for modes in (1, 2, 4, 6, "6-reference")},
    **{f"ant-{modes}": partial(Ant, modes) for modes in (1, 2, 4)},
    "navigation": partial(Navigation),
    "cheetah-location": partial(CheetahLocation),
    "cheetah-speed": partial(CheetahSpeed),
}
"""What makes each, of its class; those on the MuJoCo engine take the number of `threads`."""


def make_environment(name: str) -> Environment:
    """The environment of a name of ours, or of the user's own, `module:function` or `file.py:function`.

    Raises `UserError` if there is none, it lacks something, or MuJoCo or gymnasium is needed and not there.
    """
    if name in ENVIRONMENTS:
        return ENVIRONMENTS[name]()
    # Only here is gymnasium needed.
    from mmaml.rl.envs.own.environment import OwnEnvironment

    return OwnEnvironment(find_factory(name))
