"""Who may import whom: core knows no domain, runs and report know none either, domains know one another not.

Nor do environments know who acts in them.
"""

import ast
import re
from pathlib import Path

import pytest


SOURCE = Path(__file__).parents[1] / "src" / "mmaml"
ALLOWED = {
    "core": {"core"},
    "nn": {"core", "nn"},
    "runs": {"core", "runs"},
    "report": {"runs", "report"},
    "experiments": {"core", "runs", "report", "experiments"},
    "supervised": {"core", "runs", "report", "experiments", "supervised"},
    "regression": {"core", "nn", "runs", "report", "experiments", "supervised", "regression"},
    "classification": {"core", "nn", "runs", "report", "experiments", "supervised", "classification"},
    "rl": {"core", "nn", "runs", "report", "experiments", "rl"},
}


def imported(path):
    """Modules of mmaml that a file imports, at its top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = node.module or ""
            names = [f"mmaml.{a.name}" for a in node.names] if module == "mmaml" else [module]
        assert "mmaml" not in names, f"{path}: the package as a whole is for its users"
        yield from (name for name in names if name.startswith("mmaml."))


@pytest.mark.parametrize("part", ALLOWED)
def test_dependencies_point_one_way(part):
    for path in (SOURCE / part).rglob("*.py"):
        assert {name.split(".")[1] for name in imported(path)} <= ALLOWED[part], path


def test_environments_import_nothing_else_of_reinforcement_learning():
    for path in (SOURCE / "rl" / "envs").rglob("*.py"):
        others = [name for name in imported(path) if name.startswith("mmaml.rl") and "mmaml.rl.envs." not in name]
        assert not others, path


def test_every_part_has_its_rule():
    assert {p.parent.name for p in SOURCE.glob("*/__init__.py")} == set(ALLOWED)


def test_no_private_jax_and_no_pickle():
    for path in SOURCE.rglob("*.py"):
        text = path.read_text().replace("allow_pickle=False", "")
        assert "jax._src" not in text and not re.search(r"import pickle|pickle\.load|allow_pickle", text), path
