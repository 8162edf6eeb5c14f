"""Mixed precision: layers that compute in float16 and keep their weights in float32.

Only the copy that learns computes so; the classifier itself stays float32, and so does
what is validated last, saved and exported.

Source: Micikevicius et al. 2017, Mixed Precision Training, arXiv:1710.03740.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf  # isort: skip - before keras, or the converter fails later
import keras

from edgecnn.core.errors import InputError
from edgecnn.core.quiet import quiet_stderr

_POLICY = "mixed_float16"


def require_gpu() -> None:
    """Refuse mixed precision where it only costs time.

    Raises:
        InputError: TensorFlow sees no GPU.
    """
    if not on_gpu():
        raise InputError(
            "no GPU for --mixed-precision",
            where="this machine",
            fix="leave it out: on a CPU float16 is slower than float32",
        )


def on_gpu() -> bool:
    """Tell whether TensorFlow trains on a GPU."""
    with quiet_stderr():  # the driver's absence is told there
        return bool(tf.config.list_physical_devices("GPU"))


def in_half(model: keras.Model) -> keras.Model:
    """Return a copy of a model that computes in float16, with the same weights."""
    copy = keras.models.clone_model(model, clone_function=_with_policy)
    copy.set_weights(model.get_weights())
    return copy


def scaled(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return an optimizer that multiplies the loss, so that small gradients don't vanish."""
    return keras.optimizers.LossScaleOptimizer(optimizer)


def _with_policy(layer: keras.Layer) -> Any:
    return type(layer).from_config({**layer.get_config(), "dtype": _POLICY})
