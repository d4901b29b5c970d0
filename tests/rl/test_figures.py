import functools
import json
import sys
import xml.etree.ElementTree as ET
from contextlib import nullcontext

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from mmaml.core.learners import MMAML
from mmaml.nn.distribution import Gaussian
from mmaml.rl.envs.ant import Ant
from mmaml.rl.envs.cheetah import CheetahLocation, CheetahSpeed
from mmaml.rl.envs.point_mass import PointMass
from mmaml.rl.envs.reacher import Reacher, fingertip
from mmaml.rl.experience import Trajectories
from mmaml.rl.pictures.camera import Camera
from mmaml.rl.pictures.embedding import embed_tasks, goal_map
from mmaml.rl.pictures.examples import FIGURE_SEED, Examples, examples_of, task_of_each_mode
from mmaml.rl.pictures.figures import compare_trajectories, frames, trajectories, write_figures
from mmaml.rl.tasks import task_and_episode_keys
from mmaml.runs.errors import Note, UserError
from mmaml.runs.folder import RunFolder
from tests.rl.learners import tiny_model
from tests.rl.problems import begin


def can_draw() -> bool:
    try:
        with Camera(Reacher(2, threads=1)):
            return True
    except UserError:
        return False


EMBEDDING_FILES = {f"embedding{rest}" for rest in (".svg", "_by_goal.svg", ".json", ".npz")}
needs_gl = pytest.mark.skipif(not can_draw(), reason="no OpenGL to draw with")


def random_episodes(env, tasks=2, steps=25):
    """Episodes of random actions, with one rollout a task, and the states they went through."""
    rng = np.random.default_rng(0)
    drawn = env.sample_tasks(jr.key(1), tasks)
    states = [begin(env, drawn, 2)]
    actions = 15 * rng.normal(size=(steps, tasks, env.action_size)).astype(np.float32)
    rewards = []
    for action in actions:
        after, reward = env.step(states[-1], np.asarray(env.scale(jnp.asarray(action))), drawn)
        states.append(after)
        rewards.append(reward)
    observations = [env.observe(state) for state in states[:-1]]
    seen, did, got = (
        jnp.asarray(np.stack(values).swapaxes(0, 1)[:, None]) for values in (observations, actions, rewards)
    )
    episodes = Trajectories(seen, did, got, Gaussian(did, jnp.zeros_like(did)), jnp.ones_like(got, bool))
    return drawn, episodes, np.stack(states[:-1], axis=1)[:, None]


@functools.cache
def point_examples(learner="mmaml"):
    model = tiny_model("point-2", learner=learner)
    env = model.exploration.environment
    return env, examples_of(model.learner, model.exploration, task_of_each_mode(env, 0), 0)


@pytest.mark.parametrize("env", [Ant(threads=1), CheetahLocation(threads=1), CheetahSpeed(threads=1)])
def test_poses_are_those_of_the_simulation(env):
    _, episodes, states = random_episodes(env)
    expected = states[..., 1 : 1 + env.physics.model.nq].copy()
    if isinstance(env, CheetahSpeed):
        expected[..., 0] -= expected[..., :1, 0]
    np.testing.assert_allclose(env.poses(episodes.observations, episodes.actions), expected, atol=1e-4)


def test_poses_of_an_arm_are_the_same_up_to_whole_turns():
    env = Reacher(2, threads=1)
    _, episodes, states = random_episodes(env)
    turns = (env.poses(episodes.observations, episodes.actions) - states[..., 1:4]) / (2 * np.pi)
    np.testing.assert_allclose(turns, turns.round(), atol=1e-5)
    tips = fingertip(states[..., 1:4].reshape(-1, 3))[:, :2]
    np.testing.assert_allclose(env.path(episodes.observations, episodes.actions).reshape(-1, 2), tips, atol=1e-5)


def test_a_cheetahs_path_is_x_over_time():
    env = CheetahLocation(threads=1)
    _, episodes, states = random_episodes(env)
    path = env.path(episodes.observations, episodes.actions)
    np.testing.assert_allclose(path[..., 0], np.broadcast_to(0.05 * np.arange(25), (2, 1, 25)))
    np.testing.assert_allclose(path[..., 1], states[..., 1], atol=1e-5)


def test_goals_of_cheetahs_are_lines_over_time():
    location, speed, goal = CheetahLocation(threads=1), CheetahSpeed(threads=1), np.array([-1.25])
    np.testing.assert_allclose(location.goal_line(goal), [[0, -1.25], [10, -1.25]])
    np.testing.assert_allclose(speed.goal_line(goal), [[0, 0], [10, -12.5]])
    np.testing.assert_allclose(location.goal_place(goal), [-1.25, 0, 0.5])
    assert speed.goal_place(goal) is None


@pytest.mark.parametrize(
    ("learner", "phases"),
    [
        ("mmaml", ("before any gradient step", "modulated, 1 gradient step")),
        ("maml", ("before any gradient step", "after 1 gradient step")),
    ],
)
def test_trajectories_are_those_of_the_episodes(learner, phases):
    env, examples = point_examples(learner)
    figure = trajectories(env, {learner: examples})
    assert [panel.get_title(loc="left") for panel in figure.axes] == list(phases)
    for panel, episodes in zip(figure.axes, examples.episodes, strict=True):
        drawn = [np.array(line.get_data()).T for line in panel.lines]
        expected = np.asarray(episodes.observations)[..., :2].reshape(-1, env.horizon, 2)
        long = [line for line in drawn if len(line) == env.horizon]
        np.testing.assert_array_equal(long, expected)
        stars = [line[0] for line in drawn if len(line) == 1]
        np.testing.assert_array_equal(stars, examples.tasks.goal)
        assert len({line.get_color() for line in panel.lines}) == 2
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["goal near (-5, -5)", "goal near (5, 5)"]


def test_several_models_stand_in_rows_and_act_in_the_same_tasks():
    models = {name: tiny_model("point-2", learner=name) for name in ("maml", "mmaml")}
    models["more"] = tiny_model("point-2", learner="maml", inner_steps=2)
    figure = compare_trajectories(models)["trajectories"]
    titles = [panel.get_title(loc="left") for panel in figure.axes]
    assert len(titles) == 7 and titles.count("before any gradient step") == 3
    names = [panel.get_ylabel().split("\n")[0] for panel in figure.axes if panel.get_ylabel()]
    assert names == ["maml", "mmaml", "more"]
    goals = [[line.get_xydata()[0] for line in panel.lines if len(line.get_xydata()) == 1] for panel in figure.axes]
    for others in goals[1:]:
        np.testing.assert_array_equal(others, goals[0])


@pytest.mark.parametrize("phases", [2, 3, 4])
@pytest.mark.parametrize("env", [PointMass(6), Reacher(6, threads=1)])
def test_the_names_of_all_goals_are_in_the_picture(env, phases):
    tasks, nothing = task_of_each_mode(env, 0), jnp.zeros((6, 1, 5, env.observation_size))
    episodes = Trajectories(nothing, nothing, nothing[..., 0], Gaussian(nothing, nothing), nothing[..., 0] == 0)
    figure = trajectories(env, {"mmaml": Examples(tasks, (episodes,) * phases, ("phase",) * phases)})
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 6
    names, picture = legend.get_window_extent(), figure.bbox
    assert picture.x0 <= names.x0 and names.x1 <= picture.x1
    assert all(panel.get_window_extent().y1 < names.y0 for panel in figure.axes)


@pytest.mark.parametrize("env", [Reacher(6, threads=1), Ant(4, threads=1), CheetahLocation(1), CheetahSpeed(1)])
def test_bodies_have_trajectories_too(env):
    tasks, episodes, _ = random_episodes(env)
    figure = trajectories(env, {"mmaml": Examples(tasks, (episodes, episodes), ("before", "after"))})
    assert len(figure.axes) == 2
    lines = [np.array(line.get_data()).T for line in figure.axes[1].lines]
    for expected in env.path(episodes.observations, episodes.actions)[:, 0]:
        assert any(line.shape == expected.shape and np.array_equal(line, expected) for line in lines)


def test_embeddings_are_of_the_first_episodes():
    model = tiny_model("point-2")
    assert isinstance(model.learner, MMAML)
    tasks = model.exploration.environment.sample_tasks(jr.key(0), 40)
    points, modes, groups = embed_tasks(model.learner, model.exploration, tasks, jr.key(1))
    np.testing.assert_array_equal(modes, tasks.mode)
    assert groups is None
    explored = model.exploration.explore(model.learner, tasks, jr.split(jr.key(1), 40), 1)
    seen = jax.tree.map(lambda leaf: leaf[3], explored.samples[0])
    expected = model.learner.condition(seen, tasks.mode[3]).embedding
    assert expected is not None
    np.testing.assert_allclose(points[3], expected, rtol=1e-4, atol=1e-5)


def test_write_figures(tmp_path):
    for learner in ("mmaml", "maml"):
        model = tiny_model("point-2", learner=learner)
        write_figures(RunFolder(tmp_path / learner), model.learner, model.exploration, model.config)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert files == {f"mmaml/figures/{name}" for name in EMBEDDING_FILES | {"trajectories.svg"}} | {
        "maml/figures/trajectories.svg"
    }
    for svg in tmp_path.rglob("*.svg"):
        assert ET.fromstring(svg.read_text()).tag.endswith("svg")
    assert json.loads((tmp_path / "mmaml/figures/embedding.json").read_text())["tasks"] == 40
    with np.load(tmp_path / "mmaml/figures/embedding.npz", allow_pickle=False) as kept:
        tasks = tiny_model("point-2").exploration.environment.sample_tasks(task_and_episode_keys(FIGURE_SEED)[0], 40)
        np.testing.assert_array_equal(kept["goals"], tasks.goal)
        np.testing.assert_array_equal(kept["modes"], tasks.mode)
        assert kept["embeddings"].shape == (40, 8)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_tasks_are_coloured_by_their_goals(size):
    rng = np.random.default_rng(0)
    goals = rng.normal(size=(40, size)).astype(np.float32)
    figure = goal_map(rng.normal(size=(40, 2)).astype(np.float32), goals)
    panel, bar = figure.axes
    shown = np.asarray(panel.collections[0].get_array())
    expected = goals[:, 0] if size == 1 else np.degrees(np.arctan2(goals[:, 1], goals[:, 0]))
    np.testing.assert_allclose(shown, expected, rtol=1e-5)
    assert bar.get_ylabel() == ("goal" if size == 1 else "direction of the goal (degrees)")


@needs_gl
@pytest.mark.parametrize("env", [Reacher(2, threads=1), CheetahSpeed(threads=1)])
def test_frames_show_every_task_before_and_after(env):
    tasks, episodes, _ = random_episodes(env, steps=env.horizon)
    figure = frames(env, Examples(tasks, (episodes, episodes), ("before", "after")))
    images = [np.asarray(panel.images[0].get_array()) for panel in figure.axes if panel.images]
    assert len(images) == 12
    assert all(image.std() > 5 for image in images)
    assert not np.array_equal(images[0], images[2])
    labels = [panel.get_ylabel() for panel in figure.axes if panel.get_ylabel()]
    assert len(labels) == 2
    if isinstance(env, CheetahSpeed):
        assert labels[0] == f"speed\n{float(tasks.goal[0, 0]):.2f} m/s"


@pytest.mark.parametrize("gl", [pytest.param(" EGL" if sys.platform == "linux" else "", marks=needs_gl), "nothing"])
def test_frames_are_drawn_where_there_is_opengl(tmp_path, monkeypatch, gl):
    monkeypatch.setenv("MUJOCO_GL", gl)
    model = tiny_model("reacher-1", learner="maml")
    without = pytest.warns(Note, match=r"no figures/frames\.png: MUJOCO_GL=nothing is nothing that MuJoCo draws with")
    with without if gl == "nothing" else nullcontext():
        write_figures(RunFolder(tmp_path), model.learner, model.exploration, model.config)
    written = {path.name for path in (tmp_path / "figures").iterdir()}
    assert written == ({"trajectories.svg", "frames.png"} if gl != "nothing" else {"trajectories.svg"})
    if gl != "nothing":
        assert (tmp_path / "figures/frames.png").read_bytes().startswith(b"\x89PNG")
