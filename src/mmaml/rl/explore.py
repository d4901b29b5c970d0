"""What an agent does with a task: act, improve on what it saw, act again.

The first episodes are those of the unmodulated prior. They say what kind of task it is and give the first gradient,
which is that of the unmodulated network; from then on the policy is both modulated and improved (as in the authors'
code, and in the paper's text on reinforcement learning; its Algorithm 1 modulates first).
"""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key, PyTree

from mmaml.core.inner import Loss
from mmaml.core.learners import AbstractLearner
from mmaml.core.materialised import gradient_step
from mmaml.core.network import TaskModel
from mmaml.core.task import Samples
from mmaml.rl.envs.environment import AbstractJaxEnvironment, Environment
from mmaml.rl.experience import Trajectories, to_samples
from mmaml.rl.rollout import rollout


class Explored(NamedTuple):
    """What came of a batch of tasks: all arrays have a leading axis of them.

    - `samples`: what is to be learnt from each phase, that is before every gradient step and after the last.
    - `episodes`: those of each phase; their axes are tasks, rollouts and steps.
    - `models`: the models that acted last.
    """

    samples: tuple[Samples, ...]
    episodes: tuple[Trajectories, ...]
    models: TaskModel


class Exploration(eqx.Module):
    """How agents meet the tasks of an environment.

    - `rollouts`: episodes of each task before every gradient step, and after the last.
    - `loss`: what the steps lower, of what the policy says and an `Experience`.
    - `discount`, `gae_lambda`: γ and λ of the advantages.
    """

    environment: Environment
    loss: Loss = eqx.field(static=True)
    rollouts: int = eqx.field(static=True, default=20)
    discount: float = eqx.field(static=True, default=0.99)
    gae_lambda: float = eqx.field(static=True, default=1.0)

    def improve(
        self, learner: AbstractLearner, model: TaskModel, support: Samples, mode: Int[Array, ""], step: int
    ) -> TaskModel:
        """One task's model after gradient step number `step` on its `support`, and from the first on modulated."""
        improved = gradient_step(learner.inner_for(mode), model, support, self.loss, step)
        if step > 0:
            return improved
        inferred = learner.condition(support, mode)
        return TaskModel(improved.network, inferred.modulation, inferred.embedding)

    def explore(self, learner: AbstractLearner, tasks: PyTree, keys: Key[Array, " tasks"], steps: int) -> Explored:
        """Act in each task before every of `steps` gradient steps, and after the last.

        Everything has a leading axis of tasks, `keys` too. All of it is one jitted function if the environment is in
        JAX; the others raise `RunFailed` if a simulation breaks down.
        """
        explore = _explore_inside_jit if isinstance(self.environment, AbstractJaxEnvironment) else _explore
        return explore(self, learner, tasks, keys, steps)


def returns(episodes: Sequence[Trajectories]) -> Float[Array, "tasks phases"]:
    """Mean over rollouts of the sum of rewards, of each task in every phase."""
    return jnp.stack([trajectories.rewards.sum(-1).mean(-1) for trajectories in episodes], axis=-1)


def _explore(
    exploration: Exploration, learner: AbstractLearner, tasks: PyTree, keys: Key[Array, " tasks"], steps: int
) -> Explored:
    models = _start(learner, tasks.mode)
    samples: list[Samples] = []
    episodes: list[Trajectories] = []
    for phase in range(steps + 1):
        if phase > 0:
            models = _improve(exploration, learner, models, samples[-1], tasks.mode, phase - 1)
        phase_keys = jax.vmap(lambda key, phase=phase: jr.fold_in(key, phase))(keys)
        episodes.append(rollout(exploration.environment, models, tasks, phase_keys, exploration.rollouts))
        samples.append(_to_samples(exploration, episodes[-1]))
    return Explored(tuple(samples), tuple(episodes), models)


_explore_inside_jit = eqx.filter_jit(_explore)


@eqx.filter_jit
def _start(learner: AbstractLearner, modes: Int[Array, " tasks"]) -> TaskModel:
    return jax.vmap(learner.unmodulated)(modes)


@eqx.filter_jit
def _improve(
    exploration: Exploration,
    learner: AbstractLearner,
    models: TaskModel,
    support: Samples,
    modes: Int[Array, " tasks"],
    step: int,
) -> TaskModel:
    def one(model: TaskModel, support: Samples, mode: Int[Array, ""]) -> TaskModel:
        return exploration.improve(learner, model, support, mode, step)

    return jax.vmap(one)(models, support, modes)


@eqx.filter_jit
def _to_samples(exploration: Exploration, episodes: Trajectories) -> Samples:
    def one(rollouts: Trajectories) -> Samples:
        return to_samples(rollouts, discount=exploration.discount, gae_lambda=exploration.gae_lambda)

    return jax.vmap(one)(episodes)
