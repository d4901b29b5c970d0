"""Control steps a second, and seconds and memory of a meta-iteration, of meta-reinforcement learning.

    python benchmarks/rl.py --out results/rl_speed.json

- `point`: episodes of Point Mass inside jit.
- `mujoco`: episodes on the MuJoCo engine, what share of them is the engine, and what the engine does when nobody asks
  it for actions in between: all steps of all episodes in one call, with controls drawn beforehand.
- `iteration`: one meta-iteration at the published sizes, the outer update, and what is left for sampling.

The second program for the first two is the same environment as one writes it for gymnasium, in NumPy or on MuJoCo's own
bindings (`plain_environments.py`), one episode and one step at a time, with a policy in NumPy. Every measurement is a
process of its own, so that peak memory is its own too.
"""

import dataclasses
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import tyro

from speed import json_of, write_record


Part = Literal["point", "mujoco", "iteration"]


@dataclass(frozen=True)
class Options:
    """What to measure."""

    out: Path | None = None
    """JSON file for the figures."""
    parts: tuple[Part, ...] = ("point", "mujoco", "iteration")
    """Which parts to do."""
    point: str = "point-4"
    """Environment of the part `point`."""
    mujoco: tuple[str, ...] = ("reacher-4", "ant-4", "cheetah-speed")
    """Environments of the part `mujoco`."""
    iteration: tuple[str, ...] = ("point-4", "reacher-2", "ant-2")
    """Presets of the part `iteration`."""
    tasks: int = 40
    """Tasks of a meta-iteration."""
    rollouts: int = 20
    """Episodes of each task at a time."""
    repeats: int = 5
    """Measurements, of which the median counts."""
    serial_episodes: int = 20
    """Episodes of the second program."""
    devices: int = 0
    """XLA devices; 0: one for each core."""
    measure: Literal["rollouts", "serial", "iteration"] | None = None
    """Measure this in this process and print one JSON line."""
    environment: str = "point-4"
    """Where, with `measure`."""


def median_seconds(work: Callable[[], Any], repeats: int) -> float:
    """Of a few times, after one that does not count."""
    import jax

    jax.block_until_ready(work())
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(work())
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def measure_rollouts(options: Options) -> dict[str, Any]:
    """Time episodes of a fresh policy, all tasks at once, and the bare engine where there is one."""
    import equinox as eqx
    import jax
    import jax.random as jr

    from mmaml.core.network import TaskModel
    from mmaml.core.parallel import all_devices, over_devices
    from mmaml.nn.policy import GaussianPolicy
    from mmaml.rl.envs.catalogue import ENVIRONMENTS
    from mmaml.rl.envs.mujoco import AbstractMujocoEnvironment
    from mmaml.rl.rollout import rollout

    environment = ENVIRONMENTS[options.environment]()
    steps = options.tasks * options.rollouts * environment.horizon
    sizes = environment.observation_size, environment.action_size
    policies = eqx.filter_vmap(lambda key: GaussianPolicy(*sizes, (64, 64), key=key))(
        jr.split(jr.key(0), options.tasks)
    )
    models, keys = TaskModel(policies), jr.split(jr.key(1), options.tasks)
    tasks = environment.sample_tasks(jr.key(2), options.tasks)
    row = {"environment": options.environment, "control_steps": steps, "devices": len(jax.devices())}

    if isinstance(environment, AbstractMujocoEnvironment):
        physics, inside = environment.physics, [0.0]
        step = physics.step

        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            after = step(*arguments)
            inside[0] += time.perf_counter() - began
            return after

        rounds = []

        def work() -> Any:
            inside[0] = 0.0
            began = time.perf_counter()
            path = jax.block_until_ready(rollout(environment, models, tasks, keys, options.rollouts))
            rounds.append(inside[0] / (time.perf_counter() - began))
            return path

        with patch.object(physics, "step", timed):
            seconds = median_seconds(work, options.repeats)
        engine = engine_seconds(environment, options)
        return row | {
            "steps_per_second": steps / seconds,
            "share_inside_engine": statistics.median(rounds[1:]),
            "engine_steps_per_second": steps / engine,
            "share_of_engine_rate": engine / seconds,
        }

    mesh = all_devices()

    @eqx.filter_jit
    def work() -> Any:
        def some(_: None, given: Any) -> Any:
            models, tasks, keys = given
            return rollout(environment, models, tasks, keys, options.rollouts)

        return over_devices(some, None, (models, tasks, keys), mesh)

    return row | {"steps_per_second": steps / median_seconds(work, options.repeats)}


def engine_seconds(environment: Any, options: Options) -> float:
    """Seconds for as many control steps in one call of `mujoco.rollout` on all cores, with random controls."""
    import mujoco
    import numpy as np
    from mujoco.rollout import Rollout

    physics, rng = environment.physics, np.random.default_rng(0)
    episodes, threads = options.tasks * options.rollouts, os.cpu_count() or 1
    controls = rng.normal(size=(episodes, environment.horizon, environment.action_size))
    controls = environment.scale(controls).clip(-environment.action_bound, environment.action_bound)
    controls = np.asarray(controls, np.float64).repeat(physics.substeps, axis=1)
    start = physics.states(np.zeros((episodes, physics.model.nq)), np.zeros((episodes, physics.model.nv)))
    workspaces = [mujoco.MjData(physics.model) for _ in range(threads)]  # pyright: ignore[reportAttributeAccessIssue]
    pool = Rollout(nthread=threads if threads > 1 else 0)
    try:
        return median_seconds(
            lambda: pool.rollout(physics.model, workspaces, start, controls)[0], max(1, options.repeats // 2)
        )
    finally:
        pool.close()


def measure_serial(options: Options) -> dict[str, Any]:
    """Time a loop over the steps of a plain gymnasium environment, with a policy in NumPy."""
    import gymnasium
    import numpy as np

    from mmaml.rl.envs.catalogue import ENVIRONMENTS
    from plain_environments import plain

    env = plain(ENVIRONMENTS[options.environment]())
    observed, actions = env.observation_space, env.action_space
    assert isinstance(observed, gymnasium.spaces.Box)
    assert isinstance(actions, gymnasium.spaces.Box)
    rng = np.random.default_rng(0)
    sizes = [observed.shape[0], 64, 64, actions.shape[0]]
    layers = [
        (rng.uniform(-1, 1, (m, n)).astype(np.float32) * (6 / (n + m)) ** 0.5, np.zeros(m, np.float32))
        for n, m in pairwise(sizes)
    ]
    scale = actions.high / 10

    def act(observation: np.ndarray) -> np.ndarray:
        h = observation
        for weight, bias in layers[:-1]:
            h = np.tanh(weight @ h + bias)
        weight, bias = layers[-1]
        return (weight @ h + bias + rng.standard_normal(len(bias), np.float32)) * scale

    def episode() -> int:
        observation, _ = env.reset()
        steps, over = 0, False
        while not over:
            observation, _, terminated, truncated, _ = env.step(act(observation))
            steps, over = steps + 1, terminated or truncated
        return steps

    env.reset(seed=0)
    episode()
    began = time.perf_counter()
    steps = sum(episode() for _ in range(options.serial_episodes))
    seconds = time.perf_counter() - began
    return {"environment": options.environment, "control_steps": steps, "steps_per_second": steps / seconds}


def measure_iteration(options: Options) -> dict[str, Any]:
    """Time a meta-iteration of MMAML and its outer update alone."""
    import jax
    import jax.random as jr

    from mmaml.rl.experiment import PolicyExperiment
    from mmaml.rl.presets import PRESETS
    from mmaml.rl.trainer import PolicyTrainer
    from mmaml.runs.devices import peak_memory

    config = dataclasses.replace(
        PRESETS[options.environment], tasks_per_step=options.tasks, rollouts=options.rollouts, meta_iterations=1
    )
    experiment = PolicyExperiment(config)
    trainer, environment = experiment.trainer, experiment.exploration.environment
    assert isinstance(trainer, PolicyTrainer)
    began = time.perf_counter()
    state, _ = jax.block_until_ready(trainer.run(trainer.initial_state(), 1, 1))
    first = time.perf_counter() - began
    whole = median_seconds(lambda: trainer.run(state, 1, 1), options.repeats)
    peak = peak_memory() / 2**20

    tasks, keys = environment.sample_tasks(jr.key(0), options.tasks), jr.split(jr.key(1), options.tasks)
    samples, _ = trainer.explore(trainer.learner_at(state), tasks, keys)
    update = median_seconds(lambda: trainer.update(state, samples), options.repeats)
    phases = config.inner_steps + 1
    return {
        "preset": options.environment,
        "seconds_per_iteration": whole,
        "outer_update_seconds": update,
        "sampling_seconds": whole - update,
        "control_steps": options.tasks * options.rollouts * environment.horizon * phases,
        "first_iteration_seconds": first,
        "peak_rss_mb": peak,
        "task_microbatch": config.task_microbatch,
        "devices": len(jax.devices()),
    }


def in_a_process(options: Options, measure: str, environment: str) -> dict[str, Any]:
    """Measure in a new process."""
    numbers = ("tasks", "rollouts", "repeats", "serial_episodes", "devices")
    arguments = [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in numbers]
    return json_of([sys.executable, __file__, f"--measure={measure}", f"--environment={environment}", *arguments])


def beside_serial(options: Options, environment: str) -> dict[str, Any]:
    """Episodes of ours and of the loop, and how many times as many steps a second."""
    ours, serial = (in_a_process(options, measure, environment) for measure in ("rollouts", "serial"))
    ratio = ours["steps_per_second"] / serial["steps_per_second"]
    row = ours | {"serial_steps_per_second": serial["steps_per_second"], "times_serial": ratio}
    cells = [f"{environment:16} {ours['steps_per_second']:12,.0f} steps/s", f"{ratio:8.1f}× the loop"]
    if "share_inside_engine" in row:
        cells += [
            f"{row['share_inside_engine']:.0%} inside the engine",
            f"{row['share_of_engine_rate']:.0%} of its rate",
        ]
    print(*cells, sep="  ", flush=True)
    return row


def main(options: Options) -> None:
    """Measure everything asked for, print tables, write the JSON."""
    if options.measure is not None:
        from mmaml.runs.devices import prepare_jax

        prepare_jax(options.devices or None)
        work = {"rollouts": measure_rollouts, "serial": measure_serial, "iteration": measure_iteration}
        print(json.dumps(work[options.measure](options)))
        return
    rows: dict[str, Any] = {}
    if "point" in options.parts:
        rows["point"] = [beside_serial(options, options.point)]
    if "mujoco" in options.parts:
        rows["mujoco"] = [beside_serial(options, environment) for environment in options.mujoco]
    if "iteration" in options.parts:
        rows["iteration"] = []
        for preset in options.iteration:
            row = in_a_process(options, "iteration", preset)
            rows["iteration"].append(row)
            print(
                f"{preset:16} {row['seconds_per_iteration']:8.2f} s",
                f"sampling {row['sampling_seconds']:.2f} s",
                f"update {row['outer_update_seconds']:.2f} s",
                f"{row['peak_rss_mb']:6.0f} MiB",
                sep="  ",
                flush=True,
            )
    sizes = {name: getattr(options, name) for name in ("tasks", "rollouts", "repeats", "serial_episodes")}
    write_record(options.out, {"sizes": sizes, **rows})


if __name__ == "__main__":
    main(tyro.cli(Options))
