"""JAX on this machine: devices, compilation cache, memory."""

import contextlib
import os
import resource
import sys
import tempfile
import warnings
from pathlib import Path

import jax

from mmaml.runs.errors import Note


def prepare_jax(devices: int | None = None) -> None:
    """Set JAX up for training; call it before JAX is first used. Sums are rounded as `devices` divide them.

    - On CPUs there is one XLA device per core (or `devices` of them), so that tasks can be shared out over them.
      Where JAX is in use already, its devices stay as they are.
    - Compiled programs are kept in `$MMAML_CACHE` (default `~/.cache/mmaml`): a second start need not compile.
    """
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", devices or processors())
    try:
        cache = Path(os.environ.get("MMAML_CACHE") or Path.home() / ".cache" / "mmaml") / "compiled"
        cache.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=cache).close()
    except (OSError, RuntimeError) as error:  # the second where there is no home
        where = f"{error.filename} ({error.strerror})" if isinstance(error, OSError) else f"a home ({error})"
        remedy = "so every start compiles anew; set MMAML_CACHE to a folder that can be written to"
        warnings.warn(f"compiled programs cannot be kept in {where}, {remedy}.", Note, stacklevel=2)
        return
    jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory() -> int:
    """Most bytes that the busiest accelerator, or on CPUs this process, has held so far."""
    accelerators = [stats for device in jax.local_devices() if (stats := device.memory_stats())]
    if accelerators:
        return max(stats["peak_bytes_in_use"] for stats in accelerators)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
