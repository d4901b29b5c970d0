"""The outer loop: how prior and modulator change after what all tasks of a meta-iteration have seen.

The whole way is walked again on the stored episodes, with the parameters in question: the modulation inferred from the
first ones, every gradient step taken, and the outcome judged on the last ones.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PyTree

from mmaml.core.learners import AbstractLearner
from mmaml.core.parallel import mean_value_and_grad
from mmaml.core.task import Samples
from mmaml.nn.policy import Gaussian
from mmaml.rl.explore import Exploration
from mmaml.rl.objectives import clipped_ratio, divergence


class Lesson(eqx.Module):
    """What was seen of a task in every phase, and its mode."""

    phases: tuple[Samples, ...]
    mode: Int[Array, "*tasks"]


def walk(exploration: Exploration, learner: AbstractLearner, lesson: Lesson) -> list[Gaussian]:
    """What one task's policy says about the steps of each phase, after as many gradient steps."""
    model = learner.unmodulated(lesson.mode)
    said = [model(lesson.phases[0].inputs)]
    for step, (seen, following) in enumerate(zip(lesson.phases, lesson.phases[1:], strict=False)):
        model = exploration.improve(learner, model, seen, lesson.mode, step)
        said.append(model(following.inputs))
    return said


class AbstractOuter(eqx.Module):
    """One way to do the outer loop's part of a meta-iteration."""

    @abc.abstractmethod
    def init(self, parameters: PyTree) -> PyTree:
        """The state before the first meta-iteration."""

    @abc.abstractmethod
    def update(
        self,
        exploration: Exploration,
        learner: AbstractLearner,
        parameters: PyTree,
        state: PyTree,
        lessons: Lesson,
        mesh: Mesh,
        task_microbatch: int | None,
    ) -> tuple[PyTree, PyTree, Float[Array, ""]]:
        """New parameters and state after the `lessons` of many tasks, and the loss before.

        `parameters` has the structure of `learner` with `None` for all that is not trained.
        """


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

    def loss(self, exploration: Exploration, learner: AbstractLearner, lesson: Lesson) -> Float[Array, ""]:
        """The outer loss of one task."""
        said = walk(exploration, learner, lesson)
        targets = [phase.targets for phase in lesson.phases]
        drift = [divergence(*pair) for pair in zip(said[:-1], targets[:-1], strict=True)]
        return clipped_ratio(said[-1], targets[-1], self.clip) + self.kl_penalty * jnp.mean(jnp.array(drift or [0.0]))

    def update(
        self,
        exploration: Exploration,
        learner: AbstractLearner,
        parameters: PyTree,
        state: PyTree,
        lessons: Lesson,
        mesh: Mesh,
        task_microbatch: int | None,
    ) -> tuple[PyTree, PyTree, Float[Array, ""]]:
        """New parameters, Adam's state, and the loss in the first epoch."""

        def task_loss(parameters: PyTree, lesson: Lesson) -> Float[Array, ""]:
            return self.loss(exploration, eqx.combine(parameters, learner), lesson)

        def epoch(carry: tuple[PyTree, PyTree], _: None) -> tuple[tuple[PyTree, PyTree], Array]:
            parameters, state = carry
            loss, gradient = mean_value_and_grad(task_loss, parameters, lessons, mesh, task_microbatch)
            updates, state = optax.adam(self.learning_rate).update(gradient, state, parameters)
            return (eqx.apply_updates(parameters, updates), state), loss

        (parameters, state), losses = jax.lax.scan(epoch, (parameters, state), length=self.epochs)
        return parameters, state, losses[0]
