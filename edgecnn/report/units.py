"""Numbers to text, in one place: everybody else passes numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

NONE = "–"
"""What stands where there is no number."""


def milliseconds(value: float | None) -> str:
    """Return three digits and the unit: ``0.842 ms``, ``4.21 ms``, ``12.3 s``."""
    if value is None:
        return NONE
    return f"{_digits(value / 1000)} s" if value >= 10_000 else f"{_digits(value)} ms"


def seconds(value: float | None) -> str:
    """Return ``4.2 s``, ``83 s`` or ``12 min``."""
    if value is None:
        return NONE
    if value >= 120:
        return f"{value / 60:.0f} min"
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def bytes_(value: float | None) -> str:
    """Return a size in powers of ten: ``812 B``, ``93 kB``, ``3.4 MB``, ``1.2 GB``."""
    if value is None:
        return NONE
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= 0.9995 * scale:
            return f"{value / scale:.{1 if value < 99.95 * scale else 0}f} {unit}"
    return f"{value:.0f} B"


def megabytes(value: float | None) -> str:
    """Return megabytes (1e6 bytes): ``53.1 MB``."""
    return bytes_(None if value is None else value * 1e6)


def percent(value_pct: float | None) -> str:
    """Return 0..100 with one decimal; two where one would round to a perfect 100."""
    if value_pct is None:
        return NONE
    if value_pct == 100:
        return "100 %"
    digits = 2 if value_pct > 99.9 else 1
    # Never round up to what was not reached: 99.996 stays below 100.
    scaled = math.floor(value_pct * 100) / 100 if digits == 2 else value_pct
    return f"{scaled:.{digits}f} %"


def share(value: float | None) -> str:
    """Return a fraction 0..1 as `percent`."""
    return percent(None if value is None else 100 * value)


def points(value: float | None) -> str:
    """Return a signed difference in percentage points, no unit: ``+0.4``, ``0.0``."""
    if value is None:
        return NONE
    return f"{value:+.1f}" if round(value, 1) else "0.0"


def count(value: float | None) -> str:
    """Return a whole number with separators: ``3,413,024``."""
    return NONE if value is None else f"{value:,.0f}"


def rough(value: float | None) -> str:
    """Return a large count in three digits: ``3.41 M``, ``407 M``, ``9.1 k``."""
    if value is None:
        return NONE
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= 0.9995 * scale:
            return f"{_digits(value / scale)} {unit}"
    return f"{value:.0f}"


def plural(number: int, noun: str, many: str = "") -> str:
    """Return ``1 photo``, ``600 photos``; ``many`` where adding an s is wrong."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def sizes(axes: Sequence[int]) -> str:
    """Return ``112×112×32``; an axis of unknown length is a question mark."""
    return "×".join("?" if axis < 0 else str(axis) for axis in axes)


def operation(layer: Mapping[str, Any]) -> str:
    """Return what a layer does: ``Conv2D 3×3 /2``, with its dilation as ``d2``.

    Args:
        layer: op, kernel, stride and dilation, as `inspect` gives them.
    """
    parts = [str(layer["op"])]
    if layer.get("kernel"):
        parts.append(sizes(layer["kernel"]))
        stride, dilation = layer.get("stride") or (1,), layer.get("dilation") or (1,)
        parts += [f"{sign}{_one_or_all(each)}" for sign, each in (("/", stride), ("d", dilation))
                  if max(each) > 1]  # fmt: skip
    return " ".join(parts)


def _one_or_all(axes: Sequence[int]) -> str:
    return str(axes[0]) if len(set(axes)) == 1 else sizes(axes)


def times(ratio: float) -> str:
    """Return a ratio: ``3.8``, ``12``, and two decimals close to one."""
    if ratio >= 9.95:
        return f"{ratio:.0f}"
    return f"{ratio:.2f}" if ratio < 1.1 else f"{ratio:.1f}"


def _digits(value: float) -> str:
    """Return three significant digits, without an exponent."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value)) + 1e-9))
    return f"{value:.{min(decimals, 6)}f}"
