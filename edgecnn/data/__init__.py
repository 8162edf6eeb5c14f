"""A source of photos to named, split, streamed examples; and calibration samples."""

from edgecnn.data.balance import class_weights
from edgecnn.data.calibration import (
    calibration_note,
    calibration_photos,
    draw_calibration,
    refuse_blank,
)
from edgecnn.data.calibration_warnings import coverage_warnings
from edgecnn.data.dataset import Dataset, require_trainable
from edgecnn.data.example import Example
from edgecnn.data.matching import examples_for, imagenet_classes
from edgecnn.data.reader import Batch, Reader, Skipped
from edgecnn.data.sources import open_data
from edgecnn.data.split import parse_split

__all__ = [
    "Batch",
    "Dataset",
    "Example",
    "Reader",
    "Skipped",
    "calibration_note",
    "calibration_photos",
    "class_weights",
    "coverage_warnings",
    "draw_calibration",
    "examples_for",
    "imagenet_classes",
    "open_data",
    "parse_split",
    "refuse_blank",
    "require_trainable",
]
