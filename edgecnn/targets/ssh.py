"""A board that the user's own ssh reaches: the bundle goes there, rows come back."""

from __future__ import annotations

import dataclasses
import json
import re
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgecnn import bench
from edgecnn.bench import Job, Place
from edgecnn.bench.per_op import with_operations
from edgecnn.core import files, progress
from edgecnn.core.artifact import Format
from edgecnn.core.measurement import Measurement
from edgecnn.runtime.metadata import format_of, mapped, read_metadata
from edgecnn.targets import bundle, provision
from edgecnn.targets.board_agent import SILENCE_SECONDS
from edgecnn.targets.cooling import Patience, cool, passing
from edgecnn.targets.host import check_host
from edgecnn.targets.link import Link
from edgecnn.targets.probe import Board, probe
from edgecnn.targets.provision import Environment
from edgecnn.targets.session import Session
from edgecnn.targets.ssh_place import BoardPlace
from edgecnn.targets.ssh_rows import portable, read_row


@dataclasses.dataclass
class _Open:
    """What is open while a board is used."""

    link: Link
    board: Board
    session: Session
    bundles: dict[str, str] = dataclasses.field(default_factory=dict)
    environments: dict[tuple[str, str | None], Environment] = dataclasses.field(
        default_factory=dict
    )

    def close(self) -> None:
        self.session.close()
        self.link.close()


@dataclasses.dataclass(eq=False)
class SshTarget:
    """A Linux machine at the other end of an SSH connection.

    The connection is opened by the first measurement and stays for the next ones.

    Attributes:
        host: ``[user@]host``, or a name of the user's ssh configuration.
        name: As it stands in rows; "ssh:" and the host unless given.
        options: More of ssh's own, such as ``-F FILE``.
        python: The interpreter over there. None: the first that has numpy and the runtime. Where
            it hasn't, they are brought along.
        environment: Variables for whatever measures there.
        keep: Leave what was brought there, for the next time.
        silence_seconds: After so long without a word either end gives the other up.
        patience: With a board that is hot or busy.

    Raises:
        InputError: no host's name.
    """

    host: str
    _: dataclasses.KW_ONLY
    name: str = ""
    options: Sequence[str] = ()
    python: str | None = None
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    keep: bool = False
    silence_seconds: float = SILENCE_SECONDS
    patience: Patience = dataclasses.field(default_factory=Patience)

    def __post_init__(self) -> None:
        check_host(self.host)
        self.name = self.name or f"ssh:{self.host}"
        self._opened: _Open | None = None
        self._lock = threading.Lock()

    @property
    def place(self) -> Place:
        """Where the worker runs; its name stands in the rows."""
        return bench.NoWorker(self.name)

    def measure(self, job: Job) -> Measurement:
        """Measure one file there; see `bench.measure`.

        A run that was throttled or disturbed is repeated when the board has cooled down.

        Raises:
            InputError: the board can't be reached or used, or the file doesn't run there.
        """
        path, protocol = job.path, job.protocol
        with self._lock:
            there = self._open()
            folder, kind = self._bring(there, path)
            environment = self._environment(there, kind, job.runtime)
            words = [environment.python, "run.py", "bench", "--json", "--threads", str(job.threads)]
            words += ["--protocol", json.dumps(portable(protocol))]
            words += ["--runtime", job.runtime] if job.runtime else []
            variables = {**environment.variables, **self.environment}

            def once() -> Measurement:
                told = there.session.run(
                    words,
                    folder=folder,
                    environment=variables,
                    seconds=protocol.timeout_seconds + 60,
                )
                return read_row(told, path, self.name)

            row = self._patiently(there.session, once)
            if protocol.per_op:
                model = str(there.session.folder / folder / f"{path.stem}.{kind}")
                place = BoardPlace(self.name, there.session, model, environment.python, variables)
                row = _with_operations(row, job, place)
        return dataclasses.replace(row, accuracy=job.accuracy)

    def close(self) -> None:
        """End the connection; the board removes what was brought. Harmless when closed."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _open(self) -> _Open:
        if self._opened is not None and not self._opened.link.alive:
            self.close()
        if self._opened is None:
            link = Link(self.host, options=self.options)
            try:
                board = probe(link, self.python)
                python = provision.first_python(board, where=self.name).path
                session = Session(
                    link, python, title=self.name, silence_seconds=self.silence_seconds
                )
                self._opened = _Open(link, board, session)
            except BaseException:
                link.close()
                raise
        return self._opened

    def _bring(self, there: _Open, path: Path) -> tuple[str, Format]:
        """Send a file's bundle unless it's there; returns its folder and the file's format."""
        with mapped(path) as data:
            kind: Format = format_of(data, where=path)
        sha256 = files.sha256(path)
        if sha256 not in there.bundles:
            name = f"bundle{len(there.bundles)}"
            device = provision.device_of(there.board, self.name)
            device = dataclasses.replace(device, name=self.name)
            with tempfile.TemporaryDirectory() as temporary:
                made = bundle.write(path, device, Path(temporary) / name)
                there.session.unpack(made.archive.read_bytes())
            there.bundles[sha256] = name
            if self.keep:
                plain = re.sub(r"[^\w.-]+", "_", path.stem)
                kept = there.session.keep(name, f"bundle-{plain}")
                progress.say(f"{self.name}: the bundle stays in {kept}")
        return there.bundles[sha256], kind

    def _environment(self, there: _Open, kind: Format, runtime: str | None) -> Environment:
        key = (provision.family(kind), runtime)
        if key not in there.environments:
            there.environments[key] = provision.ready(
                there.board, kind, runtime
            ) or provision.bring(there.session, there.board, kind, keep=self.keep)
        return there.environments[key]

    def _patiently(self, session: Session, once: Callable[[], Measurement]) -> Measurement:
        """Measure, and measure again where the board was hot or busy."""
        before, attempt = session.sense(), 1
        row = once()
        while attempt < self.patience.tries and (reason := passing(row)):
            progress.say(f"{self.name}: {reason}; once more when it has cooled down")
            cool(session.sense, before, self.patience)
            row, attempt = once(), attempt + 1
        return dataclasses.replace(row, machine={**row.machine, "attempts": attempt})


def _with_operations(row: Measurement, job: Job, place: BoardPlace) -> Measurement:
    metadata = read_metadata(job.path)
    request = {
        "runtime": row.runtime,
        "threads": row.threads,
        "input": metadata and {"scale": metadata.input.scale, "offset": metadata.input.offset},
        "protocol": dataclasses.asdict(job.protocol),
    }
    seconds = job.protocol.timeout_seconds
    return with_operations(row, job.path, request, place, timeout_seconds=seconds)
