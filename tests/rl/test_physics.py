"""The batched engine against MuJoCo stepped by hand."""

import ast
import os
import subprocess
import sys
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path

import jax.numpy as jnp
import jax.random as jr
import mujoco
import numpy as np
import pytest

import mmaml.rl.envs as envs
from mmaml.rl.envs.ant import Ant
from mmaml.rl.envs.cheetah import CheetahSpeed
from mmaml.rl.envs.goals import GoalTask
from mmaml.rl.envs.physics import Physics
from mmaml.rl.envs.reacher import Reacher
from mmaml.runs.errors import RunFailed, UserError


MAKERS = {"reacher": Reacher, "ant": Ant, "cheetah": CheetahSpeed}


def by_hand(env, states, controls):
    """States after each control step of every episode, stepped one by one in a single data structure."""
    model = env.physics.model
    data = mujoco.MjData(model)
    paths = []
    for first, episode in zip(states, controls.swapaxes(0, 1), strict=True):
        mujoco.mj_resetData(model, data)
        data.time, data.qpos[:], data.qvel[:] = first[0], first[1 : 1 + model.nq], first[1 + model.nq :]
        path = []
        for control in episode:
            data.ctrl[:] = control
            for _ in range(env.physics.substeps):
                mujoco.mj_step(model, data)
            path.append(np.concatenate([[data.time], data.qpos, data.qvel]))
        paths.append(path)
    return np.array(paths).swapaxes(0, 1)


@pytest.mark.parametrize("name", MAKERS)
def test_states_equal_those_of_mj_step_for_any_number_of_threads(name):
    env = MAKERS[name](threads=1)
    steps, episodes = 60, 6
    controls = np.random.default_rng(0).uniform(-1, 1, (steps, episodes, env.action_size))
    first = env.reset(jr.split(jr.key(0), episodes), env.sample_tasks(jr.key(1), episodes))
    expected = by_hand(env, first, controls)
    if name == "ant":
        assert (expected[-1, :, 3] > 0).all(), "the floor holds them: contacts are part of this"
    for threads in (1, 2, 3):
        env = MAKERS[name](threads=threads)
        states = env.reset(jr.split(jr.key(0), episodes), env.sample_tasks(jr.key(1), episodes))
        np.testing.assert_array_equal(states, first)
        for control, wanted in zip(controls, expected, strict=True):
            states = env.advance(states, control)
            np.testing.assert_array_equal(states, wanted)
    np.testing.assert_allclose(states[:, 0], steps * env.physics.seconds)


def test_a_step_depends_on_state_and_control_alone():
    env = Ant(threads=2)
    states = env.reset(jr.split(jr.key(0), 6), env.sample_tasks(jr.key(1), 6))
    controls = np.random.default_rng(0).uniform(-1, 1, (6, 8))
    for _ in range(40):
        states = env.advance(states, controls)
    order = np.random.default_rng(1).permutation(6)
    whole = env.advance(states, controls)
    np.testing.assert_array_equal(env.advance(states[order], controls[order]), whole[order])
    np.testing.assert_array_equal(env.advance(states[4:5], controls[4:5]), whole[4:5])


@pytest.mark.parametrize("name", ["ant", "half_cheetah"])
def test_models_agree_with_the_benchmark(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo notes its warnings in the current folder.
    package = find_spec("gymnasium")
    assert package is not None and package.origin is not None
    path = Path(package.origin).parent / "envs" / "mujoco" / "assets" / f"{name}.xml"
    mine, benchmark = Physics(name, 1, threads=1).model, mujoco.MjModel.from_xml_path(str(path))
    fields = (
        "body_mass body_inertia body_pos body_ipos jnt_type jnt_axis jnt_range jnt_limited jnt_stiffness dof_damping "
        "dof_armature actuator_gear actuator_trnid actuator_ctrlrange geom_friction geom_margin geom_condim "
        "geom_solref geom_solimp geom_contype geom_conaffinity geom_pos geom_quat qpos0"
    )
    for field in fields.split():
        np.testing.assert_allclose(getattr(mine, field), getattr(benchmark, field), atol=1e-9, err_msg=field)
    assert (mine.opt.timestep, mine.opt.integrator) == (benchmark.opt.timestep, benchmark.opt.integrator)


def test_reacher_joints_are_damped_motors():
    """θ'' = 200 u − θ', up to the links' inertia, which is a ten-thousandth or so of the armature."""
    env = Reacher(threads=1)
    control = np.array([[0.01, -0.02, 0.004]])
    states = env.physics.states(np.zeros((1, 3)), np.array([[0.1, 0.2, -0.3]]))
    for _ in range(50):
        states = env.advance(states, control)
    decay, force = np.exp(-1.0), 200 * control[0]
    velocity = force + (np.array([0.1, 0.2, -0.3]) - force) * decay
    position = force + (np.array([0.1, 0.2, -0.3]) - force) * (1 - decay)
    np.testing.assert_allclose(env.physics.qvel(states)[0], velocity, rtol=6e-3)
    np.testing.assert_allclose(env.physics.qpos(states)[0], position, rtol=6e-3)


def test_masses():
    reacher, ant = Reacher(threads=1).physics.model, Ant(threads=1).physics.model
    np.testing.assert_allclose(reacher.body_mass, [reacher.body_mass[0], 0.0356, 0.0356, 0.0356, 0.0042], atol=5e-5)
    np.testing.assert_allclose(ant.body_mass[1:5], [0.327, 0.039, 0.039, 0.068], atol=5e-4)
    assert ant.body_mass.sum() == pytest.approx(0.91, abs=0.005)
    assert CheetahSpeed(threads=1).physics.model.body_mass.sum() == pytest.approx(14)


def test_only_the_floor_is_touched():
    reacher, ant = Reacher(threads=1).physics.model, Ant(threads=1).physics.model
    assert not reacher.geom_contype.any() and not reacher.geom_conaffinity.any()
    assert ant.geom_conaffinity.tolist() == [1] + [0] * 13 and ant.geom_contype.all()


@pytest.mark.parametrize("name", MAKERS)
def test_broken_actions_and_states_are_reported(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = MAKERS[name](threads=2)
    states, controls = env.reset(jr.split(jr.key(0), 6), env.sample_tasks(jr.key(1), 6)), np.zeros((6, env.action_size))
    controls[2, 1] = np.nan
    with pytest.raises(RunFailed, match="not finite in 1 of 6 episodes"):
        env.step(states, controls, env.sample_tasks(jr.key(0), 6))
    states = env.advance(states, np.zeros_like(controls))
    states[1, 1] = 1e12
    with pytest.raises(RunFailed, match="unstable in 1 of 6 episodes"):
        env.advance(states, np.zeros_like(controls))


def test_threads_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 6}, raising=False)
    assert len(Physics("reacher", 1)._workspaces) == 3


def test_wrong_number_of_threads():
    with pytest.raises(ValueError, match="0 threads; at least 1"):
        Reacher(threads=0)


def test_missing_mujoco_is_the_users_to_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(UserError, match=r"pip install 'mmaml\[rl\]'"):
        Ant()


@pytest.mark.skipif(sys.platform != "linux", reason="what may be chosen depends on the system")
@pytest.mark.parametrize(
    "value",
    ["bogus", pytest.param("osmesa", marks=pytest.mark.skipif(bool(find_library("OSMesa")), reason="there is OSMesa"))],
)
def test_an_engine_that_misses_opengl_says_what_to_install(value, tmp_path):
    """In a new process, since MuJoCo looks for it when it is imported."""
    code = "from mmaml.cli import main; raise SystemExit(main(['train', 'reacher-1', '--budget', 'smoke']))"
    # The other variable is set by MuJoCo itself once something was drawn.
    environment = os.environ | {"MUJOCO_GL": value, "PYOPENGL_PLATFORM": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"MuJoCo cannot be imported with MUJOCO_GL={value}" in done.stderr
    assert "apt-get install libegl1" in done.stderr and "libosmesa6" in done.stderr
    assert not list(tmp_path.iterdir())


def test_engines_are_imported_where_they_are_needed():
    """So that the package imports quickly, and Point Mass runs without either."""
    for path in Path(envs.__path__[0]).rglob("*.py"):
        top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        words = {word.partition(".")[0] for node in top for word in ast.unparse(node).split()}
        assert not words & {"mujoco", "gymnasium"}, path


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory in use from Linux")
def test_memory_is_flat():
    def pages():
        return int(Path("/proc/self/statm").read_text().split()[1])

    env = Reacher(threads=2)
    tasks, controls = GoalTask(jnp.zeros((200, 3)), jnp.zeros(200, int)), np.zeros((200, 3))
    states = env.physics.states(controls, controls)
    for step in range(200):
        states, _ = env.step(states, controls, tasks)
        env.observe(states)
        if step == 50:
            before = pages()
    assert (pages() - before) * os.sysconf("SC_PAGE_SIZE") < 4e6
