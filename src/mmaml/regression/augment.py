"""Training tasks that stand for more of their kind: each is moved and stretched at random, as a whole."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import PRNGKeyArray

from mmaml.core.task import AbstractTaskSource, Samples, Task


class Varied(AbstractTaskSource):
    """Tasks of another source, with inputs x + a u and targets eᵃᵛ y + a w.

    Of each task u (a number for each input), v and w are drawn once from N(0, 1), so that its points still lie on one
    function. `amount` is a; the source's numbers are scaled to unit deviation.
    """

    source: AbstractTaskSource
    amount: float = eqx.field(static=True, default=0.2)

    @property
    def modes(self) -> tuple[str, ...]:
        """Those of the source."""
        return self.source.modes

    def sample(self, key: PRNGKeyArray, n: int) -> Task:
        """`n` tasks of the shapes that the source gives them."""
        source_key, change_key = jr.split(key)
        return jax.vmap(self._vary)(self.source.sample(source_key, n), jr.split(change_key, n))

    def _vary(self, task: Task, key: PRNGKeyArray) -> Task:
        move_key, stretch_key, lift_key = jr.split(key, 3)
        move = self.amount * jr.normal(move_key, task.support.inputs.shape[-1:])
        stretch = jnp.exp(self.amount * jr.normal(stretch_key))
        lift = self.amount * jr.normal(lift_key)

        def vary(samples: Samples) -> Samples:
            return Samples(samples.inputs + move, stretch * samples.targets + lift)

        return eqx.tree_at(lambda t: (t.support, t.query), task, (vary(task.support), vary(task.query)))
