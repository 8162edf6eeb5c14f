"""LeNet-5: LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition.

As it is built today: every map of the second convolution sees all six maps before it (the
paper's sees three to six), pooling learns nothing, and logits replace the radial units.
"""

from __future__ import annotations

from keras import layers

from edgecnn.zoo.blocks import Tensor

# channels, is a pooling next? figure 2: C1 and S2, C3 and S4, C5
_CONVOLUTIONS = ((6, True), (16, True), (120, False))


def lenet5(x: Tensor) -> Tensor:
    """[N, 32, 32, 1] in -1..1 to [N, 1, 1, 120]."""
    for block, (channels, is_pooled) in enumerate(_CONVOLUTIONS):
        x = layers.Conv2D(channels, 5, activation="tanh", name=f"block{block}_conv")(x)
        if is_pooled:
            x = layers.AveragePooling2D(2, name=f"block{block}_pool")(x)
    return x


def lenet_head(x: Tensor, _dropout: float) -> Tensor:
    """The paper's layer F6."""
    x = layers.Flatten(name="flatten")(x)
    return layers.Dense(84, activation="tanh", name="dense")(x)
