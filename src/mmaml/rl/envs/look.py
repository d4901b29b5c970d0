"""How to look at a kind of body."""

from typing import NamedTuple


class Look(NamedTuple):
    """How to look at a kind of body: `size` of the picture in pixels, `down` in degrees, and lengths in metres.

    `ball` is the radius of the goal's mark, `room` what a body takes around where it is. MuJoCo's `shadows`
    leave black wedges where one looks far.
    """

    size: tuple[int, int]
    down: float
    ball: float
    room: float
    shadows: bool = True
