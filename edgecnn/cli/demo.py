"""``edgecnn demo``: the whole line on data that needs no download."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser

if TYPE_CHECKING:
    from rich.table import Table

    from edgecnn.flows.demo import Demo
    from edgecnn.report import Collected


def demo_options(parser: Parser) -> None:
    """Add the arguments of `demo`."""
    parser.add_argument(
        "--out", type=Path, default=Path("demo"), metavar="DIR", help="its folder (default: demo)"
    )
    parser.add_argument("--force", action="store_true", help="replace a folder that is not its own")


def demo(args: argparse.Namespace) -> Outcome:
    """Go the whole way once: train, export to int8, verify, benchmark, report.

    EfficientNet-Lite0 with ImageNet weights learns scikit-learn's handwritten digits, which
    needs no download and at most four minutes on two cores. Its folder is replaced each time.

    Example: edgecnn demo
    """
    from edgecnn.flows.demo import run_demo

    done = run_demo(args.out, force=args.force)
    data = {
        "checkpoint": str(done.trained.path),
        "artifacts": [artifact.to_row() for artifact in done.artifacts],
        "measurements": done.found.measurements,
        "report": str(done.report),
        "seconds": done.seconds,
    }
    return Outcome(data, lambda: _view(done))


def _view(done: Demo) -> list[Any]:
    return [
        _table(done.found),
        "",
        *_remarks(done.found),
        f"it took {done.seconds:.0f} s",
        f"report: {done.report}",
        "next, with a folder of your own photos, one sub-folder a class:",
        "  edgecnn train photos/ --out run/",
    ]


def _table(found: Collected) -> Table:
    """Return one line a file, narrow enough for 80 columns."""
    from rich import box
    from rich.table import Table

    from edgecnn.report import units
    from edgecnn.report.rows import build

    rows = build(found)
    table = Table("scheme", "format", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for name in ("size", "accuracy", "agreement", "median", "p90", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.scheme,
            row.format,
            units.bytes_(row.bytes),
            units.share(row.top1.value if row.top1 else None),
            units.percent(row.agreement.pct if row.agreement else None),
            units.milliseconds(row.median_ms),
            units.milliseconds(row.p90_ms),
            units.megabytes(row.memory_mb),
        )
    return table


def _remarks(found: Collected) -> list[str]:
    """Say what accuracy is of, and how far the latencies can be believed."""
    photos = max((row.n for parity in found.parities for row in parity.rows), default=0)
    doubtful = sum(not row.valid for row in found.measurements)
    lines = [f"accuracy and agreement are of {photos} photos that training never saw"]
    if doubtful:
        lines.append(f"{doubtful} latencies are not to be trusted: the report says why")
    return lines
