"""The command lines that would make a set of artefacts again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from edgecnn.core.checkpoint import Card
from edgecnn.core.measurement import Measurement
from edgecnn.core.parity import Parity

if TYPE_CHECKING:
    from edgecnn.report import Collected

# Fields of a recipe that `edgecnn train` has an option for.
_NETWORK = ("arch", "alpha", "size", "weights", "resize")
_SCHEDULE = ("head_epochs", "tune_epochs", "batch", "views", "augment", "seed")
_DISTILLATION = ("distill_weight", "distill_temperature")
_COMPRESSION = ("prune", "cluster", "compress")
TRAIN_OPTIONS = (*_NETWORK, *_SCHEDULE, *_DISTILLATION, *_COMPRESSION)


def commands_behind(found: Collected) -> list[str]:
    """Return one line a step, in the order of the work, as far as the artefacts tell."""
    lines = [_train(card) for card in found.cards]
    names = [card.name for card in found.cards]
    if found.artifacts:
        lines.append(_export(names[0] if len(names) == 1 else "CKPT", found))
    lines += [_verify(parity) for parity in found.parities]
    if found.measurements:
        lines.append(_bench(found.measurements, {a.sha256: a.path for a in found.artifacts}))
    return lines


def _train(card: Card) -> str:
    if "pull" in card.recipe:
        size = str(card.recipe["size"])
        words = ["zoo", "pull", card.recipe["pull"], "--size", size, "--out", card.name]
        return shlex.join(["edgecnn", *words])
    flags: list[str] = []
    for name in _options_of(card):
        value = card.recipe.get(name)
        if value is not None:
            flags += [_flag(name), str(value)]
    if card.teacher:
        flags += ["--teacher", card.teacher.name]
    if card.base:  # which decides the split as well
        flags += ["--from", card.base.name]
    elif card.data and card.data.split:
        flags += ["--split", "/".join(f"{share:g}" for share in card.data.split)]
    source = card.data.source if card.data else "DATA"
    return shlex.join(["edgecnn", "train", source, *flags, "--out", card.name])


def _options_of(card: Card) -> tuple[str, ...]:
    """Return the options that say how a checkpoint was trained; the others change nothing."""
    network = () if card.base else _NETWORK
    teaching = _DISTILLATION if card.teacher else ()
    compressing = _COMPRESSION if card.compression else ()
    return (*network, *_SCHEDULE, *teaching, *compressing)


def _export(checkpoint: str, found: Collected) -> str:
    schemes = [_flag(scheme) for scheme in _distinct(row.scheme for row in found.artifacts)]
    formats = ",".join(_distinct(row.format for row in found.artifacts))
    folder = str(PurePath(found.artifacts[0].path).parent)
    io = _distinct(row.io for row in found.artifacts if row.scheme == "int8")
    other = ["--io", io[0]] if io and io != ["uint8"] else []
    return shlex.join(
        ["edgecnn", "export", checkpoint, *schemes, "--format", formats, *other, "--out", folder]
    )


def _verify(parity: Parity) -> str:
    paths = [row.path for row in parity.rows]
    against = [] if parity.reference in paths else ["--against", parity.reference]
    return shlex.join(["edgecnn", "verify", *paths, *against, "--data", parity.data])


def _bench(rows: Sequence[Measurement], paths: dict[str, str]) -> str:
    files = _distinct(paths.get(row.sha256, row.model) for row in rows)
    threads = ",".join(_distinct(str(row.threads) for row in rows))
    targets = _distinct(row.target for row in rows)
    flags = [word for name in targets if name != "cpu" for word in ("--target", name)]
    asked = {
        "--delegate": _distinct(str(row.protocol.get("delegate") or "") for row in rows),
        "--batch": _distinct(str(row.batch) for row in rows),
    }
    for flag, values in asked.items():
        named = [value for value in values if value]
        flags += [flag, ",".join(named)] if named not in ([], ["1"]) else []
    return shlex.join(["edgecnn", "bench", *files, "--threads", threads, *flags])


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
