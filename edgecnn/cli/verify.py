"""``edgecnn verify``: do the files answer what the checkpoint answers?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli.evaluate import add_photos
from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser, number
from edgecnn.core import schema

if TYPE_CHECKING:
    from edgecnn.core.parity import Parity


def verify_options(parser: Parser) -> None:
    """Add the arguments of `verify`."""
    add = parser.add_argument
    add("files", type=Path, nargs="+", metavar="FILE", help=".tflite, .onnx, .ort files, folders")
    add("--against", type=Path, metavar="CKPT", help="the checkpoint (default: the first file)")
    add_photos(parser)
    add(
        "--min-agreement",
        type=number(0, 100),
        metavar="PCT",
        help="exit 1 when a file gives fewer of the checkpoint's answers",
    )
    add(
        "--max-drop",
        type=number(-100, 100),
        metavar="POINTS",
        help="exit 1 when a file loses more top-1",
    )
    add("--out", type=Path, metavar="DIR", help="write parity.json there, for `report`")
    add("--force", action="store_true", help="replace an earlier parity.json")


def verify(args: argparse.Namespace) -> Outcome:
    """Compare files with their checkpoint, and with each other, photo by photo.

    Each photo whose answer changed is listed. Of each file it is also checked that its
    probabilities sum to one, that none is NaN and that it doesn't give one class to all.
    Exits 1 when a check or a limit does not hold.

    Example: edgecnn verify out/* --against run/ --data photos/ --min-agreement 99
    """
    from edgecnn.flows.judging import Limits, Photos
    from edgecnn.flows.judging import verify as compare
    from edgecnn.flows.opening import model_files

    parity = compare(
        model_files(args.files),
        Photos(source=args.data, split=args.split, limit=args.limit),
        against=args.against,
        limits=Limits(min_agreement_pct=args.min_agreement, max_drop_points=args.max_drop),
        out=args.out,
        force=args.force,
    )
    remark = "" if parity.passed else f"check failed: {'; '.join(_broken(parity))}"
    return Outcome(
        schema.encode(parity),
        lambda: _view(parity),
        exit_code=int(not parity.passed),
        remark=remark,
    )


def _broken(parity: Parity) -> list[str]:
    return [
        f"{Path(row.path).name}: {check.name} ({check.detail})"
        for row in parity.rows
        for check in row.checks
        if not check.passed
    ]


def _view(parity: Parity) -> list[Any]:
    from edgecnn.report.text import parity_table

    return [parity_table(parity)]
