"""Meta-training: the outer loss over a batch of tasks, and the jitted meta-steps that lower it."""

import abc
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from mmaml.core.inner import Loss
from mmaml.core.learners import AbstractLearner, MultiMAML
from mmaml.core.network import TaskModel
from mmaml.core.parallel import all_devices, mean_value_and_grad
from mmaml.core.sampling import require_pure
from mmaml.core.task import AbstractTaskSource, Mixture, Task


class MetaState(eqx.Module):
    """What meta-training changes: arrays only, so that it can be saved and restored bit for bit.

    `parameters` has the learner's structure with `None` for all that is not trained.
    """

    parameters: PyTree
    optimiser: PyTree
    step: Int[Array, ""]


class AbstractTrainer(eqx.Module):
    """Does meta-iterations.

    - `learner`: what is trained, in its initial state.
    - `key`: everything random in meta-iteration i depends on `key` and i alone, so a restored state goes on as if it
      had never stopped.
    - `mesh`: the XLA devices that share the tasks; its axis is named `tasks`.
    """

    learner: eqx.AbstractVar[AbstractLearner]
    key: eqx.AbstractVar[PRNGKeyArray]
    mesh: eqx.AbstractVar[Mesh]

    @abc.abstractmethod
    def initial_optimiser(self, parameters: PyTree) -> PyTree:
        """The optimiser's state before the first meta-iteration."""

    @abc.abstractmethod
    def _dispatch(
        self, state: MetaState, iterations: Int[Array, ""], at_most: int
    ) -> tuple[MetaState, dict[str, Float[Array, " at_most"]]]:
        """What `run` does."""

    @abc.abstractmethod
    def summary(self, history: dict[str, Float[np.ndarray, " iterations"]]) -> dict[str, float]:
        """What the numbers of several meta-iterations, as `run` returns them, come to as a whole."""

    def run(
        self, state: MetaState, iterations: int, at_most: int
    ) -> tuple[MetaState, dict[str, Float[Array, " at_most"]]]:
        """Do `iterations` ≤ `at_most` meta-iterations in one dispatch; only a new `at_most` compiles anew.

        Returns the new state, and for each iteration the `loss`, not finite if training is broken, and other numbers
        that the trainer's class names; entries from `iterations` on are zero.

        Raises `ValueError` for more `iterations` than `at_most`, or fewer than none.
        """
        if not 0 <= iterations <= at_most:
            raise ValueError(f"{iterations} meta-iterations do not fit into a dispatch of at most {at_most}.")
        return self._dispatch(state, jnp.asarray(iterations), at_most)

    def initial_state(self) -> MetaState:
        """The state before the first meta-iteration, on every device."""
        parameters = eqx.filter(self.learner, eqx.is_inexact_array)
        state = MetaState(parameters, self.initial_optimiser(parameters), jnp.zeros((), int))
        return jax.device_put(state, NamedSharding(self.mesh, PartitionSpec()))

    def learner_at(self, state: MetaState) -> AbstractLearner:
        """The learner with the parameters of `state`."""
        return eqx.combine(jax.device_get(state.parameters), self.learner)


Numbers = dict[str, Float[Array, ""]]
TaskLoss = Callable[[PyTree, Task], Float[Array, ""]]


def repeat(
    step: Callable[[MetaState], tuple[MetaState, Numbers]],
    state: MetaState,
    iterations: Int[Array, ""],
    at_most: int,
    names: Sequence[str],
) -> tuple[MetaState, dict[str, Float[Array, " at_most"]]]:
    """A loop over `step` for use inside jit; its numbers, called `names`, are kept for each iteration."""

    def body(i: Int[Array, ""], carry: PyTree) -> PyTree:
        state, history = carry
        state, numbers = step(state)
        return state, {name: history[name].at[i].set(number) for name, number in numbers.items()}

    return jax.lax.fori_loop(0, iterations, body, (state, {name: jnp.zeros(at_most) for name in names}))


def means(history: dict[str, Float[np.ndarray, " iterations"]]) -> dict[str, float]:
    """Each number's mean over meta-iterations."""
    return {name: float(values.mean()) for name, values in history.items()}


class MetaTrainer(AbstractTrainer):
    """Lowers the mean query loss after adaptation, over `tasks_per_step` fresh tasks in every meta-iteration.

    For each meta-iteration `run` returns the `loss` (on its tasks, before its update) and the `gradient_norm`.

    - `post_modulation_share`: this share of the outer loss is the query loss before any gradient step, the rest the one
      after the last. In the paper only the last counts; the modulation is then free to leave a bad start to the steps.
    - `pretraining`: in so many meta-iterations, the first, only the query loss before any gradient step counts (none in
      the paper). They take a fraction of the time of the others, and what they learn is where the steps start from.
    - `task_microbatch`: tasks differentiated at a time on one device (default: all); less takes less memory.
    - `mesh`: by default all of JAX's devices.

    Raises `ValueError` for a share that is none, for fewer tasks than one or meta-iterations than none, and for a
    Multi-MAML with priors for other modes than the source's. Tracing it raises `ValueError` for a source that does not
    draw the same with the same key, and for real targets of another shape than the outputs, which a loss would
    broadcast.
    """

    source: AbstractTaskSource
    learner: AbstractLearner
    loss: Loss = eqx.field(static=True)
    optimiser: optax.GradientTransformation = eqx.field(static=True)
    tasks_per_step: int = eqx.field(static=True)
    key: PRNGKeyArray
    post_modulation_share: float = eqx.field(static=True, default=0.0)
    pretraining: int = eqx.field(static=True, default=0)
    task_microbatch: int | None = eqx.field(static=True, default=None)
    mesh: Mesh = eqx.field(static=True, default_factory=all_devices)

    def __check_init__(self) -> None:
        if not 0 <= self.post_modulation_share < 1:
            raise ValueError(f"`post_modulation_share` is {self.post_modulation_share}; it must be from 0 to below 1.")
        if self.pretraining < 0:
            raise ValueError(f"`pretraining` is {self.pretraining} meta-iterations; it must be 0 or more.")
        if self.tasks_per_step < 1:
            raise ValueError(f"`tasks_per_step` is {self.tasks_per_step}; it must be at least 1.")
        modes = len(self.source.modes)
        if isinstance(self.learner, MultiMAML) and self.learner.modes != modes:
            raise ValueError(f"Multi-MAML has priors for {self.learner.modes} modes, and the source has {modes}.")

    def initial_optimiser(self, parameters: PyTree) -> PyTree:
        """The optimiser's state before the first meta-iteration."""
        return self.optimiser.init(parameters)

    @eqx.filter_jit
    def _dispatch(
        self, state: MetaState, iterations: Int[Array, ""], at_most: int
    ) -> tuple[MetaState, dict[str, Float[Array, " at_most"]]]:
        return repeat(self._step, state, iterations, at_most, ("loss", "gradient_norm"))

    def summary(self, history: dict[str, Float[np.ndarray, " iterations"]]) -> dict[str, float]:
        """The means."""
        return means(history)

    def _step(self, state: MetaState) -> tuple[MetaState, Numbers]:
        key = jr.fold_in(self.key, state.step)
        require_pure(lambda key: self.source.sample(key, self.tasks_per_step), key)
        tasks = self.source.sample(key, self.tasks_per_step)
        if self._in_rounds:
            tasks = _rounds(tasks, len(self.source.modes))

        def differentiated(loss: TaskLoss) -> Callable[[], tuple[Float[Array, ""], PyTree]]:
            loss = _of_round(loss) if self._in_rounds else loss
            return lambda: mean_value_and_grad(loss, state.parameters, tasks, self.mesh, self.task_microbatch)

        if self.pretraining:
            first, rest = differentiated(self._prior_loss), differentiated(self._task_loss)
            loss, gradient = jax.lax.cond(state.step < self.pretraining, first, rest)
        else:
            loss, gradient = differentiated(self._task_loss)()
        updates, optimiser = self.optimiser.update(gradient, state.optimiser, state.parameters)
        state = MetaState(eqx.apply_updates(state.parameters, updates), optimiser, state.step + 1)
        return state, {"loss": loss, "gradient_norm": optax.tree.norm(gradient)}

    def _task_loss(self, parameters: PyTree, task: Task) -> Float[Array, ""]:
        learner: AbstractLearner = eqx.combine(parameters, self.learner)
        path = list(learner.adapt(task.support, task.mode, self.loss))
        loss = self._query_loss(path[-1], task)
        if share := self.post_modulation_share:
            loss = share * self._query_loss(path[0], task) + (1 - share) * loss
        return loss

    @property
    def _in_rounds(self) -> bool:
        """Whether tasks are done in rounds of one of each mode, which is faster with a prior for each.

        One batched product then serves all tasks of a mode, where each would have a copy of its prior.
        """
        alike = isinstance(self.source, Mixture) and self.source.shares is None
        whole = self.tasks_per_step % len(self.source.modes) == 0
        return isinstance(self.learner, MultiMAML) and alike and whole and self.task_microbatch is None

    def _prior_loss(self, parameters: PyTree, task: Task) -> Float[Array, ""]:
        learner: AbstractLearner = eqx.combine(parameters, self.learner)
        return self._query_loss(learner.condition(task.support, task.mode), task)

    def _query_loss(self, model: TaskModel, task: Task) -> Float[Array, ""]:
        outputs = model(task.query.inputs)
        _require_alike(outputs, task.query.targets)
        return self.loss(outputs, task.query.targets)


def _rounds(tasks: Task, modes: int) -> Task:
    """A batch of as many tasks of each mode, with two leading axes: rounds, and in each all modes in their order."""
    order = jnp.argsort(tasks.mode).reshape(modes, -1).T
    return jax.tree.map(lambda leaf: leaf[order], tasks)


def _of_round(loss: TaskLoss) -> TaskLoss:
    """The mean of `loss` over a round. Its modes are the same in all rounds, so that these share what a mode picks."""

    def mean(parameters: PyTree, tasks: Task) -> Float[Array, ""]:
        modes = jnp.arange(len(tasks.mode))
        return jax.vmap(lambda task, mode: loss(parameters, Task(task.support, task.query, mode)))(tasks, modes).mean()

    return mean


def _require_alike(outputs: PyTree, targets: PyTree) -> None:
    real = eqx.is_inexact_array(outputs) and eqx.is_inexact_array(targets)
    if real and outputs.shape != targets.shape:
        raise ValueError(
            f"a task's outputs have the shape {outputs.shape} and its targets {targets.shape}; both must have the "
            "same, or the loss would be of every output with every target."
        )
