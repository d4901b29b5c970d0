import io
import json
import sys
from functools import partial
from pathlib import Path

import gymnasium
import jax
import numpy as np
import pytest
from PIL import Image

from mmaml.cli import main
from mmaml.rl.envs.cheetah import CheetahLocation
from mmaml.rl.envs.own.factory import find_factory
from mmaml.rl.envs.reacher import Reacher
from mmaml.rl.pictures import video as render
from mmaml.rl.pictures.camera import Camera
from mmaml.rl.pictures.video import captioned, pick_task, video, write_video
from mmaml.runs.errors import UserError
from tests.rl.learners import tiny_model
from tests.rl.test_figures import needs_gl, random_episodes


@pytest.fixture
def few_frames(monkeypatch):
    monkeypatch.setattr(render, "FRAMES", 4)
    monkeypatch.setattr(render, "PAUSE", 2)


def green(image):
    """Pixels in the colour of the goal's ball."""
    red, green, blue = image.astype(int).transpose(2, 0, 1)
    return (green > 40) & (green > red + 35) & (green > blue + 8)


def test_a_task_of_the_mode_asked_for():
    model = tiny_model("point-4")
    for number, mode in enumerate(model.modes):
        task = pick_task(model, mode, 3)
        assert task.mode.tolist() == [number]
        assert task.goal.shape == (1, 2)
    assert pick_task(model, None, 3).goal.tolist() != pick_task(model, None, 4).goal.tolist()
    with pytest.raises(UserError, match=r"point-4: .* mode must be one of \(-5, -5\), .*; got 'north'"):
        pick_task(model, "north", 0)


def test_a_rare_mode_is_looked_for_and_no_other_is_taken():
    model = tiny_model(f"{__name__}:Rare")
    assert [int(pick_task(model, "rare", seed).mode[0]) for seed in range(8)] == [1] * 8
    with pytest.raises(UserError, match=r"Rare: none of 600 tasks drawn with the seed 0 is of the mode 'never'"):
        pick_task(model, "never", 0)


def test_small_pictures_are_enlarged_for_their_caption():
    small = np.arange(6, dtype=np.uint8).reshape(2, 1, 3).repeat(90, 1)
    page = captioned(small, "a line", "another")
    assert page.shape == (10 + 2 * render.LINE_HEIGHT, 450, 3)
    np.testing.assert_array_equal(page[-10::5, ::5], small)


def test_the_return_over_a_picture_is_that_before_it(monkeypatch):
    said = []
    monkeypatch.setattr(render, "captioned", lambda picture, *lines: said.append(lines[1]) or picture)
    model = tiny_model("point-1", learner="maml")
    list(video(model, pick_task(model, None, 0), 0))
    assert said[0] == "before any gradient step: return 0.0"
    assert sum(line.endswith("return 0.0") for line in said) == 2


def test_unknown_suffixes_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"suffix '.avi'; videos are .gif or .mp4"):
        write_video(tiny_model("point-1"), tmp_path / "video.avi")
    assert not list(tmp_path.iterdir())


def test_a_video_has_every_phase_and_each_ends_with_its_return(few_frames, monkeypatch):
    said = []
    monkeypatch.setattr(render, "captioned", lambda picture, *lines: said.append(lines) or captioned(picture, *lines))
    model = tiny_model("point-1", learner="maml")
    shots = list(video(model, pick_task(model, None, 0), 0))
    assert len(shots) == 2 * (4 + 2)
    assert all(shot.shape == shots[0].shape for shot in shots)
    assert not np.array_equal(shots[0], shots[3])
    np.testing.assert_array_equal(shots[4], shots[5])
    phases = [line.rpartition(": return ")[0] for _, line in said]
    assert phases == ["before any gradient step"] * 5 + ["after 1 gradient step"] * 5
    returns = [float(line.split()[-1]) for _, line in said]
    assert returns[0] > returns[4]
    assert said[0][0] == "point-1, goal near (5, 5)"


def test_the_command_writes_both_kinds_of_video(few_frames, tmp_path, capsys):
    tiny_model("navigation", learner="maml").save(tmp_path / "model.safetensors")
    file = str(tmp_path / "model.safetensors")
    assert main(["render", file]) == 0
    assert "Video:" in capsys.readouterr().out
    gif = Image.open(io.BytesIO((tmp_path / "model.gif").read_bytes()))
    assert gif.format == "GIF" and gif.size == (480, 528) and getattr(gif, "n_frames", 1) >= 8
    assert main(["render", file]) == 2 and "model.gif is there already" in " ".join(capsys.readouterr().err.split())
    assert main(["render", file, "--out", str(tmp_path / "v.MP4"), "--mode", "(2, 0)", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"video": str(tmp_path / "v.MP4")}
    assert (tmp_path / "v.MP4").read_bytes()[4:8] == b"ftyp"
    assert main(["render", file, "--out", str(tmp_path / "v.avi")]) == 2
    assert "videos are .gif or .mp4" in " ".join(capsys.readouterr().err.split())


class Bar(gymnasium.Env):
    """A point on a line, drawn as a picture with one bright column; episodes end beyond 4."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))
    horizon = 6

    def __init__(self, render_mode=None, shape=(20, 64, 3)):
        self.render_mode, self.shape = render_mode, shape

    def sample_tasks(self, n):
        return self.np_random.uniform(-1, 1, n)

    def set_task(self, task):
        self.place = task

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.now = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.now += 1
        return np.full(1, self.now, np.float32), -abs(self.now - self.place), self.now > 4, False, {}

    def render(self):
        assert self.render_mode == "rgb_array"
        picture = np.zeros(self.shape, np.uint8)
        picture[:, 10 * self.now] = 255
        return picture


class Rare(Bar):
    """Two tasks in a hundred are of the second kind, and none is of the third."""

    modes = ("usual", "rare", "never")

    def mode_of(self, task):
        return int(task > 0.96)


flat = partial(Bar, shape=(20, 64))
undrawable = find_factory(f"{Path(__file__).parents[2]}/examples/own_environment.py:HoldAngle")


def undrawn():
    return Bar("rgb_array")


def test_your_own_environment_is_filmed_if_it_draws_itself(monkeypatch):
    """Episodes end after the fifth step: the video goes on with their last picture."""
    monkeypatch.setattr(render, "PAUSE", 2)
    monkeypatch.setattr(render, "captioned", lambda picture, *lines: picture)
    model = tiny_model(f"{__name__}:Bar", learner="maml")
    pictures = list(video(model, pick_task(model, None, 0), 0))
    bright = [int(picture[0, :, 0].argmax()) for picture in pictures]
    assert bright == [0, 10, 20, 30, 40, 50, 50] * 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("undrawn", "what makes it must take render_mode='rgb_array'"),
        ("flat", r"Bar cannot be filmed.*but gave uint8 of the shape \(20, 64\)"),
        ("undrawable", "HoldAngle cannot be filmed: pygame"),
    ],
)
def test_what_cannot_be_filmed_is_refused(name, message, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(UserError, match=message):
        write_video(tiny_model(f"{__name__}:{name}", learner="maml"), tmp_path / "video.gif")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "message"), [("nothing", "is nothing that MuJoCo draws with"), ("OFF", "switches MuJoCo's drawing off")]
)
def test_without_opengl_it_says_what_to_install(value, message, tmp_path, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", value)
    monkeypatch.setattr(render, "examples_of", lambda *_: pytest.fail("the agent has acted in vain"))
    with pytest.raises(UserError, match=rf"MUJOCO_GL={value} {message}.*apt-get install libegl1"):
        write_video(tiny_model("reacher-1", learner="maml"), tmp_path / "video.gif")
    assert not list(tmp_path.iterdir())


@needs_gl
@pytest.mark.parametrize("env", [Reacher(2, threads=1), CheetahLocation(threads=1)])
def test_the_goal_is_in_the_picture(env):
    tasks, episodes, _ = random_episodes(env)
    episode = jax.tree.map(lambda leaf: leaf[0, 0], episodes)
    task = jax.tree.map(lambda leaf: leaf[0], tasks)
    with Camera(env) as camera:
        first, last = camera.film(episode.observations, episode.actions, task, [0, 24])
    assert first.shape == (camera.height, camera.width, 3)
    assert not np.array_equal(first, last)
    row, column = (axis.mean() for axis in np.nonzero(green(first)))
    side = task.goal[0] if isinstance(env, Reacher) else task.goal[0] / 2
    assert (column > camera.width / 2) == (side > 0)
    assert 0 < row < camera.height
