"""The command line: parse, call one function, print.

A command is one function whose docstring is its help and whose result is an `Outcome`.
"""

from __future__ import annotations

from edgecnn.cli.app import main
from edgecnn.cli.commands import COMMANDS, build_parser, overview

__all__ = ["COMMANDS", "build_parser", "main", "overview"]
