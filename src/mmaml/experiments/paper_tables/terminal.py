"""A table for a terminal: settings one below the other, narrow enough for 80 columns."""

from itertools import groupby
from operator import itemgetter

from rich import box
from rich.table import Table
from rich.text import Text

from mmaml.experiments.paper_tables.cells import Cell, last_stages, was_stopped
from mmaml.experiments.paper_tables.spec import TableSpec
from mmaml.experiments.paper_tables.words import achieved, difference
from mmaml.report.tables import broken_at_hyphens


def for_terminal(spec: TableSpec, cells: list[Cell]) -> Table:
    """A line for each method of a setting: its results, the paper's last one, and the difference to the baseline.

    Where the paper has no numbers there is no column for them. A run that was stopped has the meta-iterations it had
    with its name, and those it was to have.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"{spec.caption}, budget {cells[0]['budget']}")
    table.add_column("", overflow="fold")
    paper_s = ["the paper"] if spec.paper else []
    for heading in (*(stage for stage, _ in spec.stages), *paper_s, f"minus {spec.baseline}"):
        table.add_column(broken_at_hyphens(heading), justify="right")
    for setting, of_methods in groupby(last_stages(cells).values(), itemgetter("setting")):
        table.add_section()
        table.add_row(Text(setting, style="bold"))
        for last in of_methods:
            method = last["method"]
            found = {c["stage"]: c for c in cells if (c["setting"], c["method"]) == (setting, method)}
            results = [achieved(spec, found[stage]) if stage in found else "–" for stage, _ in spec.stages]
            paper = ["–" if last["paper"] is None else spec.number(last["paper"]) for _ in paper_s]
            style = "" if method in spec.methods else "dim"
            share = f", {last['trained']:,} of {last['planned']:,}" if was_stopped(last) else ""
            table.add_row(method + share, *results, *paper, difference(spec, last) or "–", style=style)
    return table
