"""Models and photos to scores, confusion and parity."""

from edgecnn.evaluate.gallery import write_gallery
from edgecnn.evaluate.parity import compare
from edgecnn.evaluate.scores import evaluate, scores_of

__all__ = ["compare", "evaluate", "scores_of", "write_gallery"]
