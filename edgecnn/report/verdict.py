"""What the numbers say, in words: which file to take, why, and what speaks against it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, TypeAlias

from edgecnn.core.checkpoint import Card, Scores
from edgecnn.core.noise import Noise
from edgecnn.report import units
from edgecnn.report.collect import Collected
from edgecnn.report.layers_text import sentence
from edgecnn.report.rows import Row, files
from edgecnn.report.worth import not_worth

Tone: TypeAlias = Literal["good", "doubt", "bad"]

# Within this many points of the best file, the cheaper one is the better choice.
_CLOSE_POINTS = 1.0
# Below this the file is another model than the one that was trained.
_LOW_AGREEMENT_PCT = 95.0
# The usual bound of a test of significance.
_LUCK = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """The page's first words.

    Attributes:
        headline: One sentence.
        because: One or two more; how the choice was made.
        tone: good, doubt (something can't be trusted) or bad (a check failed everywhere).
        best: The row that the headline is about.
        remarks: What a reader must know before using the numbers.
    """

    headline: str
    because: str
    tone: Tone
    best: Row | None
    remarks: tuple[str, ...] = ()


def judge(rows: Sequence[Row], collected: Collected) -> Verdict:
    """Choose a file and say why.

    Of the files that passed all checks: those within a point of the best accuracy, of
    these the fastest; trustworthy latencies go before others.
    """
    remarks = _remarks(rows, collected)
    sound = [row for row in rows if not row.checks_failed]
    if rows and not sound:
        return Verdict(
            headline="Don't use these files yet: each one failed a check.",
            because=_failed(rows[0]),
            tone="bad",
            best=None,
            remarks=remarks,
        )
    if not rows and not collected.cards:
        return _of_layers(collected.noises[0], remarks)
    if not rows:
        return _of_cards(collected.cards, remarks)
    best = _best(sound)
    tone: Tone = "doubt" if best.valid is False or len(sound) < len(rows) else "good"
    return Verdict(
        headline=_headline(best, rows),
        because=" ".join(_because(best, rows)),
        tone=tone,
        best=best,
        remarks=remarks,
    )


def scores_of(card: Card) -> Scores | None:
    """Return the scores that count: on test photos, else on validation photos."""
    return card.scores_on("test") or card.scores_on("val") or next(iter(card.scores), None)


def _best(rows: Sequence[Row]) -> Row:
    trusted = [row for row in rows if row.valid] or [r for r in rows if r.median_ms] or list(rows)
    top = max((row.top1.value for row in trusted if row.top1), default=None)
    if top is not None:
        close = top - _CLOSE_POINTS / 100 - 1e-9
        trusted = [row for row in trusted if row.top1 and row.top1.value >= close]
    return min(trusted, key=lambda r: (r.median_ms is None, r.median_ms or 0.0, r.bytes or 0))


def _headline(best: Row, rows: Sequence[Row]) -> str:
    parts = []
    if best.top1:
        parts.append(f"gets {units.share(best.top1.value)} of photos right")
    elif best.agreement:
        parts.append(f"answers as the checkpoint on {units.percent(best.agreement.pct)} of photos")
    if best.median_ms is not None:
        verb = "seems to answer" if best.valid is False else "answers"
        parts.append(f"{verb} in {units.milliseconds(best.median_ms)}{_on(best, rows)}")
    if not parts:
        return f"{best.file} is {units.bytes_(best.bytes)}; nothing else was measured yet."
    return f"{best.file} {' and '.join(parts)}."


def _on(best: Row, rows: Sequence[Row]) -> str:
    """Name the target where others were measured, too."""
    targets = {row.measurement.target for row in rows if row.measurement}
    return f" on {best.measurement.target}" if best.measurement and len(targets) > 1 else ""


def _because(best: Row, rows: Sequence[Row]) -> list[str]:
    sentences = []
    if place := _place(best, [row for row in files(rows) if row.median_ms is not None]):
        sentences.append(place)
    if against := _against_float(best, rows):
        sentences.append(against)
    if best.valid is False and best.median_ms is not None:
        sentences.append("No latency here can be trusted: measure again before relying on it.")
    if best.median_ms is None:
        sentences.append("Its speed is unknown: measure it with edgecnn bench.")
    if best.top1 is None:
        sentences.append("Its accuracy is unknown: judge it with edgecnn verify.")
    return sentences


def _place(best: Row, timed: Sequence[Row]) -> str:
    """Say among which files it is the fastest; doubted latencies don't count beside a sure one."""
    sure = [row for row in timed if row.valid is not False or best.valid is False]
    if len(timed) < 2 or best.median_ms is None:
        return ""
    if len(sure) < 2:
        return "It is the only file here with a latency to be trusted."
    known = [row for row in sure if row.top1] if best.top1 else []
    counted = known if len(known) > 1 else sure
    kind = units.plural(len(counted), "measured file")
    text = f"It is the fastest of {kind}"
    if len(sure) < len(timed):
        text += " whose latency can be trusted,"
    if counted is known:
        text += f" within {units.plural(round(_CLOSE_POINTS), 'point')} of the best accuracy"
    return text.rstrip(",") + "."


def _against_float(best: Row, rows: Sequence[Row]) -> str | None:
    """Compare with the float32 file of the same format, in the same setting."""
    plain = next(
        (
            row
            for row in rows
            if row.scheme == "float32"
            and row.format == best.format
            and row.setting == best.setting
            and row is not best
        ),
        None,
    )
    if plain is None or not plain.bytes or not best.bytes:
        return None
    facts = [_ratio(plain.bytes / best.bytes, "smaller", "larger")]
    if plain.median_ms and best.median_ms:
        facts.append(_ratio(plain.median_ms / best.median_ms, "faster", "slower"))
    if best.top1 and plain.top1:
        facts.append(_change_of_accuracy(100 * (plain.top1.value - best.top1.value), best))
    return f"Against {plain.file} it is {', '.join(facts[:-1])} and {facts[-1]}."


def _ratio(ratio: float, better: str, worse: str) -> str:
    if 0.98 < ratio < 1.02:
        return f"no {better}"
    return f"{units.times(max(ratio, 1 / ratio))}× {better if ratio > 1 else worse}"


def _change_of_accuracy(lost_points: float, best: Row) -> str:
    """Name the change, and whether changes as uneven as these are more than luck."""
    if round(lost_points, 1) == 0:
        return "as accurate"
    told = f"{abs(lost_points):.1f} points {'less' if lost_points > 0 else 'more'} accurate"
    luck = best.changes is not None and best.changes.chance > _LUCK
    return f"{told} (which may be chance)" if luck else told


def _of_cards(cards: Sequence[Card], remarks: tuple[str, ...]) -> Verdict:
    best = max(cards, key=lambda card: getattr(scores_of(card), "top1", -1.0))
    scores = scores_of(best)
    told = "is trained, but was never scored."
    if scores:
        photos = units.plural(scores.n, f"{scores.split} photo")
        told = f"gets {units.share(scores.top1)} of {photos} right."
    return Verdict(
        headline=f"{best.name} {told}",
        because="No file was exported, verified or measured yet.",
        tone="good" if scores else "doubt",
        best=None,
        remarks=remarks,
    )


def _of_layers(noise: Noise, remarks: tuple[str, ...]) -> Verdict:
    return Verdict(
        headline=f"What integers do to {noise.file or 'this network'}",
        because=sentence(noise),
        tone="doubt",
        best=None,
        remarks=remarks,
    )


def _remarks(rows: Sequence[Row], collected: Collected) -> tuple[str, ...]:
    found = [_failed(row) for row in files(rows) if row.checks_failed]
    found += [
        f"{row.file} gives only {units.percent(row.agreement.pct)} of its checkpoint's answers."
        for row in files(rows)
        if row.agreement and row.agreement.pct < _LOW_AGREEMENT_PCT and not row.checks_failed
    ]
    found += not_worth(rows)
    measured = [
        row
        for row in rows
        if row.measurement is not None and not row.predicted and row.instructions is None
    ]
    doubtful = [row for row in measured if row.doubts]
    if doubtful:
        are = "is" if len(doubtful) == 1 else "are"
        found.append(
            f"{units.plural(len(doubtful), 'latency', 'latencies')} of "
            f"{len(measured)} {are} not to be trusted; the table says why."
        )
    found += [f"{name}: {note}." for name, note in _warnings(collected)]
    found += [
        f"{board} is emulated: its rows count instructions, not time." for board in _emulated(rows)
    ]
    if any(row.predicted for row in rows):
        found.append("Predicted rows are no measurements: nothing ran on those boards.")
    return tuple(found)


def _failed(row: Row) -> str:
    return f"{row.file} failed: {', '.join(row.checks_failed)}."


def _warnings(collected: Collected) -> list[tuple[str, str]]:
    return [
        (row.path.rpartition("/")[2], warning.rstrip("."))
        for row in collected.artifacts
        for warning in row.warnings
    ]


def _emulated(rows: Sequence[Row]) -> list[str]:
    targets = {row.measurement.target for row in rows if row.measurement}
    return sorted(target for target in targets if target.startswith("emulated:"))
