import os
from collections.abc import Iterator

import jax
import pytest


# Two devices, so that sharing tasks out over devices is tested everywhere.
jax.config.update("jax_num_cpu_devices", 2)
# Tests compile far more than they compute. JAX reads this when it is first used, and so do commands that tests start.
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"


LONGEST = ("test_docs.py", "test_cli.py", "test_experiment.py", "test_resume.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: with one left for the end, one worker would wait for the other."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_configure(config: pytest.Config) -> None:
    """What people are told is no error; named here, since shapes are checked in modules imported after the tests'."""
    config.addinivalue_line("filterwarnings", "default::mmaml.runs.errors.Note")


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled_programs() -> Iterator[None]:
    """All that a suite compiles would take gigabytes."""
    yield
    jax.clear_caches()
