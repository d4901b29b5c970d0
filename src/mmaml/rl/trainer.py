"""Meta-training of policies: every meta-iteration explores fresh tasks, then improves prior and modulator."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray, PyTree

from mmaml.core.learners import AbstractLearner
from mmaml.core.meta import AbstractTrainer, MetaState, Numbers, repeat
from mmaml.core.parallel import all_devices, over_devices
from mmaml.rl.envs.environment import AbstractJaxEnvironment
from mmaml.rl.explore import Exploration, returns
from mmaml.rl.outer import AbstractOuter, Lesson, Progress, Review


class PolicyTrainer(AbstractTrainer):
    """Raises the mean return after adaptation, over `tasks_per_step` fresh tasks in every meta-iteration.

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

    def run(
        self, state: MetaState, iterations: int, at_most: int
    ) -> tuple[MetaState, dict[str, Float[Array, " at_most"]]]:
        """Do `iterations` ≤ `at_most` meta-iterations, in one dispatch if the environment is in JAX.

        Returns the new state, and for each iteration the `Progress` of the outer loop, the mean return of the tasks in
        each phase, `return_0`, `return_1`, …, of which the first is also `query_before` and the last `query`, with
        `query_ci95`, half the width of its 95 % interval over tasks. Entries from `iterations` on are zero.
        """
        if isinstance(self.exploration.environment, AbstractJaxEnvironment):
            return self._run(state, jnp.asarray(iterations), at_most)
        history = {name: jnp.zeros(at_most) for name in self._names}
        for i in range(iterations):
            state, numbers = self._step(state, self.explore)
            history = {name: values.at[i].set(numbers[name]) for name, values in history.items()}
        return state, history

    def explore(
        self, learner: AbstractLearner, tasks: PyTree, keys: Key[Array, " tasks"]
    ) -> tuple[Lesson, Float[Array, "tasks phases"]]:
        """Act in each task before every inner step of meta-training, and after the last.

        Everything has a leading axis of tasks, `keys` too. Returns what there is to learn from, and the mean returns.
        Raises `RunFailed` if a simulation breaks down.
        """
        explored = self.exploration.explore(learner, tasks, keys, learner.inner.steps)
        return Lesson(explored.samples, tasks.mode), returns(explored.episodes)

    @eqx.filter_jit
    def update(self, state: MetaState, lessons: Lesson) -> tuple[MetaState, Progress]:
        """The outer loop's part of a meta-iteration: the state after it, and what it has come to.

        `lessons` have a leading axis of tasks and are best those of the learner at `state`.
        """
        review = Review(self.exploration, self.learner, lessons, self.mesh, self.task_microbatch)
        parameters, optimiser, progress = self.outer.update(state.parameters, state.optimiser, review)
        return MetaState(parameters, optimiser, state.step + 1), progress

    @eqx.filter_jit
    def _run(
        self, state: MetaState, iterations: Int[Array, ""], at_most: int
    ) -> tuple[MetaState, dict[str, Float[Array, " at_most"]]]:
        def explore(learner: AbstractLearner, tasks: PyTree, keys: Key[Array, " tasks"]) -> tuple[Lesson, Array]:
            def work(parameters: PyTree, drawn: tuple[PyTree, Key[Array, " tasks"]]) -> tuple[Lesson, Array]:
                return self.explore(eqx.combine(parameters, learner), *drawn)

            parameters = eqx.filter(learner, eqx.is_inexact_array)
            return over_devices(work, parameters, (tasks, keys), self.mesh)

        return repeat(lambda state: self._step(state, explore), state, iterations, at_most, self._names)

    def _step(
        self,
        state: MetaState,
        explore: Callable[[AbstractLearner, PyTree, Key[Array, " tasks"]], tuple[Lesson, Float[Array, "tasks phases"]]],
    ) -> tuple[MetaState, Numbers]:
        task_key, explore_key = jr.split(jr.fold_in(self.key, state.step))
        tasks = self.exploration.environment.sample_tasks(task_key, self.tasks_per_step)
        learner = eqx.combine(state.parameters, self.learner)
        lessons, returned = explore(learner, tasks, jr.split(explore_key, self.tasks_per_step))
        state, progress = self.update(state, lessons)
        spread = 1.96 * returned[:, -1].std(ddof=1) / jnp.sqrt(self.tasks_per_step)
        numbers = (*progress, returned[:, 0].mean(), returned[:, -1].mean(), spread, *returned.mean(axis=0))
        return state, dict(zip(self._names, numbers, strict=True))

    @property
    def _names(self) -> tuple[str, ...]:
        phases = range(self.learner.inner.steps + 1)
        return *Progress._fields, "query_before", "query", "query_ci95", *(f"return_{phase}" for phase in phases)
