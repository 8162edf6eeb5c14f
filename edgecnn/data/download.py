"""Files of public data sets: fetched once, resumed after a cut, believed only by their hash."""

from __future__ import annotations

import dataclasses
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

from edgecnn.core import files
from edgecnn.core.errors import InputError
from edgecnn.core.progress import bar

TIMEOUT_SECONDS = 20
_CHUNK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Remote:
    """A file that is known by its hash.

    Attributes:
        url: Where it is published.
        sha256: Of its content.
        size: Bytes.
    """

    url: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self.url.rsplit("/", 1)[-1]


def cache_folder() -> Path:
    """Return where downloads are kept: ``EDGECNN_CACHE``, or the user's cache folder."""
    if own := os.environ.get("EDGECNN_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgecnn"


def fetch(remote: Remote, *, cache: Path | None = None) -> Path:
    """Return the file, downloading what of it is missing.

    ``EDGECNN_DATA_URL`` stands in for the part of the URL before the file's name: a mirror.

    Raises:
        InputError: no connection, a refusal, another content than published, or a cache
            folder that can't be written.
    """
    target = (cache or cache_folder()) / remote.sha256[:8] / remote.name
    if _is_whole(target, remote):
        return target
    with files.writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{remote.name}.partial")
        _download(remote, partial)
        if files.sha256(partial) != remote.sha256:
            partial.unlink()
            raise InputError(
                "another content than was published",
                where=_url(remote),
                fix=f"try again, or put the right file at {target}",
            )
        partial.replace(target)
    return target


def _is_whole(path: Path, remote: Remote) -> bool:
    """Believe a file in the cache by its size: it got its name after its hash was checked."""
    return path.is_file() and path.stat().st_size == remote.size


def _url(remote: Remote) -> str:
    mirror = os.environ.get("EDGECNN_DATA_URL")
    return f"{mirror.rstrip('/')}/{remote.name}" if mirror else remote.url


def _download(remote: Remote, partial: Path) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    if have >= remote.size:
        have = 0
    url = _url(remote)
    if not url.startswith(("https://", "http://")):
        raise InputError("no web address", where=url, fix="EDGECNN_DATA_URL takes http or https")
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - likewise
            resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
            _append(answer, partial, remote, start=have if resumed else 0)
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        TimeoutError,
        ConnectionError,
    ) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(
            f"no download ({reason})", where=url, fix="go on-line and try again; it resumes"
        ) from error


def _append(answer: http.client.HTTPResponse, partial: Path, remote: Remote, *, start: int) -> None:
    """Add what arrives to the partial file, and never more than the file has."""
    with partial.open("ab") as file, bar(f"Fetching {remote.name}", total=remote.size) as advance:
        file.truncate(start)
        advance(start)
        while start < remote.size and (
            chunk := answer.read(min(_CHUNK_BYTES, remote.size - start))
        ):
            file.write(chunk)
            start += len(chunk)
            advance(len(chunk))
    if start < remote.size:
        raise ConnectionError(f"cut off after {start} of {remote.size} bytes")
