from __future__ import annotations

from pathlib import Path

from edgecnn import bench
from edgecnn.bench import Job
from edgecnn.targets import CpuTarget


def test_a_file_is_measured_here(shared: Path) -> None:
    row = CpuTarget().measure(
        Job(
            shared / "models" / "mobilenet_v1_0.25_128_quant.tflite",
            runtime="litert",
            threads=2,
            protocol=bench.read_protocol(runs=2),
        )
    )
    assert (row.target, row.threads) == ("cpu", 2)
    assert row.latency_ms is not None
    assert row.latency_ms.runs == 2
