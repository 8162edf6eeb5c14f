"""Ctrl-C and a polite kill that aren't lost.

Python raises KeyboardInterrupt wherever it happens to be, and drops it within a finalizer or
a callback of foreign code. So it is remembered as well, and long work asks now and then.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import NoReturn

_asked = threading.Event()


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Let both signals end the block by KeyboardInterrupt, so that a run can be resumed.

    A process that was started to ignore Ctrl-C goes on ignoring it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        heard.append(signal.SIGINT)
    before = [signal.signal(number, _remember) for number in heard]
    _asked.clear()
    try:
        yield
    finally:
        for number, handler in zip(heard, before, strict=True):
            signal.signal(number, handler)


def check() -> None:
    """Raise KeyboardInterrupt where one was dropped."""
    if _asked.is_set():
        _asked.clear()
        raise KeyboardInterrupt


def _remember(*_: object) -> NoReturn:
    _asked.set()
    raise KeyboardInterrupt
