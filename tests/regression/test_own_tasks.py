"""Someone's own CSV files: reading them, and clear words where they cannot be read."""

import jax
import jax.random as jr
import numpy as np
import pytest

from mmaml.regression.tables import load_tasks
from mmaml.runs.errors import UserError


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def make_folder(folder, files=6, inputs=("x",)):
    """Tasks y = file number + sum of inputs, so that every point says which file it is from."""
    rng = np.random.default_rng(0)
    for mode in ("a", "b"):
        for i in range(files):
            x = rng.uniform(-1, 1, (8 + i, len(inputs)))
            y = (100 if mode == "b" else 0) + 10 * i + x.sum(1)
            lines = [",".join([*inputs, "y"])] + [
                ",".join(map(repr, map(float, row))) for row in np.column_stack([x, y])
            ]
            write(folder / mode / f"{i}.csv", "\n".join(lines) + "\n")


@pytest.mark.parametrize("inputs", [("x",), ("x1", "x2", "x3")])
def test_tasks_come_from_one_file_each_and_held_out_files_are_never_trained_on(tmp_path, inputs):
    make_folder(tmp_path, inputs=inputs)
    train, held_out, scaler = load_tasks(tmp_path, shots=3, queries=4)
    assert train.modes == ("a", "b")

    def files(source):
        tasks = jax.tree.map(np.asarray, source.sample(jr.key(0), 200))
        assert tasks.support.inputs.shape == (200, 3, len(inputs)) and tasks.query.targets.shape == (200, 4, 1)
        x = np.concatenate([tasks.support.inputs, tasks.query.inputs], 1) * scaler.x_std + scaler.x_mean
        y = np.concatenate([tasks.support.targets, tasks.query.targets], 1)[..., 0] * scaler.y_std + scaler.y_mean
        number = np.round((y - x.sum(-1)) / 10, 2)
        assert (np.ptp(number, axis=1) < 0.02).all(), "all points of a task are from one file"
        assert all(len(np.unique(row)) == 7 for row in np.round(x[..., 0], 6)), "no point is drawn twice"
        assert set(np.where(number[:, 0] > 9, 1, 0)) <= {0, 1}
        np.testing.assert_array_equal(tasks.mode, np.round(number[:, 0]) >= 10)
        return set(np.round(number[:, 0]))

    trained, kept = files(train), files(held_out)
    assert len(trained) == 10 and len(kept) == 2 and not trained & kept


def test_the_scaler_sees_training_tasks_only_and_is_undone(tmp_path):
    make_folder(tmp_path)
    _, _, scaler = load_tasks(tmp_path, 3, 4)
    y = np.array([1.0, 250.0])
    np.testing.assert_allclose(scaler.unscale_y(scaler.scale_y(y)), y, rtol=1e-4)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no CSV files"),
        ({"a.csv": "x,y\n1,2\n"}, "a.csv has 1 points, but a task needs 2 support and 2 query"),
        ({"a.csv": "x,y\n1,2\n1,oops\n"}, "a.csv, row 3, column y: 'oops' is not a finite number"),
        ({"a.csv": "x,y\n1,2\nnan,1\n"}, "a.csv, row 3, column x: 'nan' is not a finite number"),
        ({"a.csv": "x,y\n1\n"}, "a.csv, row 2, column y: None is not a finite number"),
        ({"a.csv": "x,z\n1,2\n"}, "targets' column y is missing"),
        ({"a.csv": "x1,x3,y\n1,2,3\n"}, "inputs must be x, or x1, x2"),
        ({"a.csv": "y\n1\n"}, "inputs must be x, or x1, x2"),
        ({"a.csv": ""}, "has no rows"),
        ({"m/a.csv": "x,y\n1,2\n", "b.csv": "x,y\n1,2\n"}, "both sub-folders and b.csv"),
        ({"a.csv": "x,y\n" + "1,2\n" * 4, "b.csv": "x1,x2,y\n" + "1,2,3\n" * 4}, "2 input columns"),
        ({"a.csv": "x,y\n" + "1,2\n" * 4}, "takes two tasks"),
        ({"a.csv": b"\xff\xfe\x00"}, "cannot be read as CSV"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, files, message):
    for name, content in files.items():
        path = write(tmp_path / name, "")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message):
        load_tasks(tmp_path, shots=2, queries=2)
