"""``edgecnn compare``: what changed between two result sets, and whether it may."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser
from edgecnn.core.errors import InputError

if TYPE_CHECKING:
    from edgecnn.flows.comparing import Verdict


def compare_options(parser: Parser) -> None:
    """Add the arguments of `compare`."""
    add = parser.add_argument
    add("baseline", type=Path, metavar="BASELINE", help="a folder of results, or one JSON file")
    add("new", type=Path, metavar="NEW", help="likewise, with files of the same names")
    add(
        "--gate",
        action="append",
        default=[],
        metavar="METRIC:LIMIT",
        help="exit 1 when METRIC became worse by more than LIMIT and than the noise; repeatable",
    )
    add("--strict", action="store_true", help="exit 1, too, when a gate can't be judged on a row")
    add("--markdown", type=Path, metavar="FILE", help="write a comment for a pull request")
    add("--junit", type=Path, metavar="FILE", help="write the gates as JUnit XML")
    add("--force", action="store_true", help="replace earlier files of those names")


def compare(args: argparse.Namespace) -> Outcome:
    """Say what changed between two result sets, with its uncertainty, and hold gates.

    BASELINE and NEW are what bench --out, verify --out, export or evaluate --json left. Rows
    are matched by file name, format, scheme, target, runtime and threads.

    A gate METRIC:LIMIT limits the change for the worse: p90:5%, median:0.2ms, memory:2MB,
    size:1%, instructions:0.1%, top1:0.5 and agreement:0.5 (points). METRIC<=BOUND and
    METRIC>=BOUND limit the new value itself: agreement>=99, p90<=20ms (quote them for the
    shell). A gate breaks when value and 95 % interval both lie beyond the limit. A latency
    that isn't valid, or from another CPU, is never judged, and said to be so; a gate that can
    judge nothing exits 2.

    Example: edgecnn compare baseline/ results/ --gate p90:5% --gate top1:0.5 --markdown pr.md
    """
    from edgecnn.flows.comparing import compare as compare_sets
    from edgecnn.report.comparison_text import as_json

    verdict = compare_sets(
        args.baseline,
        args.new,
        limits=args.gate,
        markdown=args.markdown,
        junit_xml=args.junit,
        force=args.force,
    )
    code, remark = _judge(verdict, strict=args.strict)
    data = as_json(verdict.comparison, verdict.rulings)
    return Outcome({**data, "notes": verdict.notes}, lambda: _view(verdict), code, remark)


def _judge(verdict: Verdict, *, strict: bool) -> tuple[int, str]:
    """Return the exit code, and the line for stderr: what was not judged is never silent."""
    told = {
        status: [f"{r.gate} on {r.subject.label}: {r.detail}" for r in verdict.rulings
                 if r.status == status]
        for status in ("broken", "not judged")
    }  # fmt: skip
    if told["broken"]:
        unseen = f"; not judged: {len(told['not judged'])} more" if told["not judged"] else ""
        return 1, f"check failed: {'; '.join(told['broken'])}{unseen}"
    if verdict.blind:
        reasons = told["not judged"] or [" on no row has that metric"]
        why = reasons[0].partition(" on ")[2]
        fix = "measure it in both sets, or leave the gate out"
        gates = ", ".join(verdict.blind)
        return InputError.exit_code, f"error: nothing to judge by {gates} ({why}): {fix}"
    if not told["not judged"]:
        return 0, ""
    if strict:
        return 1, f"check failed: not judged: {'; '.join(told['not judged'])}"
    return 0, f"note: not judged: {'; '.join(told['not judged'])}"


def _view(verdict: Verdict) -> list[Any]:
    from edgecnn.report.comparison_text import comparison_table, gate_table, remarks

    lines: list[Any] = [comparison_table(verdict.comparison)]
    if verdict.rulings:
        lines.append(gate_table(verdict.rulings))
    notes = [*remarks(verdict.comparison), *verdict.notes]
    return [*lines, *(f"note: {note}" for note in notes)]
