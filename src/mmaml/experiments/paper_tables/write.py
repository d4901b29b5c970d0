"""A table's files, from the runs that are there."""

from pathlib import Path

from mmaml.experiments.config import Budget
from mmaml.experiments.paper_tables.cells import Cell, read_cells
from mmaml.experiments.paper_tables.chart import chart
from mmaml.experiments.paper_tables.markdown import markdown
from mmaml.experiments.paper_tables.spec import TableSpec
from mmaml.report.drawing import to_svg
from mmaml.runs.files import write_atomically, write_json


def write_table(spec: TableSpec, out: Path, budget: Budget) -> list[Cell]:
    """Collect the evaluated runs of `budget` in `out/runs` into the table's JSON, Markdown and picture in `out`.

    Raises what `read_cells` raises, and `UserError` if a file cannot be written.
    """
    cells = read_cells(spec, out, budget)
    write_json(out / f"{spec.name}.json", {"table": spec.name, "cells": cells})
    write_atomically(out / f"{spec.name}.svg", to_svg(chart(spec, cells)))
    write_atomically(out / f"{spec.name}.md", markdown(spec, cells))
    return cells
