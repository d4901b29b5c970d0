"""What cells say, in words."""

from mmaml.experiments.paper_tables.cells import Cell, was_stopped
from mmaml.experiments.paper_tables.spec import TableSpec
from mmaml.runs.result import Mean


def achieved(spec: TableSpec, cell: Cell) -> str:
    """The mean, its interval over tasks, and its deviation over seeds."""
    seeds = "" if cell["seed_std"] is None else f", {len(cell['seeds'])} seeds ± {spec.number(cell['seed_std'])}"
    return _with_interval(spec, cell) + seeds


def of_mode(spec: TableSpec, cell: Cell, mode: str) -> str:
    """The mean of one kind of tasks and its interval."""
    return _with_interval(spec, cell["per_mode"][mode])


def published(spec: TableSpec, cell: Cell) -> str:
    """The paper's number and the workshop paper's, empty if there are none."""
    numbers = [] if cell["paper"] is None else [spec.number(cell["paper"])]
    numbers += [] if cell["workshop"] is None else [f"workshop {spec.number(cell['workshop'])}"]
    return ", ".join(numbers)


def difference(spec: TableSpec, cell: Cell) -> str:
    """That to the baseline, empty if there is none."""
    if (found := cell["difference"]) is None:
        return ""
    seeds = f", {len(cell['seeds'])} seeds ± {spec.number(found['seed_std'])}" if "seed_std" in found else ""
    return _with_interval(spec, found, signed=True) + seeds


def _with_interval(spec: TableSpec, found: Mean, *, signed: bool = False) -> str:
    return f"{spec.number(found['mean'], signed=signed)} ± {spec.number(found['ci95'])}"


def effort(cell: Cell) -> str:
    """What was spent on a cell, beside what the paper spent."""
    source = "" if cell["data"] == cell["setting"] else f" of {cell['data']}"
    source += f" at {cell['image_size']} pixels" if "image_size" in cell else ""
    planned, paper = f"{cell['planned']:,}", f"{cell['published']:,}"
    training = f"{planned} meta-iterations" + ("" if planned == paper else f" (published: {paper})")
    stopped = f"stopped at {cell['trained']:,} of " if was_stopped(cell) else ""
    others = ", ".join(f"`{name}` {value}" for name, value in cell["other_options"].items())
    return f"{cell['tasks']:,} tasks{source}; {stopped}{training}" + (f"; with {others}" if others else "")


def efforts(spec: TableSpec, cells: list[Cell]) -> dict[str, list[str]]:
    """What was spent, and on which settings, with the methods it was spent on where it was not on all of a setting."""
    alike: dict[str, list[str]] = {}
    for setting in dict.fromkeys(cell["setting"] for cell in cells):
        rows = [c for c in cells if c["setting"] == setting and c["method"] in spec.methods]
        for spent in dict.fromkeys(map(effort, rows)):
            methods = dict.fromkeys(c["method"] for c in rows if effort(c) == spent)
            whole = len(methods) == len({c["method"] for c in rows})
            alike.setdefault(spent, []).append(setting if whole else f"{setting} ({', '.join(methods)})")
    return alike
