"""Imports point one way, and the half that reads a run needs no torch."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "arena"
LAYERS = (
    {"core"},
    {"imaging", "outside", "data", "records"},
    {"config"},
    {"generators", "metrics"},
    {"detectors", "answer"},
    {"training", "score", "figures"},
    {"mix", "report", "tracking"},
    {"race"},
    {"studies", "bench"},
    {"cli"},
)
"""Units of the package from low to high, as docs/design.md has them."""
LEVEL = {unit: level for level, units in enumerate(LAYERS) for unit in units}


def imports(unit: str) -> Iterator[tuple[Path, str]]:
    """Each file of a unit with every unit that it imports from, imports inside functions included."""
    for path in sorted((PACKAGE / unit).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            yield from ((path, module.split(".")[1]) for module in modules if module.startswith("arena."))


def test_every_unit_has_a_level():
    entries = {path.name for path in PACKAGE.iterdir() if path.name not in ("__pycache__", "conf")}
    assert entries == {*LEVEL, "__init__.py", "__main__.py"}


@pytest.mark.parametrize("unit", sorted(LEVEL))
def test_nothing_imports_upward(unit):
    upward = {(path.name, other) for path, other in imports(unit) if other != unit and LEVEL[other] >= LEVEL[unit]}
    assert not upward


def test_class_names_are_used_once():
    names = [
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    assert sorted(names) == sorted(set(names))


@pytest.mark.slow
def test_a_run_is_read_without_torch():
    units = ("records", "answer", "figures", "report", "tracking")
    modules = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for unit in units
        for path in sorted((PACKAGE / unit).rglob("*.py"))
        if path.stem != "phase_logger"  # Lightning's logger, which only a race uses
    ]
    code = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    code += "; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, *modules]).returncode == 0
