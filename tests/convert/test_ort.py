from __future__ import annotations

import numpy as np
import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def files(separable_network):
    """A float network as ONNX and in the ORT format."""
    from edgecnn.convert import onnx, ort
    from edgecnn.convert.fold import fold_batch_norm
    from edgecnn.convert.frozen import freeze

    content = onnx.float32(freeze(fold_batch_norm(separable_network)))
    return content, ort.from_onnx(content)


def test_the_ort_file_answers_as_the_onnx_file(files, pictures):
    import onnxruntime

    first, second = (onnxruntime.InferenceSession(content) for content in files)
    for picture in pictures[:8].astype(np.float32):
        a, b = (s.run(None, {"image": picture[None]})[0] for s in (first, second))
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_no_operation_is_laid_out_for_one_kind_of_cpu_alone(files):
    import onnx

    from edgecnn.runtime import ort

    graph = onnx.load_from_string(ort.as_onnx(files[1], where="test")).graph
    domains = {node.domain for node in graph.node}
    assert not {name for name in domains if "nchwc" in name}
    assert any(node.op_type == "FusedConv" for node in graph.node)  # it was optimized
