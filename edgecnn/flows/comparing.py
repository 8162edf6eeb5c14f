"""Read two result sets, compare them, rule on gates and write what CI shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from edgecnn.core import files
from edgecnn.core.errors import InputError
from edgecnn.report import comparison, comparison_text, gates, junit
from edgecnn.report.collect import Collected, gather
from edgecnn.report.comparison import Comparison
from edgecnn.report.gates import Ruling


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What changed, and what the gates say about it.

    Attributes:
        comparison: All changes.
        rulings: One a gate and subject.
        blind: Gates that found nothing to judge, as the user wrote them.
        notes: JSON files that were passed over.
    """

    comparison: Comparison
    rulings: tuple[Ruling, ...]
    blind: tuple[str, ...]
    notes: tuple[str, ...]


def compare(
    baseline: Path,
    new: Path,
    *,
    limits: Sequence[str] = (),
    markdown: Path | None = None,
    junit_xml: Path | None = None,
    force: bool = False,
) -> Verdict:
    """Compare two result sets.

    Args:
        baseline: A folder, or one JSON file; likewise `new`.
        new: What to judge.
        limits: Gates, as `gates.parse` reads them.
        markdown: File for a comment on a pull request.
        junit_xml: File for a CI service.
        force: Replace those files.

    Raises:
        InputError: a bad gate, unusable sets, or nothing that both have.
    """
    asked = [gates.parse(text) for text in dict.fromkeys(limits)]
    for path in (markdown, junit_xml):
        if path is not None:
            files.refuse_existing(path, force=force)
    if junit_xml is not None and not asked:
        raise InputError("no gate", where="--junit", fix="add --gate: its cases are the gates")
    before, after = _results(baseline), _results(new)
    found = comparison.compare(before, after, baseline=str(baseline), new=str(new))
    if not found.rows:
        raise InputError(
            f"nothing that {baseline} has, too",
            where=new,
            fix="compare results of files of the same names (bench --out, verify --out, export)",
        )
    rulings = gates.judge(found, asked)
    if markdown is not None:
        files.write_text(markdown, comparison_text.markdown(found, rulings))
    if junit_xml is not None:
        files.write_text(junit_xml, junit.junit(rulings))
    blind = tuple(gate.text for gate in gates.blind(asked, rulings))
    return Verdict(found, rulings, blind, (*before.notes, *after.notes))


def _results(path: Path) -> Collected:
    found = gather([path])
    if not any((found.artifacts, found.parities, found.measurements, found.evaluations)):
        more = f" ({found.notes[0]})" if len(found.notes) == 1 else ""
        raise InputError(
            f"no results{more}",
            where=path,
            fix="give what bench --out, verify --out, export or evaluate --json wrote",
        )
    return found
