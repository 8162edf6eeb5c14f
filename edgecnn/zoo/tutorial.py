"""What courses begin with: a plain CNN for photos, and dense layers alone to compare it with.

Sources: Chollet 2018, Deep Learning with Python, listing 5.5 (the CNN, for 150x150 photos);
Geron 2019, Hands-On Machine Learning, chapter 10 (the dense layers, for 28x28 photos).
"""

from __future__ import annotations

from keras import layers

from edgecnn.zoo.blocks import Tensor


def tutorial_cnn(x: Tensor) -> Tensor:
    """Four pairs of convolution and pooling: [N, 150, 150, 3] to [N, 7, 7, 128]."""
    for block, channels in enumerate((32, 64, 128, 128)):
        x = layers.Conv2D(channels, 3, activation="relu", name=f"block{block}_conv")(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    return x


def tutorial_head(x: Tensor, _dropout: float) -> Tensor:
    """Two dense layers, of which the logits are the second."""
    x = layers.Flatten(name="flatten")(x)
    return layers.Dense(512, activation="relu", name="dense")(x)


def dense_baseline(x: Tensor) -> Tensor:
    """Nothing: the pixels themselves are the features."""
    return x


def dense_head(x: Tensor, _dropout: float) -> Tensor:
    """Three dense layers, of which the logits are the third."""
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(300, activation="relu", name="dense1")(x)
    return layers.Dense(100, activation="relu", name="dense2")(x)
