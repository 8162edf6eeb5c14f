"""Frozen dataclasses to versioned JSON and back, strictly.

Each artefact class carries ``SCHEMA = "edgecnn/<kind>/<n>"``. Readers refuse another
schema, an unknown key, a missing key and a wrong type, each with one clear line.
A class whose JSON differs from its fields defines ``to_json`` and ``from_json``.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from edgecnn.core import files
from edgecnn.core.errors import InputError

T = TypeVar("T")
JSON_LIMIT_BYTES = 64_000_000


def encode(value: Any) -> Any:  # noqa: PLR0911 - one line a kind of value
    """Return plain JSON data; an artefact's own ``SCHEMA`` comes first."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        head = {"schema": value.SCHEMA} if hasattr(value, "SCHEMA") else {}
        fields = {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {**head, **fields}
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value


def dumps(value: Any) -> str:
    """Return readable JSON text of an artefact; NaN and infinity are refused."""
    data = encode(value)
    text = json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair: a file's name in another encoding
        text = json.dumps(data, indent=1, allow_nan=False)
    return text + "\n"


def decode(kind: type[T], data: Any, *, where: str | Path) -> T:
    """Rebuild an artefact from plain JSON data.

    Raises:
        InputError: another schema, or a key that is missing, unknown or of the wrong type.
    """
    try:
        return typing.cast("T", _decode(kind, data, kind.__name__))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(
            f"a bad {kind.__name__} ({error})", where=where, fix="make the file again"
        ) from error


def decode_fields(kind: type[T], data: dict[str, Any]) -> T:
    """Rebuild an object from exactly its fields; for a class's own ``from_json``.

    Raises:
        TypeError, ValueError: a key is missing, unknown or of the wrong type; `decode`
            turns it into one line.
    """
    return typing.cast("T", _decode_fields(kind, data, kind.__name__))


def loads(kind: type[T], text: str | bytes, *, where: str | Path) -> T:
    """Parse JSON text into an artefact; see `decode`."""
    return decode(kind, parse(text, where=where), where=where)


def parse(text: str | bytes, *, where: str | Path) -> Any:
    """Parse JSON text from elsewhere into plain data.

    Raises:
        InputError: the text is not JSON.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"text that is not JSON ({error})", where=where, fix="make the file again"
        ) from error


def read(kind: type[T], path: Path) -> T:
    """Read an artefact's JSON file; see `decode`."""
    return loads(kind, files.read_bytes(path, limit=JSON_LIMIT_BYTES, kind="file"), where=path)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _decode(kind: Any, data: Any, at: str) -> Any:  # noqa: PLR0911 - one line a kind of type
    origin = typing.get_origin(kind)
    if kind is Any:
        return data
    if origin in (typing.Union, types.UnionType):
        return _decode_union(kind, data, at)
    if origin is typing.Literal:
        return _expect(data in typing.get_args(kind), data, f"one of {typing.get_args(kind)}", at)
    if origin is tuple:
        return _decode_tuple(typing.get_args(kind), data, at)
    if origin is dict:
        _expect(isinstance(data, dict), data, "an object", at)
        inner = typing.get_args(kind)[1]
        return {key: _decode(inner, item, f"{at}.{key}") for key, item in data.items()}
    if dataclasses.is_dataclass(kind):
        return _decode_object(kind, data, at)
    return _decode_scalar(kind, data, at)


def _decode_union(kind: Any, data: Any, at: str) -> Any:
    if data is None and type(None) in typing.get_args(kind):
        return None
    errors = []
    for option in typing.get_args(kind):
        try:
            return _decode(option, data, at)
        except TypeError as error:
            errors.append(str(error))
    raise TypeError(errors[0])


def _decode_tuple(inner: tuple[Any, ...], data: Any, at: str) -> tuple[Any, ...]:
    _expect(isinstance(data, list), data, "a list", at)
    if inner[-1] is Ellipsis:
        return tuple(_decode(inner[0], item, f"{at}[{i}]") for i, item in enumerate(data))
    _expect(len(data) == len(inner), data, f"{len(inner)} items", at)
    return tuple(_decode(k, item, at) for k, item in zip(inner, data, strict=True))


def _decode_object(kind: Any, data: Any, at: str) -> Any:
    _expect(isinstance(data, dict), data, "an object", at)
    schema = getattr(kind, "SCHEMA", None)
    if schema is not None and data.get("schema") != schema:
        raise ValueError(f"schema {data.get('schema')!r} where {schema!r} is read")
    if hasattr(kind, "from_json"):
        return kind.from_json(data)
    return _decode_fields(kind, data, at)


def _decode_fields(kind: Any, data: dict[str, Any], at: str) -> Any:
    hints = typing.get_type_hints(kind)
    names = {f.name for f in dataclasses.fields(kind)}
    required = {
        f.name
        for f in dataclasses.fields(kind)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    given = set(data) - {"schema"}
    if missing := required - given:
        raise ValueError(f"{at} has no {', '.join(sorted(missing))}")
    if extra := given - names:
        raise ValueError(f"{at} has an unknown {', '.join(sorted(extra))}")
    return kind(**{name: _decode(hints[name], data[name], f"{at}.{name}") for name in given})


def _decode_scalar(kind: Any, data: Any, at: str) -> Any:
    if kind is float:
        is_number = isinstance(data, (int, float)) and not isinstance(data, bool)
        _expect(is_number and math.isfinite(data), data, "a number", at)
        return float(data)
    if kind is int:
        _expect(not isinstance(data, bool), data, "a whole number", at)
    return _expect(isinstance(data, kind), data, kind.__name__, at)


def _expect(holds: bool, data: Any, wanted: str, at: str) -> Any:
    if not holds:
        raise TypeError(f"{at} is {str(data)[:40]!r}, not {wanted}")
    return data
