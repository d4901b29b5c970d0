"""Meta-training of policies: every meta-iteration explores fresh tasks, then improves prior and modulator."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from mmaml.core.learners import AbstractLearner
from mmaml.core.meta import MetaState
from mmaml.core.parallel import over_devices
from mmaml.rl.envs.environment import AbstractJaxEnvironment
from mmaml.rl.explore import Exploration, returns
from mmaml.rl.outer import AbstractOuter, Lesson


Numbers = dict[str, Float[Array, ""]]


class PolicyTrainer(eqx.Module):
    """Raises the mean return after adaptation, over `tasks_per_step` fresh tasks in every meta-iteration.

    - `learner`: what is trained, in its initial state.
    - `key`: everything random in meta-iteration i depends on `key` and i alone, so a restored state goes on as if it
      had never stopped.
    - `task_microbatch`: tasks differentiated at a time on one device (default: all); less takes less memory.
    - `mesh`: the XLA devices that share the tasks (default: all of JAX's); its axis is named `tasks`.
    """

    exploration: Exploration
    learner: AbstractLearner
    outer: AbstractOuter
    tasks_per_step: int = eqx.field(static=True)
    key: PRNGKeyArray
    task_microbatch: int | None = eqx.field(static=True, default=None)
    mesh: Mesh = eqx.field(static=True, default_factory=lambda: Mesh(jax.devices(), "tasks"))

    def initial_state(self) -> MetaState:
        """The state before the first meta-iteration, on every device."""
        parameters = eqx.filter(self.learner, eqx.is_inexact_array)
        state = MetaState(parameters, self.outer.init(parameters), jnp.zeros((), int))
        return jax.device_put(state, NamedSharding(self.mesh, PartitionSpec()))

    def learner_at(self, state: MetaState) -> AbstractLearner:
        """The learner with the parameters of `state`."""
        return eqx.combine(jax.device_get(state.parameters), self.learner)

    def run(
        self, state: MetaState, iterations: int, at_most: int
    ) -> tuple[MetaState, dict[str, Float[Array, " at_most"]]]:
        """Do `iterations` ≤ `at_most` meta-iterations, in one dispatch if the environment is in JAX.

        Returns the new state, and for each iteration the outer `loss` before its update, the mean return of the
        tasks in the first phase, `query_before`, and in the last, `query`, with `query_ci95`, half the width of its
        95 % interval over tasks. Entries from `iterations` on are zero.
        """
        if isinstance(self.exploration.environment, AbstractJaxEnvironment):
            return self._run(state, jnp.asarray(iterations), at_most)
        history = {name: jnp.zeros(at_most) for name in _NUMBERS}
        for i in range(iterations):
            state, numbers = self._step(state, self._explore, self._update)
            history = {name: values.at[i].set(numbers[name]) for name, values in history.items()}
        return state, history

    @eqx.filter_jit
    def _run(
        self, state: MetaState, iterations: Int[Array, ""], at_most: int
    ) -> tuple[MetaState, dict[str, Float[Array, " at_most"]]]:
        def explore(learner: AbstractLearner, tasks: PyTree, keys: PRNGKeyArray) -> tuple[Lesson, Array]:
            def work(parameters: PyTree, drawn: tuple[PyTree, PRNGKeyArray]) -> tuple[Lesson, Array]:
                return self._explore(eqx.combine(parameters, learner), *drawn)

            parameters = eqx.filter(learner, eqx.is_inexact_array)
            return over_devices(work, parameters, (tasks, keys), self.mesh)

        def body(i: Int[Array, ""], carry: PyTree) -> PyTree:
            state, history = carry
            state, numbers = self._step(state, explore, self._update)
            return state, {name: history[name].at[i].set(number) for name, number in numbers.items()}

        return jax.lax.fori_loop(0, iterations, body, (state, {name: jnp.zeros(at_most) for name in _NUMBERS}))

    def _step(
        self,
        state: MetaState,
        explore: Callable[[AbstractLearner, PyTree, PRNGKeyArray], tuple[Lesson, Float[Array, "tasks phases"]]],
        update: Callable[[MetaState, Lesson], tuple[MetaState, Float[Array, ""]]],
    ) -> tuple[MetaState, Numbers]:
        task_key, explore_key = jr.split(jr.fold_in(self.key, state.step))
        tasks = self.exploration.environment.sample_tasks(task_key, self.tasks_per_step)
        learner = eqx.combine(state.parameters, self.learner)
        lessons, returned = explore(learner, tasks, jr.split(explore_key, self.tasks_per_step))
        state, loss = update(state, lessons)
        spread = 1.96 * returned[:, -1].std(ddof=1) / jnp.sqrt(self.tasks_per_step)
        return state, dict(zip(_NUMBERS, (loss, returned[:, 0].mean(), returned[:, -1].mean(), spread), strict=True))

    def _explore(
        self, learner: AbstractLearner, tasks: PyTree, keys: PRNGKeyArray
    ) -> tuple[Lesson, Float[Array, "tasks phases"]]:
        phases, episodes = self.exploration.explore(learner, tasks, keys, learner.inner.steps)
        return Lesson(phases, tasks.mode), returns(episodes)

    @eqx.filter_jit
    def _update(self, state: MetaState, lessons: Lesson) -> tuple[MetaState, Float[Array, ""]]:
        parameters, optimiser, loss = self.outer.update(
            self.exploration, self.learner, state.parameters, state.optimiser, lessons, self.mesh, self.task_microbatch
        )
        return MetaState(parameters, optimiser, state.step + 1), loss


_NUMBERS = ("loss", "query_before", "query", "query_ci95")
