"""The pickles in torch's files, run by an interpreter that can only describe tensors.

A pickle is a program. This interpreter has the instructions that make plain containers and
numbers, and knows the few names that make a tensor; it imports nothing and calls nothing.
Everything else is refused by its name.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

BFLOAT16 = "BFloat16Storage"
# torch.storage: the typed storages, as numpy reads their numbers; bfloat16 has no numpy type.
STORAGES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    BFLOAT16: np.dtype("<u2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
_ORDERED_DICT = ("collections", "OrderedDict")
_TENSOR = ("torch._utils", "_rebuild_tensor_v2")
_PARAMETER = ("torch._utils", "_rebuild_parameter")
_NAMES = frozenset({_ORDERED_DICT, _TENSOR, _PARAMETER, *(("torch", name) for name in STORAGES)})


@dataclasses.dataclass(frozen=True)
class TensorView:
    """A view into a storage: counts of elements, not bytes."""

    key: str
    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def read(self, data: bytes) -> npt.NDArray[Any]:
        """Return a copy of the numbers; those of floating point as float32.

        Raises:
            ValueError: it reaches outside the storage.
        """
        values = np.frombuffer(data, STORAGES[self.storage])
        numbers = (self.offset, *self.shape, *self.strides)
        if min(numbers) < 0 or len(self.shape) != len(self.strides) or len(self.shape) > 4:
            raise ValueError("a tensor of impossible shape")
        reach = sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if math.prod(self.shape) > values.size or self.offset + reach >= max(values.size, 1):
            raise ValueError("a tensor larger than its storage")
        strides = [stride * values.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, strides)
        if self.storage == BFLOAT16:
            return widened(view)
        return view.astype(np.float32) if view.dtype.kind == "f" else view.copy()


def widened(bfloat16: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the float32 numbers whose upper halves these 16 bits are."""
    return (bfloat16.astype(np.uint32) << 16).view(np.float32)


class Unpickler:
    """A stack machine for one pickle after the other in a buffer."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        if not 0 <= count <= len(self._data) - self._at:
            raise ValueError("it ends too early")
        self._at += count
        return self._data[self._at - count : self._at]

    def unpickle(self) -> Any:
        """Run one pickle; its value is made of plain containers and `TensorView`.

        Raises:
            ValueError: an instruction or a name that is not admitted, or nonsense; programs
                in wrong order raise what plain Python values raise.
        """
        self._stack, self._marks, self._memo = [], [], {}
        while (code := self.take(1)) != b".":
            if code not in _INSTRUCTIONS:
                raise ValueError(f"instruction {code!r} is not admitted")
            _INSTRUCTIONS[code](self)
        return self._stack.pop()

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        return self._stack.pop()

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def _line(self) -> str:
        end = self._data.index(b"\n", self._at)
        text = self.take(end - self._at).decode()
        self.take(1)
        return text

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _pop_to_mark(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _memorize(self, key: int) -> None:
        self._memo[key] = self._stack[-1]

    def _recall(self, key: int) -> None:
        self._push(self._memo[key])

    def _name(self) -> None:
        name = self._line(), self._line()
        if name not in _NAMES:
            raise ValueError(f"{'.'.join(name)[:80]} is not admitted")
        self._push(name)

    def _call(self) -> None:
        arguments, function = self._pop(), self._pop()
        if function == _ORDERED_DICT and arguments == ():
            self._push({})
        elif function == _PARAMETER and isinstance(arguments[0], TensorView):
            self._push(arguments[0])
        elif function == _TENSOR:
            (key, storage), offset, shape, strides = arguments[:4]
            self._push(TensorView(key, storage, offset, shape, strides))
        else:
            raise ValueError("a call that makes no tensor")

    def _storage(self) -> None:
        kind, (_, storage), key = self._pop()[:3]
        if kind != "storage" or storage not in STORAGES:
            raise ValueError("a reference to something else than a storage")
        self._push((key, storage))

    def _tuple_of(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(items)))

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._stack[-1][key] = value

    def _set_items(self) -> None:
        items = self._pop_to_mark()
        self._stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def _append_items(self, items: list[Any]) -> None:
        self._stack[-1].extend(items)


# Opcodes of pickle's protocol 2: PEP 307 and the comments in CPython's pickletools.
_INSTRUCTIONS: dict[bytes, Callable[[Unpickler], Any]] = {
    b"\x80": lambda r: r.take(1),  # PROTO
    b"\x8a": lambda r: r._push(int.from_bytes(r.take(r._number("<B")), "little", signed=True)),
    b"K": lambda r: r._push(r._number("<B")),
    b"M": lambda r: r._push(r._number("<H")),
    b"J": lambda r: r._push(r._number("<i")),
    b"G": lambda r: r._push(r._number(">d")),
    b"X": lambda r: r._push(r.take(r._number("<I")).decode()),
    b"N": lambda r: r._push(None),
    b"\x88": lambda r: r._push(True),
    b"\x89": lambda r: r._push(False),
    b"}": lambda r: r._push({}),
    b"]": lambda r: r._push([]),
    b")": lambda r: r._push(()),
    b"(": lambda r: r._mark(),
    b"t": lambda r: r._push(tuple(r._pop_to_mark())),
    b"\x85": lambda r: r._tuple_of(1),
    b"\x86": lambda r: r._tuple_of(2),
    b"\x87": lambda r: r._tuple_of(3),
    b"s": lambda r: r._set_item(),
    b"u": lambda r: r._set_items(),
    b"e": lambda r: r._append_items(r._pop_to_mark()),
    b"a": lambda r: r._append_items([r._pop()]),
    b"q": lambda r: r._memorize(r._number("<B")),
    b"r": lambda r: r._memorize(r._number("<I")),
    b"h": lambda r: r._recall(r._number("<B")),
    b"j": lambda r: r._recall(r._number("<I")),
    b"c": lambda r: r._name(),
    b"R": lambda r: r._call(),
    b"Q": lambda r: r._storage(),
    b"b": lambda r: r._pop(),  # BUILD: attributes of the dictionary, which no one needs
}
