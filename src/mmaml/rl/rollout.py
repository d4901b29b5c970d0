"""Rollouts: every task's policy in every one of its episodes, from the first step to the horizon.

Environments in JAX run whole inside jit. The others step a batch of all episodes at a time; the policy then says all
actions at once in between.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray, PyTree

from mmaml.core.network import TaskModel
from mmaml.rl.envs.environment import AbstractBatchEnvironment, AbstractEnvironment, AbstractJaxEnvironment, Environment
from mmaml.rl.experience import Trajectories


def rollout(
    environment: Environment,
    models: TaskModel,
    tasks: PyTree,
    keys: Key[Array, " tasks"],
    rollouts: int,
) -> Trajectories:
    """`rollouts` episodes of each task with its own model: everything has a leading axis of tasks, `keys` too.

    Nothing but `keys` is random in them. Raises `RunFailed` if a simulation breaks down.
    """
    if isinstance(environment, AbstractJaxEnvironment):
        one = partial(_inside_jit, environment, rollouts=rollouts)
        return jax.vmap(one)(models, tasks, keys)
    return _step_by_step(environment, models, tasks, keys, rollouts)


def action_noise(environment: AbstractEnvironment, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """What policies draw a batch of `shape` actions with, in the form that their distribution wants."""
    draw = jr.gumbel if environment.discrete else jr.normal
    return draw(key, (*shape, environment.action_size))


def _inside_jit(
    environment: AbstractJaxEnvironment, model: TaskModel, task: PyTree, key: PRNGKeyArray, *, rollouts: int
) -> Trajectories:
    start_key, noise_key = jr.split(key)
    noise = action_noise(environment, noise_key, (environment.horizon, rollouts))

    def step(state: Array, noise: Array) -> tuple[Array, Trajectories]:
        observations = jax.vmap(environment.observe)(state)
        behaviour = model(observations)
        actions = behaviour.sample(noise)
        state, rewards = jax.vmap(environment.step, (0, 0, None))(state, environment.scale(actions), task)
        return state, Trajectories(observations, actions, rewards, behaviour, jnp.ones(rollouts, bool))

    state = jax.vmap(environment.reset)(jr.split(start_key, rollouts))
    _, path = jax.lax.scan(step, state, noise)
    return jax.tree.map(lambda a: a.swapaxes(0, 1), path)


def _step_by_step(
    environment: AbstractBatchEnvironment, models: TaskModel, tasks: PyTree, keys: Key[Array, " tasks"], rollouts: int
) -> Trajectories:
    start_keys, noise = _draw(environment, keys, rollouts)
    each = jax.tree.map(lambda leaf: np.asarray(leaf).repeat(rollouts, 0), tasks)
    shape = (len(keys), rollouts)
    state = environment.reset(start_keys, each)
    path = []
    for step in range(environment.horizon):
        observations = environment.observe(state).reshape(*shape, -1)
        behaviour, actions, controls = _act(environment, models, observations, noise, np.array(step))
        valid = ~environment.over(state).reshape(shape)
        state, rewards = environment.step(state, np.asarray(controls).reshape(-1, *controls.shape[2:]), each)
        path.append((observations, actions, rewards.reshape(shape), behaviour, valid))
    return Trajectories(*jax.tree.map(lambda *steps: jnp.asarray(np.stack(steps, 2)), *path))


@eqx.filter_jit
def _draw(
    environment: AbstractBatchEnvironment, keys: Key[Array, " tasks"], rollouts: int
) -> tuple[Key[Array, " episodes"], Float[Array, "tasks steps rollouts action"]]:
    def draw(key: PRNGKeyArray) -> tuple[Key[Array, " rollouts"], Float[Array, "steps rollouts action"]]:
        start_key, noise_key = jr.split(key)
        noise = action_noise(environment, noise_key, (environment.horizon, rollouts))
        return jr.split(start_key, rollouts), noise

    start_keys, noise = jax.vmap(draw)(keys)
    return start_keys.reshape(-1), noise


@eqx.filter_jit
def _act(
    environment: AbstractBatchEnvironment,
    models: TaskModel,
    observations: Float[np.ndarray | Array, "tasks rollouts observation"],
    noise: Float[Array, "tasks steps rollouts action"],
    step: Int[np.ndarray | Array, ""],
) -> tuple[PyTree, Array, Array]:
    behaviour = jax.vmap(lambda model, o: model(o))(models, observations)
    actions = behaviour.sample(noise[:, step])
    return behaviour, actions, environment.scale(actions)
