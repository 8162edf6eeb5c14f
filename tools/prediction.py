"""The data behind predictions: what each published network does, and the fit to its latencies.

Run: python tools/prediction.py --write | --check [--only NAME ...]

Builds the zoo's network, converts it to TFLite in float32 and notes each operation's kind,
multiplications and numbers moved in devices/published/networks.json, so that predictions are
fitted without TensorFlow; then fits, leaves out each row, network and board in turn, and
notes parameters and errors in calibration.json. --check tells whether both still hold.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FOLDER = Path(__file__).parents[1] / "devices" / "published"
NETWORKS = FOLDER / "networks.json"
CALIBRATION = FOLDER / "calibration.json"
# Two machines' libraries agree on the fit to more than this.
TOLERANCE = 1e-3


def names() -> list[str]:
    with (FOLDER / "latencies.toml").open("rb") as file:
        groups = tomllib.load(file)["group"]
    return sorted({row["network"] for group in groups for row in group["rows"]})


def summary(name: str) -> dict[str, Any]:
    from edgecnn import zoo
    from edgecnn.bench.work import work_of
    from edgecnn.convert import tflite
    from edgecnn.convert.frozen import freeze
    from edgecnn.runtime import tflite as reader

    size = zoo.find(name).default_size
    model = zoo.attach_head(zoo.build(name, shape=(size, size, 3)), 1000)
    graph = reader.read(tflite.float32(freeze(model)), where=name)
    operations = [[work.kind, work.macs, work.moved] for work in work_of(graph)]
    return {"size": size, "operations": operations}


def text(networks: dict[str, Any]) -> str:
    lines = []
    for name, network in sorted(networks.items()):
        rows = ",\n   ".join(json.dumps(row) for row in network["operations"])
        lines.append(f' "{name}": {{"size": {network["size"]}, "operations": [\n   {rows}]}}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def refitted(*, write: bool) -> bool:
    """Fit; tell whether the stored fit was another one."""
    from edgecnn.core import schema
    from edgecnn.targets.calibration import calibrate
    from edgecnn.targets.published import published

    found = calibrate(published())
    if write:
        CALIBRATION.write_text(schema.dumps(found))
        return False
    stored = schema.read(type(found), CALIBRATION)
    old = [*stored.parameters.values(), *stored.errors.row]
    new = [*found.parameters.values(), *found.errors.row]
    return len(old) != len(new) or any(
        abs(a / b - 1) > TOLERANCE for a, b in zip(old, new, strict=True)
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true")
    action.add_argument("--check", action="store_true")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    args = parser.parse_args()
    stored = json.loads(NETWORKS.read_text()) if NETWORKS.is_file() else {}
    found = {}
    for name in args.only or names():
        found[name] = summary(name)
        print(f"{name}: {len(found[name]['operations'])} operations", flush=True)
        if args.write:  # as it comes: a run that was stopped loses nothing
            stored |= {name: found[name]}
            NETWORKS.write_text(text(stored))
    stale = [name for name in found if stored.get(name) != found[name]]
    stale += ["the fit"] if refitted(write=args.write) else []
    if stale:
        print(f"stale: {', '.join(stale)}; run with --write", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
