"""What two results are compared in: names, units, and which way is worse."""

from __future__ import annotations

import dataclasses

from edgecnn.report import units


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """One number of a file, or of a file in one setting.

    Attributes:
        title: For people.
        unit: Of the values, which JSON and gates have, too; "points" for shares in percent.
        scales: What a limit may be given in, over that unit.
        worse: +1 where a larger value is worse, -1 where a smaller one is.
        timed: It depends on the machine's speed and on the row being valid.
    """

    title: str
    unit: str
    scales: dict[str, float]
    worse: int = 1
    timed: bool = False

    @property
    def is_share(self) -> bool:
        """A share of photos, 0..100."""
        return self.unit == "points"

    def text(self, value: float | None) -> str:
        """Return a value with its unit."""
        match self.unit:
            case "ms":
                return units.milliseconds(value)
            case "MB":
                return units.megabytes(value)
            case "B":
                return units.bytes_(value)
            case "points":
                return units.percent(value)
        return units.count(value)

    def change(self, value: float) -> str:
        """Return a signed difference of two values with its unit."""
        sign = "-" if value < 0 else "+" if value > 0 else ""
        if self.is_share:
            return f"{sign}{abs(value):.2f} points"
        return f"{sign}{self.text(abs(value))}"


_BYTES = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}
_MEMORY = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
_TIMES = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
_POINTS = {"": 1.0, "points": 1.0}

METRICS: dict[str, Metric] = {
    "top1": Metric(title="top-1", unit="points", scales=_POINTS, worse=-1),
    "agreement": Metric(title="agreement", unit="points", scales=_POINTS, worse=-1),
    "size": Metric(title="size", unit="B", scales=_BYTES),
    "median": Metric(title="median", unit="ms", scales=_TIMES, timed=True),
    "p90": Metric(title="p90", unit="ms", scales=_TIMES, timed=True),
    "memory": Metric(title="peak memory", unit="MB", scales=_MEMORY),
    "instructions": Metric(title="instructions", unit="", scales={"": 1.0}),
}
"""Those of a file first, then those of a file on a target with a runtime and threads."""
