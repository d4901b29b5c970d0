"""The best possible few-shot regressor: the posterior mean under the true distribution of tasks.

It knows what a learner must find out: the families, the ranges of their parameters and the noise. A task's
posterior is taken by importance sampling, family by family. Given some of its parameters, a family is affine
in the rest. So the former are drawn from the prior, and the latter from (nearly) their exact posterior given
the former: a Gaussian cut off by the box of allowed values. The weights make up for the "nearly" and add up
to the evidence for each family, so the only approximation is that the number of samples is finite.
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import erf, erfinv
from jaxtyping import Array, Float, PRNGKeyArray

from mmaml.core.task import Samples, Task
from mmaml.regression.tasks import FAMILIES, NOISE_STD


class BayesPrediction(eqx.Module):
    """Posterior mean of a task or a batch of tasks, and how far to trust it."""

    mean: Float[Array, "*batch queries 1"]
    """Predicted values at the query inputs. No other predictor has a lower expected squared error."""
    mean_of_mode: Float[Array, "*batch modes queries 1"]
    """The same for one who is told the family: nobody who is can do better."""
    ess: Float[Array, "*batch"]
    """Effective sample size: from 1, all weight on one sample, to `modes * samples`."""
    mode_probabilities: Float[Array, "*batch modes"]
    """Posterior probability of each family, summing to one over the families."""


@eqx.filter_jit
def posterior_mean(tasks: Task, families: Sequence[str], *, samples: int = 2048, key: PRNGKeyArray) -> BayesPrediction:
    """Predict a batch of tasks drawn from equal shares of `families`, with `samples` samples for each family.

    Support inputs and targets have the shape `(tasks, shots, 1)`, query inputs `(tasks, queries, 1)`; query
    targets and `mode` are not read. Tasks are worked on one at a time, which bounds the memory.
    """

    def predict(task: tuple[Samples, Float[Array, "queries 1"], PRNGKeyArray]) -> BayesPrediction:
        support, x, key = task
        keys = jr.split(key, len(families))
        drawn = [_draw(name, support, x, samples, key=k) for name, k in zip(families, keys, strict=True)]
        values, log_weights = (jnp.stack(leaves) for leaves in zip(*drawn, strict=True))
        weights = jax.nn.softmax(log_weights, axis=(0, 1))
        mean_of_mode = jnp.einsum("ms,msqo->mqo", jax.nn.softmax(log_weights, axis=1), values)
        probabilities = weights.sum(1)
        mean = jnp.einsum("m,mqo->qo", probabilities, mean_of_mode)
        return BayesPrediction(mean, mean_of_mode, 1 / jnp.sum(weights**2), probabilities)

    keys = jr.split(key, tasks.query.inputs.shape[0])
    return jax.lax.map(predict, (tasks.support, tasks.query.inputs, keys))


def query_mse(prediction: BayesPrediction, tasks: Task, *, told: bool = False) -> Float[Array, " tasks"]:
    """Mean squared error of each task on its noisy query targets: `NOISE_STD**2` of it is noise.

    With `told`, of one who knows the mode of every task.
    """
    mean = prediction.mean_of_mode[jnp.arange(len(tasks.mode)), tasks.mode] if told else prediction.mean
    return jnp.mean((mean - tasks.query.targets) ** 2, axis=(1, 2))


def _draw(
    name: str, support: Samples, x: Float[Array, "queries 1"], samples: int, *, key: PRNGKeyArray
) -> tuple[Float[Array, "samples queries 1"], Float[Array, " samples"]]:
    """Values at `x` of functions of one family, and their log weights.

    A weight is p(support | function) p(function) / q(function), with q the density of the draw, less a factor
    common to all families. Parameters are scaled to the unit cube, where the prior density is one.
    """
    family = FAMILIES[name]
    low, high = jnp.array(family.ranges).T
    affine = jnp.array(family.affine)
    centre = jnp.full(affine.shape, 0.5)

    def draw_one(u: Float[Array, " parameters"]) -> tuple[Float[Array, "queries 1"], Float[Array, ""]]:
        def function(v: Float[Array, " affine"], x: Float[Array, "points 1"]) -> Float[Array, "points 1"]:
            return family(low + (high - low) * u.at[affine].set(v), x)

        def residuals(v: Float[Array, " affine"]) -> Float[Array, " shots"]:
            return (support.targets - function(v, support.inputs))[:, 0] / NOISE_STD

        design = -jax.jacfwd(residuals)(centre)
        v, log_q = _truncated_gaussian(design, residuals(centre), u[affine])
        return function(v, x), -0.5 * jnp.sum(residuals(v) ** 2) - log_q

    return jax.vmap(draw_one)(_shifted_lattice(samples, len(family.ranges), key=key))


def _truncated_gaussian(
    design: Float[Array, "shots affine"], residuals: Float[Array, " shots"], u: Float[Array, " affine"]
) -> tuple[Float[Array, " affine"], Float[Array, ""]]:
    """Nearly the posterior of v, uniform on the unit cube, given residuals ~ N(design (v - 0.5), 1).

    Maps a uniform `u` to a draw of v and its log density. The coordinates are drawn one after the other, each
    from its Gaussian given those already drawn, cut off to [0, 1].
    """
    # A wide Gaussian replaces the flat prior, or points that say nothing about v would leave it undetermined.
    precision = design.T @ design + jnp.eye(u.shape[0])
    shift = design.T @ residuals
    # Gaussian elimination by hand, because one LAPACK call for each sample is slow.
    conditionals = []
    for _ in range(u.shape[0]):
        row, offset = precision[0], shift[0]
        conditionals.append((row, offset))
        ratio = row[1:] / row[0]
        precision = precision[1:, 1:] - jnp.outer(ratio, row[1:])
        shift = shift[1:] - ratio * offset

    v, log_q = jnp.zeros(0), jnp.zeros(())
    for i, (row, offset) in reversed(list(enumerate(conditionals))):
        # A mean outside the cube is moved to its edge, so that the mass inside cannot underflow.
        mean = jnp.clip(0.5 + (offset - row[1:] @ (v - 0.5)) / row[0], 0, 1)
        width = jnp.sqrt(2 / row[0])
        low, high = -mean / width, (1 - mean) / width
        mass = erf(high) - erf(low)
        z = jnp.clip(erfinv(erf(low) + u[i] * mass), low, high)
        v = jnp.concatenate([(mean + width * z)[None], v])
        log_q -= z**2 + jnp.log(0.5 * math.sqrt(math.pi) * width * mass)
    return v, log_q


def _shifted_lattice(samples: int, dimensions: int, *, key: PRNGKeyArray) -> Float[Array, "samples dimensions"]:
    """Points each uniform on the unit cube, that together fill it more evenly than independent ones.

    Roberts' R_d sequence under a random shift: a squared error six times smaller here at equal cost.
    """
    golden = 2.0
    for _ in range(50):  # converges to the root of g^(d+1) = g + 1
        golden = (1 + golden) ** (1 / (dimensions + 1))
    points = np.outer(np.arange(samples), golden ** -np.arange(1.0, dimensions + 1)) % 1
    return (jnp.asarray(points, jnp.float32) + jr.uniform(key, (dimensions,))) % 1
