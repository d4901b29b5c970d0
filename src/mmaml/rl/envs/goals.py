"""Tasks of the environments: a goal, drawn from one of several clusters, and the cluster's number."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray


class GoalTask(eqx.Module):
    """What to reach: `goal`, which no observation contains, and `mode`, the cluster it was drawn from.

    Only evaluation and Multi-MAML read `mode`. A batch of tasks is the same structure with one more leading axis on
    both leaves.
    """

    goal: Float[Array, "*batch size"]
    mode: Int[Array, "*batch"]


class GoalClusters(eqx.Module):
    """A mixture of round Gaussians around `centres`, all of standard deviation `std`.

    Task `i` of a batch belongs to a random centre, each as likely as another, or to centre `i mod M` if
    `round_robin`: then the shares of a batch differ by at most one, the first centres having the larger ones.
    """

    centres: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    std: float = eqx.field(static=True)
    round_robin: bool = eqx.field(static=True, default=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the clusters: the coordinates of their centres, as in "(-5, 5)"."""
        return tuple(f"({', '.join(f'{x:.3g}' for x in centre)})" for centre in self.centres)

    def nearest(self, goal: Float[np.ndarray, " size"]) -> int:
        """Number of the cluster whose centre is nearest to a goal, of which further coordinates do not count."""
        centres = np.array(self.centres)
        return int(np.linalg.norm(centres - goal[: centres.shape[1]], axis=1).argmin())

    def sample(self, key: PRNGKeyArray, n: int) -> GoalTask:
        """`n` tasks with goals of the centres' dimension: a pure function of `key` that can be jitted."""
        mode_key, goal_key = jr.split(key)
        centres = jnp.array(self.centres)
        count, size = centres.shape
        mode = jnp.arange(n) % count if self.round_robin else jr.randint(mode_key, (n,), 0, count)
        return GoalTask(centres[mode] + self.std * jr.normal(goal_key, (n, size)), mode)
