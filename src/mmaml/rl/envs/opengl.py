"""What MuJoCo draws with. It reads the variable MUJOCO_GL, when it is imported, and so does a camera."""

import os
import platform

from mmaml.runs.errors import UserError


VARIABLE = "MUJOCO_GL"
REMEDY = (
    f"Leave {VARIABLE} unset, or set it to egl, osmesa, glfw (which needs a screen) or off. Without a screen, drawing "
    "needs OpenGL in software: `apt-get install libegl1 libgl1-mesa-dri` for egl, which is the default on Linux, or "
    "`apt-get install libosmesa6` for osmesa."
)

_DEFAULT = {"Linux": "egl", "Darwin": "cgl"}
"""What draws without a screen."""
# As MuJoCo reads them.
_ANY = ("", "enable", "enabled", "on", "true", "1")
_NONE = ("disable", "disabled", "off", "false", "0")
_MODULES = {"egl": "egl", "osmesa": "osmesa", "glfw": "glfw", "glx": "glfw", "wgl": "glfw", "cgl": "cgl"}


def opengl_module() -> str:
    """Which of MuJoCo's modules opens a context. Raises `UserError` if there is none of the name, or none is wanted."""
    value = os.environ.get(VARIABLE, "")
    kind = value.lower().strip()
    if kind in _ANY:
        return _DEFAULT.get(platform.system(), "glfw")
    if kind in _NONE:
        raise UserError(f"{VARIABLE}={value} switches MuJoCo's drawing off. {REMEDY}")
    if kind not in _MODULES:
        raise UserError(f"{VARIABLE}={value} is nothing that MuJoCo draws with. {REMEDY}")
    return _MODULES[kind]


def opengl_setting() -> str:
    """How the variable is set, for messages."""
    return f"{VARIABLE}={value}" if (value := os.environ.get(VARIABLE)) else f"{VARIABLE} unset"
