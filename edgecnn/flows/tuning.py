"""Search for the file, runtime and threads that a board runs best within a budget."""

from __future__ import annotations

import dataclasses
import itertools
import math
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from edgecnn.core import files, progress, schema
from edgecnn.core.checkpoint import Checkpoint
from edgecnn.core.errors import InputError, Interrupted
from edgecnn.core.measurement import Measurement
from edgecnn.flows.judging import Photos
from edgecnn.flows.tuning_answers import Judged, judged, same_photos
from edgecnn.flows.tuning_files import Wanted, exported, read_checkpoints
from edgecnn.flows.tuning_rows import Settings, measured
from edgecnn.flows.tuning_siblings import planned, trained
from edgecnn.report import units
from edgecnn.report.pareto import Budget, Candidate, Choice, choose
from edgecnn.report.pareto_plot import front_svg
from edgecnn.targets import board, bundle
from edgecnn.targets.board import Board
from edgecnn.targets.bundle import Bundle
from edgecnn.targets.cells import close

RESULT_FILE = "tune.json"
PLOT_FILE = "front.svg"
BUNDLE = "bundle"
CHECKPOINTS = "checkpoints"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """What to try, and what it may cost.

    Attributes:
        settings: Where and with what files are measured.
        wanted: Which files are made.
        alphas: Widths to train each checkpoint's network in as well; none: its own alone.
        sizes: Sides of the input, likewise.
        budget: What one may cost.
        data: DATA that judges the files; the training's validation photos when None.
        board: For whom the winner is packed, as `edgecnn bundle` takes it; the target when None.
        force: Train, make, judge and measure all anew.
    """

    settings: Settings
    wanted: Wanted = dataclasses.field(default_factory=Wanted)
    alphas: tuple[float, ...] = ()
    sizes: tuple[int, ...] = ()
    budget: Budget = dataclasses.field(default_factory=Budget)
    data: str | None = None
    board: str | None = None
    force: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tuned:
    """What a search found.

    Attributes:
        checkpoints: What the files were made of, those that were given first.
        siblings: So many of them, the last ones, were trained for it, now or earlier.
        candidates: All rows, the cheapest first.
        choice: The front and the winner.
        best_top1: Of the best checkpoint's float32 file; a drop is counted from there.
        plot: The drawing of the front.
        bundle: The winner's; none without one.
        notes: What was not tried, or can't be believed.
        kept: Rows of an earlier run.
    """

    SCHEMA: ClassVar[str] = "edgecnn/tuning/1"

    target: str
    budget: Budget
    checkpoints: tuple[Checkpoint, ...]
    siblings: int
    candidates: tuple[Candidate, ...]
    choice: Choice
    best_top1: float
    plot: Path
    bundle: Path | None
    notes: tuple[str, ...]
    kept: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return what ``tune --json`` prints and ``tune.json`` keeps."""
        chosen = {id(c) for c in self.choice.front}
        return {
            "schema": self.SCHEMA,
            "target": self.target,
            "budget": dataclasses.asdict(self.budget),
            "fits": self.choice.winner is not None,
            "trusted": self.choice.trusted,
            "winner": _row(self.choice.winner),
            "nearest": _row(self.choice.nearest),
            "misses": {name: _finite(by) for name, by in self.choice.overruns.items()},
            "front": [_row(c) for c in self.choice.front],
            "rows": [{**(_row(c) or {}), "on_front": id(c) in chosen} for c in self.candidates],
            "best_top1": self.best_top1,
            "checkpoints": [_checkpoint(one) for one in self.checkpoints],
            "siblings": self.siblings,
            "plot": str(self.plot),
            "bundle": None if self.bundle is None else str(self.bundle),
            "kept_rows": self.kept,
            "notes": list(self.notes),
            "seconds": self.seconds,
        }


def tune(paths: Sequence[Path], search: Search, out: Path) -> Tuned:
    """Train what is asked for; export, judge and measure what can be tried; choose; pack.

    What an earlier run left in the folder is used again where its bytes, photos, protocol and
    machine are the same.

    Args:
        paths: Checkpoints, such as one network in several widths and sizes.
        search: What to try.
        out: Folder of all that is made.

    Raises:
        InputError: something unusable, or a limit that the target knows nothing of.
        MissingExtra: something has to be exported, and TensorFlow is not installed.
        Interrupted: stopped by Ctrl-C; the same search goes on.
    """
    try:
        return _tune(paths, search, out)
    except (KeyboardInterrupt, Interrupted):
        how = "the same command without --force" if search.force else "the same command"
        raise Interrupted(f"stopped: {how} goes on with {out}") from None


def _tune(paths: Sequence[Path], search: Search, out: Path) -> Tuned:
    started = time.perf_counter()
    place = search.settings.target.place.name
    refuse_unknown_limits(search.budget, place)
    found = read_checkpoints(paths)
    files.refuse_unwritable(out)
    siblings = planned(found, search.alphas, search.sizes, out / CHECKPOINTS, force=search.force)
    photos = same_photos(found, search.data)
    # The given ones first: what is wrong with photos or schemes shows before hours of training.
    everyone = itertools.chain(found, trained(siblings, force=search.force))
    some = _judged(everyone, photos, search, out)
    sound = [one for one in some if not one.failed]
    best_top1 = max((one.accuracy.top1 for one in sound if one.scheme == "float32"), default=0.0)
    tried = [one for one in sound if _is_wanted(one, search.wanted)]
    if not tried:
        raise InputError("no file to try", where=out, fix="ask for other --schemes or --format")
    progress.say(f"measuring {units.plural(len(tried), 'file')} on {place}")
    try:
        rows = measured(tried, search.settings, out / "results", force=search.force)
    finally:
        close(search.settings.target)
    candidates = _candidates(rows.rows, tried, best_top1)
    choice = choose(candidates, search.budget)
    drawn = front_svg(candidates, choice, search.budget, best_top1=best_top1)
    files.write_text(out / PLOT_FILE, drawn)
    packed = _pack(choice.winner, tried, search, out / BUNDLE)
    result = Tuned(
        target=place,
        budget=search.budget,
        checkpoints=tuple({one.checkpoint.path: one.checkpoint for one in some}.values()),
        siblings=len(siblings),
        candidates=candidates,
        choice=choice,
        best_top1=best_top1,
        plot=out / PLOT_FILE,
        bundle=packed.folder if packed else None,
        notes=(*_failures(some), *rows.notes, *_not_packed(choice.winner, packed)),
        kept=rows.kept,
        seconds=time.perf_counter() - started,
    )
    files.write_text(out / RESULT_FILE, schema.dumps(result))
    return result


def refuse_unknown_limits(budget: Budget, target: str) -> None:
    """Refuse a limit on what a target can't tell.

    Raises:
        InputError: time of an emulated board, a predicted process, or instructions elsewhere.
    """
    kind = target.partition(":")[0]
    where = f"--target {target}"
    if kind == "emulated" and budget.latency_ms is not None:
        raise InputError(
            "--max-latency on an emulated board, whose time says nothing",
            where=where,
            fix="use --max-instructions, or measure on the board itself",
        )
    if kind != "emulated" and budget.instructions is not None:
        raise InputError(
            "--max-instructions where none are counted",
            where=where,
            fix="use --max-latency, or an emulated board",
        )
    if kind == "predicted" and budget.memory_mb is not None:
        raise InputError(
            "--max-memory where no process runs",
            where=where,
            fix="leave it out, or measure on the board itself",
        )


def _judged(
    everyone: Iterable[Checkpoint], photos: Photos, search: Search, out: Path
) -> list[Judged]:
    """Return all files of all checkpoints with what they answer."""
    some: list[Judged] = []
    for one in everyone:
        name = one.card.name
        progress.say(f"making and judging the files of {name}")
        made = exported(one, out / "files" / name, search.wanted, force=search.force)
        some += judged(one, made, photos, out / "verify" / name, force=search.force)
    return some


def _is_wanted(one: Judged, wanted: Wanted) -> bool:
    return ("int8" if one.scheme == "mixed" else one.scheme) in wanted.schemes


def _failures(some: Sequence[Judged]) -> tuple[str, ...]:
    return tuple(
        f"{one.path.name} was not tried: {', '.join(one.failed)} failed"
        for one in some
        if one.failed
    )


def _candidates(
    rows: Sequence[Measurement], tried: Sequence[Judged], best_top1: float
) -> tuple[Candidate, ...]:
    by_sha = {one.sha256: one for one in tried}
    some = [
        Candidate(
            row=row,
            checkpoint=one.checkpoint.card.name,
            accuracy=one.accuracy,
            drop_points=100 * (best_top1 - one.accuracy.top1),
        )
        for row in rows
        if (one := by_sha.get(row.sha256))
    ]
    return tuple(sorted(some, key=lambda c: (c.cost is None, c.cost or 0.0)))


def _pack(
    winner: Candidate | None, tried: Sequence[Judged], search: Search, out: Path
) -> Bundle | None:
    """Write the winner's bundle in place of an earlier one; without a winner there is none."""
    if winner is None:
        if (out / "model.json").is_file():
            shutil.rmtree(out)
            out.with_name(f"{out.name}.tar.gz").unlink(missing_ok=True)
        return None
    path = next(one.path for one in tried if one.sha256 == winner.row.sha256)
    return bundle.write(path, _board(winner, search), out, force=True)


def _not_packed(winner: Candidate | None, packed: Bundle | None) -> tuple[str, ...]:
    """Say where the bundle brings another runtime than the winner was measured with."""
    if winner is None or packed is None or winner.row.runtime in packed.runtimes:
        return ()
    return (f"the bundle brings {packed.runtimes[0]}: install {winner.row.runtime} there yourself",)


def _board(winner: Candidate, search: Search) -> Board:
    """Return for whom to pack: who was asked for, or where it was measured."""
    kind, _, name = winner.row.target.partition(":")
    if search.board is not None or kind in ("predicted", "emulated"):
        return board.find(search.board or name)
    machine = winner.row.machine
    if kind != "ssh" or not machine.get("arch"):
        return board.find(board.THIS)
    title = machine.get("board") or machine.get("cpu") or name
    return Board(name, str(title), str(machine["arch"]), int(machine.get("cores") or 0))


def _row(candidate: Candidate | None) -> dict[str, Any] | None:
    """Return a row of the result: what is compared, and the whole measurement."""
    if candidate is None:
        return None
    row = candidate.row
    return {
        "file": row.model,
        "checkpoint": candidate.checkpoint,
        "sha256": row.sha256,
        "scheme": row.scheme,
        "format": row.format,
        "bytes": row.bytes,
        "target": row.target,
        "runtime": row.runtime,
        "threads": row.threads,
        "latency_ms": row.latency_ms.median if row.latency_ms else None,
        "predicted_ms": dataclasses.asdict(row.predicted_ms) if row.predicted_ms else None,
        "instructions": row.instructions,
        "memory_mb": row.memory_mb.rss_peak if row.memory_mb else None,
        "arena_mb": candidate.arena_mb,
        "top1": candidate.accuracy.top1,
        "n": candidate.accuracy.n,
        "drop_points": candidate.drop_points,
        "valid": row.valid,
        "invalid_reasons": list(row.invalid_reasons),
    }


def _checkpoint(one: Checkpoint) -> dict[str, Any]:
    card = one.card
    return {
        "name": card.name,
        "path": str(one.path),
        "arch": card.arch,
        "alpha": card.alpha,
        "size": card.preprocessing.height,
        "params": card.params,
        "macs": card.macs,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
