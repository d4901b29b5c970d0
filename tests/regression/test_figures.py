import functools
import json
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jaxtyping import Array

from mmaml.core.learners import AbstractLearner
from mmaml.core.task import Mixture, Task
from mmaml.regression.config import RegressionConfig
from mmaml.regression.figures import Examples, examples_of, function_fits, write_figures
from mmaml.regression.learner import make_learner
from mmaml.regression.loss import mean_squared_error
from mmaml.regression.own.points import Points
from mmaml.regression.own.source import OwnTasks
from mmaml.regression.scaler import Scaler
from mmaml.regression.sources import Sources, make_sources
from mmaml.runs.folder import RunFolder


FAMILIES = ("sinusoid", "linear", "l1")
CONFIG = RegressionConfig(FAMILIES, hidden=(8,), encoder_hidden=3, inner_steps=1)


def learner(name: str, in_size: int = 1) -> AbstractLearner:
    """A learner with weights from NumPy: its own initialisation takes seconds to compile."""
    rng = np.random.default_rng(0)
    make = functools.partial(make_learner, replace(CONFIG, learner=name), in_size=in_size, modes=len(FAMILIES))
    shapes = eqx.filter_eval_shape(lambda key: make(key=key), jr.key(0))

    def fill(leaf: Any) -> Any:
        is_shape = isinstance(leaf, jax.ShapeDtypeStruct)
        return jnp.asarray(0.4 * rng.normal(size=leaf.shape), jnp.float32) if is_shape else leaf

    return jax.tree.map(fill, shapes)


@functools.cache
def known_examples() -> Examples:
    return examples_of(make_sources(CONFIG))


def table_sources(modes: int = 2, in_size: int = 1) -> Sources:
    """Noisy points of y = 100 + 10 m + x for mode m, in sources like those of a user's own files."""
    rng = np.random.default_rng(0)
    by_mode = [
        [Points("t.csv", x, 100 + 10 * m + x[:, 0]) for x in rng.uniform(50, 60, (4, 12, in_size))]
        for m in range(modes)
    ]
    scaler = Scaler.fit(*(np.concatenate([getattr(t, axis) for tables in by_mode for t in tables]) for axis in "xy"))
    names = tuple(f"_mode${m}$" for m in range(modes))
    parts = tuple(OwnTasks.of(t, scaler, 5, 5, name) for t, name in zip(by_mode, names, strict=True))
    source = Mixture(parts, names)
    return Sources(source, source, scaler)


def test_examples_are_the_same_for_everyone_and_lie_on_their_true_function():
    examples = known_examples()
    again = examples_of(make_sources(replace(CONFIG, seed=7, learner="maml")))
    jax.tree.map(np.testing.assert_array_equal, examples.tasks, again.tasks)
    assert examples.noise_free
    assert examples.names == FAMILIES
    assert examples.tasks.mode.tolist() == [0, 1, 2]
    linear = jax.tree.map(lambda leaf: np.asarray(leaf[1, :, 0]), (examples.tasks.support, examples.tasks.query))
    slope, offset = np.polyfit(linear[1].inputs, linear[1].targets, 1)
    np.testing.assert_allclose(slope * linear[1].inputs + offset, linear[1].targets, atol=1e-4)
    residuals = linear[0].targets - (slope * linear[0].inputs + offset)
    assert 0 < np.abs(residuals).max() < 1.5


@pytest.mark.parametrize("names", [("maml",), ("maml", "multi-maml", "mmaml")])
def test_function_fits_shows_predictions_before_and_after(names):
    examples = known_examples()
    figure = function_fits({name: learner(name) for name in names}, examples)
    assert len(figure.axes) == 2 * len(FAMILIES)
    lines = [{line.get_label(): np.asarray(line.get_ydata()) for line in panel.lines} for panel in figure.axes]
    for panel in lines:
        assert set(panel) == {"true function", "support points", *names}

    @eqx.filter_jit
    def before_and_after(learner: AbstractLearner, task: Task) -> list[Array]:
        return [model(examples.grid)[:, 0] for model in learner.adapt(task.support, task.mode, mean_squared_error)]

    task = jax.tree.map(lambda leaf: leaf[1], examples.tasks)
    before, after = before_and_after(learner("maml"), task)
    np.testing.assert_allclose(lines[1]["maml"], before, atol=1e-4)
    np.testing.assert_allclose(lines[1 + len(FAMILIES)]["maml"], after, atol=1e-4)
    assert np.abs(before - after).max() > 1e-3


def test_fits_of_a_users_tasks_are_in_their_units_and_without_truth():
    examples = examples_of(table_sources())
    figure = function_fits({"maml": learner("maml")}, examples)
    assert not examples.noise_free
    for panel in figure.axes:
        lines = {line.get_label(): line for line in panel.lines}
        assert set(lines) == {"query points", "support points", "maml"}
        x, y = lines["query points"].get_data()
        assert np.all((np.asarray(x) > 49) & (np.asarray(x) < 61))
        assert set(np.round(np.asarray(y) - np.asarray(x)).astype(int)) <= {100, 110}


def test_write_figures(tmp_path):
    for name in ("mmaml", "maml"):
        config = replace(CONFIG, learner=name, evaluation_tasks=60)
        write_figures(RunFolder(tmp_path / name), learner(name), make_sources(config), config)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert names == {f"mmaml/figures/{name}" for name in ("fits.svg", "embedding.svg", "embedding.json")} | {
        "maml/figures/fits.svg"
    }
    numbers = json.loads((tmp_path / "mmaml/figures/embedding.json").read_text())
    assert numbers["k"] == 15
    assert numbers["tasks"] == 60
    assert 0 <= numbers["neighbour_accuracy"] <= 1


def test_functions_of_several_inputs_have_no_fits(tmp_path):
    write_figures(RunFolder(tmp_path), learner("maml", in_size=2), table_sources(in_size=2), CONFIG)
    assert not list(tmp_path.iterdir())


def test_long_names_of_runs_stay_in_the_picture():
    learners = {f"{number}-of-my-curves-without-augmentation": learner("maml") for number in ("five", "ten", "twenty")}
    figure = function_fits(learners, known_examples())
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 >= 0 and legend.x1 <= figure.bbox.x1 and legend.y1 <= figure.bbox.y1
    titles = [panel.title.get_window_extent() for panel in figure.axes[:3]]
    assert all(title.y1 <= legend.y0 for title in titles)
