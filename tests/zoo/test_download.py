from __future__ import annotations

import fcntl
import hashlib
import http.server
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecnn.core.catalogue import Published
from edgecnn.core.errors import InputError
from edgecnn.zoo.download import fetch

pytestmark = pytest.mark.tensorflow  # the room needs it, though not this module

CONTENT = bytes(range(256)) * 40


class Server(http.server.ThreadingHTTPServer):
    """What the tests change: the content, its version, how much is sent; what was asked for."""

    content = CONTENT
    etag = '"one"'
    sent: int | None = None
    announced = ""
    ranges: bool = True
    skipped: int = 0
    status: int | None = None
    asked: list[str | None]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        if server.announced and self.path.startswith("/hub/"):
            self.send_response(302)
            self.send_header("X-Linked-Etag", server.announced)
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}/real")
            self.end_headers()
            return
        if server.status:
            self.send_error(server.status)
            return
        start = 0
        if wanted and server.ranges and self.headers.get("If-Range") == server.etag:
            start = int(re.findall(r"\d+", wanted)[0]) + server.skipped
        self.send_response(206 if start else 200)
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(server.content) - start))
        if start:
            end, whole = len(server.content) - 1, len(server.content)
            self.send_header("Content-Range", f"bytes {start}-{end}/{whole}")
        self.end_headers()
        self.wfile.write(server.content[start : server.sent])


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("EDGECNN_WEIGHTS_URL", raising=False)
    with Server(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def offer(server: Server, **facts: str) -> Published:
    url = f"http://127.0.0.1:{server.server_port}/hub"
    known = {"source": "imagenet", "top1_source": "", "licence": "", "how": "", "file": "net.h5"}
    return Published(**{**known, "url": url, **facts}, top1=0.7)


def sha256(digits: int = 64) -> str:
    return f"sha256:{hashlib.sha256(CONTENT).hexdigest()[:digits]}"


def left_behind(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "models").iterdir()}


@pytest.mark.parametrize("known", ["", sha256(), sha256(8)])
def test_file_is_downloaded_once(server: Server, tmp_path: Path, known: str) -> None:
    for _ in range(2):
        path = fetch(offer(server, hash=known))
        assert path.read_bytes() == CONTENT
    assert server.asked == [None]
    assert left_behind(tmp_path) == {"net.h5"}


def test_md5_is_checked_too(server: Server) -> None:
    digest = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    assert fetch(offer(server, hash=f"md5:{digest}")).read_bytes() == CONTENT


def test_what_was_cut_off_goes_on_where_it_stopped(server: Server) -> None:
    server.sent = 5000
    with pytest.raises(InputError, match=r"cut off after 5000 of 10240 bytes.*goes on from there"):
        fetch(offer(server, hash=sha256()))
    server.sent = None
    assert fetch(offer(server, hash=sha256())).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=5000-"]


def test_file_that_changed_meanwhile_begins_anew(server: Server) -> None:
    server.sent = 5000
    with pytest.raises(InputError, match="cut off"):
        fetch(offer(server))
    server.sent, server.etag, server.content = None, '"two"', CONTENT[::-1]
    assert fetch(offer(server)).read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("change", [{"etag": ""}, {"ranges": False}])
def test_server_that_cannot_resume_sends_it_all_again(server: Server, change: dict) -> None:
    for name, value in change.items():
        setattr(server, name, value)
    server.sent = 5000
    with pytest.raises(InputError, match="cut off"):
        fetch(offer(server))
    server.sent = None
    assert fetch(offer(server)).read_bytes() == CONTENT


def test_partial_file_that_is_longer_than_the_file_begins_anew(
    server: Server, tmp_path: Path
) -> None:
    server.sent = 5000
    with pytest.raises(InputError, match="cut off"):
        fetch(offer(server))
    server.sent, server.status = None, 416
    with pytest.raises(InputError, match="no download"):
        fetch(offer(server))
    server.status = None
    assert fetch(offer(server)).read_bytes() == CONTENT


def test_another_part_than_the_missing_one_is_refused(server: Server) -> None:
    server.sent = 5000
    with pytest.raises(InputError, match="cut off"):
        fetch(offer(server))
    server.sent, server.skipped = None, 8
    with pytest.raises(InputError, match="another part than was asked for"):
        fetch(offer(server))


def test_wrong_hash_is_refused_and_nothing_is_kept(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="other content than was published in http://") as caught:
        fetch(offer(server, hash="sha256:0badc0de"))
    assert "\n" not in str(caught.value)
    assert left_behind(tmp_path) == set()


def test_damaged_file_in_the_cache_is_downloaded_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net.h5").write_bytes(b"damaged")
    assert fetch(offer(server, hash=sha256())).read_bytes() == CONTENT


def test_hash_that_a_hub_announces_is_checked(server: Server, tmp_path: Path) -> None:
    server.announced = f'"{sha256().removeprefix("sha256:")}"'
    hub = offer(server, hash="announced", remote="model.safetensors", file="net.safetensors")
    assert fetch(hub).read_bytes() == CONTENT
    (tmp_path / "models" / "net.safetensors").unlink()
    server.announced = "0" * 64
    with pytest.raises(InputError, match="other content than was published"):
        fetch(hub)


def test_hash_that_is_not_announced_is_said(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(offer(server, hash="announced")).read_bytes() == CONTENT
    assert capsys.readouterr().err == (
        "note: the server announced no hash of net.h5: it is not checked\n"
    )


def test_offline_is_one_line_that_says_what_to_do(server: Server, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    with pytest.raises(InputError, match=r"no download \(.*refused\) in .*--weights a file"):
        fetch(offer(server, url=url))
    assert left_behind(tmp_path) == set()


@pytest.mark.parametrize("status", [403, 404, 500])
def test_refusal_is_one_line(server: Server, status: int) -> None:
    server.status = status
    with pytest.raises(InputError, match=r"no download \(.*\) in http://"):
        fetch(offer(server))


def test_empty_offer_is_refused(server: Server) -> None:
    server.content = b""
    with pytest.raises(InputError, match="0 bytes are offered"):
        fetch(offer(server))


def test_two_downloads_of_one_file_do_not_mix(server: Server, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with (tmp_path / "models" / ".net.h5.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="still running"):
            fetch(offer(server))


def test_address_that_is_no_web_address_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECNN_WEIGHTS_URL", tmp_path.as_uri())
    with pytest.raises(InputError, match="takes http or https"):
        fetch(offer(server))


def test_cache_that_cannot_be_written_is_one_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file in the way")
    with pytest.raises(InputError, match="cannot write"):
        fetch(offer(server))
