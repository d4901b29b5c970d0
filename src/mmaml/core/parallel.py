"""Work on a batch of tasks, shared out over devices and done a few tasks at a time."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, PyTree


_EVERYWHERE, _BY_TASK = PartitionSpec(), PartitionSpec("tasks")


def mean_value_and_grad(
    loss: Callable[[PyTree, PyTree], Float[Array, ""]],
    parameters: PyTree,
    tasks: PyTree,
    mesh: Mesh,
    microbatch: int | None = None,
) -> tuple[Float[Array, ""], PyTree]:
    """Mean over tasks of `loss(parameters, task)`, and its gradient with respect to `parameters`.

    `loss` is written for one task; every leaf of `tasks` has a leading axis of them. They are dealt out over the
    devices of `mesh`, whose axis is named `tasks`, and each device works on `microbatch` at a time (default: all).
    """
    count = jax.tree.leaves(tasks)[0].shape[0]
    chunks = -(-count // (mesh.size * (microbatch or count)))
    padding = -count % (mesh.size * chunks)
    weights = jnp.concatenate([jnp.ones(count) / count, jnp.zeros(padding)])

    def weighted_loss(parameters: PyTree, chunk: tuple[PyTree, Float[Array, " tasks"]]) -> Float[Array, ""]:
        tasks, weights = chunk
        return weights @ jax.vmap(loss, in_axes=(None, 0))(parameters, tasks)

    def local(parameters: PyTree, tasks: PyTree) -> PyTree:
        def add(total: PyTree, chunk: PyTree) -> tuple[PyTree, None]:
            return jax.tree.map(jnp.add, total, jax.value_and_grad(weighted_loss)(parameters, chunk)), None

        split = jax.tree.map(lambda a: a.reshape(chunks, -1, *a.shape[1:]), tasks)
        total, _ = jax.lax.scan(add, (jnp.zeros(()), jax.tree.map(jnp.zeros_like, parameters)), split)
        return jax.lax.psum(total, "tasks")

    return jax.shard_map(local, mesh=mesh, in_specs=(_EVERYWHERE, _BY_TASK), out_specs=_EVERYWHERE, check_vma=False)(
        parameters, (_padded(tasks, padding), weights)
    )


def over_devices(work: Callable[[PyTree, PyTree], PyTree], shared: PyTree, tasks: PyTree, mesh: Mesh) -> PyTree:
    """`work(shared, tasks)` with the tasks, the leading axis of every leaf, dealt out over the devices of `mesh`.

    What `work` returns must have a leading axis of tasks too, and depend task by task on what it was given.
    """
    count = jax.tree.leaves(tasks)[0].shape[0]
    tasks = _padded(tasks, -count % mesh.size)
    done = jax.shard_map(work, mesh=mesh, in_specs=(_EVERYWHERE, _BY_TASK), out_specs=_BY_TASK, check_vma=False)(
        shared, tasks
    )
    return jax.tree.map(lambda a: a[:count], done)


def _padded(tasks: PyTree, padding: int) -> PyTree:
    """The tasks, then `padding` of them once more."""
    if padding == 0:
        return tasks
    return jax.tree.map(lambda a: a[jnp.arange(len(a) + padding) % len(a)], tasks)
