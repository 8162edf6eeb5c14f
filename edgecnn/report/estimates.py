"""What runs and photos say a value is, and how far it would move if it were measured again."""

from __future__ import annotations

import dataclasses

import numpy as np

from edgecnn.core.measurement import MIN_RUNS_P90, Measurement
from edgecnn.core.parity import Flip
from edgecnn.report import bootstrap
from edgecnn.report.bootstrap import Replicates
from edgecnn.report.subjects import Found, Judged


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value; its replicates where it isn't exact."""

    value: float
    replicates: Replicates | None
    basis: str


def exact(value: int | None) -> Estimate | None:
    """Take a number that another run would give again."""
    return None if value is None else Estimate(float(value), None, "exact")


def times(runs: tuple[Measurement, ...], rng: np.random.Generator) -> dict[str, Estimate]:
    """Return the median, and the 90th percentile where each run is long enough for one."""
    timed = [run.latency_ms.samples_ms for run in runs if run.latency_ms is not None]
    if not timed:
        return {}
    values, drawn = bootstrap.quantiles(timed, (0.5, 0.9), rng)
    count = sum(map(len, timed))
    basis = f"{count:,} inferences" + (f" in {len(timed)} runs" if len(timed) > 1 else "")
    enough = min(map(len, timed)) >= MIN_RUNS_P90
    names = ("median", "p90") if enough else ("median",)
    return {name: Estimate(float(values[i]), drawn[i], basis) for i, name in enumerate(names)}


def memory(runs: tuple[Measurement, ...], rng: np.random.Generator) -> Estimate | None:
    """Return the highest resident size; its noise shows in several runs only."""
    peaks = [run.memory_mb.rss_peak for run in runs if run.memory_mb is not None]
    if not peaks:
        return None
    value, drawn = bootstrap.values(peaks, rng)
    return Estimate(value, drawn, "one run" if drawn is None else f"{len(peaks)} runs")


def instructions(runs: tuple[Measurement, ...]) -> Estimate | None:
    """Return guest instructions, which are exact."""
    counts = [run.instructions for run in runs if run.instructions is not None]
    return Estimate(float(np.median(counts)), None, "exact") if counts else None


def share(name: str, found: Found, rng: np.random.Generator) -> Estimate | None:
    """Return a share of photos in percent."""
    value: float
    if name == "top1":
        if found.top1 is None:
            return None
        value, n = 100 * found.top1.value, found.top1.n
    else:
        if found.agreement is None:
            return None
        value, n = found.agreement.pct, found.agreement.n
    if n is None or n < 1:
        return Estimate(value, None, "an unknown number of photos")
    return Estimate(value, 100 * bootstrap.share(value / 100, n, rng), f"{n:,} photos")


def same_photos(old: Judged | None, now: Judged | None) -> tuple[Judged, Judged] | None:
    """Return both where the same photos were compared with the same reference's answers."""
    if old is None or now is None or old.reference_sha256 is None or old.row.n < 1:
        return None
    same = (old.reference_sha256, old.data, old.row.n) == (
        now.reference_sha256,
        now.data,
        now.row.n,
    )
    return (old, now) if same else None


def paired(
    name: str, old: Judged, now: Judged, rng: np.random.Generator
) -> tuple[Replicates, str] | None:
    """Draw the change photo by photo: on all that neither file changed both answer alike."""
    was, is_now = ({f.image: f for f in judged.row.flips} for judged in (old, now))
    n, gained, lost = old.row.n, 0, 0
    for image in was.keys() | is_now.keys():
        first, second = _holds(name, image, was, is_now), _holds(name, image, is_now, was)
        gained += second and not first
        lost += first and not second
    ends = [_told(name, judged) for judged in (old, now)]
    if ends[0] is None or ends[1] is None:
        return None
    if abs(ends[1] - ends[0] - 100 * (gained - lost) / n) > 50 / n:
        return None  # the lists of changed answers don't add up to the shares
    return 100 * bootstrap.paired(gained, lost, n, rng), f"the same {n:,} photos"


def _holds(name: str, image: str, own: dict[str, Flip], other: dict[str, Flip]) -> bool:
    """Return whether a file is right on a photo, or agrees with the reference there."""
    if name == "agreement":
        return image not in own
    flip = own.get(image)
    if flip is not None:
        return flip.answer == flip.label
    return other[image].reference == other[image].label


def _told(name: str, judged: Judged) -> float | None:
    row = judged.row
    if name == "agreement":
        return row.agreement_pct
    return None if row.top1 is None else 100 * row.top1
