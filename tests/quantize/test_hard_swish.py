"""The integer hard swish against the runtime's, all 256 inputs, on many grids."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import tensorflow as tf

from edgecnn.convert import tflite as to_tflite
from edgecnn.convert.frozen import freeze_call
from edgecnn.quantize import tflite
from edgecnn.quantize.grid import Grid
from edgecnn.quantize.hard_swish import hard_swish_table
from edgecnn.quantize.plan import Plan, Tensor
from edgecnn.quantize.planning import make_plan

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def float_file() -> bytes:
    return to_tflite.float32(
        freeze_call(lambda x: x * tf.nn.relu6(x + 3.0) * (1 / 6), (1, 1, 256, 1))
    )


def in_file(float_file: bytes, source: Grid, target: Grid) -> np.ndarray:
    """Return what the runtime makes of the integers -128..127."""
    from ai_edge_litert.interpreter import Interpreter

    inputs = [np.linspace(source.low, source.high, 256, dtype=np.float32).reshape(1, 1, 256, 1)]
    seen = tflite.observe(float_file, inputs).tensors
    plan: Plan = make_plan(float_file, seen, input_grid=source)
    (output,) = set(plan.tensors) - {plan.input}
    plan.tensors[output] = Tensor(low=target.low, high=target.high, grid=target)
    interpreter = Interpreter(model_content=tflite.quantize(float_file, plan, io="int8").content)
    interpreter.allocate_tensors()
    integers = np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 256, 1)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], integers)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).reshape(-1)


@pytest.mark.parametrize("seed", range(12))
def test_every_input_gives_the_runtimes_integer(float_file, seed):
    random = np.random.default_rng(seed)
    reach = float(10 ** random.uniform(-0.5, 1.5))
    source = Grid(float(np.float32(reach / 128)), int(random.integers(-60, 60)))
    high = max(source.high, 0.01)
    target = Grid(float(np.float32((high + 0.38) / 255)), int(-128 + 0.38 / ((high + 0.38) / 255)))
    expected = in_file(float_file, source, target)
    table = hard_swish_table(
        tf.constant(source.scale), tf.constant(target.scale), source.zero_point
    ).numpy()
    found = (table + target.zero_point).clip(-128, 127)
    np.testing.assert_array_equal(found, expected)
