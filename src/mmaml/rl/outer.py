"""The outer loop: how prior and modulator change after what all tasks of a meta-iteration have seen.

The whole way is walked again on the stored episodes, with the parameters in question: the modulation inferred from the
first ones, every gradient step taken, and the outcome judged on the last ones.
"""

import abc
from collections.abc import Callable
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
from mmaml.rl.objectives import clipped_ratio, divergence


class Lesson(eqx.Module):
    """What was seen of a task in every phase, and its mode."""

    phases: tuple[Samples, ...]
    mode: Int[Array, "*tasks"]


def walk(exploration: Exploration, learner: AbstractLearner, lesson: Lesson) -> list[AbstractDistribution]:
    """What one task's policy says about the steps of each phase, after as many gradient steps."""
    model = learner.unmodulated(lesson.mode)
    said = [model(lesson.phases[0].inputs)]
    for step, (seen, following) in enumerate(zip(lesson.phases, lesson.phases[1:], strict=False)):
        model = exploration.improve(learner, model, seen, lesson.mode, step)
        said.append(model(following.inputs))
    return said


class Review(eqx.Module):
    """The lessons of a meta-iteration, to be gone through again with other parameters.

    `parameters` below have the structure of `learner` with `None` for all that is not trained. The tasks are dealt out
    over the devices of `mesh`, `task_microbatch` at a time on each.
    """

    exploration: Exploration
    learner: AbstractLearner
    lessons: Lesson
    mesh: Mesh = eqx.field(static=True)
    task_microbatch: int | None = eqx.field(static=True, default=None)

    def walk(self, parameters: PyTree, lesson: Lesson) -> list[AbstractDistribution]:
        """What one task's policy would have said in each phase."""
        return walk(self.exploration, eqx.combine(parameters, self.learner), lesson)

    def mean(self, measure: Callable[[PyTree, Lesson], PyTree], parameters: PyTree) -> PyTree:
        """Mean over tasks of `measure(parameters, lesson)`."""
        return mean_over_tasks(measure, parameters, self.lessons, self.mesh, self.task_microbatch)

    def mean_value_and_grad(
        self, loss: Callable[[PyTree, Lesson], Float[Array, ""]], parameters: PyTree
    ) -> tuple[Float[Array, ""], PyTree]:
        """Mean over tasks of a `loss`, and its gradient with respect to `parameters`."""
        return mean_value_and_grad(loss, parameters, self.lessons, self.mesh, self.task_microbatch)


class Progress(NamedTuple):
    """What a meta-iteration has come to, on the episodes that it learnt from.

    - `loss`: the outer loss as it was last worked out; not finite if anything before was not.
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
    def update(self, parameters: PyTree, state: PyTree, review: Review) -> tuple[PyTree, PyTree, Progress]:
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

    def loss(self, said: list[AbstractDistribution], lesson: Lesson) -> Float[Array, ""]:
        """The outer loss of one task, of what its policy says in each phase."""
        targets = [phase.targets for phase in lesson.phases]
        drift = [divergence(*pair) for pair in zip(said[:-1], targets[:-1], strict=True)]
        return clipped_ratio(said[-1], targets[-1], self.clip) + self.kl_penalty * jnp.mean(jnp.array(drift or [0.0]))

    def update(self, parameters: PyTree, state: PyTree, review: Review) -> tuple[PyTree, PyTree, Progress]:
        """New parameters, Adam's state, and the progress from the first epoch to after the last."""

        def task_loss(parameters: PyTree, lesson: Lesson) -> Float[Array, ""]:
            return self.loss(review.walk(parameters, lesson), lesson)

        def outcome(parameters: PyTree, lesson: Lesson) -> tuple[Array, Array]:
            said = review.walk(parameters, lesson)
            return self.loss(said, lesson), divergence(said[-1], lesson.phases[-1].targets)

        def epoch(carry: tuple[PyTree, PyTree], _: None) -> tuple[tuple[PyTree, PyTree], Array]:
            parameters, state = carry
            loss, gradient = review.mean_value_and_grad(task_loss, parameters)
            updates, state = optax.adam(self.learning_rate).update(gradient, state, parameters)
            return (eqx.apply_updates(parameters, updates), state), loss

        (parameters, state), losses = jax.lax.scan(epoch, (parameters, state), length=self.epochs)
        after, kl = review.mean(outcome, parameters)
        return parameters, state, Progress(losses[-1], losses[0] - after, kl)
