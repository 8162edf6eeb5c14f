"""``edgecnn bench``: what one inference costs in time and memory."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import Parser, many, number, one_of, whole
from edgecnn.core.errors import InputError

if TYPE_CHECKING:
    from edgecnn.core.measurement import Measurement


DELEGATES = ("xnnpack", "none", "webgpu", "cuda")


def bench_options(parser: Parser) -> None:
    """Add the arguments of `bench`."""
    add = parser.add_argument
    add("files", type=Path, nargs="+", metavar="FILE", help="files, folders, checkpoints")
    add(
        "--threads",
        type=many(whole(1, 256)),
        default=(1,),
        metavar="LIST",
        help="numbers of threads, 1 or 1,2,4 (default: 1)",
    )
    add(
        "--runtime",
        metavar="NAME",
        help="litert, tflite-runtime, onnxruntime or openvino (default: by the format); "
        "all: each that is installed",
    )
    add(
        "--delegate",
        type=many(one_of("delegate", *DELEGATES)),
        default=(None,),
        metavar="LIST",
        help=f"what runs the operations: {', '.join(DELEGATES)} (default: the runtime's choice)",
    )
    add(
        "--batch",
        type=many(whole(1, 1024)),
        default=(1,),
        metavar="LIST",
        help="images of one inference, 1 or 1,8 (default: 1)",
    )
    add(
        "--pin",
        type=many(whole(0, 1023)),
        default=(),
        metavar="CORES",
        help="keep the process on these cores, 0 or 2,3",
    )
    add(
        "--target",
        action="append",
        metavar="TARGET",
        help="where: cpu (default), gpu, ssh:[USER@]HOST, emulated:NAME, or predicted:BOARD, such "
        "as predicted:pi4; repeatable",
    )
    add("--python", type=Path, metavar="PATH", help="interpreter that has the runtime, there")
    add("--keep", action="store_true", help="leave what was sent on the ssh: boards, in ~/.edgecnn")
    add("--data", metavar="DATA", help="also measure each file's accuracy on these photos")
    add("--limit", type=whole(1), metavar="N", help="on at most N of them")
    add("--out", type=Path, metavar="DIR", help="keep each row as JSON there, for `report`")
    add("--resume", action="store_true", help="measure only what has no row in --out yet")
    add(
        "--cluster",
        metavar="ADDRESS",
        help="let the workers of this Dask scheduler measure; they reach the ssh: targets",
    )
    add("--require-valid", action="store_true", help="exit 1 when a row is not trustworthy")
    _protocol_options(parser)


def _protocol_options(parser: Parser) -> None:
    add = parser.add_argument_group("protocol").add_argument
    add("--seconds", type=number(0, 3600), metavar="S", help="time at least S seconds (default: 3)")
    add("--runs", type=whole(1), metavar="N", help="time at least N inferences (default: 64)")
    add(
        "--per-op",
        action="store_true",
        help="also time each operation, with the runtime's own profiler, in a process of its own",
    )


def bench(args: argparse.Namespace) -> Outcome:
    """Measure latency and memory of files, each row in a fresh process.

    A row tells the median and, with enough runs, the 90th percentile, apart from loading and
    from the first inference; memory as planned, as resident and at its peak; and whether the
    machine was quiet enough to believe it. --out adds rows to a folder.

    --delegate none leaves XNNPACK out of LiteRT; "what ran" in a row is read from the runtime,
    never from the option. A row of --batch 8 times eight images together. A row has the energy
    of an inference where the processor tells (RAPL, mostly for root alone).

    --per-op says how long each operation takes and how many multiplications it does in that
    time: LiteRT's and ONNX Runtime's own profilers tell, in a second process after the row. How
    much of what this machine can do at most that is, a third process measures.

    --target gpu compares the GPU's answers with the CPU's and counts what it ran before it tells
    a time: LiteRT on WebGPU; ONNX Runtime on CUDA or WebGPU, from an environment that --python
    names.

    --target ssh:[USER@]HOST sends the file's bundle to a board that your own ssh reaches, and
    numpy and the runtime where none are there; samples clock, heat and throttling through the
    run, repeats a run that was throttled or disturbed, and leaves nothing there without --keep.
    See `edgecnn doctor` first.

    --target emulated:NAME (pi4, pi5, pi-zero2w, pi3-32bit) starts that board under QEMU: the row
    has the instructions of one inference, the same in each run, and no latency.

    --target predicted:BOARD runs nothing: it predicts a range for a board of `zoo list` from
    published latencies, says how far off such predictions were, and is never valid.

    Several targets measure side by side, each one thing at a time: a second run waits for its
    turn. --cluster ADDRESS lets an existing Dask cluster (edgecnn[cluster]) do it.

    Example: edgecnn bench out/* --threads 1,2 --runtime all --out results/
    """
    rows = _measure(args)
    code, remark = _judge(rows, require_valid=args.require_valid)
    return Outcome({"measurements": rows}, lambda: _view(rows, args.out), code, remark)


def _measure(args: argparse.Namespace) -> list[Measurement]:
    from edgecnn import targets
    from edgecnn.bench import read_protocol
    from edgecnn.flows.benchmarking import Ways, measurable, measure_all
    from edgecnn.flows.judging import Photos, accuracy_of

    if args.resume and args.out is None:
        raise InputError("nothing to resume", where="--resume", fix="add --out DIR")
    named = args.target or ["cpu"]
    places = [targets.parse(name, python=args.python, keep=args.keep) for name in named]
    protocol = read_protocol(seconds=args.seconds, runs=args.runs, per_op=args.per_op)
    paths = measurable(args.files)
    photos = Photos(source=args.data, limit=args.limit) if args.data else None
    return measure_all(
        paths,
        Ways(
            places=places,
            threads=args.threads,
            runtime=args.runtime,
            delegates=args.delegate,
            batches=args.batch,
            cluster=args.cluster,
            resume=args.resume,
        ),
        protocol=dataclasses.replace(protocol, pin=args.pin),
        accuracies={path: accuracy_of(path, photos) for path in paths} if photos else None,
        out=args.out,
    )


def _judge(rows: list[Measurement], *, require_valid: bool) -> tuple[int, str]:
    """Return the exit code, and the line that says why it is not 0."""
    if all(not (row.latency_ms or row.predicted_ms or row.instructions) for row in rows):
        return InputError.exit_code, f"error: {rows[0].invalid_reasons[0]}"
    if all(row.per_op_reason for row in rows):
        return InputError.exit_code, f"error: {rows[0].per_op_reason}"
    # A count is exact without a latency; a prediction is no measurement.
    reasons = [row.doubts if row.instructions else row.invalid_reasons for row in rows]
    pairs = zip(rows, reasons, strict=True)
    doubtful = [f"{row.model}: {', '.join(why)}" for row, why in pairs if why]
    if require_valid and doubtful:
        return 1, f"check failed: {'; '.join(doubtful)}"
    return 0, ""


def _view(rows: list[Measurement], out: Path | None) -> list[Any]:
    from edgecnn.report.predictions import predictions_table
    from edgecnn.report.text import each_image_lines, measurement_table, operations_table

    guessed = any(row.predicted_ms for row in rows)
    lines: list[Any] = predictions_table(rows) if guessed else [measurement_table(rows)]
    lines += each_image_lines(rows)
    for row in rows:
        lines += operations_table(row) if row.per_op else []
        lines += [f"note: {row.per_op_reason}"] if row.per_op_reason else []
    following = f"next: edgecnn report {out} --out report.html" if out else ""
    return [*lines, *([following] if following else [])]
