from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.bench import onnx_trace
from edgecnn.bench.kernels import Kernel, Run
from edgecnn.bench.worker import WorkerError


@pytest.mark.parametrize("text", ["", "no JSON", '{"a": 1}', "[1, 2]", "[" * 9000, '"text"'])
def test_a_trace_that_is_not_one_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trace.json"
    path.write_text(text)
    with pytest.raises(WorkerError, match="trace"):
        onnx_trace.read_trace(path)


def test_kernels_belong_to_the_inference_that_ends_after_them() -> None:
    def kernel(name: str, microseconds: Any) -> dict[str, Any]:
        return {"cat": "Node", "name": f"{name}_kernel_time", "dur": microseconds,
                "args": {"op_name": "Conv"}}  # fmt: skip

    end = {"cat": "Session", "name": "model_run", "dur": 5000}
    fence = {"cat": "Node", "name": "a_fence_before", "dur": 0}
    runs = list(onnx_trace.traced_runs([kernel("a", 1000), fence, end, kernel("a", 2000), end]))
    assert [run.kernels for run in runs] == [
        [(Kernel("Conv", "a", None, None), 1.0005)],  # half a microsecond is cut off on average
        [(Kernel("Conv", "a", None, None), 2.0005)],
    ]


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["cat", "name", "dur", "args"]),
            st.none() | st.integers() | st.text() | st.lists(st.integers()),
        )
    )
)
def test_events_of_any_form_are_read_without_harm(events: list[Any]) -> None:
    assert all(isinstance(run, Run) for run in onnx_trace.traced_runs(events))
