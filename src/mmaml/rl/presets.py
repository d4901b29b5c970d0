"""The published settings of meta-reinforcement learning by name."""

from mmaml.rl.config import PolicyConfig
from mmaml.rl.envs.catalogue import ENVIRONMENTS
from mmaml.rl.settings import settings_of


PRESETS: dict[str, PolicyConfig] = {
    name: PolicyConfig(name, preset=name, **settings_of(name).options) for name in ENVIRONMENTS
} | {"policy": PolicyConfig("", preset="policy")}
"""An environment each: the paper's (Table 3, and with one mode), and the workshop paper's; `policy` for your own."""
