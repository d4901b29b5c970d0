"""A trained learner in use: adapt it to a task of its environment, then act."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree
from numpy.typing import ArrayLike

from mmaml.core.inner import whole_steps
from mmaml.core.learners import AbstractLearner
from mmaml.core.network import TaskModel
from mmaml.core.task import mode_index
from mmaml.experiments.modelfile import fill_learner, write_model
from mmaml.nn.distribution import AbstractDistribution
from mmaml.rl.build import make_exploration, make_learner
from mmaml.rl.config import PolicyConfig
from mmaml.rl.envs.environment import Environment
from mmaml.rl.explore import Exploration, returns
from mmaml.rl.rollout import action_noise
from mmaml.rl.tasks import drawn_task, given_task, task_and_episode_keys
from mmaml.runs.config import from_dict, to_dict


@dataclass(frozen=True, eq=False)
class AdaptedPolicy:
    """The policy of one `task` of an `environment`; `returns` are the mean returns before and after every step."""

    environment: Environment
    model: TaskModel
    task: PyTree
    returns: Float[np.ndarray, " phases"]

    @property
    def embedding(self) -> Float[np.ndarray, " embedding"] | None:
        """The task embedding υ; `None` before any gradient step, and for learners that do not modulate."""
        return None if self.model.embedding is None else np.asarray(self.model.embedding)

    def act(self, observation: ArrayLike, *, key: PRNGKeyArray | None = None) -> np.ndarray:
        """The likeliest action after an observation, or one drawn with `key`; for an array of them an array of actions.

        Actions are as the environment takes them, in its own units and within its bounds: vectors, or whole numbers
        where there are choices. Raises `ValueError` for observations of another size, or not finite.
        """
        size = self.environment.observation_size
        observed = np.asarray(observation, np.float32)
        if observed.ndim == 0 or observed.shape[-1] != size:
            raise ValueError(
                f"the observation has the shape {observed.shape}; its last axis must have the size {size}."
            )
        if not np.isfinite(observed).all():
            raise ValueError(f"the observation {observation} is not finite; give finite numbers.")
        policy = _policy(self.model, jnp.asarray(observed.reshape(-1, size)))
        actions = policy.likeliest()
        if key is not None:
            actions = policy.sample(action_noise(self.environment, key, actions.shape[:1]))
        actions = self.environment.within(np.asarray(self.environment.scale(actions)))
        return actions.reshape((*observed.shape[:-1], *actions.shape[1:]))


@dataclass(frozen=True, eq=False)
class PolicyModel:
    """A meta-trained learner with the environment whose tasks it learns."""

    config: PolicyConfig
    learner: AbstractLearner
    exploration: Exploration

    @property
    def modes(self) -> tuple[str, ...]:
        """Names of the kinds of task."""
        return self.exploration.environment.modes

    def adapt(
        self, task: Any = None, *, mode: str | None = None, seed: int = 0, steps: int | None = None
    ) -> AdaptedPolicy:
        """Act in one task, learn from it, and act again: the policy after `steps` gradient steps (default: as trained).

        `task` is a goal, or in an environment of the user's own what its `set_task` takes. By default it is one of
        `mode` (default: of any) that is drawn with `seed`, which also decides the episodes. A given task is of the kind
        that `mode_of` of the user's own environment says, or whose goals lie nearest, unless its `mode` is told;
        Multi-MAML takes the prior of that kind.

        Raises `ValueError` for what does not fit, and `RunFailed` if a simulation breaks down.
        """
        steps = self.learner.inner.steps if steps is None else whole_steps(steps)
        environment = self.exploration.environment
        index = mode_index(mode, self.modes)
        alone = drawn_task(environment, index, seed) if task is None else given_task(environment, task, index)
        _, episode_key = task_and_episode_keys(seed)
        explored = self.exploration.explore(self.learner, alone, jr.split(episode_key, 1), steps)
        policy, alone = jax.tree.map(lambda leaf: leaf[0], (explored.models, alone))
        return AdaptedPolicy(environment, policy, alone, np.asarray(returns(explored.episodes)[0]))

    def save(self, path: str | Path) -> None:
        """Write the model to one safetensors file."""
        write_model(path, self.config.DOMAIN, self.learner, {"config": to_dict(self.config)}, {})

    @classmethod
    def restore(cls, header: dict[str, Any], tensors: dict[str, np.ndarray], path: Path) -> "PolicyModel":
        """The model whose file at `path` holds `header` and `tensors`.

        Raises `UserError` if it is damaged, or its environment needs MuJoCo, which is not there.
        """
        config = from_dict(PolicyConfig, header["config"])
        exploration = make_exploration(config)
        like = eqx.filter_eval_shape(make_learner, config, exploration.environment, key=jr.key(0))
        return cls(config, fill_learner(like, tensors, path), exploration)


@eqx.filter_jit
def _policy(model: TaskModel, observations: Float[Array, "observations size"]) -> AbstractDistribution:
    return model(observations)
