"""Published files of weights: fetched once into Keras's own cache, whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.request
from pathlib import Path

import keras

from edgecnn.core import files
from edgecnn.core.errors import InputError
from edgecnn.core.progress import bar

URL_VARIABLE = "EDGECNN_WEIGHTS_URL"
"""Environment variable: a mirror that has all files in one folder."""

CACHE_VARIABLE = "EDGECNN_CACHE"
"""Environment variable: the folder of downloads; ``~/.keras`` where it is not set."""

_TIMEOUT_SECONDS = 20.0
_CHUNK_BYTES = 1 << 20
_LIMIT_BYTES = 1_000_000_000


def fetch(folder_url: str, name: str, *, md5: str | None = None) -> Path:
    """Return a file, downloaded first where the cache does not have it.

    Args:
        folder_url: Where it is published.
        name: Its name there, and in the cache.
        md5: Published hash of its content, where there is one.

    Raises:
        InputError: no connection, a refusal, other content than published, or a cache
            that can't be written.
    """
    cache = Path(os.environ.get(CACHE_VARIABLE) or keras.config.keras_home())
    target = cache / "models" / name
    if target.is_file() and _is_published(target.read_bytes(), md5):
        return target
    url = f"{(os.environ.get(URL_VARIABLE) or folder_url).rstrip('/')}/{name}"
    if not url.startswith(("https://", "http://")):
        raise InputError("no web address", where=url, fix=f"{URL_VARIABLE} takes http or https")
    try:
        data = _download(url, name)
    except (OSError, ValueError, http.client.HTTPException) as error:  # URLError is an OSError
        raise InputError(
            f"no download ({getattr(error, 'reason', None) or error})",
            where=url,
            fix="go on-line and try again, or give --weights a file",
        ) from error
    if not _is_published(data, md5):
        raise InputError(
            "other content than was published", where=url, fix="try again, or give --weights a file"
        )
    files.write_bytes(target, data)
    return target


def _is_published(data: bytes, md5: str | None) -> bool:
    return md5 is None or hashlib.md5(data, usedforsecurity=False).hexdigest() == md5


def _download(url: str, name: str) -> bytes:
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - the caller looked at the scheme
        size = int(answer.headers.get("Content-Length", 0))
        if not 0 < size <= _LIMIT_BYTES:
            raise OSError(f"{size} bytes are offered")
        data = bytearray()
        with bar(f"Fetching {name}", total=size) as advance:
            while chunk := answer.read(_CHUNK_BYTES):
                data += chunk
                advance(len(chunk))
    if len(data) != size:
        raise OSError(f"cut off after {len(data)} of {size} bytes")
    return bytes(data)
