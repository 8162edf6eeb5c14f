"""An emulated board as a target: instructions of one inference, memory, and what it answers."""

from __future__ import annotations

import atexit
import dataclasses
import statistics
import tempfile
from pathlib import Path

from edgecnn import bench
from edgecnn.bench import Job, memory
from edgecnn.core.artifact import Format
from edgecnn.core.errors import InputError
from edgecnn.core.measurement import Measurement, Memory
from edgecnn.runtime import metadata as inside
from edgecnn.runtime.isolated import IsolatedModel
from edgecnn.targets import requirements
from edgecnn.targets.emulated import agreement, counting, machine, software
from edgecnn.targets.emulated.boards import EmulatedBoard, find
from edgecnn.targets.emulated.machine import Machine

NO_LATENCY = "emulated: no latency, instructions instead"

# Python 3.11 rewrites its own loop in the first nine inferences; later ones are equal.
_WARMUP_RUNS = 10
# Below this share of equal answers a row says so: ties of made-up images explain less.
_MIN_AGREEMENT_PCT = 90.0


@dataclasses.dataclass(frozen=True)
class EmulatedTarget:
    """Counts instructions on an emulated board.

    Attributes:
        board: Which.
        running: Its machine. None: the one that `tools/emulated_pi up` left running, or else
            one that starts with the first file and ends with this process.
    """

    board: EmulatedBoard
    running: Machine | None = None

    @property
    def place(self) -> bench.Place:
        """Names the board; see `bench.NoWorker`."""
        return bench.NoWorker(self.board.target)

    def measure(self, job: Job) -> Measurement:
        """Count one file's instructions, and compare its answers with this machine's.

        Raises:
            InputError: options that make no sense there, a file that its runtime refuses, or
                no board: what it takes is absent here.
            MissingExtra: the runtime is not installed here, to compare with.
        """
        path = job.path
        name, kind = self._check(job)
        with IsolatedModel(path) as model:
            asked = agreement.seeded_inputs(model)
            told = counting.count(
                (self.running or _machine(self.board)).link,
                counting.Request(path=path, kind=kind, runtime=name),
                asked.tensors,
                timeout_seconds=job.protocol.timeout_seconds,
            )
            found = agreement.compare(asked, told.outputs, model)
        counts = told.counts[_WARMUP_RUNS:]
        row = bench.unmeasured(job, NO_LATENCY, runtime=name, place=self.place)
        metadata = inside.read_metadata(path)
        return dataclasses.replace(
            row,
            format=kind,
            scheme="unknown" if metadata is None else metadata.scheme,
            runtime_version=told.runtime_version,
            delegate=told.delegate,
            delegated_nodes=told.delegated_nodes,
            total_nodes=told.total_nodes,
            memory_mb=_memory(told.memory_mb, memory.arena_mb(path, kind)),
            accuracy=job.accuracy,
            machine={
                **told.machine,
                "emulator": software.emulator_version(self.board.system),
                "emulated_cpu": self.board.qemu_cpu,
                "answers": dataclasses.asdict(found),
            },
            protocol={
                "method": "guest instructions",
                "warmup_runs": _WARMUP_RUNS,
                "runs": len(counts),
                "counts": list(counts),
            },
            invalid_reasons=(NO_LATENCY, *_doubts(found)),
            instructions=round(statistics.median(counts)),
        )

    def _check(self, job: Job) -> tuple[str, Format]:
        """Return the runtime and the format."""
        where = self.board.target
        if job.threads != 1:
            raise InputError(
                f"instructions of {job.threads} threads, which wait for each other by spinning",
                where=where,
                fix="give --threads 1",
            )
        if job.protocol.per_op:
            raise InputError("--per-op, which tells times", where=where, fix="leave it out")
        with inside.mapped(job.path) as data:
            kind: Format = inside.format_of(data, where=job.path)
        requirements.requirements(kind, self.board.board)
        known = requirements.runtimes(kind, self.board.board)
        if job.runtime is not None and job.runtime not in known:
            fix = f"use --runtime {known[0]}"
            raise InputError(f"no {job.runtime} there", where=where, fix=fix)
        return job.runtime or known[0], kind


def emulated(name: str) -> EmulatedTarget:
    """Return the target ``emulated:NAME``.

    Raises:
        InputError: no such board.
    """
    return EmulatedTarget(find(name))


def _memory(process: dict[str, float] | None, arena: float | None) -> Memory | None:
    return Memory(**process, arena=arena) if process else None


def _doubts(found: agreement.Agreement) -> list[str]:
    doubts = []
    if not found.finite:
        doubts.append("wrong answer: the output holds NaN or infinity")
    if found.agreement_pct < _MIN_AGREEMENT_PCT:
        doubts.append(
            f"only {found.agreement_pct:.1f} % of {found.inputs} answers are this machine's, too"
        )
    return doubts


def _machine(board: EmulatedBoard) -> Machine:
    """Return a board that runs, started for as long as this process lives where none does.

    It ends with the thread that started it, too: the system tells a child of that.
    """
    there = machine.started(board) or _OWN.get(board.name)
    if there is None or not there.alive:
        folder = tempfile.TemporaryDirectory(prefix="edgecnn-board-")
        there = machine.start(board, Path(folder.name) / board.name)
        _OWN[board.name] = there
        atexit.register(folder.cleanup)
        atexit.register(there.stop)
    return there


_OWN: dict[str, Machine] = {}
