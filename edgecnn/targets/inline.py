"""One module of ours, with all that it takes from the others, as one file that stands alone.

What a board runs is thus the code that was tested here, not a second one. The file also runs
on Python 3.9, two versions below the package's own oldest.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path

_OURS = "edgecnn"
# Python 3.9 has neither; both only check, so that the file does the same without them.
_NEWER = (", kw_only=True", ", strict=True")
# Reading JSON strictly needs all schemas; a board only writes it.
_LEFT_OUT = "from_json"
# CPython 3.11's ast.parse fails now and then in two threads at once (issue 106905); boards
# are measured side by side.
_PARSING = threading.Lock()


@dataclasses.dataclass(frozen=True)
class _Module:
    """One source file.

    Attributes:
        lines: Its text.
        body: Its statements.
        made: Name to the statement that defines it.
        taken: Name to where it's imported from: module, name there, the statement's text.
    """

    lines: list[str]
    body: list[ast.stmt]
    made: dict[str, ast.stmt]
    taken: dict[str, tuple[str, str, str]]


def single_file(module: str) -> str:
    """Return the module's text with what it imports from the package in place of the imports.

    Args:
        module: Its dotted name. It takes functions and classes by name, never whole modules.

    Raises:
        ValueError: two modules define the same name, or one is imported whole.
    """
    with _PARSING:
        return _text_of_module(module)


@functools.cache
def _text_of_module(module: str) -> str:
    return _Inliner().text_of(module)


class _Inliner:
    def __init__(self) -> None:
        self._modules: dict[str, _Module] = {}
        self._homes: dict[str, str] = {}
        self._parts: list[str] = []
        self._imports: set[str] = set()

    def text_of(self, name: str) -> str:
        module = self._module(name)
        own = [s for s in module.body if not isinstance(s, (ast.Import, ast.ImportFrom))]
        docstring, *statements = [s for s in own if not _for_checkers(s)]
        for defined in module.made:
            self._claim(defined, name)
        for statement in statements:
            self._needs(statement, name)
        taken, self._parts = self._parts, []
        for statement in statements:
            self._parts.append(_text(statement, module.lines))
        head = [
            _text(docstring, module.lines),
            "from __future__ import annotations",
            "\n".join(sorted(self._imports, key=lambda line: (line.split()[1], line))),
        ]
        return "\n\n".join([*head, *taken, *self._parts]) + "\n"

    def _needs(self, statement: ast.stmt, home: str) -> None:
        """Take in what a statement refers to, definitions first."""
        module = self._module(home)
        for name in _names(statement):
            if name in module.taken:
                origin, there, line = module.taken[name]
                if origin.partition(".")[0] != _OURS:
                    self._imports.add(line)
                else:
                    self._take(there, origin, known_as=name)
            elif name in module.made:
                self._take(name, home, known_as=name)

    def _take(self, name: str, home: str, *, known_as: str) -> None:
        module = self._module(home)
        if name != known_as or name not in module.made:
            raise ValueError(f"{home}.{name} is a module, or is imported under another name")
        if not self._claim(name, home):
            return
        statement = module.made[name]
        self._needs(statement, home)
        self._parts.append(_text(statement, module.lines))

    def _claim(self, name: str, home: str) -> bool:
        """Return whether the name is new; one name means one thing in the whole file."""
        new = name not in self._homes
        owner = self._homes.setdefault(name, home)
        if owner != home:
            raise ValueError(f"{name} is defined in {owner} and in {home}")
        return new

    def _module(self, name: str) -> _Module:
        if name not in self._modules:
            self._modules[name] = _read(name)
        return self._modules[name]


def _read(name: str) -> _Module:
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise ValueError(f"no module {name}")
    text = Path(found.origin).read_text(encoding="utf-8")
    body = ast.parse(text).body
    made = {n: statement for statement in body for n in _defined(statement)}
    taken = {n: where for statement in body for n, where in _imported(statement)}
    return _Module(text.splitlines(), body, made, taken)


def _defined(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, ast.Assign):
        yield from (target.id for target in statement.targets if isinstance(target, ast.Name))
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id


def _imported(statement: ast.stmt) -> Iterator[tuple[str, tuple[str, str, str]]]:
    if isinstance(statement, ast.ImportFrom) and statement.module:
        for alias in statement.names:
            line = f"from {statement.module} import {ast.unparse(alias)}"
            yield alias.asname or alias.name, (statement.module, alias.name, line)
    elif isinstance(statement, ast.Import):
        for alias in statement.names:
            bound = alias.asname or alias.name.partition(".")[0]
            yield bound, (alias.name, alias.name, f"import {ast.unparse(alias)}")


def _for_checkers(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.If)
        and isinstance(statement.test, ast.Name)
        and statement.test.id == "TYPE_CHECKING"
    )


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the names that the statement looks up when it runs: annotations are only text."""
    if isinstance(node, ast.Name):
        yield node.id
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns"):
            # The one word in them that a dataclass looks up.
            yield from (n for n in _names_in(value) if n == "ClassVar")
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.FunctionDef) and child.name == _LEFT_OUT:
                continue
            if isinstance(child, ast.AST):
                yield from _names(child)


def _names_in(annotation: ast.AST | None) -> list[str]:
    return [n.id for n in ast.walk(annotation) if isinstance(n, ast.Name)] if annotation else []


def _text(statement: ast.stmt, lines: list[str]) -> str:
    first, last = _lines_of(statement)
    while first > 1 and lines[first - 2].startswith("#"):
        first -= 1
    left_out = {
        line
        for child in getattr(statement, "body", [])
        if isinstance(child, ast.FunctionDef) and child.name == _LEFT_OUT
        for line in range(_lines_of(child)[0], _lines_of(child)[1] + 1)
    }
    text = "\n".join(lines[n - 1] for n in range(first, last + 1) if n not in left_out).rstrip()
    for word in _NEWER:
        text = text.replace(word, "")
    return text


def _lines_of(statement: ast.stmt) -> tuple[int, int]:
    decorators = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(d.lineno for d in decorators)])
    return first, statement.end_lineno or statement.lineno
