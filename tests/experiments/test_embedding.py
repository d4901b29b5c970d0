"""Maps of task embeddings, and what lies near a task in them."""

import numpy as np
import pytest
from matplotlib.text import Text

from mmaml.experiments.embedding import embedding_map, layout, neighbour_accuracy, tasks_on_map, write_embedding
from mmaml.experiments.neighbours import NEIGHBOURS, EmbeddedTasks
from mmaml.regression.config import RegressionConfig
from mmaml.report.drawing import to_svg
from mmaml.runs.errors import Note
from mmaml.runs.folder import RunFolder


def brute_force_accuracy(points: np.ndarray, modes: np.ndarray, k: int) -> float:
    right = []
    for i, point in enumerate(points):
        distances = np.linalg.norm(points - point, axis=1)
        distances[i] = np.inf
        votes = np.bincount(modes[np.argsort(distances)[:k]])
        right.append(votes.argmax() == modes[i])
    return float(np.mean(right))


def clusters() -> EmbeddedTasks:
    """Twenty tasks of each of three modes, far from the others."""
    modes = np.repeat(np.arange(3), 20)
    return EmbeddedTasks(10 * np.eye(3)[modes] + np.random.default_rng(0).normal(size=(60, 3)), modes)


def test_neighbour_accuracy_of_separate_clusters_is_one():
    assert neighbour_accuracy(clusters()) == 1.0


@pytest.mark.parametrize("k", [1, 4, 15])
def test_neighbour_accuracy_agrees_with_brute_force_and_is_chance_for_random_modes(k):
    rng = np.random.default_rng(1)
    tasks = EmbeddedTasks(rng.normal(size=(600, 4)), rng.integers(0, 4, 600))
    accuracy = neighbour_accuracy(tasks, k)
    assert accuracy == pytest.approx(brute_force_accuracy(tasks.points, tasks.modes, k))
    assert abs(accuracy - 0.25) < 0.08


def test_neighbour_accuracy_needs_enough_tasks():
    for groups, others in ((None, 9), (np.repeat([0, 1], 5), 5)):
        with pytest.raises(ValueError, match=f"a task has {others} others to be compared with; there must be 15"):
            neighbour_accuracy(EmbeddedTasks(np.zeros((10, 2)), np.zeros(10, int), groups), 15)


def test_draws_from_one_file_do_not_tell_kinds_apart():
    """Twelve files, each a heap of its own, of two modes that are one and the same."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 20)
    tasks = EmbeddedTasks(rng.normal(size=(12, 4))[groups] + 0.01 * rng.normal(size=(240, 4)), groups % 2, groups)
    assert neighbour_accuracy(tasks._replace(groups=None)) == 1.0
    assert neighbour_accuracy(tasks) < 0.8


def test_the_modes_near_an_embedding_stand_in_the_order_of_their_shares():
    names = ("a", "b", "c")
    for mode, name in enumerate(names):
        assert clusters().near(10 * np.eye(3)[mode], names) == {name: 1.0}
    places = np.array([3.0, 2, 1, -1, -2, -3] + [100.0] * 20)
    tasks = EmbeddedTasks(places[:, None], np.array([2, 2, 0, 2, 0, 2] + [1] * 20))
    near = tasks.near(np.zeros(1), names)
    assert list(near) == ["b", "c", "a"]
    assert near == pytest.approx({"b": 9 / NEIGHBOURS, "c": 4 / NEIGHBOURS, "a": 2 / NEIGHBOURS})


def test_the_map_names_modes_and_says_the_accuracy():
    points = np.random.default_rng(0).normal(size=(60, 6))
    tasks = EmbeddedTasks(points, np.arange(60) % 3)
    (plane, again), names = (layout(points) for _ in range(2)), ["_a$x$", "b<c", "d"]
    picture = embedding_map(plane, tasks.modes, names, 0.713)
    assert to_svg(picture) == to_svg(embedding_map(again, tasks.modes, names, 0.713))
    shown = "".join(text.get_text() for text in picture.findobj(Text)).replace("\\", "")
    for text in ("_a$x$", "b<c", "71.3% right", "chance: 33%"):
        assert text in shown


@pytest.mark.parametrize(
    ("modes", "groups"), [(np.zeros(60, int), None), (np.arange(60) % 2, np.arange(60) % 8)], ids=["mode", "files"]
)
def test_a_single_mode_and_a_few_files_have_no_accuracy(tmp_path, modes, groups):
    points = np.random.default_rng(0).normal(size=(60, 6))
    write_embedding(RunFolder(tmp_path), EmbeddedTasks(points, modes, groups), ["a", "b"])
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["embedding.svg"]
    assert "nearest neighbours" not in (tmp_path / "figures" / "embedding.svg").read_text()


@pytest.mark.parametrize("value", [0.0, 2.5, np.nan])
def test_there_is_no_map_of_embeddings_that_are_all_the_same(tmp_path, value):
    tasks = EmbeddedTasks(np.full((200, 6), value, np.float32), np.arange(200) % 3)
    with pytest.warns(Note, match="gives all tasks the same embedding"):
        write_embedding(RunFolder(tmp_path), tasks, ["a", "b", "c"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("judged", "shown"), [(2, 40), (100, 100), (10_000, 1_500)])
def test_a_map_shows_no_more_tasks_than_a_run_is_judged_on(judged, shown):
    config = RegressionConfig(("linear",), evaluation_tasks=judged)
    assert tasks_on_map(config, 1_500) == shown
