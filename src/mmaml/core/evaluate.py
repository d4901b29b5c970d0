"""What a learner achieves on tasks it has not seen: a metric on the query set, before and after each gradient step."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from mmaml.core.inner import Loss
from mmaml.core.learners import AbstractLearner
from mmaml.core.parallel import all_devices, over_devices
from mmaml.core.task import Task


def evaluate_tasks(
    learner: AbstractLearner,
    tasks: Task,
    loss: Loss,
    metric: Loss | None = None,
    *,
    steps: int | None = None,
    at_once: int = 100,
    ends: bool = False,
) -> Float[np.ndarray, "tasks stages"]:
    """`metric` on every task's query set after 0, 1, …, `steps` gradient steps (default: those of meta-training).

    With `ends` only before the first step and after the last. The steps lower `loss` on the support set, which is also
    the default metric. The tasks are shared out over all devices, and each works on `at_once` of them together, which
    bounds memory.
    """
    return np.asarray(_stages(learner, tasks, loss, metric or loss, steps, at_once, ends))


@eqx.filter_jit
def _stages(
    learner: AbstractLearner, tasks: Task, loss: Loss, metric: Loss, steps: int | None, at_once: int, ends: bool
) -> Float[Array, "tasks stages"]:
    arrays, rest = eqx.partition(learner, eqx.is_array)

    def share(arrays: PyTree, tasks: Task) -> Float[Array, "tasks stages"]:
        learner = eqx.combine(arrays, rest)

        def stages(task: Task) -> Float[Array, " stages"]:
            path = list(learner.adapt(task.support, task.mode, loss, steps=steps))
            judged = [path[0], path[-1]] if ends else path
            return jnp.stack([metric(model(task.query.inputs), task.query.targets) for model in judged])

        # An axis of one task slows CPUs down.
        return jax.lax.map(stages, tasks, batch_size=at_once if at_once > 1 else None)

    return over_devices(share, arrays, tasks, all_devices())


@eqx.filter_jit
def outputs_before_and_after(
    learner: AbstractLearner, tasks: Task, inputs: PyTree[Array], loss: Loss
) -> Float[Array, "tasks 2 *outputs"]:
    """Outputs at `inputs`, each task's own, before any gradient step and after the last; one task at a time."""

    def of_one(task: Task, x: PyTree[Array]) -> Float[Array, "2 *outputs"]:
        path = list(learner.adapt(task.support, task.mode, loss))
        return jnp.stack([path[0](x), path[-1](x)])

    return jax.lax.map(lambda both: of_one(*both), (tasks, inputs))
