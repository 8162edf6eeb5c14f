"""argparse, with our errors: one line that says what to do, and the nearest option's name."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from edgecnn.core.errors import InputError, unknown

WHERE = "the command line"


class Parser(argparse.ArgumentParser):
    """A parser that raises `InputError` instead of leaving the process."""

    def error(self, message: str) -> NoReturn:
        """Turn argparse's complaint into one of ours."""
        raise InputError(message, where=WHERE, fix=f"see {self.prog} --help")

    def parse_all(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse all words, without any left over.

        Raises:
            InputError: one of them is unknown (the nearest is offered), missing or bad.
        """
        parsed, extra = self.parse_known_args(words)
        if extra:
            raise self._unrecognized(extra[0])
        return parsed

    def _unrecognized(self, word: str) -> InputError:
        fix = f"see {self.prog} --help"
        if not word.startswith("-"):
            return InputError(f"one word too many ({word!r})", where=WHERE, fix=fix)
        name = word.partition("=")[0]
        near = difflib.get_close_matches(name, self._option_string_actions, n=1, cutoff=0.5)
        return InputError(
            f"no option {name!r}", where=self.prog, fix=f"try {near[0]}" if near else fix
        )


def whole(lowest: int, highest: int = 2**31 - 1) -> Callable[[str], int]:
    """Return a reader of whole numbers within bounds, for argparse's ``type``."""

    def read(text: str) -> int:
        value = int(text)
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"{value} is not within {lowest}..{highest}")
        return value

    read.__name__ = "whole number"
    return read


def number(lowest: float, highest: float) -> Callable[[str], float]:
    """Return a reader of numbers within bounds, for argparse's ``type``."""

    def read(text: str) -> float:
        value = float(text)
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"{text} is not within {lowest:g}..{highest:g}")
        return value

    read.__name__ = "number"
    return read


def many(read_one: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """Return a reader of comma-separated values, each once, for argparse's ``type``."""

    def read(text: str) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(read_one(part.strip()) for part in text.split(",")))

    read.__name__ = f"list of {getattr(read_one, '__name__', 'values')}s"
    return read


def one_of(kind: str, *names: str) -> Callable[[str], str]:
    """Return a reader of one name of a few, for argparse's ``type``; a miss offers the nearest."""

    def read(text: str) -> str:
        if text not in names:
            raise unknown(kind, text, names, where=WHERE)
        return text

    read.__name__ = kind
    return read
