"""``edgecnn report``: one page from all that was measured."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser

if TYPE_CHECKING:
    from edgecnn.report import Collected


def report_options(parser: Parser) -> None:
    """Add the arguments of `report`."""
    add = parser.add_argument
    add("paths", type=Path, nargs="+", metavar="PATH", help="folders and JSON files")
    add("--out", type=Path, required=True, metavar="report.html", help="the page to write")
    add("--force", action="store_true", help="replace an earlier page")


def report(args: argparse.Namespace) -> Outcome:
    """Make one self-contained HTML page of checkpoints, files, parity and measurements.

    Everything found in the folders goes in: cards, export rows, parity and benchmark rows.
    The page needs no network, prints well and can be read on a phone.

    Example: edgecnn report run/ out/ results/ --out report.html
    """
    from edgecnn.flows.reporting import write_report

    found = write_report(args.paths, args.out, force=args.force)
    data = {
        "report": str(args.out),
        "checkpoints": len(found.cards),
        "artifacts": len(found.artifacts),
        "parities": len(found.parities),
        "measurements": len(found.measurements),
        "notes": found.notes,
    }
    return Outcome(data, lambda: _view(found, args.out))


def _view(found: Collected, out: Path) -> list[Any]:
    from edgecnn.report.text import summary_table

    notes = [f"note: {note}" for note in found.notes]
    return [summary_table(found), *notes, f"report: {out}"]
