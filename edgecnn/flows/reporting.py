"""Write the report page, with the commands that made what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn import report
from edgecnn.core import files
from edgecnn.flows.commands import commands_behind


def write_report(
    paths: Sequence[Path], out: Path, *, commands: list[str] | None = None, force: bool = False
) -> report.Collected:
    """Collect all that lies in some folders and write one HTML page.

    Args:
        paths: Folders and JSON files.
        out: The page.
        commands: What made it; reconstructed from the artefacts when None.
        force: Replace an earlier page.

    Returns:
        What went into it.

    Raises:
        InputError: nothing to show, a damaged artefact, or a page that can't be written.
    """
    files.refuse_existing(out, force=force)
    found = report.collect(paths)
    lines = commands_behind(found) if commands is None else commands
    files.write_text(out, report.render(found, commands=lines))
    return found
