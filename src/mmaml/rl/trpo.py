"""Trust-region outer loop, as MAML's own experiments have it (Schulman et al. 2015; Finn et al. 2017)."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from mmaml.nn.distribution import AbstractDistribution
from mmaml.rl.objectives import likelihood_ratio, mean_kl
from mmaml.rl.outer import AbstractOuter, MetaBatch, OuterStats, TaskSamples


class TRPO(AbstractOuter):
    """One natural-gradient step, as long as the policies that act last may change.

    - `max_kl`: bound on their mean KL(π_old ‖ π).
    - `cg_steps`: steps of conjugate gradients for the direction.
    - `backtrack_ratio`, `max_backtracks`: the step is shortened until the loss has fallen within the bound; after so
      many tries in vain nothing changes.
    """

    max_kl: float = eqx.field(static=True, default=0.01)
    cg_steps: int = eqx.field(static=True, default=10)
    backtrack_ratio: float = eqx.field(static=True, default=0.8)
    max_backtracks: int = eqx.field(static=True, default=15)

    def init(self, parameters: PyTree) -> PyTree:
        """Nothing is remembered."""
        del parameters
        return ()

    def update(self, parameters: PyTree, state: PyTree, batch: MetaBatch) -> tuple[PyTree, PyTree, OuterStats]:
        """New parameters, no state, and the stats; where no step was found, nothing has changed."""

        def last_policy(parameters: PyTree, task: TaskSamples) -> AbstractDistribution:
            return batch.replay(parameters, task)[-1]

        def loss(parameters: PyTree, task: TaskSamples) -> Float[Array, ""]:
            return likelihood_ratio(last_policy(parameters, task), task.phases[-1].targets)

        def outcome(parameters: PyTree, task: TaskSamples) -> tuple[Array, Array]:
            policy, experience = last_policy(parameters, task), task.phases[-1].targets
            return likelihood_ratio(policy, experience), mean_kl(policy, experience)

        def hessian_vector_product(direction: PyTree) -> PyTree:
            """The Hessian of the mean KL times `direction`.

            Where nothing has changed yet it is JᵀFJ, with J the Jacobian of what policies say and F their Fisher
            information, so no second derivative of the way there is needed.
            """

            def product(both: tuple[PyTree, PyTree], task: TaskSamples) -> Float[Array, ""]:
                parameters, direction = both
                policy, change = jax.jvp(lambda p: last_policy(p, task), (parameters,), (direction,))
                weights = task.phases[-1].targets.weights
                cotangent = jax.tree.map(lambda c: weights[:, None] * c, policy.fisher_vector_product(change))
                return jnp.divide(optax.tree.vdot(policy, jax.lax.stop_gradient(cotangent)), len(weights))

            _, (result, _) = batch.mean_value_and_grad(product, (parameters, direction))
            return result

        before, gradient = batch.mean_value_and_grad(loss, parameters)
        direction, _ = jax.scipy.sparse.linalg.cg(hessian_vector_product, gradient, maxiter=self.cg_steps)
        # Conjugate gradients leave a residual orthogonal to what they found: this is dᵀHd of the direction d.
        curvature = optax.tree.vdot(direction, gradient)
        step_size = jnp.sqrt(2 * self.max_kl / jnp.maximum(curvature, 1e-12))

        def attempt(search: _Search) -> _Search:
            shorter = step_size * self.backtrack_ratio**search.tried
            candidate = jax.tree.map(lambda p, d: p - shorter * d, parameters, direction)
            loss, moved = batch.mean(outcome, candidate)
            return _Search(candidate, (loss < before) & (moved <= self.max_kl), search.tried + 1, loss, moved)

        def go_on(search: _Search) -> Array:
            return ~search.found & (search.tried < self.max_backtracks)

        nothing = jnp.zeros_like(before)
        search = _Search(parameters, jnp.array(False), jnp.array(0), before, nothing)
        search = jax.lax.while_loop(go_on, attempt, search)
        parameters = jax.tree.map(lambda new, old: jnp.where(search.found, new, old), search.candidate, parameters)
        after = jnp.where(search.found, search.loss, before)
        return parameters, state, OuterStats(after, before - after, jnp.where(search.found, search.moved, nothing))


class _Search(NamedTuple):
    candidate: PyTree
    found: Array
    tried: Array
    loss: Array
    moved: Array
