"""Work on a batch of tasks, shared out over devices and done a few tasks at a time."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, PyTree


_EVERYWHERE, _BY_TASK = PartitionSpec(), PartitionSpec("tasks")


def all_devices() -> Mesh:
    """All of JAX's devices, ready to share tasks out over."""
    return Mesh(jax.devices(), "tasks")


def devices_for(tasks: int) -> Mesh:
    """As many of JAX's devices as it takes to be done with so many tasks as early as all of them would be."""
    return Mesh(jax.devices()[: useful(jax.device_count(), tasks)], "tasks")


def useful(devices: int, tasks: int) -> int:
    """How many of the devices save time; others would get a copy of the data, and tasks whose results do not count."""
    tasks_each = -(-tasks // devices)
    return -(-tasks // tasks_each)


def tasks_at_once(tasks: int) -> int:
    """How many of the tasks of a batch a device best works on together where one is work enough for a processor.

    That is one on CPUs, and all on accelerators.
    """
    return 1 if jax.default_backend() == "cpu" else tasks


def mean_over_tasks(
    measure: Callable[[PyTree, PyTree], PyTree],
    parameters: PyTree,
    tasks: PyTree,
    mesh: Mesh,
    microbatch: int | None = None,
) -> PyTree:
    """Mean over tasks of `measure(parameters, task)`.

    `measure` is written for one task; every leaf of `tasks` has a leading axis of them. They are dealt out over the
    devices of `mesh`, whose axis is named `tasks`, and each device works on `microbatch` at a time (default: all).
    """

    def weighted(parameters: PyTree, tasks: PyTree, weights: Float[Array, " tasks"]) -> PyTree:
        return jax.tree.map(lambda a: jnp.tensordot(weights, a, 1), _of_each(measure, parameters, tasks))

    return _sum_of_chunks(weighted, parameters, tasks, mesh, microbatch)


def mean_value_and_grad(
    loss: Callable[[PyTree, PyTree], Float[Array, ""]],
    parameters: PyTree,
    tasks: PyTree,
    mesh: Mesh,
    microbatch: int | None = None,
) -> tuple[Float[Array, ""], PyTree]:
    """`mean_over_tasks` of a `loss`, and its gradient with respect to `parameters`."""

    def weighted(parameters: PyTree, tasks: PyTree, weights: Float[Array, " tasks"]) -> Float[Array, ""]:
        return weights @ _of_each(loss, parameters, tasks)

    return _sum_of_chunks(jax.value_and_grad(weighted), parameters, tasks, mesh, microbatch)


def _of_each(measure: Callable[[PyTree, PyTree], PyTree], parameters: PyTree, tasks: PyTree) -> PyTree:
    """`measure(parameters, task)` of each task; a lone one goes without `vmap`, whose axis of one slows CPUs down."""
    if jax.tree.leaves(tasks)[0].shape[0] > 1:
        return jax.vmap(measure, in_axes=(None, 0))(parameters, tasks)
    alone = measure(parameters, jax.tree.map(lambda a: a[0], tasks))
    return jax.tree.map(lambda a: a[None], alone)


def _sum_of_chunks(
    work: Callable[[PyTree, PyTree, Float[Array, " tasks"]], PyTree],
    parameters: PyTree,
    tasks: PyTree,
    mesh: Mesh,
    microbatch: int | None,
) -> PyTree:
    """Sum of `work(parameters, chunk, weights)` over chunks of the tasks; all the weights sum to one."""
    if microbatch is not None and microbatch < 1:
        raise ValueError(f"{microbatch} tasks are to be worked on at a time; it must be at least 1, or None for all.")
    count = jax.tree.leaves(tasks)[0].shape[0]
    chunks = -(-count // (mesh.size * (microbatch or count)))
    padding = -count % (mesh.size * chunks)
    weights = jnp.concatenate([jnp.ones(count) / count, jnp.zeros(padding)])

    def local(parameters: PyTree, tasks: PyTree) -> PyTree:
        def add(total: PyTree, chunk: tuple[PyTree, Float[Array, " tasks"]]) -> tuple[PyTree, None]:
            return jax.tree.map(jnp.add, total, work(parameters, *chunk)), None

        split = jax.tree.map(lambda a: a.reshape(chunks, -1, *a.shape[1:]), tasks)
        shapes = jax.eval_shape(work, parameters, *jax.tree.map(lambda a: a[0], split))
        total, _ = jax.lax.scan(add, jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes), split)
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
