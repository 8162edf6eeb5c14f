"""Programs of our own that a board runs beside the bundle: the profilers of operations."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgecnn.bench import worker
from edgecnn.bench.place import program_for
from edgecnn.core import schema
from edgecnn.core.errors import InputError
from edgecnn.targets.session import Session

_ROOM = "programs"


@dataclasses.dataclass(frozen=True)
class BoardPlace:
    """A place for one file, as long as a session on the board is open; see `bench.Place`.

    Attributes:
        name: The target's.
        session: Open.
        model: The file's path on the board.
        python: The interpreter there.
        variables: What it needs in its environment.
    """

    name: str
    session: Session
    model: str
    python: str
    variables: Mapping[str, str]

    def run(self, request: dict[str, Any], *, timeout_seconds: float) -> dict[str, Any]:
        """Run the program for a request there; see `bench.Place`."""
        self.session.unpack(_programs())
        paths = [str(self.session.folder / _ROOM), self.variables.get("PYTHONPATH", "")]
        told = self.session.run(
            [self.python, "-c", f"from {program_for(request)} import main; main()"],
            environment={**self.variables, "PYTHONPATH": ":".join(filter(None, paths))},
            seconds=timeout_seconds,
            input=json.dumps({**request, "model": self.model}),
        )
        where = f"{self.name}: {Path(self.model).name}"
        if told["late"]:
            raise InputError("no answer in time", where=where, fix="measure fewer runs")
        if told["code"]:
            last = (told["stderr"].strip().splitlines() or [f"status {told['code']}"])[-1]
            raise InputError(f"a program that failed ({last[:200]})", where=where, fix="try again")
        answer = schema.parse(told["stdout"], where=where)
        if not isinstance(answer, dict):
            raise InputError("an answer that is no object", where=where, fix="try again")
        return answer


def _programs() -> bytes:
    """Return the room of programs as a tar, under empty packages: nothing else of ours loads."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("edgecnn/__init__.py", "edgecnn/bench/__init__.py"):
            archive.addfile(tarfile.TarInfo(f"{_ROOM}/{name}"))
        for path in sorted(Path(worker.__file__).parent.glob("*.py")):
            if path.name != "__init__.py":
                archive.add(path, f"{_ROOM}/edgecnn/bench/{path.name}")
    return packed.getvalue()
