"""``edgecnn tune``: the best file, runtime and threads within a budget."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser, many, number, one_of, whole

if TYPE_CHECKING:
    from edgecnn.flows.tuning import Search, Tuned


def tune_options(parser: Parser) -> None:
    """Add the arguments of `tune`."""
    add = parser.add_argument
    add(
        "checkpoints",
        type=Path,
        nargs="+",
        metavar="CKPT",
        help="a checkpoint; or several, such as one network in several widths and sizes",
    )
    add("--target", required=True, metavar="TARGET", help="where, as `bench` takes it")
    add("--out", type=Path, required=True, metavar="DIR", help="folder of all that is made")
    add("--force", action="store_true", help="train, make, judge and measure all anew")
    _budget_options(parser)
    _search_options(parser)


def _budget_options(parser: Parser) -> None:
    budget = parser.add_argument_group("budget")
    add = budget.add_argument
    add(
        "--max-latency",
        type=number(0, 1e6),
        metavar="MS",
        help="median of one inference, milliseconds; of a predicted board, the prediction",
    )
    add("--max-memory", type=number(0, 1e6), metavar="MB", help="peak memory of the process")
    add(
        "--max-drop",
        type=number(0, 100),
        metavar="POINTS",
        help="top-1 that a file may lose against the best checkpoint's float32 file",
    )
    add(
        "--max-instructions",
        type=whole(1, 10**15),
        metavar="N",
        help="of one inference, on an emulated board (which has no latency)",
    )


def _search_options(parser: Parser) -> None:
    search = parser.add_argument_group("what is tried")
    add = search.add_argument
    add(
        "--alpha",
        type=many(number(0.05, 4)),
        default=(),
        metavar="LIST",
        help="widths that each CKPT's network is trained in as well, such as 0.5,1.0",
    )
    add(
        "--size",
        type=many(whole(8, 4096)),
        default=(),
        metavar="LIST",
        help="sides of the input, likewise; with --alpha each width in each size",
    )
    add(
        "--schemes",
        type=many(str),
        metavar="LIST",
        help="default: float32,float16,dynamic,int8; also weights8, weights4, int16x8",
    )
    add(
        "--format",
        type=many(one_of("format", "tflite", "onnx")),
        metavar="LIST",
        help="default: those that the runtimes read; tflite for predictions",
    )
    add("--runtime", type=many(str), metavar="LIST", help="default: all that are installed there")
    add(
        "--threads",
        type=many(whole(1, 256)),
        metavar="LIST",
        help="default: 1, 2, 4 ... up to the target's cores",
    )
    add("--data", metavar="DATA", help="photos that judge (default: the validation photos)")
    add("--calibration", metavar="DATA", help="as in `export`")
    add("--seconds", type=number(0, 3600), metavar="S", help="as in `bench`")
    add("--runs", type=whole(1), metavar="N", help="as in `bench`")
    add("--board", metavar="DEVICE", help="for whom the winner is packed (default: the target)")
    add("--python", type=Path, metavar="PATH", help="for cpu: interpreter that has the runtime")


def tune(args: argparse.Namespace) -> Outcome:
    """Search for the file, runtime and threads that a board runs best within a budget.

    Each checkpoint is exported in every scheme and format, each file judged once on the
    validation photos (never on the test photos: choosing by them would spoil them), and each
    file measured with each runtime and number of threads. Printed is the Pareto front: rows
    that no other one beats in accuracy, latency and memory at once; DIR/front.svg draws it.

    Of the rows within the budget the winner is the fastest if --max-drop says what accuracy is
    worth, and else the fastest within half a point of the most accurate; DIR/bundle is all that
    a board needs to run it. Where nothing fits, it says what came nearest, and exits 1.

    With --alpha 0.5,1.0 and --size 96,128 each checkpoint's siblings are tried beside it: its
    network in these widths and sizes, trained into DIR/checkpoints with its card's recipe,
    photos, split and seed. What can't be trained is refused before the first training begins.

    Killed or repeated, it goes on where it was, also within a training: checkpoints, files and
    rows in DIR count again if recipe, bytes, photos, protocol and machine are the same. Rows
    that aren't valid are measured again.

    Example: edgecnn tune run/ --target cpu --max-latency 20 --max-drop 0.5 --out tuned/
    """
    from edgecnn.core.schema import encode
    from edgecnn.flows.tuning import tune as search_for

    found = search_for(args.checkpoints, _search(args), args.out)
    code, remark = 0, ""
    if found.choice.winner is None:
        code, remark = 1, "check failed: nothing fits the budget"
    return Outcome(encode(found), lambda: _view(found), code, remark)


def _search(args: argparse.Namespace) -> Search:
    from edgecnn import targets
    from edgecnn.bench import read_protocol
    from edgecnn.flows.tuning import Search
    from edgecnn.flows.tuning_files import SCHEMES, Wanted, check_schemes
    from edgecnn.flows.tuning_rows import Settings, usual_formats
    from edgecnn.report.pareto import Budget

    target = targets.parse(args.target, python=args.python)
    return Search(
        settings=Settings(
            target=target,
            runtimes=args.runtime,
            threads=args.threads,
            protocol=read_protocol(seconds=args.seconds, runs=args.runs),
        ),
        wanted=Wanted(
            schemes=check_schemes(args.schemes) if args.schemes else SCHEMES,
            formats=args.format or usual_formats(target, args.runtime),
            calibration=args.calibration,
        ),
        budget=Budget(
            latency_ms=args.max_latency,
            instructions=args.max_instructions,
            memory_mb=args.max_memory,
            drop_points=args.max_drop,
        ),
        alphas=args.alpha,
        sizes=args.size,
        data=args.data,
        board=args.board,
        force=args.force,
    )


def _view(found: Tuned) -> list[Any]:
    from edgecnn.report.pareto_text import front_table, unmeasured, verdict

    tried = len(found.candidates)
    behind = tried - len(found.choice.front)
    lines: list[Any] = [front_table(found.choice)]
    if behind:
        lines.append(
            f"{behind} of {tried} rows are behind this front: {found.plot.parent}/tune.json"
        )
    lines += verdict(found.choice, found.budget, tried=tried)
    lines += [f"note: {note}" for note in (*found.notes, *unmeasured(found.candidates))]
    if found.kept:
        lines.append(f"note: {found.kept} rows are an earlier run's (--force measures them again)")
    if found.siblings:
        lines.append(f"checkpoints: {found.checkpoints[-1].path.parent}")
    lines.append(f"drawing: {found.plot}")
    if found.bundle is not None and found.choice.winner is not None:
        threads = found.choice.winner.row.threads
        lines.append(f"bundle: {found.bundle}; there: python3 run.py bench --threads {threads}")
    return lines
