"""The outer loop: how prior and modulator change after what all tasks of a meta-iteration have seen.

The whole way is replayed on the stored episodes, with the parameters in question: the modulation inferred from the
first ones, every gradient step taken, and the outcome judged on the last ones.
"""

import abc
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PyTree

from mmaml.core.learners import AbstractLearner
from mmaml.core.parallel import mean_over_tasks, mean_value_and_grad
from mmaml.core.task import Samples
from mmaml.nn.distribution import AbstractDistribution
from mmaml.rl.explore import Exploration
from mmaml.rl.objectives import clipped_ratio, mean_kl


class TaskSamples(eqx.Module):
    """What was seen of a task in every phase, and its mode."""

    phases: tuple[Samples, ...]
    mode: Int[Array, "*tasks"]


def replay(exploration: Exploration, learner: AbstractLearner, task: TaskSamples) -> list[AbstractDistribution]:
    """What one task's policy says about the steps of each phase, after as many gradient steps."""
    model = learner.unmodulated(task.mode)
    policies = [model(task.phases[0].inputs)]
    for step, (support, query) in enumerate(pairwise(task.phases)):
        model = exploration.improve(learner, model, support, task.mode, step)
        policies.append(model(query.inputs))
    return policies


class MetaBatch(eqx.Module):
    """What was seen of the tasks of a meta-iteration, to be replayed with other parameters.

    `parameters` below have the structure of `learner` with `None` for all that is not trained. The tasks are dealt out
    over the devices of `mesh`, `task_microbatch` at a time on each.
    """

    exploration: Exploration
    learner: AbstractLearner
    tasks: TaskSamples
    mesh: Mesh = eqx.field(static=True)
    task_microbatch: int | None = eqx.field(static=True, default=None)

    def replay(self, parameters: PyTree, task: TaskSamples) -> list[AbstractDistribution]:
        """What one task's policy would have said in each phase."""
        return replay(self.exploration, eqx.combine(parameters, self.learner), task)

    def mean(self, measure: Callable[[PyTree, TaskSamples], PyTree], parameters: PyTree) -> PyTree:
        """Mean over tasks of `measure(parameters, task)`."""
        return mean_over_tasks(measure, parameters, self.tasks, self.mesh, self.task_microbatch)

    def mean_value_and_grad(
        self, loss: Callable[[PyTree, TaskSamples], Float[Array, ""]], parameters: PyTree
    ) -> tuple[Float[Array, ""], PyTree]:
        """Mean over tasks of a `loss`, and its gradient with respect to `parameters`."""
        return mean_value_and_grad(loss, parameters, self.tasks, self.mesh, self.task_microbatch)


class OuterStats(NamedTuple):
    """What a meta-iteration has come to, on the episodes that it learnt from.

    - `loss`: the outer loss after the last step; not finite if anything before was not.
    - `improvement`: how far the loss has fallen. Its own value says nothing, as advantages have mean 0.
    - `kl`: mean KL(π_old ‖ π) of the policies that act last.
    """

    loss: Float[Array, ""]
    improvement: Float[Array, ""]
    kl: Float[Array, ""]


class AbstractOuter(eqx.Module):
    """One way to do the outer loop's part of a meta-iteration."""

    @abc.abstractmethod
    def init(self, parameters: PyTree) -> PyTree:
        """The state before the first meta-iteration."""

    @abc.abstractmethod
    def update(self, parameters: PyTree, state: PyTree, batch: MetaBatch) -> tuple[PyTree, PyTree, OuterStats]:
        """New parameters and state after a meta-iteration, and what it has come to."""


class ProMP(AbstractOuter):
    """Proximal meta-policy search (Rothfuss et al. 2019): a few steps of Adam on a clipped loss.

    - `learning_rate`: Adam's, or a schedule over all steps of a run.
    - `epochs`: steps, all on the same episodes.
    - `clip`: ε of the clipped ratio at the last phase.
    - `kl_penalty`: η, the weight of mean KL(π_old ‖ π) over the phases before.
    """

    learning_rate: optax.ScalarOrSchedule = eqx.field(static=True, default=1e-3)
    epochs: int = eqx.field(static=True, default=5)
    clip: float = eqx.field(static=True, default=0.1)
    kl_penalty: float = eqx.field(static=True, default=5e-4)

    def init(self, parameters: PyTree) -> PyTree:
        """Adam's."""
        return optax.adam(self.learning_rate).init(parameters)

    def loss(self, policies: list[AbstractDistribution], task: TaskSamples) -> Float[Array, ""]:
        """The outer loss of one task, of what its policy says in each phase."""
        targets = [phase.targets for phase in task.phases]
        kls = jnp.array([mean_kl(*pair) for pair in zip(policies[:-1], targets[:-1], strict=True)] or [0.0])
        return clipped_ratio(policies[-1], targets[-1], self.clip) + self.kl_penalty * kls.mean()

    def update(self, parameters: PyTree, state: PyTree, batch: MetaBatch) -> tuple[PyTree, PyTree, OuterStats]:
        """New parameters, Adam's state, and the stats from the first epoch to after the last."""

        def task_loss(parameters: PyTree, task: TaskSamples) -> Float[Array, ""]:
            return self.loss(batch.replay(parameters, task), task)

        def outcome(parameters: PyTree, task: TaskSamples) -> tuple[Array, Array]:
            policies = batch.replay(parameters, task)
            return self.loss(policies, task), mean_kl(policies[-1], task.phases[-1].targets)

        def epoch(carry: tuple[PyTree, PyTree], _: None) -> tuple[tuple[PyTree, PyTree], Array]:
            parameters, state = carry
            loss, gradient = batch.mean_value_and_grad(task_loss, parameters)
            updates, state = optax.adam(self.learning_rate).update(gradient, state, parameters)
            return (eqx.apply_updates(parameters, updates), state), loss

        (parameters, state), losses = jax.lax.scan(epoch, (parameters, state), length=self.epochs)
        after, kl = batch.mean(outcome, parameters)
        return parameters, state, OuterStats(after, losses[0] - after, kl)
