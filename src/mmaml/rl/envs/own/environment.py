"""Environments of your own: any `gymnasium.Env` of vectors whose task can be set."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray, PyTree, Shaped

from mmaml.rl.envs.environment import POLICY_RANGE, AbstractBatchEnvironment, Controls
from mmaml.rl.envs.finite import require_finite_actions
from mmaml.rl.envs.own.contract import (
    actions_of,
    attribute,
    drawn_tasks,
    horizon_of,
    made_by,
    mode_numbers,
    modes_of,
    name_of,
    require_reset,
    require_spaces_and_methods,
    require_step,
    stack_tasks,
)
from mmaml.runs.errors import Note, RunFailed, UserError


TRIAL_STEPS = 5
"""How far an environment is tried before it is trusted."""
GREATEST = 1e15
"""No observation or reward may be greater: its square, summed up, would not fit into single precision."""
LARGE = 10.0
"""Observations beyond this say little to a policy of tanh units, and nothing more to the baseline, which clips them."""


class OwnTask(eqx.Module):
    """What `set_task` is given, and `mode`, the kind of task. A batch has one more leading axis on every array."""

    task: PyTree
    mode: Int[Array, "*batch"]


class OwnState(NamedTuple):
    """What was seen last in each episode, which have ended, and how many steps all have made, or would have."""

    observations: Float[np.ndarray, "episodes observation"]
    over: Bool[np.ndarray, " episodes"]
    steps: int


class Workers:
    """The user's environments, made when they are needed: as many as ever ran side by side."""

    def __init__(self, make: Callable[..., Any]):
        self.make = make
        self.envs: list[Any] = []
        self.latest: OwnState | None = None
        """The state that they are in; `None` where the first was reset to draw tasks."""

    def first(self, count: int) -> list[Any]:
        """`count` of them.

        Raises `UserError` if arguments are needed to make one, or what is made is no environment, or twice the same.
        """
        while len(self.envs) < count:
            env = made_by(self.make)
            if self.envs and env is self.envs[0]:
                raise UserError(f"{name_of(env)} was made twice and is the same object; make a new one each time.")
            self.envs.append(env)
        return self.envs[:count]

    @property
    def name(self) -> str:
        """What messages call them."""
        return name_of(self.first(1)[0])


class OwnEnvironment(AbstractBatchEnvironment):
    """A user's `gymnasium.Env`: one for each episode of a batch, stepped one after the other.

    `make()` makes a new one every time it is called: as many as there are tasks in a meta-iteration (at most 40 in an
    evaluation) times rollouts live side by side. Observations are a `Box` with one axis; actions too, with finite
    bounds, or they are `Discrete`. Further, it has

    - `sample_tasks(n)`: a sequence of `n` tasks, drawn with `self.np_random`, which `reset(seed=…)` seeds. A task is a
      number, an array, or a tuple, list or dictionary of such, and all tasks are alike in structure and shape.
    - `set_task(task)`: called before the `reset` of every episode, with numbers as NumPy scalars. `reset` must work
      before it was called, too.
    - if tasks come in kinds: `modes`, the names of the kinds, and `mode_of(task)`, the number of the task's. Results
      are told apart by them, and Multi-MAML has a prior for each; without, all tasks are of the kind "task".
    - `horizon`: steps of an episode, if `gymnasium.make` did not get a time limit.

    A policy's −10 … 10 become what lies between the bounds of an action. An episode that is terminated or truncated
    before the horizon stays where it is: its last observation is repeated, with rewards of 0, and nothing is learnt
    from these steps. So where rewards are negative it pays to end early.

    States live in the user's environments: only the latest can be stepped.
    """

    observation_size: int = eqx.field(static=True)
    action_size: int = eqx.field(static=True)
    discrete: bool = eqx.field(static=True)
    horizon: int = eqx.field(static=True)
    low: tuple[float, ...] = eqx.field(static=True)
    """Least value of each coordinate of an action, or the number of the first choice."""
    high: tuple[float, ...] = eqx.field(static=True)
    """Greatest value of each, or the number of the last choice."""
    action_type: str = eqx.field(static=True)
    """Of the numbers in an action, for NumPy."""
    _modes: tuple[str, ...] = eqx.field(static=True)
    _workers: Workers = eqx.field(static=True)

    def __init__(self, make: Callable[..., Any], horizon: int | None = None):
        """Episodes of `horizon` steps; by default of the environment's own `horizon`, or its time limit.

        Raises `UserError` if the environment lacks something or cannot be repeated with the same seed.
        """
        self._workers = Workers(make)
        env = self._workers.first(1)[0]
        require_spaces_and_methods(env)
        (self.observation_size,) = env.observation_space.shape
        self.discrete, self.action_size, self.low, self.high = actions_of(env)
        self.action_type = env.action_space.dtype.name
        self.horizon = horizon_of(env) if horizon is None else horizon
        if self.horizon < 1:
            raise UserError(f"{self._workers.name} has episodes of {self.horizon} steps; at least 1 is needed.")
        self._modes = modes_of(env)
        self._require_repeatable()

    @property
    def make(self) -> Callable[..., Any]:
        """What makes the user's environments."""
        return self._workers.make

    @property
    def modes(self) -> tuple[str, ...]:
        """Names of the kinds of task, in the order of `OwnTask.mode`."""
        return self._modes

    def mode_of(self, given: PyTree, told: int | None) -> int:
        """What the user's `mode_of` says. Raises `ValueError` if another was told."""
        (mode,) = mode_numbers(self._workers.first(1)[0], [given], len(self.modes))
        if told not in (None, mode):
            raise ValueError(
                f"{self._workers.name} says that the task {given!r} is of the mode {self.modes[mode]!r}, not "
                f"{self.modes[told]!r}; leave the mode out."
            )
        return mode

    def scale(self, action: Float[Array, "*batch action"]) -> Array:
        """A policy's action, nominally within ±10, in the environment's units; for a choice its number."""
        if self.discrete:
            return action.argmax(-1) + int(self.low[0])
        low, high = jnp.array(self.low), jnp.array(self.high)
        return low + (action + POLICY_RANGE) * (high - low) / (2 * POLICY_RANGE)

    def within(self, action: Shaped[np.ndarray, "*batch"]) -> Shaped[np.ndarray, "*batch"]:
        """Numbers of the environment's own type, each clipped to its bounds."""
        return action.clip(self.low, self.high).astype(self.action_type)

    def sample_tasks(self, key: PRNGKeyArray, n: int) -> OwnTask:
        """A batch of `n` of the user's tasks. Raises `UserError` if they cannot be batched or are of no known mode."""
        env = self._workers.first(1)[0]
        self._workers.latest = None
        env.reset(seed=_seeds(key[None])[0])
        tasks = drawn_tasks(env, n)
        return OwnTask(stack_tasks(env, tasks), jnp.array(mode_numbers(env, tasks, len(self.modes))))

    def reset(self, keys: Key[Array, " episodes"], task: OwnTask) -> OwnState:
        """Set the task of each episode and begin it, with a seed drawn from its key."""
        count = len(task.mode)
        state = OwnState(np.zeros((count, self.observation_size), np.float32), np.zeros(count, bool), 0)
        for i, (env, seed) in enumerate(zip(self._workers.first(count), _seeds(keys), strict=True)):
            attribute(env, "set_task")(jax.tree.map(lambda leaf, i=i: leaf[i], task.task))
            result = env.reset(seed=seed)
            require_reset(env, result, state.observations.shape[1:])
            state.observations[i] = result[0]
        return self._now(state, np.zeros(count, np.float32), task)

    def observe(self, state: OwnState) -> Float[np.ndarray, "episodes observation"]:
        """What the environments returned last."""
        return state.observations

    def over(self, state: OwnState) -> Bool[np.ndarray, " episodes"]:
        """Which the environments terminated or truncated."""
        return state.over

    def step(self, state: OwnState, action: Controls, task: OwnTask) -> tuple[OwnState, Float[np.ndarray, " episodes"]]:
        """One step of every episode that is not over; their tasks are still those of `reset`.

        Raises `RunFailed` if actions, observations or rewards are not finite, and `ValueError` for a state that is
        not the latest.
        """
        if state is not self._workers.latest:
            raise ValueError("only the latest state of your own environments can be stepped")
        require_finite_actions(np.asarray(action))
        observations, over = state.observations.copy(), state.over.copy()
        rewards = np.zeros(len(over), np.float32)
        envs = self._workers.first(len(over))
        within = self.within(np.asarray(action))
        shape = observations.shape[1:]
        for i in np.flatnonzero(~state.over):
            result = envs[i].step(within[i])
            require_step(envs[i], result, shape)
            observations[i], rewards[i], terminated, truncated, _ = result
            over[i] = terminated or truncated
        return self._now(OwnState(observations, over, state.steps + 1), rewards, task), rewards

    def _now(self, state: OwnState, rewards: Float[np.ndarray, " episodes"], task: OwnTask) -> OwnState:
        for what, values in (("observation", state.observations), ("reward", rewards[:, None])):
            unusable = np.flatnonzero(~(np.abs(values) <= GREATEST).all(axis=1))
            if len(unusable):
                first = unusable[0]
                of_task = jax.tree.map(lambda leaf, i=first: np.asarray(leaf)[i], task.task)
                after = f"after {state.steps} steps" if state.steps else "after reset"
                raise RunFailed(
                    f"{self._workers.name} {after} gave the {what} {values[first].squeeze()} in the task {of_task!r}, "
                    f"and others like it in {len(unusable)} of {len(values)} episodes; all must be finite and at "
                    f"most {GREATEST:.0e}, so that their squares are finite, too."
                )
        self._workers.latest = state
        return state

    def _require_repeatable(self) -> None:
        """Without it no run could be repeated, or resumed as if it had not stopped."""
        self.sample_tasks(jr.key(0), 1)  # another number of them than below
        tasks, tasks_again = (self.sample_tasks(jr.key(0), 2) for _ in range(2))
        first = {"sample_tasks": tasks, **self._trial(tasks)}
        again = {"sample_tasks": tasks_again, **self._trial(tasks)}
        made, self._workers.envs = self._workers.envs, []
        tasks_anew = self.sample_tasks(jr.key(0), 2)
        anew = {"sample_tasks": tasks_anew, **self._trial(tasks)}
        self._workers.envs = made
        for given, where in ((again, ""), (anew, " in another environment, though made alike")):
            for method in first:
                if not jax.tree.all(jax.tree.map(np.array_equal, first[method], given[method])):
                    raise UserError(
                        f"{self._workers.name}: after the same reset(seed=…), {method} does not give the same "
                        f"again{where}. Draw with self.np_random only, begin reset with super().reset(seed=seed), set "
                        "there all that an episode changes, draw nothing where an environment is made, and let no "
                        "wrapper carry statistics from one episode to the next (as NormalizeObservation does)."
                    )
        largest = max(np.abs(state.observations).max() for state in [first["reset"], *(s for s, _ in first["step"])])
        if largest > LARGE:
            warnings.warn(
                f"{self._workers.name} gives observations as large as {largest:.3g}; policies learn well where they "
                "are about as large as 1: scale them, with gymnasium.wrappers.TransformObservation, say.",
                Note,
                stacklevel=2,
            )

    def _trial(self, tasks: OwnTask) -> dict[str, PyTree]:
        """How two episodes begin, and what comes of a few actions, which are always the same."""
        rng = np.random.default_rng(0)
        state = start = self.reset(jr.split(jr.key(1)), tasks)
        steps = []
        for _ in range(min(TRIAL_STEPS, self.horizon)):
            action = np.asarray(self.scale(jnp.asarray(rng.uniform(-10, 10, (2, self.action_size)))))
            state, rewards = self.step(state, action, tasks)
            steps.append((state, rewards))
        return {"reset": start, "step": steps}


def _seeds(keys: Key[Array, " n"]) -> list[int]:
    return np.asarray(jax.vmap(lambda key: jr.randint(key, (), 0, 2**31 - 1))(keys)).tolist()
