"""One frozen graph, all schemes: each format's bytes, made once and shared where possible."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt

from edgecnn.convert import onnx as to_onnx
from edgecnn.convert import ort as to_ort
from edgecnn.convert import tflite as to_tflite
from edgecnn.convert.fold import fold_batch_norm, fold_channels
from edgecnn.convert.frozen import Frozen, freeze
from edgecnn.core.artifact import FileInput, FileOutput, Format, Io, OnnxForm, Scheme
from edgecnn.core.normalization import Normalization, same_for_all
from edgecnn.quantize import onnx as onnx_int8
from edgecnn.quantize import tflite as tflite_int8
from edgecnn.quantize import weight_only_onnx, weight_only_tflite
from edgecnn.quantize.compensate import compensate
from edgecnn.quantize.equalize import equalize
from edgecnn.quantize.grid import input_grid
from edgecnn.quantize.observe import settling_warning
from edgecnn.quantize.onnx_integer_form import integer_form
from edgecnn.quantize.plan import Plan, Rounding
from edgecnn.quantize.planning import make_plan
from edgecnn.quantize.quantized import Quantized
from edgecnn.quantize.ranges import DEFAULT, Method
from edgecnn.quantize.schemes import WEIGHT_ONLY, is_integer
from edgecnn.quantize.tflite_dense import dense_as_convolution
from edgecnn.quantize.twins import translate
from edgecnn.quantize.weight_only import plan_weights

Array: TypeAlias = npt.NDArray[Any]

NORMALIZE_LAYER = "normalize"


_PIXELS = same_for_all(1.0, 0.0)


@dataclasses.dataclass
class Writers:
    """Makes the bytes of any scheme of one model.

    Attributes:
        model: The trained network, pixels 0..255 in, probabilities out.
        normalization: Of its layer "normalize".
        photos: Returns the calibration photos, [1, H, W, C] uint8 each, anew at each call.
        rounding: How weights in 8 or 4 bits become integers.
        ranges: How integer activations get their ranges.
        onnx_form: Of int8 ONNX files.
        per_tensor: Whether the channels of an integer layer's weights share one scale.
        equalize: Whether integer files get channels of even ranges first, by rescaling.
        unsettled: What to say of ranges that more photos would change, once the plan is made.
    """

    model: keras.Model
    normalization: Normalization
    photos: Callable[[], Iterable[Array]]
    rounding: Rounding = "nearest"
    ranges: Method = DEFAULT
    onnx_form: OnnxForm = "qdq"
    per_tensor: bool = False
    equalize: bool = False
    unsettled: str | None = dataclasses.field(default=None, init=False)
    _weight_plans: dict[int, Plan] = dataclasses.field(default_factory=dict, init=False)

    def calibrated(self, photos: Callable[[], Iterable[Array]]) -> Writers:
        """Return the same for other calibration photos; the graphs are shared."""
        _ = self.float_tflite  # made once, for all copies
        other = copy.copy(self)
        other.photos = photos
        for name in ("plan", "_wide_plan"):
            vars(other).pop(name, None)
        other._weight_plans = {}
        return other

    def make(self, suffix: Format, scheme: Scheme, io: Io) -> Quantized:
        """Return the file's bytes, without metadata, and what in an integer file stays in float."""
        if suffix == "ort":
            made = self.make("onnx", scheme, io)
            return dataclasses.replace(made, content=to_ort.from_onnx(made.content))
        if not is_integer(scheme):
            return Quantized(self._floats(suffix, scheme), ())
        if scheme == "int16x8":
            return tflite_int8.quantize(self.float_tflite, self._wide_plan, io=io)
        made = self._int8(suffix, io)
        if suffix != "onnx" or self.onnx_form == "qdq":
            return made
        return dataclasses.replace(made, content=integer_form(made.content), twin=made.content)

    def _floats(self, suffix: Format, scheme: Scheme) -> bytes:
        """Return a file that computes in float, whatever its weights are stored in."""
        if scheme in WEIGHT_ONLY:
            return self._stored(suffix, WEIGHT_ONLY[scheme])
        if suffix == "onnx":
            return onnx_int8.float16(self._onnx) if scheme == "float16" else self._onnx
        if scheme == "float32":
            return self._tflite
        return bytes(getattr(to_tflite, scheme)(self._pixels))

    def _stored(self, suffix: Format, bits: int) -> bytes:
        """Return the float file with its weights in few bits; both formats have the same ones."""
        if bits not in self._weight_plans:
            inputs = None if self.rounding == "nearest" else self._photos_in_float
            self._weight_plans[bits] = plan_weights(self._tflite, bits=bits, inputs=inputs)
        plan = self._weight_plans[bits]
        if suffix == "tflite":
            return weight_only_tflite.store_weights(self._tflite, plan)
        return weight_only_onnx.store_weights(self._onnx, self._tflite, plan)

    def _photos_in_float(self) -> Iterator[Array]:
        """Yield the calibration photos as a float file takes them."""
        return (photo.astype(np.float32) for photo in self.photos())

    @cached_property
    def _pixels(self) -> Frozen:
        """The graph that takes pixels: float files normalize by themselves."""
        return freeze(fold_batch_norm(self.model))

    @cached_property
    def _tflite(self) -> bytes:
        """The float file that takes pixels, which other float files are made of."""
        return to_tflite.float32(self._pixels)

    @cached_property
    def _onnx(self) -> bytes:
        """The same in ONNX."""
        return to_onnx.float32(self._pixels)

    @cached_property
    def _normalized(self) -> tuple[Frozen, Normalization]:
        """The graph that takes what an integer file's input grid makes of pixels, and that.

        One grid for all channels: where their normalizations differ, the first convolution
        takes over the difference; where there is none, the graph normalizes in integers.
        """
        model = fold_batch_norm(self.model, start=NORMALIZE_LAYER)
        wanted: Normalization | None = self.normalization
        if not self.normalization.is_scalar:
            wanted = fold_channels(model, self.normalization)
        if wanted is None:
            model, wanted = fold_batch_norm(self.model), _PIXELS
        if self.equalize:
            model = equalize(model, map(wanted.apply, self.photos()))
        return freeze(model), wanted

    def _int8(self, suffix: Format, io: Io) -> Quantized:
        if suffix == "tflite":
            return tflite_int8.quantize(self.float_tflite, self.plan, io=io)
        grid, shift = input_grid(self._normalized[1])
        data = self._float_onnx
        first = next(tflite_int8.activations_of(self.float_tflite, self.inputs()))
        same = next(onnx_int8.activations_of(data, self.inputs()))
        decided = translate(self.plan, first, same)
        # Where the plan says it all one photo is enough: it tells which tensors are floats.
        count = None if onnx_int8.undecided(data, decided) else 1
        seen = onnx_int8.observe(
            data, itertools.islice(self.inputs(), count), method=self.ranges
        ).tensors
        return onnx_int8.quantize(
            data, seen, input_grid=grid, input_shift=shift, io=io, decided=decided
        )

    @cached_property
    def plan(self) -> Plan:
        """The decisions that the int8 files of both formats follow."""
        return self.planned(self.rounding, self.ranges)

    @cached_property
    def _wide_plan(self) -> Plan:
        """The decisions of an int16x8 file: its steps are fine enough to clip nothing."""
        return self.planned(self.rounding, "minmax", bits=16)

    def planned(
        self,
        rounding: Rounding,
        ranges: Method = DEFAULT,
        *,
        in_float: Sequence[str] = (),
        bits: int = 8,
    ) -> Plan:
        """Return the plan that a rounding, a choice of ranges and operations in float give."""
        grid, shift = input_grid(self._normalized[1])
        seen = tflite_int8.observe(self.float_tflite, self.inputs(), method=ranges).tensors
        self.unsettled = settling_warning(seen)
        plan = make_plan(
            self.float_tflite,
            seen,
            input_grid=grid,
            input_shift=shift,
            bits=bits,
            per_tensor=self.per_tensor,
        )
        plan = dataclasses.replace(plan, equalized=self.equalize)
        plan = plan.in_float(in_float, why="sensitive: float keeps the drop within the budget")
        if rounding == "nearest":
            return plan
        return compensate(self.float_tflite, plan, self.inputs)

    def trained(self, plan: Plan, *, epochs: int | None = None) -> Plan:
        """Return a plan after some epochs of training with rounding on the calibration photos.

        The float file's own answers are the target: labels aren't needed.
        """
        from edgecnn.quantize.aware_training import AwareTraining, train_aware

        settings = AwareTraining() if epochs is None else AwareTraining(epochs=epochs)
        return train_aware(self.float_tflite, plan, self.inputs(), settings=settings)

    @cached_property
    def float_tflite(self) -> bytes:
        """The float file behind the normalization, on which plans are made."""
        return dense_as_convolution(to_tflite.float32(self._normalized[0]))

    @cached_property
    def _float_onnx(self) -> bytes:
        """The same in ONNX, for the int8 file in that format."""
        return to_onnx.float32(self._normalized[0])

    def inputs(self) -> Iterator[Array]:
        """Yield the calibration photos as the graph without normalization takes them."""
        normalization = self._normalized[1]
        return (normalization.apply(photo) for photo in self.photos())

    def file_input(self, scheme: Scheme, io: Io) -> FileInput:
        """Return how pixels become the file's input."""
        if not is_integer(scheme):
            return FileInput(dtype="float32")
        if io != "float32":
            return FileInput(dtype=io, offset=-128.0 if io == "int8" else 0.0)
        grid, _ = input_grid(self._normalized[1])
        return FileInput(dtype=io, scale=grid.scale, offset=-grid.scale * grid.unsigned_zero_point)


def file_output(scheme: Scheme, io: Io) -> FileOutput:
    """Return how the file's output becomes probabilities."""
    if not is_integer(scheme) or io == "float32":
        return FileOutput(dtype="float32")
    return FileOutput(dtype=io, scale=1 / 256, zero_point=-128 if io == "int8" else 0)
