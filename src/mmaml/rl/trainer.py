"""Meta-training of policies: every meta-iteration explores fresh tasks, then improves prior and modulator."""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray, PyTree

from mmaml.core.learners import AbstractLearner
from mmaml.core.meta import AbstractTrainer, MetaState, Numbers, means, repeat
from mmaml.core.parallel import all_devices, over_devices
from mmaml.rl.envs.environment import AbstractJaxEnvironment
from mmaml.rl.explore import Exploration, returns
from mmaml.rl.outer import AbstractOuter, MetaBatch, OuterStats, TaskSamples


class PolicyTrainer(AbstractTrainer):
    """Raises the mean return after adaptation, over `tasks_per_step` fresh tasks in every meta-iteration.

    For each meta-iteration `run` returns the `OuterStats` and the mean return of the tasks in each phase, `return_0`,
    `return_1`, …, of which the first is also `query_before` and the last `query`, with `query_ci95`, half the width of
    its 95 % interval over tasks. Only where the environment is in JAX is a dispatch one program.

    - `task_microbatch`: tasks differentiated at a time on one device (default: all); less takes less memory.
    - `mesh`: by default all of JAX's devices.
    """

    exploration: Exploration
    learner: AbstractLearner
    outer: AbstractOuter
    tasks_per_step: int = eqx.field(static=True)
    key: PRNGKeyArray
    task_microbatch: int | None = eqx.field(static=True, default=None)
    mesh: Mesh = eqx.field(static=True, default_factory=all_devices)

    def initial_optimiser(self, parameters: PyTree) -> PyTree:
        """The optimiser's state before the first meta-iteration."""
        return self.outer.init(parameters)

    def _dispatch(
        self, state: MetaState, iterations: Int[Array, ""], at_most: int
    ) -> tuple[MetaState, dict[str, Float[Array, " at_most"]]]:
        if isinstance(self.exploration.environment, AbstractJaxEnvironment):
            return self._run(state, iterations, at_most)
        history = {name: jnp.zeros(at_most) for name in self._names}
        for i in range(int(iterations)):
            # With parameters on all devices each would compute all policies.
            state, numbers = self._step(state, partial(self.explore, self.learner_at(state)))
            history = {name: values.at[i].set(numbers[name]) for name, values in history.items()}
        return state, history

    def summary(self, history: dict[str, Float[np.ndarray, " iterations"]]) -> dict[str, float]:
        """The means, and of `query` the interval: as every meta-iteration has tasks of its own, it is narrower."""
        intervals = history["query_ci95"]
        return means(history) | {"query_ci95": float(np.linalg.norm(intervals) / len(intervals))}

    def explore(
        self, learner: AbstractLearner, tasks: PyTree, keys: Key[Array, " tasks"]
    ) -> tuple[TaskSamples, Float[Array, "tasks phases"]]:
        """Act in each task before every inner step of meta-training, and after the last.

        Everything has a leading axis of tasks, `keys` too. Returns what there is to learn from, and the mean returns.
        Raises `RunFailed` if a simulation breaks down.
        """
        explored = self.exploration.explore(learner, tasks, keys, learner.inner.steps)
        return TaskSamples(explored.samples, tasks.mode), returns(explored.episodes)

    @eqx.filter_jit
    def update(self, state: MetaState, samples: TaskSamples) -> tuple[MetaState, OuterStats]:
        """The outer loop's part of a meta-iteration: the state after it, and what it has come to.

        `samples` have a leading axis of tasks, and are those that the learner at `state` explored.
        """
        batch = MetaBatch(self.exploration, self.learner, samples, self.mesh, self.task_microbatch)
        parameters, optimiser, stats = self.outer.update(state.parameters, state.optimiser, batch)
        return MetaState(parameters, optimiser, state.step + 1), stats

    @eqx.filter_jit
    def _run(
        self, state: MetaState, iterations: Int[Array, ""], at_most: int
    ) -> tuple[MetaState, dict[str, Float[Array, " at_most"]]]:
        def explore(learner: AbstractLearner, tasks: PyTree, keys: Key[Array, " tasks"]) -> tuple[TaskSamples, Array]:
            def work(parameters: PyTree, drawn: tuple[PyTree, Key[Array, " tasks"]]) -> tuple[TaskSamples, Array]:
                return self.explore(eqx.combine(parameters, learner), *drawn)

            parameters = eqx.filter(learner, eqx.is_inexact_array)
            return over_devices(work, parameters, (tasks, keys), self.mesh)

        def step(state: MetaState) -> tuple[MetaState, Numbers]:
            return self._step(state, partial(explore, eqx.combine(state.parameters, self.learner)))

        return repeat(step, state, iterations, at_most, self._names)

    def _step(
        self,
        state: MetaState,
        explore: Callable[[PyTree, Key[Array, " tasks"]], tuple[TaskSamples, Float[Array, "tasks phases"]]],
    ) -> tuple[MetaState, Numbers]:
        task_key, explore_key = jr.split(jr.fold_in(self.key, state.step))
        tasks = self.exploration.environment.sample_tasks(task_key, self.tasks_per_step)
        samples, returned = explore(tasks, jr.split(explore_key, self.tasks_per_step))
        state, stats = self.update(state, samples)
        spread = 1.96 * returned[:, -1].std(ddof=1) / jnp.sqrt(self.tasks_per_step)
        numbers = (*stats, returned[:, 0].mean(), returned[:, -1].mean(), spread, *returned.mean(axis=0))
        return state, dict(zip(self._names, numbers, strict=True))

    @property
    def _names(self) -> tuple[str, ...]:
        phases = range(self.learner.inner.steps + 1)
        return *OuterStats._fields, "query_before", "query", "query_ci95", *(f"return_{phase}" for phase in phases)
