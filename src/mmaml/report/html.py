"""One self-contained HTML page about one run or several: no scripts, no fonts or pictures from elsewhere."""

import base64
import importlib.resources
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from mmaml.report.curves import adaptation_curves, learning_curves, mode_bars
from mmaml.report.differences import differences
from mmaml.report.drawing import COLOURS, DARK, GRID, INK, MUTED, PAPER, dashes, inline_svg
from mmaml.report.estimate import Estimate
from mmaml.report.read import (
    Run,
    before_and_after,
    by_setting,
    duration,
    finished,
    metric_name,
    plain,
    read_runs,
    references,
    within,
)
from mmaml.report.tables import (
    Table,
    meta_iterations,
    modes_table,
    own_notes,
    results_table,
    stage_name,
    stages_table,
)
from mmaml.runs.errors import UserError
from mmaml.runs.files import read_json, write_atomically
from mmaml.runs.folder import RunFolder
from mmaml.runs.result import Mean


_MEDIA_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


@dataclass(frozen=True)
class Chart:
    """A chart drawn for the page."""

    title: str
    caption: str
    svg: Markup
    wide: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture found in a run's folder. As the source of an `<img>`, it cannot run scripts in the page."""

    data_uri: str
    caption: str
    note: str | None


@dataclass(frozen=True)
class Setting:
    """Runs that can be compared, and all that is shown of them together."""

    name: str
    runs: list[Run]
    results: Table
    notes: list[str]
    charts: list[Chart]
    numbers: dict[str, Table]


Compare = Callable[[dict[str, RunFolder]], dict[str, Figure]]
"""Draws several runs of one setting, by label, side by side in the way of their domain: pictures by name."""


def write_report(
    folders: Sequence[RunFolder], path: Path, glossary: Mapping[str, str], compare: Compare | None = None
) -> None:
    """Write the page about the runs in `folders` to `path`; runs may be unfinished and of different settings.

    `glossary` says what the pictures in the runs' `figures/`, by file name, and the references of their results are.
    Pictures come in its order; those that it lacks come last, with their name. With `compare`, its pictures of each
    setting that has several finished runs are part of the page.

    Raises `UserError` if there is no run, a file of one is broken, or the page cannot be written.
    """
    if not folders:
        raise UserError("a report needs at least one run.")
    runs = read_runs(folders)
    template = importlib.resources.files("mmaml.report").joinpath("template.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = environment.from_string(template).render(
        title=runs[0].label if len(runs) == 1 else f"{len(runs)} runs compared",
        runs=runs,
        settings=[_setting(name, within(name, members), glossary, compare) for name, members in by_setting(runs)],
        highlights=_highlights(runs[0]) if len(runs) == 1 else [],
        pictures={run.label: found for run in runs if (found := _pictures(run.folder.figures_path, glossary))},
        colours={"ink": INK, "muted": MUTED, "grid": GRID, "paper": PAPER, "accent": COLOURS[0]}
        | {f"series-{i}": colour for i, colour in enumerate(COLOURS)},
        dark=DARK,
        series_count=len(COLOURS),
        dashes=dashes,
        details=_details,
        plain=plain,
    )
    write_atomically(path, page)


def _setting(name: str, runs: list[Run], glossary: Mapping[str, str], compare: Compare | None) -> Setting:
    limits = [reference["name"] for reference in references(runs)]
    limit = f" Dashed: {'; '.join(limits)}." if limits else ""
    drawn = [
        (
            learning_curves(runs),
            "Learning",
            "Result on validation tasks while meta-training; the band is a 95 % interval." + limit,
            True,
        ),
        (adaptation_curves(runs), "Adaptation", "Evaluation after each gradient step on a new task." + limit, False),
        (mode_bars(runs), "Kinds of task", "Final evaluation for every kind of task." + limit, False),
    ]
    done = {run.label: run.folder for run in runs if run.folder.has_ended()}
    if compare and len(done) > 1:
        drawn += [(figure, key.capitalize(), glossary.get(key, key), True) for key, figure in compare(done).items()]
    charts = [Chart(title, caption, _inline(f), wide) for f, title, caption, wide in drawn if f is not None]
    numbers = {"Gradient steps": stages_table(runs), "Kinds of task, after the last step": modes_table(runs)}
    numbers = {title: table for title, table in numbers.items() if table.columns}
    return Setting(name, runs, results_table(runs), _notes(runs, glossary), charts, numbers)


def _notes(runs: list[Run], glossary: Mapping[str, str]) -> list[str]:
    """How to read the table of results."""
    if not (results := [result for *_, result in finished(runs)]):
        return []
    better = "lower" if results[0]["lower_is_better"] else "higher"
    notes = [
        f"Numbers are {metric_name(results[0])}, {better} is better: before any gradient step, and after the last."
    ]
    notes += ["In bold: the best mean, though intervals may overlap."] * (len(results) > 1)
    known = [reference["name"] for reference in references(runs) if reference["name"] in glossary]
    notes += [f"The row {name} {glossary[name]}." for name in known]
    return notes + differences(runs) + own_notes(runs)


def _inline(figure: Figure) -> Markup:
    # Matplotlib has escaped the text in it; everything else on the page is escaped by jinja.
    return Markup(inline_svg(figure))


def _highlights(run: Run) -> list[tuple[str, str]]:
    """The few numbers to see first, with what they are."""
    if (result := run.result) is None:
        return []
    before, after = before_and_after(result)
    metric = metric_name(result)
    shown = [] if after is None else [(f"{metric} after adaptation ({stage_name(after)})", _number(after))]
    shown += [] if before is None else [(f"{metric} before any gradient step", _number(before))]
    shown += [(f"{metric}, {reference['name']}", _number(reference)) for reference in references([run])]
    shown.append((f"training, meta-iterations: {meta_iterations(result)}", duration(result["train_seconds"])))
    return shown


def _number(stage: Mean) -> str:
    return str(Estimate(stage["mean"], stage["ci95"]))


def _pictures(folder: Path, glossary: Mapping[str, str]) -> list[Picture]:
    """The SVG and PNG files of a folder, those in the glossary first."""
    order = [*glossary]
    paths = [path for path in folder.glob("*") if path.suffix in _MEDIA_TYPES]
    paths.sort(key=lambda path: (order.index(path.stem) if path.stem in order else len(order), path.name))
    return [
        Picture(
            f"data:{_MEDIA_TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}",
            glossary.get(path.stem, path.stem),
            _note(path.with_suffix(".json")),
        )
        for path in paths
    ]


def _note(path: Path) -> str | None:
    """What is known in numbers about the picture beside which `path` lies."""
    numbers = read_json(path) if path.is_file() else {}
    if "neighbour_accuracy" not in numbers:
        return None
    return (
        f"Neighbour accuracy {numbers['neighbour_accuracy']:.1%}: for so many of {numbers['tasks']:,} tasks their kind "
        f"is that of most of their {numbers['k']} nearest neighbours in the full embedding."
    )


def _details(run: Run) -> dict[str, dict[str, Any]]:
    """Everything needed to repeat a run, in groups."""
    stored = run.config
    origin = {key: stored[key] for key in ("command", "commit", "machine")}
    return {
        "Origin": {"folder": str(run.folder.path), **origin},
        "Configuration": stored["config"],
        "Versions": stored["versions"],
    }
