"""Time one model file in OpenVINO, as `worker.py` does in the other runtimes."""

from __future__ import annotations

from typing import Any

from edgecnn.bench import worker


def load_openvino(
    module: Any, model: str, threads: int, delegate: str | None = None, batch: int = 1
) -> worker.Loaded:
    """Load an ONNX or TFLite file on the CPU.

    It runs a graph of its own that is not the file's: nodes would tell nothing of it. It
    computes in float32 here where the file does, as the other runtimes do; its own choice on
    some processors is bfloat16.
    """
    worker.require_delegate(delegate, ())
    core = module.Core()
    network = core.read_model(model)
    worker.require_one_input(len(network.inputs))
    source = network.input(0)
    sizes = [None if size.is_dynamic else size.get_length() for size in source.get_partial_shape()]
    shape = (batch, *(size or 1 for size in sizes[1:]))
    if sizes != list(shape):
        network.reshape({source: list(shape)})
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = core.compile_model(network, "CPU", settings)
    request = compiled.create_infer_request()
    return worker.Loaded(
        input_shape=shape,
        input_dtype=compiled.input(0).element_type.to_dtype().name,
        set_input=lambda values: request.set_input_tensor(module.Tensor(values)),
        run=request.infer,
        output=lambda: request.get_output_tensor(0).data,
        delegation=lambda: {
            "delegate": "+".join(compiled.get_property("EXECUTION_DEVICES")),
            "delegated_nodes": None,
            "total_nodes": None,
        },
    )


worker.RUNTIMES["openvino"] = ("openvino", "openvino", load_openvino)
main = worker.main
