"""A source of photos to named, split, streamed examples; and calibration samples."""

from edgecnn.data.dataset import Dataset, require_trainable
from edgecnn.data.example import Example
from edgecnn.data.reader import Batch, Reader, Skipped
from edgecnn.data.sources import open_data
from edgecnn.data.split import parse_split

__all__ = [
    "Batch",
    "Dataset",
    "Example",
    "Reader",
    "Skipped",
    "open_data",
    "parse_split",
    "require_trainable",
]
