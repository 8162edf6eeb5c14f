"""``edgecnn demo``: the whole line on data that needs no download."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser

if TYPE_CHECKING:
    from edgecnn.flows.demo import Demo


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
    from edgecnn.report.text import summary_table

    return [
        summary_table(done.found),
        f"took {done.seconds:.0f} s",
        f"report: {done.report}",
        "next, with a folder of your own photos, one sub-folder a class:",
        "  edgecnn train photos/ --out run/",
    ]
