"""The work folder: what a killed run has done so far, beside the output it was to become.

It holds arrays (decoded photos, cached features) that appear when they are complete, and
the training state of each phase. A run with the same plan finds and reuses all of it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core import files, schema
from edgecnn.core.errors import InputError
from edgecnn.core.progress import say

Array: TypeAlias = npt.NDArray[Any]


class WorkFolder:
    """Named arrays and states in ``.<name>.work``, each written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def array(
        self, name: str, shape: tuple[int, ...], dtype: str, chunks: Iterable[Array]
    ) -> Array:
        """Return a read-only array that lies on disk, memory-mapped; compute it when absent.

        Args:
            name: Where it is kept.
            shape: Of one row; the rows are as many as the chunks bring.
            dtype: Of the numbers on disk.
            chunks: [n, *shape] each; not touched when the array is there already.

        Raises:
            InputError: the disk is full.
        """
        path, partial = self.path / f"{name}.bin", self.path / f"{name}.partial"
        if not path.exists():
            with files.writing(path), partial.open("wb") as file:
                # Written, not mapped: a full disk is an error here, and a crash in a mapping.
                for chunk in chunks:
                    file.write(np.ascontiguousarray(chunk, dtype).data)
            partial.replace(path)
        return np.memmap(path, dtype, mode="r").reshape(-1, *shape)

    def forget(self, name: str) -> None:
        """Delete an array whose meaning was lost."""
        (self.path / f"{name}.bin").unlink(missing_ok=True)

    def save_json(self, name: str, data: Any) -> None:
        """Keep plain JSON data."""
        files.write_text(self.path / f"{name}.json", json.dumps(data))

    def load_json(self, name: str) -> Any:
        """Return what was kept, or None."""
        path = self.path / f"{name}.json"
        return schema.parse(path.read_bytes(), where=path) if path.exists() else None

    def save_state(self, name: str, arrays: dict[str, Array], facts: Any) -> None:
        """Keep a phase's weights together with plain facts, in one file."""
        path, partial = self.path / f"{name}.npz", self.path / f"{name}.partial"
        text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        # Straight to the disk: in memory, the file would double what a large network needs.
        with files.writing(path), partial.open("wb") as file:
            np.savez(file, allow_pickle=False, facts=text, **arrays)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    def load_state(self, name: str) -> tuple[dict[str, Array], Any] | None:
        """Return the arrays and facts that were kept, or None."""
        path = self.path / f"{name}.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as data:
            arrays = dict(data)
        return arrays, json.loads(arrays.pop("facts").tobytes())

    def remove(self) -> None:
        """Delete the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def open_work(out: Path, plan: dict[str, Any], *, resume: bool, force: bool = False) -> WorkFolder:
    """Open the work folder of an output: a new one, or with ``resume`` the one that is there.

    Args:
        out: The checkpoint that will be written.
        plan: Plain JSON data; all that the result depends on.
        resume: Continue what an earlier run with the same plan has done.
        force: Give up an earlier run with another plan.

    Raises:
        InputError: the folder's plan is another one, or it can't be written.
    """
    work = work_of(out)
    plan = json.loads(json.dumps(plan))
    earlier = work.load_json("plan")
    if resume and isinstance(earlier, dict):
        differing = sorted(key for key in {*earlier, *plan} if earlier.get(key) != plan.get(key))
        if not differing:
            return work
        _give_up(", ".join(differing), out, force=force)
    elif earlier:
        say(f"starting anew; --resume would have continued the interrupted run of {out}")
    work.remove()
    work.save_json("plan", plan)
    return work


def work_of(out: Path) -> WorkFolder:
    """Return the place of an output's work folder, which may not be there."""
    out = out.resolve()
    return WorkFolder(out.with_name(f".{out.name}.work"))


def _give_up(differing: str, out: Path, *, force: bool) -> None:
    if not force:
        raise InputError(
            f"an interrupted run with another {differing}",
            where=out,
            fix="give the same options again, or leave out --resume to start anew",
        )
    say(f"starting anew: the interrupted run of {out} had another {differing}")
