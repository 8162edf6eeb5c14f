"""What `doctor` says: one finding a line, with what to do about it."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, TypeAlias

Level: TypeAlias = Literal["ok", "note", "warning", "error"]
LEVELS: tuple[Level, ...] = ("ok", "note", "warning", "error")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: What it is about, one word or two.
        level: "error" means that nothing can run there, or that this file can't; "warning" that
            figures will be doubtful or something may fail.
        what: Was found.
        fix: What to do; empty where there's nothing to do.
    """

    check: str
    level: Level
    what: str
    fix: str = ""

    def __post_init__(self) -> None:
        if (self.level in ("warning", "error")) != bool(self.fix):
            raise ValueError(f"{self.check}: what is to be done is said where it must be")


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """All findings about one target, and about files on it.

    Attributes:
        target: Its name.
        findings: In the order of the checks.
    """

    target: str
    findings: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        """Whether nothing stands in the way."""
        return all(finding.level != "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return what ``edgecnn doctor --json`` prints."""
        return {
            "target": self.target,
            "usable": self.usable,
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
        }
