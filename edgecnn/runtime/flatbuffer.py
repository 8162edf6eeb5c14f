"""A bounds-checked reader of flatbuffers: every offset may be a lie.

Source: the flatbuffers internals document, https://flatbuffers.dev/internals.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt


class FlatbufferError(ValueError):
    """The bytes are not what the format promises."""


class Buffer:
    """The bytes of one file, and how much of them may still be read.

    No honest file lists more vector items than it has bytes. A forged one can point a
    million tables to the same long vector: the budget ends that.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._budget = len(data)

    def scalar(self, code: str, at: int) -> int | float:
        """Read one little-endian scalar of the given `struct` code."""
        size = struct.calcsize(code)
        if not 0 <= at <= len(self.data) - size:
            raise FlatbufferError(f"an offset outside the file ({at})")
        value: int | float = struct.unpack_from(f"<{code}", self.data, at)[0]
        return value

    def integer(self, code: str, at: int) -> int:
        """Read one little-endian integer."""
        return int(self.scalar(code, at))

    def follow(self, at: int) -> int:
        """Return where the unsigned relative offset at this place points to."""
        return at + self.integer("I", at)

    def span(self, at: int, item_bytes: int) -> tuple[int, int]:
        """Return the start and the number of items of the vector at this place."""
        count = self.integer("I", at)
        if at + 4 + count * item_bytes > len(self.data):
            raise FlatbufferError(f"a vector that leaves the file ({count} items)")
        return at + 4, count

    def spend(self, items: int) -> None:
        """Take items from the budget."""
        self._budget -= items
        if self._budget < 0:
            raise FlatbufferError("more items than the file has room for")

    def root(self) -> Table:
        """Return the table that the file begins with."""
        return Table(self, self.follow(0))


class Table:
    """One table: fields by their number in the schema, absent ones as the default."""

    def __init__(self, buffer: Buffer, at: int) -> None:
        self._buffer = buffer
        self._at = at
        self._vtable = at - buffer.integer("i", at)
        size = buffer.integer("H", self._vtable)
        if size < 4 or size % 2:
            raise FlatbufferError(f"a table of fields of {size} bytes")
        self._fields = (size - 4) // 2

    def _place(self, field: int) -> int | None:
        if field >= self._fields:
            return None
        offset = self._buffer.integer("H", self._vtable + 4 + 2 * field)
        return self._at + offset if offset else None

    def scalar(self, field: int, code: str, default: int | float = 0) -> int | float:
        """Return a number; ``code`` is that of `struct`."""
        place = self._place(field)
        return default if place is None else self._buffer.scalar(code, place)

    def integer(self, field: int, code: str, default: int = 0) -> int:
        """Return a whole number; ``code`` is that of `struct`."""
        return int(self.scalar(field, code, default))

    def table(self, field: int) -> Table | None:
        """Return a nested table."""
        place = self._place(field)
        return None if place is None else Table(self._buffer, self._buffer.follow(place))

    def text(self, field: int) -> str:
        """Return a string; bytes that are no UTF-8 are replaced."""
        start, count = self._vector(field, 1)
        self._buffer.spend(count)
        return self._buffer.data[start : start + count].decode("utf-8", "replace")

    def count(self, field: int, *, item_bytes: int = 1) -> int:
        """Return the number of a vector's items without reading them."""
        return self._vector(field, item_bytes)[1]

    def array(self, field: int, dtype: str) -> npt.NDArray[np.generic]:
        """Return a vector of numbers of a little-endian numpy dtype such as ``<i4``."""
        start, count = self._vector(field, np.dtype(dtype).itemsize)
        self._buffer.spend(count)
        if not count:
            return np.empty(0, dtype)
        return np.frombuffer(self._buffer.data, dtype, count, start)

    def tables(self, field: int) -> Iterator[Table]:
        """Yield the tables of a vector."""
        start, count = self._vector(field, 4)
        self._buffer.spend(count)
        for index in range(count):
            yield Table(self._buffer, self._buffer.follow(start + 4 * index))

    def texts(self, field: int) -> Iterator[str]:
        """Yield the strings of a vector."""
        start, count = self._vector(field, 4)
        self._buffer.spend(count)
        for index in range(count):
            first, length = self._buffer.span(self._buffer.follow(start + 4 * index), 1)
            self._buffer.spend(length)
            yield self._buffer.data[first : first + length].decode("utf-8", "replace")

    def _vector(self, field: int, item_bytes: int) -> tuple[int, int]:
        place = self._place(field)
        return (
            (0, 0) if place is None else self._buffer.span(self._buffer.follow(place), item_bytes)
        )
