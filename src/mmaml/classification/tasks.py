"""Episodes: tasks of N classes with K labelled images each, drawn inside jit from images that lie on the device."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt8

from mmaml.core.sampling import distinct
from mmaml.core.task import AbstractTaskSource, Samples, Task


class ImageTasks(AbstractTaskSource):
    """N-way K-shot episodes of one data set.

    Classes and images are drawn without replacement; the N labels are dealt out at random. With `rotate`, each class
    of an episode is turned by its own random multiple of 90°, the same for support and query, as is usual for
    Omniglot. With `augment` instead, each image is moved at random by up to an eighth of its sides, its edges filling
    what becomes free, and every other one mirrored left to right.
    """

    images: UInt8[Array, "images height width channels"]
    """Ordered by class."""
    first: Int[Array, " classes"]
    """Where each class begins."""
    counts: Int[Array, " classes"]
    """How many images each class has."""
    way: int = eqx.field(static=True)
    shot: int = eqx.field(static=True)
    queries: int = eqx.field(static=True)
    rotate: bool = eqx.field(static=True)
    augment: bool = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __init__(
        self,
        images: UInt8[np.ndarray, "images height width channels"],
        counts: Int[np.ndarray, " classes"],
        *,
        way: int,
        shot: int,
        queries: int,
        name: str,
        rotate: bool = False,
        augment: bool = False,
    ):
        """`images` are ordered by class, `counts` of them in each; `queries` are drawn of each class.

        Raises `ValueError` if there are fewer classes than `way`, a class has fewer images than `shot + queries`, or
        images are to be rotated that are not square, or are to be augmented as well.
        """
        if len(counts) < way:
            raise ValueError(f"{name} has {len(counts)} classes, fewer than the {way} of an episode")
        if (smallest := counts.min()) < shot + queries:
            raise ValueError(
                f"{name} has a class with {smallest} images; {shot} support and {queries} query images take "
                f"{shot + queries}"
            )
        if rotate and images.shape[1] != images.shape[2]:
            raise ValueError(f"the images of {name} are not square and cannot be rotated")
        if rotate and augment:  # one key serves either
            raise ValueError(f"the images of {name} are to be rotated and augmented; only one of them is possible")
        self.images = jax.device_put(images)
        self.counts = jnp.asarray(counts, jnp.int32)
        self.first = jnp.asarray(np.cumsum(counts) - counts, jnp.int32)
        self.way, self.shot, self.queries = way, shot, queries
        self.rotate, self.augment, self.name = rotate, augment, name

    @property
    def modes(self) -> tuple[str, ...]:
        """The data set's name."""
        return (self.name,)

    def sample(self, key: PRNGKeyArray, n: int) -> Task:
        """`n` episodes.

        Inputs are images in [0, 1] of the shape `(n, way · images, height, width, channels)`, targets labels in
        0 … way − 1 of the shape `(n, way · images)`.
        """
        return jax.vmap(self._episode)(jr.split(key, n))

    def _episode(self, key: PRNGKeyArray) -> Task:
        class_key, image_key, change_key = jr.split(key, 3)
        classes = distinct(class_key, self.counts.shape[0], self.way)
        wanted = self.shot + self.queries
        chosen = jax.vmap(lambda c, k: self.first[c] + distinct(k, self.counts[c], wanted))(
            classes, jr.split(image_key, self.way)
        )
        images = self.images[chosen].astype(jnp.float32) / 255
        if self.rotate:
            turns = jr.randint(change_key, (self.way,), 0, 4)
            images = jax.vmap(_turn)(images, turns)
        if self.augment:
            keys = jr.split(jr.fold_in(change_key, 1), chosen.shape)
            images = jax.vmap(jax.vmap(_vary))(images, keys)
        labels = jnp.broadcast_to(jnp.arange(self.way)[:, None], chosen.shape)

        def part(which: slice) -> Samples:
            return Samples(images[:, which].reshape(-1, *images.shape[2:]), labels[:, which].reshape(-1))

        return Task(part(slice(self.shot)), part(slice(self.shot, None)), jnp.zeros((), int))


def _turn(images: Float[Array, "images side side channels"], quarter_turns: Int[Array, ""]) -> Array:
    return jax.lax.switch(quarter_turns, [lambda x, k=k: jnp.rot90(x, k, (1, 2)) for k in range(4)], images)


def _vary(image: Float[Array, "height width channels"], key: PRNGKeyArray) -> Float[Array, "height width channels"]:
    mirror_key, shift_key = jr.split(key)
    image = jnp.where(jr.bernoulli(mirror_key), image[:, ::-1], image)
    reach = np.array(image.shape[:2]) // 8
    padded = jnp.pad(image, [*((r, r) for r in reach), (0, 0)], mode="edge")
    start = jr.randint(shift_key, (2,), 0, 2 * reach + 1)
    return jax.lax.dynamic_slice(padded, (*start, 0), image.shape)
