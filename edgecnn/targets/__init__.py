"""Where a benchmark runs, and the matrix of files x targets x threads.

Each target satisfies `Target`; `parse` is the registry, whole on one screen.
"""

from edgecnn.targets.cpu import CpuTarget
from edgecnn.targets.gpu import GpuTarget
from edgecnn.targets.matrix import run_matrix, save
from edgecnn.targets.predicted import PredictedTarget
from edgecnn.targets.ssh import SshTarget
from edgecnn.targets.target import Target, parse

__all__ = [
    "CpuTarget",
    "GpuTarget",
    "PredictedTarget",
    "SshTarget",
    "Target",
    "parse",
    "run_matrix",
    "save",
]
