"""TFLite files in LiteRT, or in its older form, tflite-runtime: one adapter, two packages."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from edgecnn.core.errors import InputError, MissingExtra
from edgecnn.core.quiet import quiet_stderr
from edgecnn.runtime import tflite
from edgecnn.runtime.engine import Port, Raw, contiguous, refused
from edgecnn.runtime.metadata import mapped

# Package -> the extra of ours that installs it.
_EXTRAS = {"ai_edge_litert": "tflite", "tflite_runtime": "tflite-runtime"}


class LiteRt:
    """One TFLite file, open for inference on the CPU."""

    def __init__(self, path: Path, *, threads: int, package: str = "ai_edge_litert") -> None:
        with mapped(path) as data:
            # The native reader checks little; what this refuses might end the process there.
            tflite.read(data[:], where=path)
        module = _import(package)
        self.version: str = getattr(importlib.import_module(package), "__version__", "unknown")
        try:
            with quiet_stderr():
                interpreter = module.Interpreter(model_path=str(path), num_threads=threads)
                interpreter.allocate_tensors()
            inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        except (ValueError, RuntimeError, MemoryError, OSError) as error:
            raise refused("LiteRT", error, where=path) from error
        if len(inputs) != 1 or not outputs:
            raise InputError(
                f"a model with {len(inputs)} inputs and {len(outputs)} outputs",
                where=path,
                fix="use one with a single image as input",
            )
        self._path = path
        self._interpreter = interpreter
        self._places = inputs[0]["index"], outputs[0]["index"]
        self.input, self.output = _port(inputs[0]), _port(outputs[0])

    def invoke(self, tensor: Raw) -> Raw:
        """Return the file's first output for one image."""
        read, write = self._places
        try:
            self._interpreter.set_tensor(read, contiguous(tensor, self.input.dtype))
            self._interpreter.invoke()
            result: Raw = self._interpreter.get_tensor(write)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise refused("LiteRT", error, where=self._path) from error
        return result


def _import(package: str) -> Any:
    try:
        with quiet_stderr():  # tflite-runtime prints a page when numpy is too new
            return importlib.import_module(f"{package}.interpreter")
    except ModuleNotFoundError:
        raise MissingExtra("running TFLite files", _EXTRAS[package]) from None
    except (ImportError, SystemError, AttributeError) as error:
        raise InputError(
            f"a {package} that does not start ({str(error).splitlines()[0][:200]})",
            where="this environment",
            fix=f"install 'edgecnn[{_EXTRAS[package]}]' into an environment of its own",
        ) from error


def _port(details: dict[str, Any]) -> Port:
    scale, zero_point = details["quantization"]
    return Port(
        shape=tuple(int(axis) for axis in details["shape"]),
        dtype=details["dtype"].__name__,
        scale=float(scale) or 1.0,
        zero_point=int(zero_point),
    )
