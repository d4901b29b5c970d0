"""A video of a policy that learns a task: one episode of each phase, one after the other."""

import io
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import jax
import matplotlib
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from mmaml.core.task import mode_index
from mmaml.report.drawing import INK, PAPER
from mmaml.rl.envs.environment import AbstractGoalEnvironment
from mmaml.rl.model import PolicyModel
from mmaml.rl.pictures.camera import camera_for
from mmaml.rl.pictures.examples import Examples, examples_of
from mmaml.rl.tasks import drawn_task
from mmaml.runs.errors import UserError
from mmaml.runs.files import write_atomically


FRAMES_PER_SECOND = 20
FRAMES = 100
"""Pictures of an episode, at most: of a longer one some steps are left out."""
PAUSE = 15
"""How many frames the end of an episode stays."""
LINE_HEIGHT = 24
"""Of the caption, in pixels."""
NARROWEST = 400
"""A caption takes about as many pixels."""

Frame = UInt8[np.ndarray, "height width 3"]


def write_video(model: PolicyModel, path: Path, mode: str | None = None, seed: int = 0) -> None:
    """Film a task of `mode` (default: of any) that is drawn with `seed`.

    The suffix of `path` is .gif or .mp4. Raises `UserError` for another one or an unknown mode, if something is
    missing that is needed to draw or encode, the user's own environment does not draw itself, or the file cannot be
    written.
    """
    encode = _ENCODERS.get(path.suffix.lower())
    if encode is None:
        raise UserError(f"{path} has the suffix {path.suffix!r}; videos are {' or '.join(_ENCODERS)}.")
    write_atomically(path, encode(video(model, pick_task(model, mode, seed), seed)))


def pick_task(model: PolicyModel, mode: str | None, seed: int) -> Any:
    """A batch of one task, of a mode if it is named.

    Raises `UserError` if there is no such mode, or it is so rare that no task of it is drawn.
    """
    try:
        return drawn_task(model.exploration.environment, mode_index(mode, model.modes), seed)
    except ValueError as error:
        raise UserError(f"{model.config.environment}: {error}") from error


def video(model: PolicyModel, task: Any, seed: int) -> Iterator[Frame]:
    """All frames of a video of `task`, a batch of one: the phase and the return so far stand over the pictures."""
    environment = model.exploration.environment
    last = environment.horizon - 1
    steps = [*range(0, last, -(-environment.horizon // FRAMES)), last]
    name = environment.task_label(jax.tree.map(lambda leaf: leaf[0], task))
    with _filmed(model, task, seed, steps) as (examples, films):
        for phase, episodes, film in zip(examples.phases, examples.episodes, films, strict=True):
            rewards = np.asarray(episodes.rewards[0, 0])
            # Pictures are of before a step, but the last one stays for the whole episode.
            so_far = rewards.cumsum() - rewards
            so_far[last] = rewards.sum()
            for step, picture in zip(steps, film, strict=True):
                frame = captioned(picture, f"{model.config.environment}, {name}", f"{phase}: return {so_far[step]:.1f}")
                yield from [frame] * (PAUSE if step == last else 1)


@contextmanager
def _filmed(
    model: PolicyModel, task: Any, seed: int, steps: Sequence[int]
) -> Iterator[tuple[Examples, Iterator[Iterable[Frame]]]]:
    """What the agent does, and of the first episode of each phase pictures before each of `steps`."""
    environment = model.exploration.environment
    if not isinstance(environment, AbstractGoalEnvironment):
        yield _film_own(model, task, seed, steps)
        return
    # Where there is no OpenGL, this fails before the agent acts, which takes longer.
    with camera_for(environment) as camera:
        examples = examples_of(model.learner, model.exploration, task, seed)
        firsts = (jax.tree.map(lambda leaf: leaf[0, 0], episodes) for episodes in examples.episodes)
        only = jax.tree.map(lambda leaf: leaf[0], task)
        yield examples, (camera.film(first.observations, first.actions, only, steps) for first in firsts)


def _film_own(
    model: PolicyModel, task: Any, seed: int, steps: Sequence[int]
) -> tuple[Examples, Iterator[Iterable[Frame]]]:
    # Only here is gymnasium needed.
    from mmaml.rl.envs.own.environment import OwnEnvironment
    from mmaml.rl.pictures.recorder import recorded

    own = model.exploration.environment
    assert isinstance(own, OwnEnvironment)  # all others have goals
    environment, recorder = recorded(own, steps)
    examples = examples_of(model.learner, replace(model.exploration, environment=environment), task, seed)
    return examples, ((pictures + pictures[-1:] * len(steps))[: len(steps)] for pictures in recorder.episodes)


def captioned(picture: Frame, *lines: str) -> UInt8[np.ndarray, "taller wider 3"]:
    """The picture under lines of text, enlarged by a whole factor where it is too small for them."""
    larger = -(-NARROWEST // picture.shape[1])
    picture = picture.repeat(larger, 0).repeat(larger, 1)
    height, width, _ = picture.shape
    page = Image.new("RGB", (width, height + LINE_HEIGHT * len(lines)), PAPER)
    page.paste(Image.fromarray(picture), (0, LINE_HEIGHT * len(lines)))
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 15)
    for i, line in enumerate(lines):
        ImageDraw.Draw(page).text((10, LINE_HEIGHT * (i + 0.5)), line, INK, font, anchor="lm")
    return np.asarray(page)


def _gif(frames: Iterator[Frame]) -> bytes:
    images = map(Image.fromarray, frames)
    buffer = io.BytesIO()
    first = next(images)
    first.save(buffer, "GIF", save_all=True, append_images=images, duration=1000 // FRAMES_PER_SECOND, loop=0)
    return buffer.getvalue()


def _mp4(frames: Iterator[Frame]) -> bytes:
    try:
        import imageio_ffmpeg
    except ImportError:
        raise UserError("an .mp4 needs imageio-ffmpeg: pip install 'mmaml[rl]'. A .gif does not.") from None
    first = next(frames)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "video.mp4"
        size = first.shape[1], first.shape[0]
        writer = imageio_ffmpeg.write_frames(file, size, fps=FRAMES_PER_SECOND, macro_block_size=2)
        with warnings.catch_warnings():
            # JAX warns of processes that fork and go on in Python; this one becomes ffmpeg at once.
            warnings.simplefilter("ignore", RuntimeWarning)
            writer.send(None)
        for frame in chain([first], frames):
            writer.send(np.ascontiguousarray(frame))
        writer.close()
        return file.read_bytes()


_ENCODERS: dict[str, Callable[[Iterator[Frame]], bytes]] = {".gif": _gif, ".mp4": _mp4}
