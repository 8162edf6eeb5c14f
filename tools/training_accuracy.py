"""What `train` reaches on real photos: the rows of the README's claims, over several seeds.

python tools/training_accuracy.py catsdogs flowers --data ../shared/data --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
from pathlib import Path
from typing import Any

from edgecnn.core.checkpoint import Card
from edgecnn.core.shipped import folder
from edgecnn.training import make_recipe, train

MOBILENET = "mobilenet_v2_1.0_notop.weights.h5"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One claim.

    Attributes:
        photos: Folder within the data.
        recipe: File in `models/`; None for the defaults of `train`.
        target: Test top-1, mean over the seeds.
        minutes: Limit of one run on 2 cores.
    """

    photos: str
    recipe: str | None
    target: float
    minutes: float
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


ROWS = {
    "catsdogs": Row(photos="catsdogs", recipe="catsdogs.toml", target=0.98, minutes=15),
    "flowers": Row(photos="flowers", recipe="flowers.toml", target=0.81, minutes=30),
    "mobilenet_v2": Row(
        photos="catsdogs",
        recipe=None,
        target=0.95,
        minutes=15,
        options={"arch": "mobilenet_v2", "weights": MOBILENET},
    ),
    "ds_cnn": Row(
        photos="catsdogs", recipe=None, target=0.78, minutes=15, options={"arch": "ds_cnn"}
    ),
}


def reach(row: Row, seed: int, data: Path, weights: Path) -> Card:
    options = {**row.options, "seed": seed}
    if options.get("weights") == MOBILENET:
        options["weights"] = str(weights / MOBILENET)
    file = folder("models") / row.recipe if row.recipe else None
    with tempfile.TemporaryDirectory() as out:
        recipe = make_recipe(file, **options)
        return train(str(data / row.photos), Path(out) / "run", recipe, split=(60, 10, 30)).card


def show(name: str, seed: int, card: Card) -> float:
    val, test = card.scores_on("val"), card.scores_on("test")
    if val is None or test is None:
        raise SystemExit(f"{name}: no photos to judge by")
    phases = ", ".join(
        f"{p.name} {p.epochs} epochs {p.seconds:.0f} s {p.images_per_second:.0f} images/s"
        for p in card.phases
    )
    print(
        f"{name} seed {seed}: test top-1 {test.top1:.4f} (n={test.n}), val {val.top1:.4f} "
        f"(n={val.n}), {card.seconds / 60:.1f} min, {card.peak_rss_mb:.0f} MB; {phases}",
        flush=True,
    )
    return test.top1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], default=list(ROWS))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", type=Path, default=Path("../shared/weights"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    for name in args.rows:
        row = ROWS[name]
        reached = [
            show(name, seed, reach(row, seed, args.data, args.weights)) for seed in args.seeds
        ]
        spread = statistics.stdev(reached) if len(reached) > 1 else 0.0
        print(
            f"{name}: test top-1 {statistics.mean(reached):.4f}, standard deviation {spread:.4f}, "
            f"{len(reached)} seeds (target {row.target} in {row.minutes:g} min a run)"
        )


if __name__ == "__main__":
    main()
