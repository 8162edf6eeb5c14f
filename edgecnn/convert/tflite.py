"""A frozen graph to TFLite bytes. The only module that names ``tf.lite``.

Full-integer files are not made here: `edgecnn.quantize` rewrites the float32 file, so
that the decisions (ranges, scales, rounding) are ours and the same for both formats.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

from edgecnn.convert.frozen import Frozen
from edgecnn.core.errors import InputError
from edgecnn.core.quiet import quiet_stderr

_UNKNOWN = re.compile(r"'tf\.(\w+)' op is neither")


def float32(frozen: Frozen) -> bytes:
    """Convert without any quantization.

    Raises:
        InputError: an operation that TFLite has not; this holds for all schemes.
    """
    return _convert(_converter(frozen))


def float16(frozen: Frozen) -> bytes:
    """Convert with weights stored as float16; the runtime computes in float32 on CPUs."""
    converter = _converter(frozen)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return _convert(converter)


def dynamic(frozen: Frozen) -> bytes:
    """Convert with int8 weights and float activations that are quantized while it runs."""
    converter = _converter(frozen)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return _convert(converter)


def _converter(frozen: Frozen) -> Any:
    # The concrete function alone: together with its Keras model the converter would keep
    # the variables as resources and write a file that answers NaN (TensorFlow 2.21).
    with quiet_stderr():
        return tf.lite.TFLiteConverter.from_concrete_functions([frozen.function])


def _convert(converter: Any) -> bytes:
    try:
        with quiet_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bytes(converter.convert())
    except ConverterError as error:
        names = sorted(set(_UNKNOWN.findall(str(error))))
        if not names:
            raise
        raise InputError(
            f"no form of {', '.join(names)} in TFLite", where="this network", fix="export to ONNX"
        ) from None
