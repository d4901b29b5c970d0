"""Every command and every program in the README and the docs runs, at tiny size."""

import json
import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmaml.cli import main


ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "README.md"
PAGES = [ROOT / "README.md", RESULTS, ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
INTERVAL = r"-?[\d.]+ ± [\d.]+"
POLICY = "--tasks-per-step 2 --rollouts 2 --hidden 8 --encoder-hidden 4"
TINY = {
    "regression": "--tasks-per-mode 1 --hidden 6 --encoder-hidden 3",
    "classification": "--meta-batch 2 --queries 2 --way 2 --channels 4 6 --embedding 5",
    **dict.fromkeys(("policy", "point", "reacher", "ant", "navigation", "cheetah"), POLICY),
}


def blocks(language):
    text = "\n".join(page.read_text() for page in PAGES)
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with the files that the commands name."""
    folder = tmp_path_factory.mktemp("docs")
    for run in re.findall(r'"(results/runs/[\w-]+)"', "".join(blocks("python"))):
        shutil.copytree(ROOT / run, folder / run)
    rng = np.random.default_rng(0)
    for kind, slope in (("decay", -1), ("growth", 1)):
        (folder / "my-tasks" / kind).mkdir(parents=True)
        for i in range(5):
            points = np.column_stack([x := rng.uniform(0, 4, 12), 10 + slope * i * x])
            np.savetxt(folder / "my-tasks" / kind / f"{i}.csv", points, delimiter=",", header="x,y", comments="")
    for name in ("turntable", "cart"):
        program = next(p for p in blocks("python") if f"class {name.capitalize()}(" in p)
        (folder / f"{name}.py").write_text(program)
    (folder / "few.csv").write_text("x,y\n1,2\n2,3\n")
    (folder / "where.csv").write_text("x\n1.5\n")
    for place in ("photos", "sketches", "few", "many"):
        for name in ("",) if place == "many" else "abcdefgh"[: 2 if place == "few" else 8]:
            (folder / place / name).mkdir(parents=True)
            for i in range(4):
                Image.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)).save(
                    folder / place / name / f"{i}.png"
                )
    return folder


def test_commands_then_programs(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    monkeypatch.setattr(sys, "path", [*sys.path])
    commands = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("mmaml ")]
    assert len(commands) >= 2
    for command in commands:
        arguments = shlex.split(command, comments=True)[1:]
        if arguments[0] == "train":
            arguments += TINY[arguments[1].split("-")[0]].split()
            arguments += ["--meta-iterations", "2", "--evaluation-tasks", "20", "--inner-steps", "1", "--overwrite"]
        assert main(arguments) == 0, command
    programs = blocks("python")
    assert len(programs) >= 2
    for program in programs:
        exec(program, {})  # the README's own text
    printed = capsys.readouterr().out
    assert "{'sinusoid': 1.0}" in printed
    assert re.search(r"\{'(decay|growth)': [01]\.", printed)


@pytest.mark.parametrize("domain", ["regression", "classification"])
def test_every_option_the_docs_name_exists(capsys, domain):
    for command in (["train", f"{domain}-5"], ["train", domain], ["adapt"]):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
    known = capsys.readouterr().out
    for option in set(re.findall(r"`(--[a-z-]+)[ `]", (ROOT / "docs" / f"{domain}.md").read_text())):
        assert option in known, option


def test_links_between_files_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_numbers_of_the_results_are_those_of_the_tables():
    page = RESULTS.read_text()
    for table in sorted({*RESULTS.parent.glob("*.md"), *RESULTS.parent.glob("*/*.md")} - {RESULTS}):
        place = "" if table.parent == RESULTS.parent else f"{table.parent.name}/"
        assert table.read_text().replace("](", f"]({place}") in page, f"{table.name} is newer than {RESULTS}"
    shown = re.findall(r"\| (-?[\d.]+ ± [\d.]+)", (ROOT / "README.md").read_text())
    assert len(shown) > 20
    assert set(shown) <= set(re.findall(INTERVAL, page))


def test_numbers_of_an_ablation_are_those_of_its_record():
    seen = 0
    for page in PAGES:
        tables = re.findall(r"results/(ablation\w*\.json)`.*?\n((?:\|[^\n]*\n)+)", page.read_text(), re.DOTALL)
        for name, table in tables:
            known = set()

            def note(node, known=known):
                if {"mean", "ci95"} <= node.keys():
                    mean, ci = node["mean"], node["ci95"]
                    known |= {f"{mean:.3f} ± {ci:.3f}", f"{100 * mean:.2f} ± {100 * ci:.2f}"}  # or per cent

            json.loads((RESULTS.parent / name).read_text(), object_hook=lambda node, note=note: note(node) or node)
            shown = set(re.findall(INTERVAL, table))
            assert shown <= known, f"{page.name}, {name}: {shown - known}"
            seen += len(shown)
    assert seen > 50


def test_make_targets_in_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), flags=re.MULTILINE):
        assert f"\n{target}:" in makefile


def test_example_of_a_network_of_one_s_own_learns(capsys):
    example = runpy.run_path(str(ROOT / "examples" / "residual_network.py"))
    assert example["main"](example["Options"](meta_iterations=50, way=3)) > 0.45
    assert "accuracy after 3 gradient steps" in capsys.readouterr().out


def test_example_runs(tmp_path):
    example = runpy.run_path(str(ROOT / "examples" / "curves_of_an_instrument.py"))
    options = example["Options"](folder=tmp_path, tasks=4, meta_iterations=2)
    example["main"](options)
    assert (tmp_path / "fits.png").stat().st_size > 10_000


def test_example_of_how_many_tasks_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "examples")
    example = runpy.run_path(str(ROOT / "examples" / "how_many_curves.py"))
    record = tmp_path / "record.json"
    options = example["Options"](tmp_path, record, curves=(2,), judged_on=2, meta_iterations=2)
    example["main"](options)
    first, printed = record.read_text(), capsys.readouterr().out
    assert [row["curves"] for row in json.loads(first)["rows"]] == [2, 2, 2]
    assert "2 curves of each kind, MMAML without augmentation: " in printed
    assert record.with_suffix(".png").stat().st_size > 10_000
    example["main"](options)
    assert record.read_text() == first
    assert "meta-iterations" not in capsys.readouterr().out


def test_example_of_what_embeddings_say_tells_kind_and_task_apart(tmp_path, capsys):
    example = runpy.run_path(str(ROOT / "examples" / "what_embeddings_say.py"))
    run, record = RESULTS.parent / "runs" / "regression-5-mmaml-film-cpu-seed0", tmp_path / "record.json"
    example["main"](example["Options"]((run,), tasks=60, seen=60, out=record))
    (found,) = json.loads(record.read_text())["runs"]
    errors = {name: row["mean"] for name, row in found["embedding"].items()}
    assert errors["its own"] < errors["the nearest kind's mean"] < errors["the mean of all"]
    assert found["embedding"]["its own"]["minus_its_own"] == {"mean": 0, "ci95": 0}
    assert "the mean of all" in capsys.readouterr().out


def test_example_of_what_embeddings_say_wants_a_modulator():
    example = runpy.run_path(str(ROOT / "examples" / "what_embeddings_say.py"))
    run = RESULTS.parent / "runs" / "regression-5-maml-cpu-seed0"
    with pytest.raises(SystemExit, match="is no run of MMAML"):
        example["main"](example["Options"]((run,), tasks=10))
