"""Everything that a report is made of, in memory and as files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edgecnn.core import schema
from edgecnn.report.collect import Collected
from tests.report.samples import FILES, artifact, card, measurement, network, parity


@pytest.fixture(scope="session")
def collected() -> Collected:
    """Everything there can be, of one model."""
    rows = []
    for name, size, _, _, median, peak in FILES:
        for threads in (1, 2):
            reasons = ("busy machine: other processes used 31 % of the cores",)
            spoilt = (name, threads) == ("flowers-dynamic.tflite", 2)
            rows.append(
                measurement(
                    name,
                    median=median / (1 if threads == 1 else 1.78),
                    threads=threads,
                    bytes_=size,
                    peak=peak,
                    reasons=reasons if spoilt else (),
                )
            )
    return Collected(
        cards=(card(),),
        artifacts=tuple(artifact(f[0], f[1], f[2] - 0.004, f[3]) for f in FILES),
        parities=(parity(),),
        measurements=tuple(rows),
        noises=(network(*(1.0 / (1 + i) for i in range(66))),),
        notes=("results/other.json is not one of our JSON files and was passed over",),
    )


@pytest.fixture
def results(tmp_path: Path, collected: Collected) -> Path:
    """The same as files, as the commands leave them."""
    for index, row in enumerate(collected.measurements):
        (tmp_path / f"row{index}.json").write_text(schema.dumps(row))
    (tmp_path / "parity.json").write_text(schema.dumps(collected.parities[0]))
    (tmp_path / "flowers-int8.layers.json").write_text(schema.dumps(collected.noises[0]))
    rows = [dataclasses.asdict(row) for row in collected.artifacts]
    export = {"schema": "edgecnn/export/1", "source_sha256": "c0ffee", "artifacts": rows}
    (tmp_path / "export.json").write_text(schema.dumps(export))
    return tmp_path
