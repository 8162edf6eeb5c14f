"""The description of a network in a Keras file, checked before Keras reads it.

A description names classes, and Keras calls them: a Lambda layer carries code, a custom
class may run some, and older formats look a name up wherever they find it. So each name is
held against what an image network is made of, and nothing else passes. Keras's own safe
mode is on besides; by itself it has been passed by more than once (CVE-2025-1550, 9905).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from edgecnn.core import schema
from edgecnn.core.errors import InputError

_MODELS = {"Functional", "Model", "Sequential"}
_LAYERS = {
    "Activation", "ActivityRegularization", "AdaptiveAveragePooling2D", "AdaptiveMaxPooling2D",
    "Add", "AlphaDropout", "Attention", "Average", "AveragePooling1D", "AveragePooling2D",
    "BatchNormalization", "CenterCrop", "Concatenate", "Conv1D", "Conv2D", "Conv2DTranspose",
    "Cropping1D", "Cropping2D", "Dense", "DepthwiseConv1D", "DepthwiseConv2D", "Dot", "Dropout",
    "ELU", "EinsumDense", "Flatten", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D",
    "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GroupNormalization",
    "Identity", "InputLayer", "LayerNormalization", "LeakyReLU", "MaxPooling1D", "MaxPooling2D",
    "Maximum", "Minimum", "MultiHeadAttention", "Multiply", "Normalization", "PReLU", "Permute",
    "RMSNormalization", "RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip",
    "RandomHeight", "RandomRotation", "RandomTranslation", "RandomWidth", "RandomZoom", "ReLU",
    "RepeatVector", "Rescaling", "Reshape", "Resizing", "SeparableConv1D", "SeparableConv2D",
    "Softmax", "SpatialDropout1D", "SpatialDropout2D", "SpectralNormalization", "Subtract",
    "SyncBatchNormalization", "UnitNormalization", "UpSampling1D", "UpSampling2D",
    "ZeroPadding1D", "ZeroPadding2D",
}  # fmt: skip
# What layers mention: how weights were drawn and held, and the type that they compute in.
_MENTIONED = {
    "Constant", "DTypePolicy", "DTypePolicyMap", "FloatDTypePolicy", "GlorotNormal",
    "GlorotUniform", "HeNormal", "HeUniform", "Identity", "IdentityInitializer", "L1", "L1L2",
    "L2", "LecunNormal", "LecunUniform", "MaxNorm", "MinMaxNorm", "NonNeg", "Ones", "Orthogonal",
    "OrthogonalInitializer", "OrthogonalRegularizer", "Policy", "RandomNormal", "RandomUniform",
    "SeedGenerator", "TruncatedNormal", "UnitNorm", "VarianceScaling", "Zeros",
}  # fmt: skip
_ACTIVATIONS = {
    "celu", "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "leaky_relu", "linear", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu",
    "softmax", "softplus", "softsign", "swish", "tanh",
}  # fmt: skip
_VALUES = {"__bytes__", "__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__", "__tensor__"}
_OPERATIONS = re.compile(r"keras\.src\.ops\.\w+")  # a sum of two tensors, a resize: arithmetic
_MODULES = (
    "keras", "keras.activations", "keras.constraints", "keras.dtype_policies",
    "keras.initializers", "keras.layers", "keras.models", "keras.random", "keras.regularizers",
    "keras.src.models.functional", "keras.src.models.sequential", "builtins",
)  # fmt: skip

_FIX = "build it of Keras's own image layers, or give a SavedModel (`model.export`)"


def checked(text: str | bytes, *, where: Any) -> str:
    """Return a description that Keras may read, as JSON text.

    Args:
        text: JSON: ``config.json`` of a ``.keras`` file, ``model_config`` of an ``.h5`` one.
        where: The file, for errors.

    Raises:
        InputError: not a description, or one with code, custom classes, or layers that are no
            part of an image network: each named.
    """
    config = schema.parse(text, where=where)
    if not isinstance(config, dict) or config.get("class_name") not in _MODELS:
        kind = config.get("class_name") if isinstance(config, dict) else "nothing"
        raise InputError(f"a model of the custom class {str(kind)[:60]!r}", where=where, fix=_FIX)
    config = {key: value for key, value in config.items() if key != "compile_config"}
    described = list(_objects(config))
    bad = {_said(name, entry): None for name, entry in described if not _is_known(entry)}
    if bad:
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise InputError(
            f"code or a class that Keras's image networks don't have: "
            f"{', '.join(list(bad)[:5])}{more}",
            where=where,
            fix=_FIX,
        )
    for _, entry in described:
        _modernize(entry)
    return json.dumps(config)


def _objects(root: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each described object, with the name of the layer that it belongs to."""
    stack = [("", root)]
    while stack:
        name, value = stack.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                name = _name_of(value) or name
                yield name, value
            stack += [(name, item) for item in value.values()]
        elif isinstance(value, list):
            stack += [(name, item) for item in value]


def _name_of(entry: dict[str, Any]) -> str:
    config = entry.get("config")
    name = entry.get("name") or (config.get("name") if isinstance(config, dict) else "")
    return name if isinstance(name, str) else ""


def _said(name: str, entry: dict[str, Any]) -> str:
    kind = entry["class_name"]
    if kind == "function":
        kind = f"function {entry.get('config')!r}"
    return f"layer {name[:60]!r} ({str(kind)[:60]})"


def _is_known(entry: dict[str, Any]) -> bool:
    kind, module = entry["class_name"], entry.get("module")
    if not isinstance(kind, str) or not isinstance(module, str | None):
        return False
    if ">" in kind or ">" in str(entry.get("registered_name") or ""):  # package>custom class
        return False
    if kind == "function":
        name = entry.get("config")
        return isinstance(name, str) and name in _ACTIVATIONS and _is_kerass(module)
    if module is not None and _OPERATIONS.fullmatch(module):
        return kind.isidentifier()
    return kind in _MODELS | _LAYERS | _MENTIONED | _VALUES and _is_kerass(module)


def _is_kerass(module: str | None) -> bool:
    return module is None or module in _MODULES or module.startswith("keras.src.")


def _modernize(entry: dict[str, Any]) -> None:
    """Let today's Keras read what older ones wrote, and infer in float32; in place."""
    kind, config = entry["class_name"], entry.get("config")
    if not isinstance(config, dict):
        return
    if kind in ("DTypePolicy", "Policy", "FloatDTypePolicy"):
        config["name"] = "float32"
    elif kind == "InputLayer" and config.get("dtype") in ("uint8", "int8", "int32", "float16"):
        config["dtype"] = "float32"  # pixels come as floats; integers would be cut
    elif kind == "DepthwiseConv2D" and config.get("groups") == 1:
        del config["groups"]  # Keras 2 wrote it, Keras 3 refuses it
