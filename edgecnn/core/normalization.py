"""What a network does to pixels before its first layer."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class Normalization:
    """``pixel * scale + offset`` for pixels 0..255; one number for all channels, or one each.

    Attributes:
        scale: [1] or [channels].
        offset: As many.
    """

    scale: tuple[float, ...]
    offset: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.scale or len(self.scale) != len(self.offset):
            raise ValueError(f"{len(self.scale)} scales and {len(self.offset)} offsets")

    @property
    def is_scalar(self) -> bool:
        """Whether all channels are treated alike, as an integer file's input grid needs it."""
        return len(set(self.scale)) == 1 and len(set(self.offset)) == 1

    def for_channels(self, channels: int) -> Normalization:
        """Return the same for photos of so many channels; grey ones get the colours' mean."""
        count = len(self.scale)
        if count in {1, channels}:
            return self
        return same_for_all(sum(self.scale) / count, sum(self.offset) / count)

    def apply(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return what the first layer sees of pixels [..., channels], float32."""
        scale, offset = np.array(self.scale, np.float32), np.array(self.offset, np.float32)
        return pixels.astype(np.float32) * scale + offset


def same_for_all(scale: float, offset: float) -> Normalization:
    """Return a normalization that treats all channels alike."""
    return Normalization((scale,), (offset,))
