"""Someone's own CSV files: reading them, runs on them, and clear words where they cannot be used."""

import json
import os
from dataclasses import replace

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
import pytest
from sklearn.metrics import r2_score

import mmaml
from mmaml.cli import main
from mmaml.regression.adapt import adapt_files
from mmaml.regression.learner import make_learner
from mmaml.regression.model import RegressionModel
from mmaml.regression.own.points import read_points, read_tasks_of
from mmaml.regression.own.source import load_tasks
from mmaml.regression.presets import PRESETS
from mmaml.regression.scaler import Scaler
from mmaml.regression.sources import Sources
from mmaml.runs.errors import Note, UserError
from tests.commands import mmaml_command


MODES = ["falling", "rising"]


def load(*arguments, **named):
    return Sources(*load_tasks(*arguments, **named))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, newline="")
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


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on tasks y = k x1 in `data` beside it; the second input is the same everywhere."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    for mode, sign in zip(MODES, (-1, 1), strict=True):
        for i in range(4):
            x = rng.uniform(-1, 1, 12)
            lines = [f"{a},0.1,{sign * (1 + i) * a}" for a in x]
            write(folder / "data" / mode / f"{i}.csv", "\n".join(["x1,x2,y", *lines]))
    small = "--budget smoke --meta-iterations 30 --hidden 8 --encoder-hidden 3 --inner-steps 1"
    assert main(f"train regression {small} --data {folder / 'data'} --out {folder / 'run'}".split()) == 0
    return folder / "run"


@pytest.mark.parametrize("inputs", [("x",), ("x1", "x2", "x3")])
def test_tasks_come_from_one_file_each_and_held_out_files_are_never_trained_on(tmp_path, inputs):
    make_folder(tmp_path, inputs=inputs)
    sources = load(tmp_path, shots=3, queries=4)
    scaler = sources.scaler
    assert sources.train.modes == ("a", "b")

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

    trained, kept = files(sources.train), files(sources.held_out)
    assert len(trained) == 8 and len(kept) == 4 and not trained & kept


@pytest.mark.parametrize("modes", [True, False])
def test_folders_train_and_test_say_what_is_held_out(tmp_path, modes):
    make_folder(tmp_path / "all")
    for part, names in (("train", "012"), ("test", "345")):
        for mode in ("a", "b") if modes else ("b",):
            for name in names:
                text = (tmp_path / "all" / mode / f"{name}.csv").read_text()
                write(tmp_path / "data" / part / (mode if modes else "") / f"{name}.csv", text)
    sources = load(tmp_path / "data", 3, 4)
    assert sources.train.modes == sources.held_out.modes == (("a", "b") if modes else ("tasks",))
    names = [
        f"{part}/{mode}{i}.csv"
        for part, numbers in (("train", "012"), ("test", "345"))
        for mode in (("a/", "b/") if modes else ("",))
        for i in numbers
    ]
    assert [line.split()[0] for line in sources.files] == names
    for source, allowed in ((sources.train, range(3)), (sources.held_out, range(3, 6))):
        tasks = source.sample(jr.key(0), 100)
        y = sources.scaler.unscale_y(np.asarray(tasks.query.targets).reshape(-1, 1))
        assert set(np.round(y / 10).astype(int).ravel() % 10) == set(allowed)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["train/a/0", "test/a/0", "test/a/1", "val/a/0"], "has train and test, and beside them val. Put the tasks"),
        (["train/0", "test/0", "test/1", "2"], "has train and test, and beside them 2.csv; put it"),
        (["train/a/0", "train/b/0", "test/a/0", "test/a/1"], "has the modes a, b in train and a in test"),
        (["train/a/0", "test/a/0"], r"mode 'a' has only .*test/a/0.csv in test; it takes at least 2 tasks"),
    ],
)
def test_what_is_wrong_with_folders_train_and_test_is_said(tmp_path, files, message):
    for number, name in enumerate(files):
        write(tmp_path / f"{name}.csv", f"x,y\n0,{number}\n1,2\n")
    with pytest.raises(UserError, match=message):
        load(tmp_path, 1, 1)


def test_the_scaler_sees_training_tasks_only_and_is_undone(tmp_path):
    train, test = tmp_path / "train", tmp_path / "test"
    make_folder(train)
    tables = {path: np.loadtxt(path, delimiter=",", skiprows=1) for path in train.rglob("*.csv")}
    for path, table in tables.items():
        rows = "\n".join(f"{x},{y}" for x, y in 1000 * table)
        write(test / path.relative_to(train), f"x,y\n{rows}\n")
    scaler = load(tmp_path, 3, 4).scaler
    points = np.concatenate([*tables.values()])
    np.testing.assert_allclose([*scaler.x_mean, scaler.y_mean], points.mean(0))
    np.testing.assert_allclose([*scaler.x_std, scaler.y_std], points.std(0))
    y = np.array([1.0, 250.0])
    np.testing.assert_allclose(scaler.unscale_y(scaler.scale_y(y)), y, rtol=1e-4)


@pytest.mark.parametrize("command", ["resume", "evaluate"])
def test_a_run_does_not_go_on_with_other_data(run, capsys, command):
    before = (run / "result.json").read_bytes()
    data = run.parent / "data"
    extra, gone, edited = data / "rising" / "4.csv", data / "rising" / "0.csv", data / "falling" / "1.csv"
    texts = {path: path.read_text() for path in (gone, edited)}
    edited.write_text(texts[edited].replace(",", ", ") + "\n")
    try:
        assert load(data, 5, 5, known_files(run)).files == known_files(run), "the numbers are the same"
        edited.write_text(texts[edited] + "\n0,0,0")
        gone.rename(extra)
        code, _, err = mmaml_command(capsys, f"{command} {{}}", run)
    finally:
        extra.unlink()
        for path, text in texts.items():
            path.write_text(text)
    seen = "1 added (rising/4.csv); 1 removed (rising/0.csv); 1 edited (falling/1.csv)"
    assert code == 2 and f"no longer holds what this run was begun with: {seen}" in err and "start a new run" in err
    assert (run / "result.json").read_bytes() == before
    assert mmaml_command(capsys, "evaluate {} --tasks 10", run).code == 0


def known_files(run):
    return tuple(json.loads((run / "config.json").read_text())["config"]["data_files"])


@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 3, -7.3e5, 1e-9])
def test_a_constant_column_scales_to_nothing_and_others_keep_their_digits(constant):
    x = np.column_stack([np.full(1000, constant), 1.7e9 + np.arange(1000) % 2])
    scaler = Scaler.fit(x, np.full(1000, constant))
    np.testing.assert_allclose(scaler.scale_x(x)[:, 0], 0, atol=1e-6)
    np.testing.assert_allclose(scaler.scale_y(np.full(3, constant)), 0, atol=1e-6)
    np.testing.assert_allclose(scaler.scale_x(x)[:, 1], np.tile([-1, 1], 500), atol=1e-5)
    assert scaler.scale_x(np.array([[constant + 1, 0]]))[0, 0] == pytest.approx(1)


def test_a_run_with_a_constant_input_trains(run):
    final = json.loads((run / "result.json").read_text())["stages"][-1]
    assert 0 < final["mean"] < 20


def test_the_interval_is_over_held_out_files_however_many_tasks_are_drawn(run, capsys):
    widths = []
    for tasks in (100, 2000):
        code, out, _ = mmaml_command(capsys, f"evaluate {{}} --tasks {tasks} --json", run)
        result = json.loads(out)
        assert code == 0 and result["held_out_files"] == 4 and list(result["stages"][-1]["per_mode"]) == MODES
        assert len(np.unique(np.load(run / "groups.npy"))) == 4
        reference, final = result["reference"], result["stages"][-1]
        assert reference["name"] == "Gaussian process" and list(reference["per_mode"]) == MODES
        assert result["excess"]["mean"] == pytest.approx(final["mean"] - reference["mean"], abs=1e-9)
        widths.append(result["stages"][-1]["ci95"])
    assert widths[1] > 0.5 * widths[0]


def test_the_files_take_turns(tmp_path):
    make_folder(tmp_path, files=20)
    train = load(tmp_path, 3, 4).train
    for n, each in ((32, 1), (64, 2)):
        drawn = train.sample(jr.key(n), n)
        pairs, counts = np.unique(np.stack([drawn.mode, drawn.origin]), axis=1, return_counts=True)
        assert pairs.shape == (2, 32) and set(counts) == {each}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no CSV files"),
        ({"a.csv": "x,y\n1,2\n"}, "a.csv has 1 points, but a task needs 2 support and 2 query"),
        ({"a.csv": "x,y\n1,2\n1,oops\n"}, "a.csv, row 3, column y: 'oops' is not a finite number"),
        ({"a.csv": "x,y\n1,2\nnan,1\n"}, "a.csv, row 3, column x: 'nan' is not a finite number"),
        ({"a.csv": "x,y\n\n1,2\n\n1,\n"}, "a.csv, row 5, column y: '' is not a finite number"),
        ({"a.csv": 'x,y\n1,"2,5"\n'}, "a.csv, row 2, column y: '2,5' is not a finite number such as -1.5"),
        ({"a.csv": "x,y\n1\n"}, r"a.csv, row 2 has 1 cells \(1\), but the header has 2 \(x, y\)"),
        ({"a.csv": "x,y\n1,2\n1,5,2,5\n"}, r"a.csv, row 3 has 4 cells \(1, 5, 2, 5\), but the header has 2"),
        ({"a.csv": "x;y\n1.000,5;2\n"}, "a.csv has '1.000,5' in row 2: either commas or points are decimal, not both"),
        ({"a.csv": "x;y\n1.234;0,5\n"}, "a.csv has '1.234' in row 2 and '0,5' in row 2: either commas or points"),
        ({"a.csv": "x\ty\n1,234\t0.5\n"}, "a.csv has '1,234' in row 2 and '0.5' in row 2"),
        ({"a.csv": "x;y\n1;2;3\n"}, r"header has 2 \(x, y\). Both must have the same; numbers may have commas"),
        (
            {"a.csv": "# Made by A\nx,y\n1,2\n"},
            r"row 2 has 2 cells \(x, y\).*must name the columns: take",
        ),
        ({"a.csv": "x,z\n1,2\n"}, "there must be one column y"),
        ({"a.csv": "x,y,y\n1,2,3\n"}, "there must be one column y"),
        *(
            ({"a.csv": f"{header}\n" + "1," * header.count(",") + "1\n"}, "inputs must be x, or x1, x2")
            for header in ("x1,x3,y", "x0,x1,y", "x,x1,y", "x1,X2,y", "x1,x02,y", "x1,x2,y,x9", "x,x,y")
        ),
        ({"a.csv": 'x,y,note\n1,2,"a\n3,4,b\n'}, "a.csv cannot be read as CSV"),
        ({"a.csv": "x,y\n1,2\n1,1e200\n"}, r"a.csv, row 3, column y: '1e200' is beyond ±1e\+70"),
        ({"m/a.csv": "x,y\n1,2\n", "m/very/deep/b.csv": "x,y\n1,2\n"}, "m/very/deep/b.csv lies too deep"),
        ({"a.csv": "y\n1\n"}, "inputs must be x, or x1, x2"),
        ({"a.csv": ""}, "has no rows"),
        ({"m/a.csv": "x,y\n1,2\n", "b.csv": "x,y\n1,2\n"}, "both sub-folders and b.csv"),
        ({"m/a.csv": "x,y\n1,2\n", "n/deep/b.csv": "x,y\n1,2\n"}, "n/deep/b.csv lies too deep"),
        ({"a.csv": "x,y\n" + "1,2\n" * 4, "b.csv": "x1,x2,y\n" + "1,2,3\n" * 4}, "2 input columns"),
        ({"a.csv": "x,y\n" + "1,2\n" * 4, "b.csv": "x,y\n" + "1,2\n" * 4}, "b.csv; it takes at least 3 tasks"),
        ({"a.csv": b"\xff\xfe\x00"}, "cannot be read as CSV"),
        ({"a.csv": "x,y\n1,2\n1,2021_05\n"}, "a.csv, row 3, column y: '2021_05' is not a finite number"),
        ({"a.csv": "x,y\n١,2\n"}, "a.csv, row 2, column x: '١' is not a finite number"),
        ({"a.csv": "task,x,y\na,1,2\nb,1,2\n"}, "a.csv has points of 2 tasks, says its column `task`"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, files, message):
    for name, content in files.items():
        path = write(tmp_path / name, "")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message):
        load(tmp_path, shots=2, queries=2)


@pytest.mark.parametrize(
    "text",
    ["x;y;Temp, °C\n1,5;2,5;20\n", "x;y\r1,5;2,5\r", '"x", "y"\n"1.5", "2.5"\n'],
)
def test_columns_are_told_apart_by_the_names_of_those_that_count(tmp_path, text):
    points = read_points(write(tmp_path / "a.csv", text))
    assert points.x.tolist() == [[1.5]] and points.y.tolist() == [2.5]


def test_targets_that_are_too_small_are_refused_and_a_kind_that_is_small_beside_others_is_spoken_of(tmp_path):
    for mode, size in (("big", 1e6), ("small", 1e-3)):
        for i in range(3):
            write(tmp_path / mode / f"{i}.csv", f"x,y\n1,{size * (i + 1)}\n2,{-size}\n")
    with pytest.warns(Note, match=r"the targets of small have a standard deviation of 0\.00\d+, and those of"):
        load(tmp_path, 1, 1)
    for i in range(3):
        write(tmp_path / "tiny" / f"{i}.csv", f"x,y\n1,{i}e-200\n2,5e-200\n")
    with pytest.raises(UserError, match=r"below 1e-70 are none\. Use smaller units"):
        load(tmp_path / "tiny", 1, 1)


@pytest.mark.parametrize("text", ["1", "-1.5", "+.5", "5.", "1e3", "-2.5E-07", "00012"])
def test_numbers_are_read_as_people_write_them(tmp_path, text):
    assert read_points(write(tmp_path / "a.csv", f"x,y\n0,{text}\n")).y.tolist() == [float(text)]


def test_what_is_not_read_is_spoken_of(tmp_path):
    for i in range(3):
        write(tmp_path / f"{i}.csv", f"x1,x_2,y,mode\n1,2,{i},a\n1,2,3,b\n")
    for name in ("readme.txt", "b/c.tsv", ".hidden", ".git/config"):
        write(tmp_path / name, "")
    with pytest.warns(Note) as notes:
        load(tmp_path, 1, 1)
    said = sorted(str(note.message) for note in notes)
    assert said == [
        f"columns of {tmp_path} that are not read: x_2, mode (in a folder, sub-folders are the modes).",
        f"files in {tmp_path} that are left out, since they are no CSV files: b/c.tsv, readme.txt.",
    ]


def test_points_far_from_what_was_trained_on_are_spoken_of(run, recwarn, tmp_path):
    """The training tasks have x1 from -1 to 1, x2 0.1 everywhere, and y from -4 to 4."""
    model = mmaml.load(run)
    task = model.adapt([[0.5, 0.1], [-1.3, 0.1]], [1.0, -2.6])
    task.predict([[1.5, 0.1]])
    assert not [note for note in recwarn if note.category is Note]
    with pytest.warns(Note, match=r"^x lies up to .* times as far from the mean of what .* units"):
        task.predict([[500.0, 0.1]])
    with pytest.warns(Note, match=r"^y lies up to"):
        model.adapt([[0.5, 0.1], [-1.3, 0.1]], [1000.0, -2600.0])
    model.save(tmp_path / "model.safetensors")
    assert mmaml.load(tmp_path / "model.safetensors").scaler.y_farthest == model.scaler.y_farthest < 5


def test_columns_without_a_name_are_spoken_of(tmp_path):
    write(tmp_path / "all.csv", ",task,x,y\n" + "".join(f"{i},{i},{i},1\n{i},{i},2,3\n" for i in range(3)))
    with pytest.warns(Note, match="that are not read: one without a name"):
        load(tmp_path / "all.csv", 1, 1)


def test_names_that_are_no_text_are_refused(tmp_path):
    make_folder(tmp_path)
    (tmp_path / "b").rename(tmp_path / os.fsdecode(b"v\xf6gel"))
    with pytest.raises(UserError, match=r"v\\xf6gel is not text in UTF-8. Rename it"):
        load(tmp_path, 1, 1)


def test_every_task_of_a_file_has_a_name_of_its_own(tmp_path):
    names = [("a", "b/c"), ("a/b", "c"), ("a", "b%2Fc"), ("a", "x"), ("a/b", "y"), ("a/b", "z")]
    rows = [f"{mode},{task},{i},{i + j}" for i, (mode, task) in enumerate(names) for j in range(2)]
    file = write(tmp_path / "all.csv", "\n".join(["mode,task,x,y", *rows]))
    listed = [line.rsplit(" ", 1)[0] for line in load(file, 1, 1).files]
    assert len(set(listed)) == len(names) and "a/x" in listed


def gathered(folder):
    """The files of `make_folder(folder)` as one beside it, rows of all tasks in turn; its tasks are t0, t1, …"""
    rows = []
    for path in sorted(folder.glob("*/*.csv")):
        points = path.read_text().split()[1:]
        rows += [(i, f"{path.parent.name}, t{path.stem} ,{point},seen") for i, point in enumerate(points)]
    return write(folder.parent / "all.csv", "\n".join(["mode,task,x,y,note", *(row for _, row in sorted(rows))]))


def test_tasks_of_one_file_are_those_of_as_many(tmp_path):
    make_folder(tmp_path / "many")
    one, many = load(gathered(tmp_path / "many"), 3, 4), load(tmp_path / "many", 3, 4)
    assert [line.replace("/t", "/").replace(" ", ".csv ") for line in one.files] == list(many.files)
    for ours, theirs in ((one.train, many.train), (one.held_out, many.held_out)):
        jax.tree.map(np.testing.assert_array_equal, ours.sample(jr.key(0), 20), theirs.sample(jr.key(0), 20))


def test_a_file_of_tasks_trains_and_must_stay_as_it_is(tmp_path, capsys):
    make_folder(tmp_path / "many")
    file, run = gathered(tmp_path / "many"), tmp_path / "run"
    small = "--budget smoke --meta-iterations 2 --hidden 8 --encoder-hidden 3 --inner-steps 1 --shots 3 --queries 4"
    assert mmaml_command(capsys, f"train regression {small} --data {file} --out {run}").code == 0
    result = json.loads((run / "result.json").read_text())
    assert list(result["stages"][-1]["per_mode"]) == ["a", "b"] and result["held_out_files"] == 4
    file.write_text(file.read_text() + "\na,t0,0.5,0.5,late")
    code, _, err = mmaml_command(capsys, "resume {}", run)
    assert code == 2 and "1 edited (a/t0)" in err
    assert replace(PRESETS["regression"], data=str(file)).short_name == "regression-all"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,2\n", "all.csv has the columns x, y; in a file of many tasks one column `task` must say"),
        ("task,task,x,y\na,a,1,2\n", "one column `task` must say"),
        ("task,mode,mode,x,y\na,b,c,1,2\n", "one column `mode` may say"),
        ("task,x,y\na,1,2\n,3,4\n", "all.csv, row 3, column task is empty"),
        ("task,mode,x,y\na,m,1,2\na, ,3,4\n", "all.csv, row 3, column mode is empty"),
        ("task,x,y\na,1,2\nb,3,four\n", "all.csv, row 3, column y: 'four' is not a finite number"),
        ("task,x,y\na,1,2\n", "all.csv, task a has 1 points, but a task needs 2 support and 2 query points"),
        ("task,x,y\n" + "a,1,2\n" * 4, "mode 'tasks' has only .*all.csv, task a; it takes at least 3 tasks"),
        ("task,y\na,1\n", "the inputs must be x, or x1, x2"),
    ],
)
def test_what_is_wrong_with_a_file_of_tasks_is_named(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        load(write(tmp_path / "all.csv", text), shots=2, queries=2)


@pytest.mark.parametrize(("name", "message"), [("few.csv", "No such file"), ("", "Is a directory")])
def test_a_path_that_is_no_file_is_named(tmp_path, name, message):
    with pytest.raises(UserError, match=f"cannot be read: {message}"):
        read_points(tmp_path / name)


def test_files_are_read_as_programs_write_them(tmp_path):
    """A byte order mark and CRLF (Excel), spaces, a comment column, blank lines, trailing empty rows."""
    text = '\ufeffx, y ,comment\r\n\r\n1, 2,\r\n 3 ,4,"two\nlines"\r\n,,\r\n'
    table = read_points(write(tmp_path / "a.csv", text))
    np.testing.assert_array_equal(table.x, [[1], [3]])
    np.testing.assert_array_equal(table.y, [2, 4])


@pytest.mark.parametrize("mark", [";", "\t"])
def test_files_are_read_as_excel_writes_them_where_numbers_have_commas(tmp_path, mark):
    rows = [["x1", "x2", "y", "task"], ["1,5", "-2", "0,25", "a,b"], ["2,5", "1e-3", "1", "a,b"], ["1", "1", "1", "c"]]
    path = write(tmp_path / "a.csv", "\ufeff" + "\r\n".join(mark.join(row) for row in rows))
    tables = read_tasks_of(path)["tasks"]
    np.testing.assert_array_equal(tables["a,b"].x, [[1.5, -2], [2.5, 1e-3]])
    np.testing.assert_array_equal(tables["a,b"].y, [0.25, 1])


def test_published_families_and_one_s_own_tasks_exclude_each_other(run, capsys):
    code, _, err = mmaml_command(capsys, "train regression-2 --data {}", run.parent / "data")
    assert code == 2 and "must be left out with --data, which is trained on alone: take the preset `regression`" in err


def test_copies_of_a_task_are_spoken_of(tmp_path):
    make_folder(tmp_path)
    write(tmp_path / "b" / "9.csv", (tmp_path / "a" / "0.csv").read_text() + "\n")
    with pytest.warns(Note, match="b/9.csv holds the same numbers as a/0.csv[.] Learnt"):
        load(tmp_path, 3, 4)


def linear_model(y_mean=0.0, y_std=1.0):
    """An untrained model of two inputs, in units of its own."""
    config = replace(PRESETS["regression"], hidden=(8,), encoder_hidden=3)
    learner = make_learner(config, in_size=2, modes=1, key=jr.key(0))
    scaler = Scaler(np.zeros(2), np.ones(2), y_mean, y_std)
    return RegressionModel(config, learner, scaler, ("tasks",), None)


@pytest.mark.parametrize(("y_mean", "y_std"), [(1.7e9, 10.0), (0.0, 1e-23), (-5.0, 1e23)])
def test_predictions_are_written_with_all_digits_that_mean_something(tmp_path, y_mean, y_std):
    model = linear_model(y_mean, y_std)
    rows = [f"{i},{-i},{y_mean + y_std * i}" for i in range(-2, 3)]
    support = write(tmp_path / "s.csv", "\n".join(["x1,x2,y", *rows]))
    written = [row["y"] for row in adapt_files(model, support, support, steps=1, mode=None).rows]
    table = read_points(support)
    predicted = model.adapt(table.x, table.y, steps=1).predict(table.x)
    assert len(set(written)) == 5
    np.testing.assert_allclose(np.subtract(written, predicted) / y_std, 0, atol=1e-6)


def test_predictions_are_judged_where_the_query_has_answers(tmp_path):
    model = linear_model()
    support = write(tmp_path / "s.csv", "x1,x2,y\n1,2,3\n0,1,0\n2,2,-1\n")
    query = write(tmp_path / "q.csv", "x1,x2,y\n1,1,0.5\n3,0,\n0,0,-2\n")
    made = adapt_files(model, support, query, steps=1, mode=None)
    y = [row["y"] for row in made.rows]
    assert [row["given"] for row in made.rows] == [0.5, None, -2.0]
    assert made.score == ("mean squared error", pytest.approx(((y[0] - 0.5) ** 2 + (y[2] + 2) ** 2) / 2, rel=1e-4), 2)
    assert made.to_csv().splitlines()[2].endswith(f"{y[1]},")
    write(query, "x1,x2,y\n1,1,\n3,0,\n")
    unknown = adapt_files(model, support, query, steps=1, mode=None)
    assert unknown.score is None and [*unknown.rows[0]] == ["x1", "x2", "y"]
    write(query, "x1,x2,y\n1,1,about 3\n")
    with pytest.raises(UserError, match=r"q[.]csv, row 2, column y: 'about 3' is not a finite number"):
        adapt_files(model, support, query, steps=1, mode=None)


def test_the_score_is_scikit_learn_s():
    x, y = np.array([[0.0, 1.0], [2.0, -1.0], [0.5, 3.0], [1.0, 1.0]]), np.array([1.0, 2.0, -1.0, 0.0])
    fitted = linear_model().adapt(x, y)
    assert fitted.score(x, y) == pytest.approx(r2_score(y, fitted.predict(x)), rel=1e-6)
    with pytest.raises(ValueError, match="x has 4 points and y 3"):
        fitted.score(x, y[:3])
    with pytest.raises(ValueError, match=r"y is 2[.]0 at all 4 points"):
        fitted.score(x, [2, 2, 2, 2])
    with pytest.raises(ValueError, match=r"y is 0.1 at all 4 points; R² is of what varies"):
        fitted.score(x, [0.1, 0.1, 0.1, 0.1])  # whose variance is not 0 but a rounding error
    with pytest.raises(ValueError, match="y has no points"):
        fitted.score(np.zeros((0, 2)), [])


def test_columns_of_a_data_frame_are_known_by_name():
    class Frame(np.ndarray):
        """What a model sees of a data frame."""

        columns = ("note", "x2", "x1")

        def __getitem__(self, names):
            return np.asarray(self)[:, [self.columns.index(name) for name in names]]

    model = linear_model()
    x = np.array([[0.0, 1.0], [2.0, -1.0], [0.5, 3.0]])
    frame = np.column_stack([np.zeros(3), x[:, 1], x[:, 0]]).view(Frame)
    fitted = model.adapt(frame, [1, 2, 3])
    np.testing.assert_array_equal(fitted.predict(frame), model.adapt(x, [[1], [2], [3]]).predict(x))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.array(["1970-01-01"], "datetime64[D]"), [1], "x must be finite numbers: it is of the type datetime64"),
        ([1 + 2j], [1], "x must be finite numbers: it is of the type complex128"),
        ([[1, 2], [3, 4]], [[1, 2]], r"y has the shape \(1, 2\); it must be \(points,\)"),
        ([[1, 2], [3, 4]], np.ma.masked_array([1.0, 2.0], [False, True]), "y must be finite numbers"),
        ([[1, None], [3, 4]], [1, 2], "x must be finite numbers"),
        ([[1, "two"], [3, 4]], [1, 2], "x must be finite numbers"),
        ([[1, 2], [3, 4]], [1, 1e300], r"y lies 1e\+300 standard deviations from what the model was trained on"),
    ],
)
def test_a_model_says_what_it_cannot_learn_from(x, y, message):
    with pytest.raises(ValueError, match=message):
        linear_model().adapt(x, y)


def test_errors_are_reckoned_in_double_precision(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(4):
        rows = [f"{x},{6e23 * x}" for x in rng.uniform(-1, 1, 12)]
        write(tmp_path / "data" / f"{i}.csv", "\n".join(["x,y", *rows]))
    small = "--budget smoke --meta-iterations 2 --hidden 8 --encoder-hidden 3 --inner-steps 1"
    assert main(f"train regression {small} --data {tmp_path / 'data'} --out {tmp_path / 'run'}".split()) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert 1e44 < result["stages"][-1]["mean"] < 1e49 and np.isfinite(result["stages"][-1]["ci95"])


def test_hidden_files_are_no_tasks_and_endings_may_be_capitals(tmp_path):
    make_folder(tmp_path)
    (tmp_path / "a" / "0.csv").rename(tmp_path / "a" / "0.CSV")
    for name in ("a/._0.csv", ".hidden/0.csv", "a/.ipynb_checkpoints/0.csv"):
        write(tmp_path / name, "not a task")
    names = [line.split()[0] for line in load(tmp_path, 3, 4).files]
    assert names == ["a/0.CSV", *(f"a/{i}.csv" for i in range(1, 6)), *(f"b/{i}.csv" for i in range(6))]


@pytest.mark.parametrize("wrong", ["support", "query"])
def test_adapting_with_other_inputs_names_the_file_and_the_columns(tmp_path, wrong):
    files = {name: "x,y\n1,2\n" if name == wrong else "x1,x2,y\n1,2,3\n" for name in ("support", "query")}
    support, query = (write(tmp_path / f"{name}.csv", text) for name, text in files.items())
    config = PRESETS["regression"]
    learner = eqx.filter_eval_shape(lambda key: make_learner(config, in_size=2, modes=1, key=key), jr.key(0))
    model = RegressionModel(config, learner, Scaler.identity(2), ("tasks",), None)
    with pytest.raises(UserError, match=f"{wrong}.csv has the input columns x, but the model was trained on x1, x2"):
        adapt_files(model, support, query, steps=None, mode=None)
