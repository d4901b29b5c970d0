"""Where a result comes from: command, commit, versions, machine."""

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax


_PACKAGES = ("mmaml", "jax", "jaxlib", "equinox", "optax", "orbax-checkpoint", "numpy", "mujoco", "gymnasium")


def provenance() -> dict[str, Any]:
    """The command, the commit of the source tree (`None` outside one), versions, machine and XLA devices."""
    return {
        "command": shlex.join(["mmaml" if Path(sys.argv[0]).name == "mmaml" else sys.argv[0], *sys.argv[1:]]),
        "commit": _commit(),
        "versions": {name: _version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        **devices_here(),
    }


def devices_here() -> dict[str, Any]:
    """How many XLA devices there are, and of what kind: what a run must have again to be the same bit for bit."""
    return {"devices": jax.device_count(), "device_kind": jax.devices()[0].device_kind}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    package = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=package, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", __file__)  # the repository may be one that has us installed in it
        dirty = git("status", "--porcelain", "--untracked-files=no", ".")
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if dirty else "")
    except (OSError, subprocess.SubprocessError):
        return None
