"""Time a checkpoint's network in TensorFlow, in this process; `checkpoint_bench` starts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgecnn.bench import gpu, worker
from edgecnn.core import checkpoint as checkpoints

RUNTIME = "tensorflow"


def load(
    module: Any, model: str, threads: int, delegate: str | None = None, batch: int = 1
) -> worker.Loaded:
    """Load a checkpoint on the first GPU, or fail: nothing may fall back unseen."""
    return _load(module, model, threads, batch, "GPU")


def load_on_cpu(
    module: Any, model: str, threads: int, delegate: str | None = None, batch: int = 1
) -> worker.Loaded:
    """Load a checkpoint on the CPU."""
    return _load(module, model, threads, batch, "CPU")


def _load(tf: Any, model: str, threads: int, batch: int, kind: str) -> worker.Loaded:
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    devices = tf.config.list_physical_devices(kind)
    if not devices:
        raise worker.WorkerError("no_gpu", "TensorFlow sees no GPU")
    # An operation that the device doesn't have is an error then, not work for the CPU.
    tf.config.set_soft_device_placement(kind == "CPU")
    from edgecnn import zoo

    found = checkpoints.read(Path(model).parent)
    shape = (batch, *found.card.preprocessing.shape)
    with tf.device(f"/{kind}:0"):
        network = zoo.restore(found)
        infer = tf.function(
            lambda pixels: network(pixels, training=False),
            input_signature=[tf.TensorSpec(shape, tf.float32)],
        )
    values: dict[str, Any] = {}

    def run() -> None:
        with tf.device(f"/{kind}:0"):
            values["output"] = infer(values["input"])
        values["array"] = values["output"].numpy()

    return worker.Loaded(
        input_shape=shape,
        input_dtype="float32",
        set_input=lambda given: values.update(input=tf.constant(given)),
        run=run,
        output=lambda: values["array"],
        delegation=lambda: _delegation(tf, infer, values["output"], devices[0]),
    )


def _delegation(tf: Any, infer: Any, output: Any, device: Any) -> dict[str, Any]:
    """Read from the output where it was computed; without soft placement all was."""
    where = output.device.rpartition("device:")[2]
    nodes = len(infer.get_concrete_function().graph.get_operations())
    about = tf.config.experimental.get_device_details(device)
    told = {"delegate": where, "delegated_nodes": nodes, "total_nodes": nodes}
    if where.startswith("GPU"):
        return {**told, "gpu": about.get("device_name"), "gpu_kind": "discrete GPU"}
    return {**told, "delegate": "none", "delegated_nodes": 0}


def main() -> None:
    """Answer one request."""
    worker.RUNTIMES[RUNTIME] = (RUNTIME, RUNTIME, load_on_cpu)
    gpu.LOADERS[RUNTIME] = load
    worker.main(_measure)


def _measure(request: dict[str, Any]) -> dict[str, Any]:
    return gpu.measure(request) if request.get("device") else worker.measure(request)
