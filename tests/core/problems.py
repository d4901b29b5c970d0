"""Small random problems for tests of the core."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from mmaml import MAML, MMAML, AbstractTaskSource, InnerLoop, MultiMAML, Samples, Task
from mmaml.core.modulation import FiLM, Modulator
from mmaml.core.network import MetaOnly
from mmaml.nn.mlp import MLP
from mmaml.nn.recurrent import BiLSTMEncoder


CONTEXTS = {"none": None, "adapted": jnp.full(3, 0.5), "meta-only": MetaOnly(jnp.full(3, 0.5))}


def mse(outputs, targets):
    return jnp.mean((outputs - targets) ** 2)


def initialise(key, shape):
    return jr.normal(key, shape) / shape[1] ** 0.5


def network(key, sizes=(2, 8, 8, 1), context=None):
    """An MLP whose biases are not zero, or tests would not see them."""
    net_key, bias_key = jr.split(key)
    net = MLP(sizes[0], sizes[-1], sizes[1:-1], initialise=initialise, context=context, key=net_key)
    layers = (*net.hidden, net.head)
    biases = [
        0.1 * jr.normal(k, (layer.out_features,)) for layer, k in zip(layers, jr.split(bias_key, 9), strict=False)
    ]
    return eqx.tree_at(lambda n: [layer.bias for layer in (*n.hidden, n.head)], net, biases)


def samples(key, points, sizes=(2, 1)):
    x_key, y_key = jr.split(key)
    return Samples(jr.normal(x_key, (points, sizes[0])), jr.normal(y_key, (points, sizes[1])))


def film(key, widths):
    keys = jr.split(key, len(widths))
    return tuple(FiLM(0.3 * jr.normal(k, (w,)), 0.2 * jr.normal(k, (w,))) for k, w in zip(keys, widths, strict=True))


def modulator(key, widths, operator="film", scale=1.0):
    encoder_key, heads_key = jr.split(key)
    encoder = BiLSTMEncoder(2, 1, hidden=3, key=encoder_key)
    return Modulator(encoder, widths, operator=operator, scale=scale, key=heads_key)


def learner(kind, inner=None, key=None):
    """A small learner of every kind, for tasks of two inputs, one output and two modes."""
    net_key, mod_key = jr.split(jr.key(0) if key is None else key)
    net = network(net_key)
    inner = inner or InnerLoop(0.05, steps=2)
    match kind:
        case "maml":
            return MAML(prior=net, inner=inner)
        case "multi-maml":
            return MultiMAML(priors=eqx.filter_vmap(network)(jr.split(net_key, 2)), inner=inner)
        case "lstm":
            return MMAML(prior=net, modulator=modulator(mod_key, net.widths), inner=InnerLoop(0.05, steps=0))
        case operator:
            return MMAML(prior=net, modulator=modulator(mod_key, net.widths, operator), inner=inner)


LEARNERS = ("maml", "multi-maml", "film", "sigmoid", "softmax", "lstm")


class PlanesAndWaves(AbstractTaskSource):
    """Two modes that a single prior cannot serve: y = w·x, and y = sin(3 w·x)."""

    shots: int = eqx.field(static=True, default=4)

    @property
    def modes(self):
        return ("planes", "waves")

    def sample(self, key, n):
        def draw(key, mode):
            w_key, x_key = jr.split(key)
            w = jr.uniform(w_key, (2, 1), minval=0.5, maxval=2.0)
            x = jr.normal(x_key, (2 * self.shots, 2))
            y = jnp.where(mode == 0, x @ w, jnp.sin(3 * x @ w))
            return Task(Samples(x[: self.shots], y[: self.shots]), Samples(x[self.shots :], y[self.shots :]), mode)

        return jax.vmap(draw)(jr.split(key, n), jnp.arange(n) % 2)
