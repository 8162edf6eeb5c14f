"""From a model file to a Measurement: what one inference costs, and whether to believe it.

Each row comes from a fresh process that runs `worker.py` and nothing else.
"""

from edgecnn.bench.measure import (
    RUNTIMES,
    Job,
    measure,
    measure_network,
    unmeasured,
)
from edgecnn.bench.place import NoWorker, Place, ThisMachine, installed
from edgecnn.bench.protocol import Protocol, read_protocol

__all__ = [
    "RUNTIMES",
    "Job",
    "NoWorker",
    "Place",
    "Protocol",
    "ThisMachine",
    "installed",
    "measure",
    "measure_network",
    "read_protocol",
    "unmeasured",
]
