"""A name and a shape to a Keras model; pretrained weights; a `Runner` over a Checkpoint."""

import os

from edgecnn.core.quiet import quiet_stderr

# TensorFlow 2.21 greets on stderr while it is imported, whatever its log level says.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with quiet_stderr():
    import tensorflow  # noqa: F401

from edgecnn.zoo.architecture import Architecture
from edgecnn.zoo.checkpoint import CheckpointRunner, restore, save_model
from edgecnn.zoo.cost import Cost, cost
from edgecnn.zoo.graph import cut_points, split
from edgecnn.zoo.layers import DepthwiseMaxPooling, LocalResponseNormalization
from edgecnn.zoo.network import attach_head, build
from edgecnn.zoo.registry import ARCHITECTURES, find
from edgecnn.zoo.weights import Weights, classifier, open_weights, pretrained, sources

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "CheckpointRunner",
    "Cost",
    "DepthwiseMaxPooling",
    "LocalResponseNormalization",
    "Weights",
    "attach_head",
    "build",
    "classifier",
    "cost",
    "cut_points",
    "find",
    "open_weights",
    "pretrained",
    "restore",
    "save_model",
    "sources",
    "split",
]
