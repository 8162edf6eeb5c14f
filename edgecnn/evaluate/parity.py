"""Files against their reference, and against each other, on photos that stream past once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgecnn.core import files as disk
from edgecnn.core.errors import InputError
from edgecnn.core.image import Preprocessing
from edgecnn.core.parity import Check, Flip, Pair, Parity, ParityRow
from edgecnn.core.progress import bar, say
from edgecnn.core.runner import Runner
from edgecnn.core.runner import Scores as Outputs
from edgecnn.data import Batch, Example, Reader
from edgecnn.evaluate import thumbnail
from edgecnn.evaluate.scores import check_width
from edgecnn.tasks import LEAST_PROBABILITY, answers

MAX_THUMBNAILS = 60
"""A file with more flips than this is broken; more pictures of it tell nothing new."""

FLOAT_STEP = 1e-4
"""How far from 1 float32 probabilities, each rounded, may sum."""


def compare(  # noqa: PLR0913 - the options of `verify`, one each
    reference_name: str,
    reference: Runner,
    files: Mapping[Path, Runner],
    examples: Sequence[Example],
    *,
    data: str,
    min_agreement: float | None = None,
    max_drop: float | None = None,
    thumbnails: bool = True,
) -> Parity:
    """Compare each file's answers with the reference's.

    Each photo is decoded once for all models that prepare it alike. A runner that stands
    for several names is asked once.

    Args:
        reference_name: What the result calls the reference.
        reference: Usually the float checkpoint.
        files: Path to its runner; the path is hashed.
        examples: Photos; labels are indices of the classes, or -1 where there are none.
        data: The DATA argument; noted in the result.
        min_agreement: Least percentage of equal answers that passes.
        max_drop: Largest loss of top-1 that passes, points.
        thumbnails: Keep a small picture of the first flips.

    Raises:
        InputError: no photos, too many unreadable ones, or models of different classes.
    """
    if not examples:
        raise InputError("no photos", where="the data", fix="choose another --split or folder")
    for path, runner in files.items():
        _check_classes(runner, reference, path)
    tallies = [
        _Tally(path, runner, reference.classes, thumbnails=thumbnails)
        for path, runner in files.items()
    ]
    right: list[npt.NDArray[np.bool_]] = []
    runners = {id(runner): runner for runner in (reference, *files.values())}
    for batches, outputs in _streamed(list(runners.values()), examples):
        batch = batches[reference.preprocessing]
        truth = outputs[id(reference)]
        check_width(truth, reference.classes)
        right.append(answers(truth) == batch.labels)
        for tally in tallies:
            tally.add(batch, truth, outputs[id(tally.runner)])
    labelled = all(example.label >= 0 for example in examples)
    float_top1 = float(np.concatenate(right).mean()) if labelled else None
    rows = tuple(tally.row(float_top1, min_agreement, max_drop) for tally in tallies)
    return Parity(
        reference=reference_name,
        data=data,
        rows=rows,
        pairs=tuple(_pair(a, b) for a, b in itertools.combinations(tallies, 2)),
        passed=all(check.passed for row in rows for check in row.checks),
    )


def _check_classes(runner: Runner, reference: Runner, path: Path) -> None:
    if runner.classes and runner.classes != reference.classes:
        raise InputError(
            "other classes than the reference's", where=path, fix="compare files of one checkpoint"
        )


def _streamed(
    runners: Sequence[Runner], examples: Sequence[Example]
) -> Iterator[tuple[dict[Preprocessing, Batch], dict[int, Outputs]]]:
    """Yield batches by preprocessing, and outputs by the runner's id, in the same order."""
    readers = {how: Reader(examples, how) for how in {r.preprocessing: None for r in runners}}
    with bar("Comparing", total=len(examples)) as advance:
        for batches in zip(*readers.values(), strict=True):
            by_how = dict(zip(readers, batches, strict=True))
            outputs = {id(r): r.run(by_how[r.preprocessing].pixels) for r in runners}
            yield by_how, outputs
            advance(len(batches[0].labels))
    for photo in next(iter(readers.values())).skipped:
        say(f"skipped {photo.path}: {photo.reason}")


class _Tally:
    """What is known of one file so far."""

    def __init__(
        self, path: Path, runner: Runner, classes: tuple[str, ...], *, thumbnails: bool
    ) -> None:
        self.path = path
        self.runner = runner
        self.answers: list[npt.NDArray[np.int64]] = []
        self._reference: list[npt.NDArray[np.int64]] = []
        self._labels: list[npt.NDArray[np.int64]] = []
        self._classes = classes
        self._pictures = MAX_THUMBNAILS if thumbnails else 0
        self._flips: list[Flip] = []
        self._not_numbers = 0
        self._sums = (np.inf, -np.inf)
        self._max_abs_diff = 0.0
        self._kl = 0.0

    def add(self, batch: Batch, truth: Outputs, outputs: Outputs) -> None:
        check_width(outputs, self._classes)
        self._not_numbers += int((~np.isfinite(outputs)).any(axis=1).sum())
        found = np.nan_to_num(outputs.astype(np.float64), posinf=1.0, neginf=0.0)
        wanted = np.nan_to_num(truth.astype(np.float64), posinf=1.0, neginf=0.0)
        sums = found.sum(axis=1)
        self._sums = (min(self._sums[0], sums.min()), max(self._sums[1], sums.max()))
        self._max_abs_diff = max(self._max_abs_diff, float(np.abs(found - wanted).max()))
        self._kl += _kl(wanted, found, self._step)
        self.answers.append(answers(outputs))
        self._reference.append(answers(truth))
        self._labels.append(batch.labels)
        for i in np.flatnonzero(self.answers[-1] != self._reference[-1]):
            self._flips.append(self._flip(batch, int(i), wanted, found))

    def row(
        self, float_top1: float | None, min_agreement: float | None, max_drop: float | None
    ) -> ParityRow:
        given, wanted = np.concatenate(self.answers), np.concatenate(self._reference)
        agreement = 100 * float((given == wanted).mean())
        top1 = drop = None
        if float_top1 is not None:
            top1 = float((given == np.concatenate(self._labels)).mean())
            drop = 100 * (float_top1 - top1)
        checks = [self._numbers(), self._sum_to_one(), _varied(given, wanted)]
        if min_agreement is not None:
            detail = f"{agreement:.2f} %, at least {min_agreement:g} % asked"
            checks.append(_check("agreement", agreement >= min_agreement, detail))
        if max_drop is not None and drop is not None:
            detail = f"{drop:.2f} points, at most {max_drop:g} allowed"
            # A drop of 0.4 is 0.40000000000000036 as a difference of two shares.
            checks.append(_check("top-1 drop", drop <= max_drop + 1e-9, detail))
        return ParityRow(
            path=str(self.path),
            sha256=disk.sha256(self.path),
            n=len(given),
            top1=top1,
            agreement_pct=agreement,
            top1_drop_points=drop,
            max_abs_diff=self._max_abs_diff,
            mean_kl=self._kl / len(given),
            flips=tuple(self._flips),
            checks=tuple(checks),
        )

    @property
    def _step(self) -> float:
        """The distance between neighbouring outputs; 0 for floats."""
        output = getattr(self.runner, "output", None)
        return 0.0 if output is None or output.dtype == "float32" else float(output.scale)

    def _numbers(self) -> Check:
        found = f"{self._not_numbers} photos with NaN or infinity"
        return _check("finite", self._not_numbers == 0, found)

    def _sum_to_one(self) -> Check:
        """Each output is rounded by half a step at most; one more for a clipped 1."""
        allowed = max(FLOAT_STEP, self._step * (1 + len(self._classes) / 2))
        low, high = self._sums
        detail = f"{low:.4f} to {high:.4f}, within {allowed:.4f} of 1 asked"
        return _check("sums to one", max(1 - low, high - 1) <= allowed, detail)

    def _flip(
        self,
        batch: Batch,
        index: int,
        wanted: npt.NDArray[np.float64],
        found: npt.NDArray[np.float64],
    ) -> Flip:
        was, now = int(self._reference[-1][index]), int(self.answers[-1][index])
        label = int(batch.labels[index])
        picture = len(self._flips) < self._pictures
        return Flip(
            image=batch.names[index],
            label=self._classes[label] if label >= 0 else None,
            reference=self._classes[was],
            answer=self._classes[now],
            reference_probability=float(wanted[index, was]),
            answer_probability=float(found[index, now]),
            thumbnail=thumbnail.as_text(batch.pixels[index]) if picture else None,
        )


def _kl(wanted: npt.NDArray[np.float64], found: npt.NDArray[np.float64], step: float) -> float:
    """Return the summed divergence of some photos, nats, for rows that needn't sum to one.

    The generalized form p log(p/q) - p + q is never negative. A 0 of an integer output
    stands for anything up to half its step, so the nearest of that to p is taken.
    """
    least = max(step / 2, LEAST_PROBABILITY)
    p = wanted.clip(LEAST_PROBABILITY, None)
    q = np.maximum(found, np.minimum(p, least))
    return float((p * np.log(p / q) - p + q).sum().clip(0.0))


def _varied(given: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]) -> Check:
    """A broken file often gives one class to every photo."""
    found, expected = len(np.unique(given)), len(np.unique(wanted))
    detail = f"{found} classes answered, {expected} by the reference"
    return _check("more than one class", found > 1 or expected == 1, detail)


def _check(name: str, passed: bool, detail: str) -> Check:
    return Check(name=name, passed=bool(passed), detail=detail)


def _pair(a: _Tally, b: _Tally) -> Pair:
    same = np.concatenate(a.answers) == np.concatenate(b.answers)
    return Pair(a=str(a.path), b=str(b.path), agreement_pct=100 * float(same.mean()))
