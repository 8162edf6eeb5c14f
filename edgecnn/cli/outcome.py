"""What a command hands back, and how it is printed: the only place that writes to stdout."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from edgecnn.core import schema

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_LEAST_TEXT = 20  # a column of words that is narrower is no longer read
_ENDLESS = 100_000
_PIPE_WIDTH = 160  # a table in a file or a pipe is not cut at the usual 80 columns

# A name in a file may set a colour, at worst; it can't move the cursor or the title.
_NOT_COLOUR = re.compile(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One result, told twice: to machines and to people.

    Attributes:
        data: The object that ``--json`` prints; its keys are a contract.
        view: Makes what people read: texts, and rich's tables. Not called with ``--json``.
        exit_code: 0, or 1 when a check that the user asked for did not hold.
        remark: One line for stderr that says why the exit code is not 0.
    """

    data: Mapping[str, Any]
    view: Callable[[], list[Any]]
    exit_code: int = 0
    remark: str = ""


def show(outcome: Outcome, *, as_json: bool, out: TextIO) -> None:
    """Print an outcome: one JSON object, or what people read."""
    if as_json:
        text = json.dumps(schema.encode(outcome.data), allow_nan=False, ensure_ascii=False)
        out.write(text + "\n")
    else:
        for part in outcome.view():
            _print_part(part, out)
    out.flush()
    if outcome.remark:
        sys.stderr.write(one_line(outcome.remark) + "\n")


def one_line(text: str) -> str:
    """Return the text without line breaks and terminal controls: names in files are hostile."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def _print_part(part: Any, out: TextIO) -> None:
    if isinstance(part, str):
        out.write("".join(c for c in part if c.isprintable() or c in "\n\t") + "\n")
        return
    from rich.console import Console

    drawn = io.StringIO()
    width = None if out.isatty() else _PIPE_WIDTH
    console = Console(file=drawn, force_terminal=out.isatty(), highlight=False, width=width)
    if _needs(part, console) > console.width:
        out.write("\n\n".join(_listed(part)) + "\n\n")
        return
    console.print(part)
    out.write(_NOT_COLOUR.sub("", drawn.getvalue()))


def _needs(table: Table, console: Console) -> int:
    """Return the columns of the terminal below which a table would lose numbers or names."""
    endless = console.options.update(width=_ENDLESS)
    widest = [
        max(console.measure(cell, options=endless).maximum for cell in (c.header, *c.cells))
        for c in table.columns
    ]
    between = console.measure(table, options=endless).maximum - sum(widest)
    columns = zip(table.columns, widest, strict=True)
    return between + sum(w if c.no_wrap else min(w, _LEAST_TEXT) for c, w in columns)


def _listed(table: Table) -> list[str]:
    """Return each row as lines of name and value: what a narrow terminal can hold."""
    columns = [[one_line(str(c)) for c in (x.header, *x.cells)] for x in table.columns]
    margin = max(len(column[0]) for column in columns)
    return [
        "\n".join(f"{column[0]:>{margin}}  {column[row]}" for column in columns)
        for row in range(1, table.row_count + 1)
    ]
