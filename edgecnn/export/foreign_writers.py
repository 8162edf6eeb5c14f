"""`Writers` for a network that came as a foreign file, and a `Runner` over it."""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np

from edgecnn.convert.frozen import Frozen
from edgecnn.convert.network import Network, integer_graph, pixel_graph, runner
from edgecnn.core.image import Pixels, Preprocessing
from edgecnn.core.normalization import Normalization
from edgecnn.core.runner import Scores
from edgecnn.export.writers import Writers


@dataclasses.dataclass
class ForeignWriters(Writers):
    """Makes the bytes of any scheme of a foreign network.

    Attributes:
        model: The network: what ``normalization`` makes of pixels in, probabilities out.
        normalization: In the network's own order of colours.
        is_bgr: The network wants blue first; files take red first, as all of ours do.
    """

    model: Network
    is_bgr: bool = False

    @cached_property
    def _pixels(self) -> Frozen:
        return pixel_graph(self.model, self.normalization, is_bgr=self.is_bgr)

    @cached_property
    def _normalized(self) -> tuple[Frozen, Normalization]:
        return integer_graph(self.model, self.normalization, is_bgr=self.is_bgr)

    def runner(self, classes: tuple[str, ...], preprocessing: Preprocessing) -> ForeignRunner:
        """Return what answers as the float network does."""
        return ForeignRunner(self._pixels, classes, preprocessing)


class ForeignRunner:
    """A foreign network as a `Runner`; satisfies `edgecnn.core.runner.Runner`."""

    def __init__(
        self, pixels: Frozen, classes: tuple[str, ...], preprocessing: Preprocessing
    ) -> None:
        self.classes, self.preprocessing = classes, preprocessing
        self._infer = runner(pixels)

    def run(self, batch: Pixels) -> Scores:
        """Return probabilities [N, classes], float32, for pixels [N, H, W, C], uint8."""
        rows = [self._infer(pixels[None].astype(np.float32)) for pixels in batch]
        return np.concatenate(rows).astype(np.float32)
