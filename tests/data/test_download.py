"""Downloads: hashed, resumed, whole or not at all; only loopback is reached here."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecnn.core.errors import InputError
from edgecnn.data.download import Remote, cache_folder, fetch

BODY = bytes(range(256)) * 5000
REMOTE = Remote(
    url="https://nowhere.invalid/sets/a.bin",
    sha256=hashlib.sha256(BODY).hexdigest(),
    size=len(BODY),
)


class _Server(http.server.ThreadingHTTPServer):
    body = BODY
    cut_after: int | None = None
    ranges: list[str | None]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        if self.path != "/a.bin":
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(self.server.body) - start))
        self.end_headers()
        self.wfile.write(self.server.body[start : self.server.cut_after])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as running:
        running.ranges = []
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        monkeypatch.setenv("EDGECNN_DATA_URL", f"http://127.0.0.1:{running.server_port}/")
        yield running
        running.shutdown()
        thread.join()


def test_a_file_is_fetched_once(server: _Server, tmp_path: Path) -> None:
    path = fetch(REMOTE, cache=tmp_path)
    assert path.read_bytes() == BODY
    assert fetch(REMOTE, cache=tmp_path) == path
    assert server.ranges == [None]


def test_a_download_that_was_cut_is_resumed(server: _Server, tmp_path: Path) -> None:
    server.cut_after = 300_000
    with pytest.raises(InputError, match="no download"):
        fetch(REMOTE, cache=tmp_path)
    assert not list(tmp_path.rglob("a.bin"))
    server.cut_after = None
    assert fetch(REMOTE, cache=tmp_path).read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-"]


def test_another_content_is_refused_and_not_kept(server: _Server, tmp_path: Path) -> None:
    server.body = BODY[:-1] + b"!"
    with pytest.raises(InputError, match="another content than was published"):
        fetch(REMOTE, cache=tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    server.body = BODY
    assert fetch(REMOTE, cache=tmp_path).read_bytes() == BODY


def test_a_longer_answer_than_published_is_not_swallowed(server: _Server, tmp_path: Path) -> None:
    server.body = BODY + BODY
    assert fetch(REMOTE, cache=tmp_path).stat().st_size == len(BODY)


def test_a_missing_file_is_one_clear_line(server: _Server, tmp_path: Path) -> None:
    remote = Remote(url="https://nowhere.invalid/b.bin", sha256="0" * 64, size=5)
    with pytest.raises(InputError, match=r"no download \(Not Found\)"):
        fetch(remote, cache=tmp_path)
    assert server.ranges == [None]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "file:///etc"])
def test_no_connection_is_one_clear_line(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECNN_DATA_URL", url)
    with pytest.raises(InputError, match=r"no download|no web address"):
        fetch(REMOTE, cache=tmp_path)


def test_a_cache_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        fetch(REMOTE, cache=tmp_path / "cache")


def test_the_cache_goes_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    monkeypatch.delenv("EDGECNN_CACHE", raising=False)
    assert cache_folder() == Path("/somewhere/edgecnn")
    monkeypatch.setenv("EDGECNN_CACHE", "/else")
    assert cache_folder() == Path("/else")
