import io
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mmaml.report.differences import differences
from mmaml.report.html import write_report
from mmaml.report.read import by_setting, duration, read_runs
from mmaml.report.tables import Estimate, modes_table, own_notes, results_for_terminal, results_table, stages_table
from mmaml.runs.errors import UserError
from mmaml.runs.folder import RunFolder


NASTY = '<script>alert("x")</script>|_$y$'
MODES = ("sinusoid", "linear")
GLOSSARY = {
    "fits": "Predictions on one task of each kind",
    "embedding": "A map of tasks",
    "bayes-optimal, told": "is the limit of those who are told",
}
PROVENANCE = {
    "command": "mmaml train",
    "commit": "abc123",
    "versions": {"jax": "0.9.9"},
    "machine": "x86_64",
    "devices": 2,
}

MakeRun = Callable[..., RunFolder]


def estimate(mean: float) -> dict:
    return {"mean": mean, "ci95": mean / 100, "per_mode": {mode: {"mean": mean, "ci95": 0.01} for mode in MODES}}


@pytest.fixture
def make_run(tmp_path) -> MakeRun:
    """Write a run whose error falls from `means[0]` to `means[-1]`; without means it is unfinished."""

    def make(name: str, *means: float, preset: str = "regression-2", rows: int = 5, **fields) -> RunFolder:
        folder = RunFolder(tmp_path / name.replace("/", "∕"))
        folder.path.mkdir()
        config = {"domain": "regression", "config": {"preset": preset, "learner": "mmaml", "note": name}, **PROVENANCE}
        folder.config_path.write_text(json.dumps(config))
        losses = [4.0 / i for i in range(1, rows + 1)]
        metrics = [
            {"step": 100 * i, "seconds": 2.0 * i, "loss": y, "query": y, "query_ci95": y / 10, "query_before": 5.0}
            for i, y in enumerate(losses, start=1)
        ]
        folder.metrics_path.write_text("".join(json.dumps(row) + "\n" for row in metrics))
        if means:
            result = {
                **{"preset": preset, "learner": "mmaml", "modulation": "film", "budget": "demo", "seed": 0},
                **{"data": "functions", "metric": "mse", "lower_is_better": True, "tasks": 1234},
                **{"meta_iterations": 500, "trained": 500, "planned": 500, "train_seconds": 75.0},
                **{**PROVENANCE, "evaluated": PROVENANCE},
                "stages": [{"steps": i, **estimate(mean)} for i, mean in enumerate(means)],
                "reference": {"name": "bayes-optimal", **estimate(0.188)},
                "excess": {"mean": means[-1] - 0.188, "ci95": 0.002},
                **fields,
            }
            folder.result_path.write_text(json.dumps(result))
        return folder

    return make


class Page(HTMLParser):
    """Collects what the tests ask about a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.source = path.read_text()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture
def page_of(tmp_path) -> Callable[..., Page]:
    def write(*folders: RunFolder) -> Page:
        write_report(folders, tmp_path / "page.html", GLOSSARY)
        return Page(tmp_path / "page.html")

    return write


def assert_self_contained(page: Page) -> None:
    assert {"script", "link", "iframe", "object", "embed", "base"}.isdisjoint(tag for tag, _ in page.tags)
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, attributes)
    assert "@import" not in page.source
    assert page.source.replace("url(#", "").count("url(") == 0


def test_one_run(make_run, page_of):
    folder = make_run("mine", 2.421, 0.9, 0.336)
    folder.figures_path.mkdir()
    (folder.figures_path / "fits.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder.figures_path / "embedding.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder.figures_path / "embedding.json").write_text('{"neighbour_accuracy": 0.713, "k": 15, "tasks": 1500}')
    (folder.figures_path / "other.png").write_bytes(b"\x89PNG")
    page = page_of(folder)
    assert_self_contained(page)
    expected = ("2.421 ± 0.024", "0.336 ± 0.003", "0.188 ± 0.002", "+0.148 ± 0.002", "1,234", "75 s")
    for text in (*expected, "mmaml · film", "bayes-optimal", "abc123", "0.9.9", "mmaml train", "71.3%", "other"):
        assert text in page.text, text
    assert page.count("img") == 3
    assert page.text.index("Predictions on one task") < page.text.index("71.3%") < page.text.rindex("other")
    charts = [attributes for tag, attributes in page.tags if tag == "svg" and attributes.get("class") != "swatch"]
    assert len(charts) == 3


def test_several_runs_of_several_settings(make_run, page_of):
    folders = [
        make_run("film", 2.4, 0.3),
        make_run("maml", 4.0, 1.1, learner="maml", modulation=None),
        make_run("lstm", 0.36, learner="lstm"),
        make_run("five", 2.1, 0.868, preset="regression-5"),
    ]
    page = page_of(*folders)
    assert_self_contained(page)
    assert [name for name, _ in by_setting(read_runs(folders))] == ["regression-2", "regression-5"]
    assert "4 runs compared" in page.text
    assert "0.868 ± 0.009" in page.text
    assert page.count("table") == 6


def test_only_runs_on_the_same_data_are_compared_and_the_finished_come_first(make_run):
    folders = [make_run("young"), make_run("a", 2.0, 0.5), make_run("b", 2.0, 0.6), make_run("elsewhere", 1.0, 0.1)]
    for folder, data in zip(folders, ["one", "one", "one", "two"], strict=True):
        stored = json.loads(folder.config_path.read_text())
        stored["config"]["data"] = data
        folder.config_path.write_text(json.dumps(stored))
    members = [(name, [run.label for run in runs]) for name, runs in by_setting(read_runs(folders))]
    assert members == [("regression-2 (data one)", ["a", "b", "young"]), ("regression-2 (data two)", ["elsewhere"])]


def test_only_runs_on_the_same_content_of_one_s_own_data_are_compared(make_run):
    folders = [make_run("a", 2.0, 0.5), make_run("b", 2.0, 0.6), make_run("c", 2.0, 0.7)]
    for folder, digests in zip(folders, [["1"], ["1"], ["2"]], strict=True):
        stored = json.loads(folder.config_path.read_text())
        stored["config"] |= {"data": ["birds"], "data_digests": digests}
        folder.config_path.write_text(json.dumps(stored))
    (first, ab), (second, c) = by_setting(read_runs(folders))
    assert [run.label for run in ab] == ["a", "b"] and [run.label for run in c] == ["c"]
    assert first != second and first.startswith("regression-2 (content ")


def test_runs_of_other_tasks_are_no_rivals(make_run):
    folders = [make_run("a", 2.0, 0.5), make_run("b", 2.0, 0.6), make_run("c", 2.0, 0.7, preset="regression-3")]
    stored = json.loads(folders[1].config_path.read_text())
    stored["config"] |= {"shots": 10, "families": ["sinusoid", "linear"]}
    folders[1].config_path.write_text(json.dumps(stored))
    assert [name for name, _ in by_setting(read_runs(folders))] == [
        "regression-2 (families –; shots –)",
        "regression-2 (families sinusoid, linear; shots 10)",
        "regression-3",
    ]


def test_pictures_side_by_side_go_by_the_labels_of_the_runs(make_run, tmp_path):
    seen = []
    folders = [make_run("young"), make_run("a", 2.0, 0.5), make_run("b", 2.0, 0.6), make_run("stopped", 2.0, 0.7)]
    for folder in folders[1:3]:
        folder.model_path.touch()
    write_report(folders, tmp_path / "page.html", {}, lambda runs: seen.append(runs) or {})
    assert seen == [{"a": folders[1], "b": folders[2]}]


def test_names_are_escaped_everywhere(make_run, page_of):
    folders = [make_run(NASTY, 2.0, 0.5), make_run("plain", 2.0, 0.6)]
    result = json.loads(folders[0].result_path.read_text())
    for stage in result["stages"]:
        stage["per_mode"] = {NASTY: estimate(1.0)}
    folders[0].result_path.write_text(json.dumps(result))
    page = page_of(*folders)
    assert_self_contained(page)
    assert NASTY in page.text
    assert "<script" not in page.source


def test_a_picture_of_a_run_cannot_run_scripts(make_run, page_of):
    folder = make_run("mine", 2.0, 0.5)
    folder.figures_path.mkdir()
    (folder.figures_path / "fits.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>")
    assert_self_contained(page_of(folder))


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_an_unfinished_run_says_so(make_run, page_of, rows):
    folder = make_run("young", rows=rows)
    page = page_of(folder)
    assert_self_contained(page)
    assert "not finished" in page.text
    assert f"mmaml resume {folder.path}" in page.text
    assert ("has come to meta-iteration 500" in " ".join(page.text.split())) == (rows == 5)


def test_results_table_and_its_best(make_run):
    folders = [make_run("a", 2.4, 0.3), make_run("b", 2.2, 0.4), make_run("c"), make_run("d", 9.0)]
    table = results_table(read_runs(folders))
    assert table.columns[:4] == ("learner", "post-modulation", "post-adaptation", "vs bayes-optimal")
    assert [row.name for row in table.rows] == ["a", "b", "c", "d", "bayes-optimal"]
    assert [row.reference for row in table.rows] == [False] * 4 + [True]
    shown = [[str(cell) for cell in row.cells] for row in table.rows]
    assert shown[0] == ["mmaml · film", "2.400 ± 0.024", "0.300 ± 0.003", "+0.112 ± 0.002", "500", "75 s", "1,234"]
    assert shown[2] == ["mmaml", "not finished", "not finished", "–", "500", "10 s", "–"]
    assert shown[4][:4] == ["–", "–", "0.188 ± 0.002", "–"] and len(shown[4]) == len(table.columns)
    best = {(row.name, str(cell)) for row in table.rows for cell in row.cells if getattr(cell, "best", False)}
    assert best == {("a", "0.300 ± 0.003"), ("b", "2.200 ± 0.022")}


@pytest.mark.parametrize(
    ("mean", "ci95", "text"),
    [
        (5.4e-5, 1.2e-6, "5.4e-05 ± 1.2e-06"),
        (0.0, 0.0, "0.000 ± 0.000"),
        (0.002, 0.4, "0.002 ± 0.400"),
        (-444.4, 6.8, "-444.4 ± 6.8"),
        (3e46, 2e45, "3e+46 ± 2e+45"),
    ],
)
def test_numbers_of_all_sizes_can_be_read(mean, ci95, text):
    assert str(Estimate(mean, ci95)) == text


def test_every_run_is_compared_with_the_limit_of_what_it_knows(make_run, page_of):
    told = {
        "reference": {"name": "bayes-optimal, told", **estimate(0.1)},
        "excess": {"mean": 0.3, "ci95": 0.1},
    }
    folders = [make_run("a", 2.4, 0.3), make_run("b", 2.2, 0.4, **told)]
    table = results_table(read_runs(folders))
    assert table.columns[3] == "vs its limit" and [str(row.cells[3]) for row in table.rows[:2]] == [
        "+0.112 ± 0.002",
        "+0.300 ± 0.100",
    ]
    assert [row.name for row in table.rows[2:]] == ["bayes-optimal", "bayes-optimal, told"]
    text = " ".join(page_of(*folders).text.split())
    assert "Dashed: bayes-optimal; bayes-optimal, told." in text
    assert "The row bayes-optimal, told is the limit of those who are told." in text


def test_higher_can_be_better(make_run):
    better = {"metric": "accuracy", "lower_is_better": False}
    runs = read_runs([make_run("a", 0.5, 0.7, **better), make_run("b", 0.4, 0.9, **better)])
    assert [row.cells[0] for row in stages_table(runs).rows] == [Estimate(0.5, 0.005, best=True), Estimate(0.4, 0.004)]
    assert [row.cells[0] for row in modes_table(runs).rows[:2]] == [Estimate(0.7, 0.01), Estimate(0.9, 0.01, best=True)]


def test_an_unmodulated_stage_stands_beside_that_of_others_and_is_not_post_modulation(make_run):
    unmodulated, other = make_run("mmaml", 7.0, 2.0), make_run("maml", 8.0, 3.0)
    result = json.loads(unmodulated.result_path.read_text())
    result["stages"][0]["modulated"] = False
    unmodulated.result_path.write_text(json.dumps(result))
    table = results_table(read_runs([unmodulated, other]))
    assert table.columns[1:3] == ("before any step", "post-adaptation")
    assert [str(row.cells[1]) for row in table.rows[:2]] == ["7.000 ± 0.070", "8.000 ± 0.080"]
    assert stages_table(read_runs([unmodulated, other])).columns[0] == "0 steps"
    assert results_table(read_runs([other])).columns[1] == "post-modulation"


def test_terminal(make_run):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(results_for_terminal(read_runs([make_run("[bold]odd", 2.4, 0.3), make_run("b", 2.2, 0.4)])))
    text = console.export_text()
    assert "[bold]odd" in text
    assert "regression-2" in text
    for number in ("2.400 ± 0.024", "0.300 ± 0.003", "+0.112 ± 0.002"):
        assert number in text


@pytest.mark.parametrize("width", [50, 60, 80])
def test_a_narrow_terminal_takes_no_digits_off(make_run, width):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(results_for_terminal(read_runs([make_run("a-run-of-a-long-name", 123.4, 0.321)])))
    words = console.export_text().split()
    assert {"0.321", "0.003", "123.4", "1.2"} <= set(words)


def test_names_in_a_terminal_go_without_the_setting_in_the_title(make_run):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(results_for_terminal(read_runs([make_run("regression-2-a-run", 2.4, 0.3)])))
    assert [line.split()[0] for line in console.export_text().splitlines() if "a-run" in line] == ["a-run"]


def with_values(folder: RunFolder, after, groups=None) -> RunFolder:
    """The run with the errors of single tasks after adaptation."""
    np.save(folder.values_path, np.stack([np.full(len(after), 9.0), after], 1))
    if groups is not None:
        np.save(folder.groups_path, groups)
    return folder


def test_runs_of_a_setting_are_compared_task_by_task(make_run, tmp_path):
    maml = with_values(make_run("maml", 9.0, 2.0), [1.0, 2.0, 3.0, 2.0])
    ours = with_values(make_run("mmaml", 9.0, 1.5), [0.5, 1.5, 2.0, 2.0])
    unlike = with_values(make_run("fewer", 9.0, 1.5), [0.5, 1.5])
    runs = [maml, ours, unlike, make_run("without", 9.0, 1.5), make_run("unfinished")]
    gaps = np.array([-0.5, -0.5, -1.0, 0.0])
    words = f"mmaml minus maml, task by task: -0.500 ± {1.96 * gaps.std(ddof=1) / 2:.3f}."
    assert differences(read_runs(runs)) == [words]
    write_report(runs, tmp_path / "page.html", GLOSSARY)
    assert words in Page(tmp_path / "page.html").text
    assert differences(read_runs([ours])) == differences(read_runs([])) == []


def test_differences_on_tasks_of_files_count_the_files(make_run):
    values, groups = ([1.0, 1.0, 2.0, 2.0], [0.5, 0.5, 2.0, 2.0]), [0, 0, 1, 1]
    runs = [make_run(name, 9.0, 1.5, held_out_files=2) for name in ("maml", "mmaml")]
    assert differences(read_runs([with_values(*both) for both in zip(runs, values, strict=True)])) == []
    grouped = [with_values(*both, groups) for both in zip(runs, values, strict=True)]
    # Two means, -0.5 and 0, and Student's t for one degree of freedom.
    assert differences(read_runs(grouped)) == [f"mmaml minus maml, task by task: -0.250 ± {12.7062 * 0.25:.3f}."]


def test_what_results_say_alike_is_said_once(make_run):
    runs = read_runs(
        [make_run(name, 9.0, 1.5, note=note) for name, note in (("a", "few"), ("b", "few"), ("c", "many"))]
    )
    assert own_notes(runs) == ["a, b: few", "c: many"]
    assert own_notes(runs[:2]) == ["few"]
    assert own_notes([*runs[:2], *read_runs([make_run("d", 9.0, 1.5)])]) == ["a, b: few"]


def test_mistakes_are_named(make_run, tmp_path):
    with pytest.raises(UserError, match="at least one run"):
        write_report([], tmp_path / "page.html", {})
    folder = make_run("old", 2.0, 0.5)
    folder.result_path.write_text('{"preset": "regression-2"}')
    with pytest.raises(UserError, match=r"result\.json lacks budget, .* versions: .*mmaml evaluate"):
        write_report([folder], tmp_path / "page.html", {})
    folder.result_path.write_text("{")
    with pytest.raises(UserError, match="cannot be read as JSON"):
        write_report([folder], tmp_path / "page.html", {})


def test_runs_of_the_same_name_are_told_apart(make_run, tmp_path):
    one = make_run("a", 2.0, 0.5)
    (tmp_path / "elsewhere").mkdir()
    other = RunFolder(one.path.rename(tmp_path / "elsewhere" / "a"))
    labels = [run.label for run in read_runs([other, make_run("a", 2.0, 0.5), make_run("b", 1.0)])]
    assert labels == [str(tmp_path / "elsewhere" / "a"), str(tmp_path / "a"), "b"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99.4, "99 s"), (120, "2 min"), (5400, "90 min"), (7260, "2 h 01 min")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text
