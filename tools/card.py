"""Run a recipe along the whole line, and write its card, its head and the page of recipes.

python tools/card.py digits digits --out build/cards
python tools/card.py catsdogs ../shared/data/catsdogs --split 60/10/30 --out build/cards
python tools/card.py --check

An interrupted run goes on when the same command is given again. `--write` makes heads and
pages anew from the cards' JSON; `--check` exits 1 where one differs, or where a recipe is
no longer the one that was measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import math
import os
import resource
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from edgecnn.bench.machine import machine_facts
from edgecnn.core import schema
from edgecnn.report import units

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "models"
CARDS = MODELS / "cards"
PAGE = ROOT / "docs" / "recipes.md"

_BEGIN = "# --- measured, written by tools/card.py"
_END = "# ---"
_NOT_RUN = "# Not run yet: what it reaches is unknown."
# The comparison that courses make, from the weakest to the strongest.
_STEPS = (
    "catsdogs_dense",
    "catsdogs_plain",
    "catsdogs_augmented",
    "catsdogs_mobilenet_v2",
    "catsdogs",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class File:
    """One exported file, compared with its checkpoint on the test photos."""

    name: str
    bytes: int
    top1: float
    agreement_pct: float
    drop_points: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """What one run of a recipe measured; fractions 0..1 unless named otherwise.

    Attributes:
        command: What makes this card again, with the names of data and weights alone.
        settings: The recipe's table `[train]` at that time.
        weights: What training started from: a source, or a file's name.
        data: Source, fingerprint, split, seed and counts of the photos.
        wall_s: Seconds of each stage of the line; `cpu_s` of all its threads.
        cores_used: Cores that the run was allowed to use.
    """

    SCHEMA: ClassVar[str] = "edgecnn/recipe-card/1"

    recipe: str
    date: str
    command: str
    settings: dict[str, Any]
    weights: str
    data: dict[str, Any]
    arch: str
    input_shape: tuple[int, int, int]
    params: int
    macs: int
    epochs: dict[str, int]
    top1: float
    n: int
    files: tuple[File, ...]
    wall_s: dict[str, float]
    cpu_s: dict[str, float]
    peak_rss_mb: float
    cpu: str
    cores: int
    cores_used: int
    versions: dict[str, str]


def measure(args: argparse.Namespace) -> Card:
    """Train, evaluate, export and verify, each by its command; a finished stage is kept."""
    name, work = args.recipe, args.out / args.recipe
    work.mkdir(parents=True, exist_ok=True)
    run, files = str(work / name), str(work / "files")
    chosen = ["--weights", args.weights] if args.weights else []
    options = ["--recipe", name, "--split", args.split, "--seed", str(args.seed), *chosen]
    table = {
        "train": [args.data, *options, "--out", run, "--resume"],
        "evaluate": [run, "--data", args.data],
        "export": [run, "--float32", "--int8", *_FORMATS, "--out", files, "--force"],
        "verify": [files, "--against", run, "--data", args.data],
    }
    stages = {stage: run_stage(work, stage, words, _asked(name)) for stage, words in table.items()}
    return _card(args, stages, json.loads((work / name / "card.json").read_text()))


_FORMATS = ("--format", "tflite,onnx")


def run_stage(work: Path, name: str, words: list[str], settings: dict[str, Any]) -> dict[str, Any]:
    """Run one command unless its answer is there; the time of all attempts adds up."""
    record = work / f"{name}.json"
    asked = {"words": words, "settings": settings}
    kept = {"asked": asked, "wall_s": 0.0, "cpu_s": 0.0}
    if record.is_file():
        kept = json.loads(record.read_text())
        if kept["asked"] != asked:
            raise SystemExit(f"{record}: of another run; remove {work}")
    if "answer" in kept:
        return kept
    command = [sys.executable, "-m", "edgecnn", name, *words, "--json"]
    started, cpu_before = time.perf_counter(), _cpu_of_children()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    kept["wall_s"] += time.perf_counter() - started
    kept["cpu_s"] += _cpu_of_children() - cpu_before
    if done.returncode == 0:
        kept["answer"] = json.loads(done.stdout)
    record.write_text(json.dumps(kept, indent=1))
    if done.returncode:
        raise SystemExit(f"edgecnn {name} ended with {done.returncode}")
    return kept


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _asked(name: str) -> dict[str, Any]:
    return tomllib.loads((MODELS / f"{name}.toml").read_text(encoding="utf-8"))["train"]


def _card(args: argparse.Namespace, stages: dict[str, Any], trained: dict[str, Any]) -> Card:
    answers = {name: stage["answer"] for name, stage in stages.items()}
    sizes = {Path(row["path"]).name: row["bytes"] for row in answers["export"]["artifacts"]}
    prepared, machine = trained["preprocessing"], machine_facts()
    manifest = dict(trained["data"], source=_public(trained["data"]["source"]))
    return Card(
        recipe=args.recipe,
        date=datetime.date.today().isoformat(),
        command=_command(args, whole=manifest["split"] is not None),
        settings=_asked(args.recipe),
        weights=trained["weights"],
        data=manifest,
        arch=trained["arch"],
        input_shape=(prepared["height"], prepared["width"], prepared["channels"]),
        params=trained["params"],
        macs=trained["macs"],
        epochs={phase["name"]: phase["epochs"] for phase in trained["phases"]},
        top1=answers["evaluate"]["top1"],
        n=answers["evaluate"]["n"],
        files=tuple(_file(row, sizes) for row in answers["verify"]["rows"]),
        wall_s={name: round(stage["wall_s"], 1) for name, stage in stages.items()},
        cpu_s={name: round(stage["cpu_s"], 1) for name, stage in stages.items()},
        peak_rss_mb=round(trained["peak_rss_mb"]),
        cpu=machine["cpu"] or machine["arch"],
        cores=machine["cores"],
        cores_used=len(os.sched_getaffinity(0)),
        versions=trained["versions"],
    )


def _file(row: dict[str, Any], sizes: dict[str, int]) -> File:
    name = Path(row["path"]).name
    return File(
        name=name,
        bytes=sizes[name],
        top1=row["top1"],
        agreement_pct=row["agreement_pct"],
        drop_points=row["top1_drop_points"],
    )


def _command(args: argparse.Namespace, *, whole: bool) -> str:
    words = ["python tools/card.py", args.recipe, _public(args.data)]
    words += ["--split", args.split] if whole else []
    words += ["--seed", str(args.seed)]
    words += ["--weights", _public(args.weights)] if args.weights else []
    return " ".join([*words, "--out build/cards"])


def _public(path: str) -> str:
    """Return a path's last part: where it lies is nobody's business."""
    return Path(path).name + ("/" if Path(path).is_dir() else "")


def interval(top1: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927), 0..1."""
    z = 1.96
    centre = (top1 + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(top1 * (1 - top1) / n + z * z / (4 * n * n))
    return centre - half, centre + half


# ------------------------------------------------------------------ pages


def head(card: Card | None) -> str:
    """Return the measured lines of a recipe's head."""
    if card is None:
        return "\n".join([_BEGIN, _NOT_RUN, _END])
    int8 = ", ".join(
        f"{units.share(file.top1)} in {units.bytes_(file.bytes)} ({Path(file.name).suffix[1:]})"
        for file in card.files
        if "-int8." in file.name
    )
    lines = (
        _BEGIN,
        f"# Reaches: {_reached(card)}.",
        f"# int8: {int8}.",
        f"# Takes: {_training_time(card)}, on {_machine(card)}.",
        f"# From: models/cards/{card.recipe}.md, {card.date}.",
        f"# Again: {card.command}",
        _END,
    )
    return "\n".join(lines)


def _reached(card: Card) -> str:
    low, high = (100 * value for value in interval(card.top1, card.n))
    return (
        f"{units.share(card.top1)} top-1 on {card.n:,} test photos "
        f"(95 % interval {low:.1f} to {high:.1f}), one run, seed {card.data['seed']}"
    )


def _training_time(card: Card) -> str:
    """Return both times: on a machine that does other things too, only the CPU's says a lot."""
    wall, cpu = (units.seconds(table["train"]) for table in (card.wall_s, card.cpu_s))
    return f"{wall} ({cpu} of CPU)"


def _machine(card: Card) -> str:
    cores = f"{card.cores_used} of {card.cores} cores" if card.cores > 1 else "the one core"
    return f"{cores} of a machine with {card.cpu}"


def card_page(card: Card, recipe: dict[str, Any]) -> str:
    """Return a card as Markdown."""
    data = card.data
    shares = "its own parts" if data["split"] is None else "/".join(f"{x:g}" for x in data["split"])
    epochs = ", ".join(f"{name} {count} epochs" for name, count in card.epochs.items())
    rows = {
        "top-1 of the checkpoint": _reached(card),
        "target": _target(recipe),
        "network": f"{card.arch}, {'x'.join(map(str, card.input_shape))}, {card.params:,} "
        f"parameters, {card.macs:,} MACs",
        "start weights": card.weights,
        "training": f"{epochs}; {card.wall_s['train']:.0f} s wall, {card.cpu_s['train']:.0f} s "
        f"CPU, {card.peak_rss_mb:.0f} MB",
        "photos": f"{data['source']}: {data['n_train']:,} train, {data['n_val']:,} val, "
        f"{data['n_test']:,} test ({shares}, seed {data['seed']})",
        "fingerprint of the photos": f"`{data['fingerprint'][:16]}`",
        "machine": f"{_machine(card)}, {card.date}",
        "versions": ", ".join(f"{name} {text}" for name, text in card.versions.items()),
    }
    files = (
        f"| {file.name} | {units.bytes_(file.bytes)} | {units.share(file.top1)} "
        f"| {units.percent(file.agreement_pct)} | {file.drop_points:+.2f} |"
        for file in card.files
    )
    lines = [
        f"# {card.recipe}",
        "",
        f"{recipe['summary'][0].upper()}{recipe['summary'][1:]}. "
        f"Settings: [{card.recipe}.toml](../{card.recipe}.toml).",
        *(["", recipe["note"]] if "note" in recipe else []),
        "",
        "| what | measured |",
        "|---|---|",
        *(f"| {name} | {text} |" for name, text in rows.items()),
        "",
        f"| file | size | top-1 (n={card.n:,}) | same answer as the checkpoint | points lost |",
        "|---|---|---|---|---|",
        *files,
        "",
        "Written by:",
        "",
        "```sh",
        card.command,
        "```",
    ]
    return "\n".join(lines) + "\n"


def _target(recipe: dict[str, Any]) -> str:
    target = recipe.get("target", {})
    parts = [f"top-1 >= {units.share(target['top1'])}"] if "top1" in target else []
    parts += [f"training <= {target['minutes']} min"] if "minutes" in target else []
    parts += [f"parameters < {target['params']:,}"] if "params" in target else []
    return ", ".join(parts) or units.NONE


def recipes_page(cards: dict[str, Card], recipes: dict[str, dict[str, Any]]) -> str:
    """Return docs/recipes.md."""
    run = [_row(cards[name], recipe) for name, recipe in recipes.items() if name in cards]
    notes = [f"`{name}`: {recipes[name]['note']}" for name in cards if "note" in recipes[name]]
    waiting = [_waiting(name, recipe) for name, recipe in recipes.items() if name not in cards]
    steps = [
        f"| [{name}](../models/cards/{name}.md) | {recipes[name]['summary']} "
        f"| {units.share(cards[name].top1)} | {_range(cards[name])} "
        f"| {_training_time(cards[name])} |"
        for name in _STEPS
        if name in cards
    ]
    return _PAGE.format(
        rows="\n".join(run),
        notes="\n".join(notes),
        steps="\n".join(steps),
        waiting="\n".join(waiting) or "All have been run.",
    )


def _waiting(name: str, recipe: dict[str, Any]) -> str:
    note = f". {recipe['note']}" if "note" in recipe else ""
    return f"- `{name}`: {recipe['summary']}{note}"


def _range(card: Card) -> str:
    low, high = (100 * value for value in interval(card.top1, card.n))
    return f"{low:.1f} to {high:.1f}"


def _row(card: Card, recipe: dict[str, Any]) -> str:
    int8 = next(file for file in card.files if file.name.endswith("-int8.tflite"))
    cells = (
        f"[{card.recipe}](../models/cards/{card.recipe}.md)",
        f"{card.arch} at {card.input_shape[0]}",
        f"{card.params / 1e6:.2f} M",
        f"{units.share(card.top1)} (n={card.n:,})",
        _target(recipe),
        f"{units.share(int8.top1)}, {units.bytes_(int8.bytes)}",
        _training_time(card),
    )
    return f"| {' | '.join(cells)} |"


_PAGE = """\
# Recipes

Made by `python tools/card.py --write` from `models/*.toml` and `models/cards/`.

A recipe is a file of settings for `train`, by name or by path. For a folder of your own
photos begin with `photos`; options on the command line win over the recipe's.

```sh
edgecnn zoo show photos
edgecnn train photos/ --recipe photos --out run/
```

## Measured

Each row is one run, seed 0, of the whole line: train, evaluate, export, verify. Top-1 is
the checkpoint's on the test photos, which training never saw; int8 is the `.tflite` file
with integers throughout, on the same photos. The cards say on which machine; other work
ran there too, so the CPU's time says what a training costs.

| recipe | network | parameters | top-1 | target | int8 file | training |
|---|---|---|---|---|---|---|
{rows}

{notes}

## What each step is worth

The comparison that courses begin with, on the same 2,000 photos of cats and dogs: 1,200 to
train, 200 to choose the best epoch by, 600 to judge.

| recipe | what | top-1 | 95 % interval | training |
|---|---|---|---|---|
{steps}

## Not run yet

What these reach is unknown.

{waiting}
"""


# ------------------------------------------------------------------ files


def expected() -> Iterator[tuple[Path, str]]:
    """Yield each file that follows from the cards, with the text that it should have."""
    recipes = read_recipes()
    cards = {path.stem: schema.read(Card, path) for path in sorted(CARDS.glob("*.json"))}
    for name, card in cards.items():
        yield CARDS / f"{name}.md", card_page(card, recipes[name])
    for name in recipes:
        path = MODELS / f"{name}.toml"
        yield path, _with_head(path.read_text(encoding="utf-8"), head(cards.get(name)))
    yield PAGE, recipes_page(cards, recipes)


def read_recipes() -> dict[str, dict[str, Any]]:
    """Return all recipes by name, as their files have them."""
    paths = sorted(path for path in MODELS.glob("*.toml") if path.name != "catalogue.toml")
    return {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in paths}


def _with_head(text: str, lines: str) -> str:
    """Put the measured lines before the summary, in place of earlier ones."""
    before, _, after = text.partition("summary = ")
    return before.partition(_BEGIN)[0] + lines + "\nsummary = " + after


def stale() -> list[str]:
    """Return the names of files that differ from what the cards say, and outdated cards."""
    recipes = read_recipes()
    texts = [
        path.name
        for path, text in expected()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    outdated = [
        path.name
        for path in sorted(CARDS.glob("*.json"))
        if schema.read(Card, path).settings != recipes[path.stem]["train"]
    ]
    return texts + outdated


def write() -> None:
    """Make heads and pages anew."""
    for path, text in expected():
        path.write_text(text, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("recipe", nargs="?", choices=sorted(read_recipes()), metavar="RECIPE")
    add("data", nargs="?", metavar="DATA", help="as `edgecnn train` takes it")
    add("--split", default="60/10/30", help="of data that isn't split (default: 60/10/30)")
    add("--seed", type=int, default=0)
    add("--weights", metavar="FILE", help="instead of the recipe's")
    add("--out", type=Path, metavar="WORKDIR", help="where the run's files are kept")
    add("--write", action="store_true", help="make heads and pages anew from the cards")
    add("--check", action="store_true", help="exit 1 where one of them is stale")
    args = parser.parse_args()
    if args.check:
        names = stale()
        print(f"stale: {', '.join(names)}" if names else "fresh", file=sys.stderr)
        return bool(names)
    if not args.write:
        if not (args.recipe and args.data and args.out):
            parser.error("RECIPE, DATA and --out, or --write, or --check")
        CARDS.mkdir(exist_ok=True)
        text = schema.dumps(measure(args))
        (CARDS / f"{args.recipe}.json").write_text(text, encoding="utf-8")
    write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
