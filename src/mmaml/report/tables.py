"""Tables of results. One structure, shown in a terminal or in HTML (`template.html`)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from mmaml.report.differences import differences
from mmaml.report.estimate import Estimate
from mmaml.report.read import (
    Run,
    before_and_after,
    by_setting,
    duration,
    final,
    finished,
    mode_names,
    references,
    within,
)
from mmaml.runs.result import Mean, MeanByMode, Result, Stage


_EFFORT = ("meta-iterations", "trained for", "tasks")

Cell = Estimate | str


@dataclass(frozen=True)
class Row:
    """One line: a run, or a `reference` to compare runs with. `series` numbers the runs, for their colours."""

    name: str
    cells: tuple[Cell, ...]
    series: int | None = None

    @property
    def reference(self) -> bool:
        """Whether this is a limit or a baseline, not a run."""
        return self.series is None


@dataclass(frozen=True)
class Table:
    """`columns` are the headings after that of the names; every row has as many cells."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def results_table(runs: Sequence[Run]) -> Table:
    """What every run of a setting achieved before and after its gradient steps; references last.

    There is a column for the difference to each run's own reference, paired task by task, if a run has one.
    Where a learner modulates only with its first step, as policies do, the first column is not said to be modulated.
    """
    limits = references(runs)
    paired = any("excess" in result for _, _, result in finished(runs))
    difference = [f"vs {limits[0]['name']}" if len(limits) == 1 else "vs its limit"] * paired
    rows = []
    for i, run in enumerate(runs):
        if (result := run.result) is None:
            cells = (
                run.config["config"].get("learner", "–"),
                "not finished",
                "not finished",
                *("–" for _ in difference),
            )
        else:
            learner = " · ".join(filter(None, (result["learner"], result["modulation"])))
            excess = [_estimate(result.get("excess"), signed=True)] * paired
            cells = (learner, *map(_estimate, before_and_after(result)), *excess)
        rows.append(Row(run.label, (*cells, *_effort(run)), i))
    for limit in limits:
        rows.append(Row(limit["name"], ("–", "–", _estimate(limit), *("–" for _ in (*difference, *_EFFORT)))))
    late = any(not stage.get("modulated", True) for _, _, result in finished(runs) for stage in result["stages"])
    before = "before any step" if late else "post-modulation"
    return Table(("learner", before, "post-adaptation", *difference, *_EFFORT), _mark_best(rows, runs))


def stages_table(runs: Sequence[Run]) -> Table:
    """The result after every number of gradient steps."""
    by_stage = {i: {stage_name(stage): stage for stage in result["stages"]} for i, _, result in finished(runs)}
    names = list(dict.fromkeys(name for stages in by_stage.values() for name in stages))
    rows = [Row(label, tuple(_estimate(by_stage[i].get(n)) for n in names), i) for i, label, _ in finished(runs)]
    return Table(tuple(names), _mark_best(rows, runs))


def modes_table(runs: Sequence[Run]) -> Table:
    """The final result on every kind of task."""
    names = tuple(mode_names(runs))
    rows = [Row(label, _per_mode(final(result), names), i) for i, label, result in finished(runs)]
    rows += [Row(limit["name"], _per_mode(limit, names)) for limit in references(runs)]
    return Table(names, _mark_best(rows, runs))


def results_for_terminal(runs: Sequence[Run]) -> Group:
    """The results of several runs to print with rich, a table for each setting, narrow enough for 80 columns.

    Names that begin with the setting, as they do by default, go without it: it is the table's title.
    """
    tables = []
    for setting, labelled in by_setting(runs):
        members = within(setting, labelled)
        results = results_table(members)
        keep = len(results.columns) - len(_EFFORT)
        rows = tuple(replace(row, cells=row.cells[:keep]) for row in results.rows)
        table = to_rich(Table(results.columns[:keep], rows))
        table.title = Text(setting)
        tables += [table, *map(Text, differences(members) + own_notes(members))]
    return Group(*tables)


def own_notes(runs: Sequence[Run]) -> list[str]:
    """What results have to say of themselves, as that they are of a training that was stopped; the same, once."""
    results = [(label, result) for _, label, result in finished(runs)]
    stopped = [
        f"{label} was stopped at {result['trained']:,} of {result['planned']:,} meta-iterations: its numbers are not "
        "those of a whole training."
        for label, result in results
        if result["trained"] < result["planned"]
    ]
    notes = dict.fromkeys(result["note"] for _, result in results if "note" in result)
    of_each = {note: [label for label, result in results if result.get("note") == note] for note in notes}
    said = [note if len(of) == len(results) else f"{', '.join(of)}: {note}" for note, of in of_each.items()]
    return stopped + said


def meta_iterations(result: Result) -> str:
    """Those of the training, and of the checkpoint that did best where it was evaluated instead of the last."""
    best = result["meta_iterations"]
    trained, planned = result["trained"], result["planned"]
    done = f"{trained:,}" if trained == planned else f"{trained:,} of {planned:,}"
    return done if trained == best else f"{done} (best: {best:,})"


def to_rich(table: Table, heading: str = "run") -> RichTable:
    """The table for a terminal."""
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    words = (word for row in table.rows if row.reference for word in re.split("[ -]", row.name))
    shown.add_column(heading, overflow="fold", min_width=max(map(len, words), default=0))
    for column in table.columns:
        shown.add_column(broken_at_hyphens(column), justify="right")
    for row in table.rows:
        cells = [Text(str(cell), style="bold" if _is_best(cell) else "") for cell in row.cells]
        name = broken_at_hyphens(row.name) if row.reference else Text(row.name)
        shown.add_row(name, *cells, style="dim" if row.reference else "")
    return shown


def broken_at_hyphens(words: str) -> Text:
    """The words for a narrow place, since rich breaks lines at spaces only."""
    return Text(words.replace("-", "-\n"))


def stage_name(stage: Stage) -> str:
    """`0 steps`, `1 step`, `2 steps`, …"""
    return f"{stage['steps']} step" + "s" * (stage["steps"] != 1)


def _estimate(stage: Mean | None, *, signed: bool = False) -> Cell:
    return "–" if stage is None else Estimate(stage["mean"], stage["ci95"], signed=signed)


def _per_mode(stage: MeanByMode, names: Sequence[str]) -> tuple[Cell, ...]:
    return tuple(_estimate(stage["per_mode"].get(name)) for name in names)


def _is_best(cell: Cell) -> bool:
    return isinstance(cell, Estimate) and cell.best


def _effort(run: Run) -> tuple[str, str, str]:
    """Meta-iterations and time spent so far, and tasks of the evaluation, as `_EFFORT` names them."""
    if run.result is not None:
        result = run.result
        return meta_iterations(result), duration(result["train_seconds"]), f"{result['tasks']:,}"
    if run.metrics:
        return f"{run.metrics[-1]['step']:,}", duration(run.metrics[-1]["seconds"]), "–"
    return "0", "–", "–"


def _mark_best(rows: Sequence[Row], runs: Sequence[Run]) -> tuple[Row, ...]:
    """Mark the best mean of every column, if two runs or more compete."""
    best_of = min if all(result["lower_is_better"] for _, _, result in finished(runs)) else max
    columns = zip(*(row.cells for row in rows if not row.reference), strict=True)
    means = [[c.mean for c in column if isinstance(c, Estimate) and not c.signed] for column in columns]
    best = [best_of(column) if len(column) > 1 else None for column in means]

    def mark(cell: Cell, best: float | None) -> Cell:
        if isinstance(cell, Estimate) and not cell.signed and cell.mean == best:
            return replace(cell, best=True)
        return cell

    return tuple(row if row.reference else replace(row, cells=tuple(map(mark, row.cells, best))) for row in rows)
