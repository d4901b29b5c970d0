"""A table as Markdown: what was achieved, the paper's numbers beside it, differences, and what was spent on each."""

from collections.abc import Iterator, Sequence
from typing import Any

from mmaml.experiments.paper_tables.cells import Cell, last_stages
from mmaml.experiments.paper_tables.spec import TableSpec
from mmaml.experiments.paper_tables.words import achieved, difference, efforts, of_mode, published


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
    yield from _grid(
        spec, columns, {(c["method"], (c["setting"], c["stage"])): _with_the_paper_s(spec, c) for c in cells}
    )
    yield ""
    if compared := {(c["method"], c["setting"]): difference(spec, c) for c in cells if c["difference"]}:
        yield f"The same less that of `{spec.baseline}`, task by task."
        yield ""
        differing = {s: s for s in settings if any(setting == s for _, setting in compared)}
        yield from _grid(spec, differing, compared)
        yield ""
    yield f"![Results of all methods, as in the table]({spec.name}.svg)"
    yield ""
    yield from _by_mode(spec, cells, settings)
    yield from (f"- {'; '.join(of)}: {spent}." for spent, of in efforts(spec, cells).items())
    yield ""
    yield _records(spec, cells)


def _grid(spec: TableSpec, columns: dict[Any, str], texts: dict[tuple[str, Any], str]) -> Iterator[str]:
    """A table of texts by method and column, the columns with their headings; a method without any is left out."""
    yield f"| method | {' | '.join(columns.values())} |"
    yield "| --- |" + " --- |" * len(columns)
    with_any = {method: None for method, _ in texts}
    for method in [*filter(with_any.__contains__, spec.methods), *(m for m in with_any if m not in spec.methods)]:
        yield f"| {method} | {' | '.join(texts.get((method, column), '–') for column in columns)} |"


def _by_mode(spec: TableSpec, cells: list[Cell], settings: list[str]) -> Iterator[str]:
    """Tables that a reader opens: last results of every setting, with a column for each kind of tasks."""
    last = last_stages(cells)
    mixed = {s: list(modes) for (s, _), c in last.items() if len(modes := c["per_mode"]) > 1}
    if not mixed:
        return
    yield "<details><summary>Each kind of tasks by itself</summary>"
    yield ""
    for setting in filter(mixed.__contains__, settings):
        found = {(m, mode): c for (s, m), c in last.items() if s == setting for mode in c["per_mode"]}
        texts = {at: of_mode(spec, c, at[1]) for at, c in found.items()}
        yield f"{setting}:"
        yield ""
        yield from _grid(spec, {mode: mode for mode in mixed[setting]}, texts)
        yield ""
    yield "</details>"
    yield ""


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
