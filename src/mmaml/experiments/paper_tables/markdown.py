"""A table as Markdown: what was achieved, the paper's numbers beside it, differences, and what was spent on each."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mmaml.experiments.paper_tables.cells import Cell
from mmaml.experiments.paper_tables.spec import TableSpec
from mmaml.experiments.paper_tables.words import achieved, difference, efforts, published


def markdown(spec: TableSpec, cells: list[Cell]) -> str:
    """The whole text. It shows the picture that is to lie beside it, `<name>.svg`."""
    return "\n".join(_lines(spec, cells)) + "\n"


def _lines(spec: TableSpec, cells: list[Cell]) -> Iterator[str]:
    settings = list(dict.fromkeys(cell["setting"] for cell in cells))
    several = len(spec.stages) > 1
    caption = spec.caption + ("" if several else " after adaptation")
    paper = " (the paper's number)" if spec.paper else ""
    yield f"{caption}, mean ± 95 % interval over tasks{paper}, budget `{cells[0]['budget']}`."
    yield ""
    columns = {(s, stage): f"{s}, {stage}" if several else s for s in settings for stage, _ in spec.stages}
    by_stage = {(c["method"], (c["setting"], c["stage"])): c for c in cells}
    yield from _grid(spec, columns, by_stage, _with_the_paper_s)
    yield ""
    if compared := {(c["method"], c["setting"]): c for c in cells if c["difference"]}:
        yield f"The same less that of `{spec.baseline}`, task by task."
        yield ""
        differing = {s: s for s in settings if any(setting == s for _, setting in compared)}
        yield from _grid(spec, differing, compared, difference)
        yield ""
    yield f"![Results of all methods, as in the table]({spec.name}.svg)"
    yield ""
    yield from (f"- {'; '.join(of)}: {spent}." for spent, of in efforts(spec, cells).items())
    yield ""
    yield _records(spec, cells)


def _grid(
    spec: TableSpec, columns: dict[Any, str], cells: dict[tuple[str, Any], Cell], text: Callable[[TableSpec, Cell], str]
) -> Iterator[str]:
    """A table of cells by method and column, the columns with their headings; a method without cells is left out."""
    yield f"| method | {' | '.join(columns.values())} |"
    yield "| --- |" + " --- |" * len(columns)
    with_cells = {method for method, _ in cells}
    others = [method for method, _ in cells if method not in spec.methods]
    for method in dict.fromkeys([*filter(with_cells.__contains__, spec.methods), *others]):
        row = [text(spec, cells[method, column]) if (method, column) in cells else "–" for column in columns]
        yield f"| {method} | {' | '.join(row)} |"


def _with_the_paper_s(spec: TableSpec, cell: Cell) -> str:
    paper = published(spec, cell)
    return achieved(spec, cell) + (f" ({paper})" if paper else "")


def _records(spec: TableSpec, cells: Sequence[Cell]) -> str:
    """Links to the runs behind the cells, by method and setting."""
    runs = {(c["method"], c["setting"]): c["run"] for c in cells if c["method"] in spec.methods}
    rows = []
    for method in dict.fromkeys(method for method, _ in runs):
        links = [
            f"[{f'seed {i}' if i else setting}]({run})"
            for (of, setting), found in runs.items()
            if of == method
            for i, run in enumerate([found] if isinstance(found, str) else found)
        ]
        rows.append(f"{method}: {', '.join(links)}")
    return f"Records: {'; '.join(rows)}."
