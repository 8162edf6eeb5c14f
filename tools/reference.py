"""Write docs/cli.md from the commands' own help, or check that it is fresh.

Run: python tools/reference.py --write | --check
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["COLUMNS"] = "88"  # argparse folds its lines at the terminal's width

from edgecnn.cli import COMMANDS, build_parser, overview

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"

_HEAD = """\
# Commands

Made by `python tools/reference.py --write` from what `--help` prints.

```
{overview}```
"""

_SECTION = """
## edgecnn {name}

```
{help}```
"""


def page() -> str:
    """Return the whole page."""
    sections = (
        _SECTION.format(name=name, help=build_parser(name).format_help()) for name in COMMANDS
    )
    return _HEAD.format(overview=overview()) + "".join(sections)


def main(arguments: list[str]) -> int:
    """Write or check; 1 when the page is stale."""
    if arguments == ["--write"]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if arguments == ["--check"]:
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page():
            return 0
        print(f"{PAGE.name} is stale: python tools/reference.py --write", file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
