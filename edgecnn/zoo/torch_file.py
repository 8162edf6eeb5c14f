"""A torch file of weights (the legacy format, before torch 1.6) read without torch.

Such a file is five pickles and the raw numbers. A pickle is a program; here a small
interpreter runs only the instructions that name and shape tensors, and knows four names.
Everything else, and everything that points outside the file, is refused.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgecnn.core.errors import InputError

_MAGIC = 0x1950A86A20F9469CFC6C  # torch/serialization.py, MAGIC_NUMBER
_STORAGES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_NAMES = frozenset(
    {
        ("collections", "OrderedDict"),
        ("torch._utils", "_rebuild_tensor_v2"),
        *(("torch", storage) for storage in _STORAGES),
    }
)

Tensors: TypeAlias = dict[str, npt.NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A view into a storage: counts of elements, not bytes."""

    storage: str
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(data: bytes, *, where: str | Path) -> Tensors:
    """Read all tensors of a state dictionary, in the order of the file.

    Args:
        data: The file.
        where: Its name, for the error.

    Raises:
        InputError: not such a file, damaged, or one that wants to run something.
    """
    try:
        return _read(data)
    # What a program in wrong order does to a stack of plain Python values.
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        struct.error,
    ) as error:
        raise InputError(
            f"no readable torch weights ({error})", where=where, fix="get the file again"
        ) from error


def _read(data: bytes) -> Tensors:
    reader = _Reader(data)
    if reader.unpickle() != _MAGIC:
        raise ValueError("not the legacy torch format")
    reader.unpickle()  # protocol version
    reader.unpickle()  # facts of the machine that wrote it
    entries, keys = reader.unpickle(), reader.unpickle()
    storages: dict[str, bytes] = {}
    tensors = {name: entry for name, entry in entries.items() if isinstance(entry, _Tensor)}
    widths = {tensor.storage: tensor.dtype.itemsize for tensor in tensors.values()}
    for key in keys:
        (count,) = struct.unpack("<q", reader.take(8))
        storages[key] = reader.take(count * widths[key])
    return {name: _view(tensor, storages[tensor.storage]) for name, tensor in tensors.items()}


def _view(tensor: _Tensor, storage: bytes) -> npt.NDArray[Any]:
    values = np.frombuffer(storage, tensor.dtype)
    numbers = (tensor.offset, *tensor.shape, *tensor.strides)
    if min(numbers) < 0 or len(tensor.shape) != len(tensor.strides) or len(tensor.shape) > 4:
        raise ValueError("a tensor of impossible shape")
    reach = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    if math.prod(tensor.shape) > values.size or tensor.offset + reach >= max(values.size, 1):
        raise ValueError("a tensor larger than its storage")
    strides = [stride * tensor.dtype.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides)
    return view.copy()


class _Reader:
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
        """Run one pickle; its value is made of plain containers and `_Tensor`."""
        self._stack, self._marks, self._memo = [], [], {}
        while (code := self.take(1)) != b".":
            if code not in _INSTRUCTIONS:
                raise ValueError(f"instruction {code!r} is not admitted")
            _INSTRUCTIONS[code](self)
        return self._stack.pop()

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        return self._stack.pop()

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> str:
        end = self._data.index(b"\n", self._at)
        text = self.take(end - self._at).decode()
        self.take(1)
        return text

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def pop_to_mark(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def memorize(self, key: int) -> None:
        self._memo[key] = self._stack[-1]

    def recall(self, key: int) -> None:
        self.push(self._memo[key])

    def name(self) -> None:
        name = self.line(), self.line()
        if name not in _NAMES:
            raise ValueError(f"{'.'.join(name)} is not admitted")
        self.push(name)

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        if function == ("collections", "OrderedDict") and arguments == ():
            self.push({})
        elif function == ("torch._utils", "_rebuild_tensor_v2"):
            (key, dtype), offset, shape, strides = arguments[:4]
            self.push(_Tensor(key, dtype, offset, shape, strides))
        else:
            raise ValueError("a call that makes no tensor")

    def storage(self) -> None:
        kind, (_, storage), key = self.pop()[:3]
        if kind != "storage":
            raise ValueError("a reference to something else than a storage")
        self.push((key, _STORAGES[storage]))

    def tuple_of(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(items)))

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self._stack[-1][key] = value

    def set_items(self) -> None:
        items = self.pop_to_mark()
        self._stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def append_items(self) -> None:
        items = self.pop_to_mark()
        self._stack[-1].extend(items)


# Opcodes of pickle's protocol 2: PEP 307 and the comments in CPython's pickletools.
_INSTRUCTIONS: dict[bytes, Callable[[_Reader], Any]] = {
    b"\x80": lambda r: r.take(1),  # PROTO
    b"\x8a": lambda r: r.push(int.from_bytes(r.take(r.number("<B")), "little", signed=True)),
    b"K": lambda r: r.push(r.number("<B")),
    b"M": lambda r: r.push(r.number("<H")),
    b"J": lambda r: r.push(r.number("<i")),
    b"X": lambda r: r.push(r.take(r.number("<I")).decode()),
    b"N": lambda r: r.push(None),
    b"\x88": lambda r: r.push(True),
    b"\x89": lambda r: r.push(False),
    b"}": lambda r: r.push({}),
    b"]": lambda r: r.push([]),
    b")": lambda r: r.push(()),
    b"(": lambda r: r.mark(),
    b"t": lambda r: r.push(tuple(r.pop_to_mark())),
    b"\x85": lambda r: r.tuple_of(1),
    b"\x86": lambda r: r.tuple_of(2),
    b"\x87": lambda r: r.tuple_of(3),
    b"s": lambda r: r.set_item(),
    b"u": lambda r: r.set_items(),
    b"e": lambda r: r.append_items(),
    b"q": lambda r: r.memorize(r.number("<B")),
    b"r": lambda r: r.memorize(r.number("<I")),
    b"h": lambda r: r.recall(r.number("<B")),
    b"j": lambda r: r.recall(r.number("<I")),
    b"c": lambda r: r.name(),
    b"R": lambda r: r.call(),
    b"Q": lambda r: r.storage(),
    b"b": lambda r: r.pop(),  # BUILD: attributes of the dictionary, which no one needs
}
