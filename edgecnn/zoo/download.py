"""Published files of weights: fetched once into Keras's own cache, whole or not at all.

What a broken connection left is kept beside the cache's files, and the next call goes on
from there, unless the file has changed meanwhile.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any

from edgecnn.core import catalogue, files
from edgecnn.core.catalogue import Published
from edgecnn.core.errors import InputError
from edgecnn.core.progress import bar, say

URL_VARIABLE = "EDGECNN_WEIGHTS_URL"
"""Environment variable: a mirror that has all files in one folder."""

ANNOUNCED = "announced"
# Hugging Face's hub answers with the content's sha256 before it redirects to the content.
_ANNOUNCEMENT = "X-Linked-Etag"
_SHA256 = re.compile(r'"?([0-9a-f]{64})"?')
_TIMEOUT_SECONDS = 20.0
_CHUNK_BYTES = 1 << 20
_LIMIT_BYTES = 1_000_000_000


def fetch(weights: Published) -> Path:
    """Return a file, downloaded first where the cache does not have it.

    Raises:
        InputError: no connection, a refusal, a download that was cut off, other content than
            published, or a cache that can't be written.
    """
    target = catalogue.downloads() / weights.file
    if target.is_file() and (weights.hash == ANNOUNCED or _agrees(target, weights.hash)):
        return target
    url = _address(weights)
    part = target.with_name(f".{target.name}.part")
    with files.writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            announced = _complete(url, part, file)
    if not _agrees(part, announced if weights.hash == ANNOUNCED else weights.hash):
        _forget(part)
        raise InputError(
            "other content than was published", where=url, fix="try again, or give --weights a file"
        )
    if weights.hash == ANNOUNCED and not announced:
        say(f"note: the server announced no hash of {weights.file}: it is not checked")
    with files.writing(target):
        part.replace(target)
    _forget(part)
    return target


def _address(weights: Published) -> str:
    mirror = os.environ.get(URL_VARIABLE)
    name = weights.file if mirror else weights.remote or weights.file
    url = f"{(mirror or weights.url).rstrip('/')}/{name}"
    if not url.startswith(("https://", "http://")):
        raise InputError("no web address", where=url, fix=f"{URL_VARIABLE} takes http or https")
    return url


def _agrees(path: Path, expected: str) -> bool:
    """Tell whether a file has the published hash, of which only the first digits may be known."""
    kind, _, digits = expected.partition(":")
    if not digits:
        return True
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False))
    return found.hexdigest().startswith(digits)


def _complete(url: str, part: Path, file: IO[bytes]) -> str:
    """Download what the partial file lacks; return the hash that the server announces."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise InputError(
            "a download that is still running", where=part, fix="wait for it to end"
        ) from None
    try:
        with _open(url, part, done=file.tell()) as answer:
            _receive(answer, part, file, url=url)
            found = _SHA256.fullmatch(answer.headers.get(_ANNOUNCEMENT, ""))
            return f"sha256:{found[1]}" if found else ""
    except (OSError, ValueError, http.client.HTTPException) as error:  # URLError is an OSError
        if not part.stat().st_size:
            _forget(part)
        raise InputError(
            f"no download ({getattr(error, 'reason', None) or error})",
            where=url,
            fix="go on-line and try again, or give --weights a file",
        ) from error


def _open(url: str, part: Path, *, done: int) -> Any:
    """Ask for the file, or for the rest of the version of which the first part is here."""
    version = _version_of(part)
    headers = {}
    if done and version.is_file() and (tag := version.read_text()):
        headers = {"Range": f"bytes={done}-", "If-Range": tag}
    redirected = _Redirected()
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - only web addresses come here
    try:
        opener = urllib.request.build_opener(redirected)
        answer = opener.open(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not headers:
            raise
        version.unlink()
        return _open(url, part, done=0)
    if redirected.announced:
        answer.headers[_ANNOUNCEMENT] = redirected.announced
    return answer


def _receive(answer: Any, part: Path, file: IO[bytes], *, url: str) -> None:
    """Append what the server sends; begin anew where it sends the whole file."""
    at = file.tell()
    if answer.status != http.client.PARTIAL_CONTENT:
        at = 0
        file.truncate(0)
    elif not answer.headers.get("Content-Range", "").startswith(f"bytes {at}-"):
        raise OSError("another part than was asked for")
    size = at + int(answer.headers.get("Content-Length", 0))
    if not at < size <= _LIMIT_BYTES:
        raise OSError(f"{size} bytes are offered")
    with files.writing(part):
        _version_of(part).write_text(_version(answer.headers))
    with bar(f"Fetching {url.rpartition('/')[2]}", total=size) as advance:
        advance(at)
        while chunk := answer.read(_CHUNK_BYTES):
            with files.writing(part):
                file.write(chunk)
            advance(len(chunk))
            at += len(chunk)
    if at != size:
        raise InputError(
            f"no download (cut off after {at} of {size} bytes)",
            where=url,
            fix="give the same command again, and it goes on from there",
        )


def _version(headers: Any) -> str:
    """Return what tells this version of the file from others, where the server says it."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else str(headers.get("Last-Modified", ""))


def _version_of(part: Path) -> Path:
    return part.with_name(f"{part.name}-version")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _version_of(part).unlink(missing_ok=True)


class _Redirected(urllib.request.HTTPRedirectHandler):
    """Follows redirections, and remembers what an answer on the way announced."""

    def __init__(self) -> None:
        self.announced = ""

    def redirect_request(self, *answer: Any) -> Any:
        """Take the announcement; `answer` is urllib's: request, file, code, text, headers, URL."""
        self.announced = self.announced or answer[4].get(_ANNOUNCEMENT, "")
        return super().redirect_request(*answer)
