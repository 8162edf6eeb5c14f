"""How many calibration photos are enough: more and more are tried, until others gain nothing.

Files are tried with nearest rounding: more photos widen the ranges first, and compensated
rounding, which takes far longer, needs to run but once, at the count that is chosen.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn import data
from edgecnn.core import files, progress
from edgecnn.core.artifact import CalibrationPoint
from edgecnn.core.runner import Runner
from edgecnn.export.photos import Photos
from edgecnn.export.writers import Writers
from edgecnn.runtime import load

Array: TypeAlias = npt.NDArray[Any]

FEWEST = 32
"""Where ``--calibration-count auto`` begins."""

# Files that differ in the draw of their photos alone lie this far apart.
_GAIN_DB = 0.2
_PATIENCE = 2
# Compensated rounding learns more from the photos than ranges: on others than those it was fitted
# on its gain was less sure with 96 of them than with 180 (EfficientNet-Lite0 at 224, ImageNet).
_COMPENSATED_FEWEST = 192
# No error at all would be infinite, which JSON can't say.
_HIGHEST_DB = 120.0


def doublings(fewest: int, most: int) -> list[int]:
    """Return the counts to try: each twice the one before, the last ``most`` itself."""
    counts = []
    while fewest < most:
        counts.append(fewest)
        fewest *= 2
    return [*counts, most]


def halvings(most: int, steps: int = 4) -> list[int]:
    """Return the counts of a curve that ends at ``most``, smallest first."""
    return sorted({max(most >> step, 1) for step in range(steps + 1)})


def grow(counts: Iterable[int], trial: Callable[[int], CalibrationPoint]) -> list[CalibrationPoint]:
    """Try counts in turn until two in a row gain nothing on the photos kept aside.

    Args:
        counts: Rising.
        trial: Makes a file from so many photos and measures it on others.

    Returns:
        What was tried; see `enough` for the choice.
    """
    points: list[CalibrationPoint] = []
    best_db, since = -np.inf, 0
    for count in counts:
        point = trial(count)
        points.append(point)
        since = 0 if point.sqnr_db >= best_db + _GAIN_DB else since + 1
        best_db = max(best_db, point.sqnr_db)
        if since == _PATIENCE:
            break
    return points


def enough(points: Sequence[CalibrationPoint]) -> int:
    """Return the smallest count that is as good as the best, but for what chance does.

    Raises:
        ValueError: nothing was tried.
    """
    if not points:
        raise ValueError("no count of calibration photos was tried")
    best_db = max(point.sqnr_db for point in points)
    return min(point.n for point in points if point.sqnr_db > best_db - _GAIN_DB)


class Trials:
    """Tries counts of calibration photos, each once: an int8 TFLite file, judged on others.

    Attributes:
        tried: What was found, by count.
        writers: What made the file of a count, by count, with nearest rounding.
    """

    def __init__(self, writers: Writers, photos: Photos, runner: Runner) -> None:
        """Take in what each trial needs.

        Args:
            writers: Make the file's bytes.
            photos: The calibration photos and those kept aside; at least one of these.
            runner: Answers as the file should.
        """
        self.tried: dict[int, CalibrationPoint] = {}
        self.writers: dict[int, Writers] = {}
        self._base, self._photos = writers, photos
        reader = data.Reader(photos.aside, photos.card.preprocessing)
        batches = [batch.pixels for batch in reader]
        self._pixels = np.concatenate(batches)
        self._expected = np.concatenate([runner.run(pixels) for pixels in batches])

    def __call__(self, count: int) -> CalibrationPoint:
        """Return what a file from so many photos does on those kept aside."""
        if count not in self.tried:
            self.tried[count] = self._try(count)
        return self.tried[count]

    def _try(self, count: int) -> CalibrationPoint:
        started = time.perf_counter()
        self.writers[count] = self._base.calibrated(self._photos.first(count).pixels)
        self.writers[count].rounding = "nearest"
        made = self.writers[count].make("tflite", "int8", "uint8")
        seconds = time.perf_counter() - started
        with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
            path = Path(folder) / "trial.tflite"
            files.write_bytes(path, made.content)
            scores = load(path, threads=2).run(self._pixels)
        same = scores.argmax(axis=1) == self._expected.argmax(axis=1)
        return CalibrationPoint(
            n=count,
            agreement_pct=float(100 * same.mean()),
            sqnr_db=sqnr_db(self._expected, scores),
            seconds=seconds,
        )


def sqnr_db(expected: Array, found: Array) -> float:
    """Return the power of a signal over that of its error, in decibels, at most 120."""
    signal, noise = (
        float(np.square(v.astype(np.float64)).mean()) for v in (expected, found - expected)
    )
    ratio = signal / max(noise, 1e-300)
    return float(np.clip(10 * np.log10(max(ratio, 1e-300)), -_HIGHEST_DB, _HIGHEST_DB))


def settle(
    writers: Writers, photos: Photos, runner: Runner, *, wanted: int | None
) -> tuple[Photos, Writers]:
    """Try counts of calibration photos and return what to export with.

    Args:
        writers: Make a file for each count.
        photos: The photos, some of them kept aside.
        runner: Answers as the files should.
        wanted: The count that is taken whatever the curve says; None takes the smallest that
            is enough.

    Returns:
        The photos to take, whose manifest says what was tried, and their writers.
    """
    most = len(photos.calibrating)
    is_nearest = writers.rounding == "nearest"
    fewest = min(FEWEST if is_nearest else _COMPENSATED_FEWEST, most)
    counts = doublings(FEWEST, most) if wanted is None else halvings(most)
    trials = Trials(writers, photos, runner)
    with progress.bar("trying counts of photos", total=len(counts)) as advance:

        def shown(count: int) -> CalibrationPoint:
            point = trials(count)
            advance(note=f"{count}: {point.agreement_pct:.1f} %")
            return point

        points = grow(counts, shown) if wanted is None else [shown(n) for n in counts]
    count = max(enough(points), fewest) if wanted is None else most
    chosen = photos.first(count).with_curve(points)
    return chosen, trials.writers[count] if is_nearest else writers.calibrated(chosen.pixels)


def still_gaining(points: Sequence[CalibrationPoint]) -> Iterator[str]:
    """Yield a line where the photos ran out while more of them still gained something."""
    if len(points) > 1 and enough(points) == points[-1].n:
        last, before = points[-1], points[-2]
        yield (
            f"{last.n} calibration photos are better than {before.n} by "
            f"{last.sqnr_db - before.sqnr_db:.1f} dB: more may be better still"
        )
