"""Rules of the house that no linter knows."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "edgecnn"
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))
LONGEST_MODULE = 500
LONGEST_FUNCTION = 60
LONGEST_ZOO_MODULE = 250
LONGEST_ARCHITECTURE_FUNCTION = 40


def test_there_are_modules_to_look_at() -> None:
    assert len(MODULES) > 50
    assert {"core", "runtime", "report", "cli"} <= {room.name for room in ROOMS}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_module_is_a_drawer(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_MODULE
    assert path.stem not in {"utils", "common", "helpers", "base", "manager", "misc"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    assert not functions_longer_than(LONGEST_FUNCTION, path)


@pytest.mark.parametrize("path", sorted((PACKAGE / "zoo").glob("*.py")), ids=lambda p: p.name)
def test_an_architecture_is_a_table_and_a_loop(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_ZOO_MODULE
    assert not functions_longer_than(LONGEST_ARCHITECTURE_FUNCTION, path)


def functions_longer_than(lines: int, path: Path) -> list[str]:
    functions = (
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )
    return [f.name for f in functions if (f.end_lineno or 0) - f.lineno + 1 > lines]


@pytest.mark.parametrize("room", ROOMS, ids=lambda p: p.name)
def test_a_room_says_what_it_is_for(room: Path) -> None:
    assert ast.get_docstring(ast.parse((room / "__init__.py").read_text()))


def test_an_exemption_from_the_linter_has_its_reason_beside_it() -> None:
    bare = re.compile(r"#\s*noqa(?!: [A-Z0-9, ]+ - \w)")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in MODULES
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if bare.search(line) and "# noqa: F401" not in line
    ]
    assert not found


def test_the_core_stands_alone() -> None:
    imported = re.compile(r"^\s*(?:from|import) edgecnn\.?(\w*)", re.MULTILINE)
    for path in (PACKAGE / "core").glob("*.py"):
        assert set(imported.findall(path.read_text())) <= {"core"}, path.name
