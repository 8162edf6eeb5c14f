"""Parity: one file against its checkpoint, and files against each other."""

from __future__ import annotations

import dataclasses
from typing import ClassVar


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flip:
    """A photo whose top-1 answer the file changed.

    Attributes:
        image: The photo's name within its data.
        label: Its true class; none without labels.
        reference: The checkpoint's answer.
        answer: The file's answer.
        reference_probability: Of its own answer, 0..1; likewise answer_probability.
        thumbnail: JPEG as base64 text, at most 96 pixels; none when not kept.
    """

    image: str
    label: str | None
    reference: str
    answer: str
    reference_probability: float
    answer_probability: float
    thumbnail: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Check:
    """One invariant or limit, and whether it held."""

    name: str
    passed: bool
    detail: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParityRow:
    """One file against the reference.

    Attributes:
        path: The file.
        sha256: Of the file.
        n: Photos compared.
        top1: The file's top-1, 0..1; none without labels.
        agreement_pct: Share of photos with the reference's answer, 0..100.
        top1_drop_points: Reference minus file, in points (positive is worse).
        max_abs_diff: Largest difference of a probability.
        mean_kl: Mean Kullback-Leibler divergence from the reference, nats.
        flips: Photos with another answer.
        checks: Invariants and limits.
    """

    path: str
    sha256: str
    n: int
    top1: float | None
    agreement_pct: float
    top1_drop_points: float | None
    max_abs_diff: float
    mean_kl: float
    flips: tuple[Flip, ...]
    checks: tuple[Check, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """How often two files give the same answer, 0..100."""

    a: str
    b: str
    agreement_pct: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parity:
    """The result of ``verify``.

    Attributes:
        reference_sha256: Of the reference; two results with the same one, on the same photos,
            can be compared photo by photo. None in results of earlier versions.
    """

    SCHEMA: ClassVar[str] = "edgecnn/parity/1"

    reference: str
    data: str
    rows: tuple[ParityRow, ...]
    pairs: tuple[Pair, ...]
    passed: bool
    reference_sha256: str | None = None
