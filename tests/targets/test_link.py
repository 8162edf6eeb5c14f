from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.core.errors import InputError
from edgecnn.targets.host import check_host
from edgecnn.targets.link import Link
from edgecnn.targets.link_errors import refusal

board = pytest.mark.board


@pytest.fixture(scope="module")
def link(loopback: Any) -> Iterator[Link]:
    opened = Link("board", options=loopback.options)
    yield opened
    opened.close()


def error_of(host: str, options: tuple[str, ...]) -> str:
    with pytest.raises(InputError) as caught:
        Link(host, options=options).close()
    return str(caught.value)


@board
def test_a_command_gets_its_input_and_gives_its_output_and_exit_code(link: Link) -> None:
    done = link.run("cat; echo no >&2; exit 7", input=b"to \0 and fro\xff")
    assert (done.code, done.stdout, done.stderr) == (7, b"to \0 and fro\xff", b"no\n")


@board
def test_commands_share_one_connection(loopback: Any, link: Link) -> None:
    before = loopback.log.count("Accepted publickey")
    for _ in range(3):
        link.run("true")
    assert loopback.log.count("Accepted publickey") == before > 0


@board
def test_an_exit_code_of_255_is_the_commands_own(link: Link) -> None:
    assert link.run("exit 255").code == 255


@board
def test_a_command_without_end_is_given_up(link: Link) -> None:
    with pytest.raises(InputError, match="no answer within 0 s in ssh:board"):
        link.run("cat; sleep 60 & wait $!", timeout=0.3)
    assert link.run("echo still here").stdout == b"still here\n"


@board
def test_an_archive_is_unpacked_over_there(link: Link, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("a folder/a file")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"bytes"))
    link.put(packed.getvalue(), str(tmp_path / "it's there; yes"))
    assert (tmp_path / "it's there; yes" / "a folder" / "a file").read_bytes() == b"bytes"


@board
def test_an_archive_for_no_folder_is_refused_with_the_reason(link: Link, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"takes no files .*Not a directory.*free some space"):
        link.put(b"", str(tmp_path / "file" / "below"))


@board
def test_closing_leaves_no_process_and_no_file(loopback: Any) -> None:
    before = set(Path(tempfile.gettempdir()).glob("edgecnn-*"))
    opened = Link("board", options=loopback.options)
    (folder,) = set(Path(tempfile.gettempdir()).glob("edgecnn-*")) - before
    assert folder.stat().st_mode & 0o777 == 0o700
    opened.close()
    assert not folder.exists()
    assert not opened.alive
    with pytest.raises(InputError, match="a connection that was cut"):
        opened.run("true")


@board
def test_the_connection_ends_with_the_process_that_opened_it(
    serve: Callable[..., Any], tmp_path: Path
) -> None:
    mine = serve()
    script = (
        "import sys, time\nfrom edgecnn.targets.link import Link\n"
        "link = Link('board', options=sys.argv[1:])\nprint('open', flush=True)\ntime.sleep(60)"
    )
    words = [sys.executable, "-c", script, *mine.options]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # a killed process leaves its folder
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        assert mine.sessions()
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while mine.sessions() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not mine.sessions()


@board
def test_a_cut_connection_says_so(serve: Callable[..., Any]) -> None:
    mine = serve()
    opened = Link("board", options=mine.options)
    with opened.start("cat") as running:
        mine.cut()
        assert running.wait(10) == 255
    assert not opened.alive
    with pytest.raises(InputError, match=r"cut .*in ssh:board: look whether the board is up"):
        opened.run("true")
    opened.close()


@board
def test_a_refused_key_says_how_to_put_one_there(serve: Callable[..., Any]) -> None:
    mine = serve()
    (mine.folder / "authorized_keys").write_text("")
    said = error_of("root@board", mine.options)
    assert said.startswith("no key of yours that the board takes in ssh:root@board: ")
    assert "ssh-copy-id root@board" in said


@board
def test_an_unknown_host_key_is_not_accepted_unasked(loopback: Any) -> None:
    options = (*loopback.options, "-o", "UserKnownHostsFile=/dev/null")
    assert error_of("board", options) == (
        "a host key that nobody has accepted yet in ssh:board: "
        "connect once by hand, compare the fingerprint and say yes: ssh board"
    )


@board
def test_a_changed_host_key_is_told_apart_from_an_unknown_one(
    loopback: Any, tmp_path: Path
) -> None:
    own = (loopback.folder / "own.pub").read_text()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{loopback.port} {own}")
    options = (*loopback.options, "-o", f"UserKnownHostsFile={tmp_path / 'known'}")
    said = error_of("pi@board", options)
    assert said.startswith("another host key than before in ssh:pi@board")
    assert "ssh-keygen -R board" in said


@board
def test_no_server_and_no_such_name_are_told_apart(loopback: Any) -> None:
    nobody = (*loopback.options, "-o", "Port=1")
    assert error_of("board", nobody).startswith("a machine without an SSH server")
    assert error_of("no-such-board.invalid", ()).startswith("no host of this name")


@board
def test_a_talkative_login_script_does_no_harm(serve: Callable[..., Any]) -> None:
    mine = serve("ForceCommand echo Welcome!; eval $SSH_ORIGINAL_COMMAND")
    opened = Link("board", options=mine.options)
    assert opened.run("echo 5").stdout == b"Welcome!\n5\n"
    opened.close()


@board
def test_a_login_that_never_comes_to_a_command_is_given_up(serve: Callable[..., Any]) -> None:
    mine = serve("ForceCommand sleep 30")
    with pytest.raises(InputError, match="a login that runs no command in ssh:board"):
        Link("board", options=mine.options, patience_seconds=1.5)


def test_without_an_ssh_program_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match=r"no ssh program in this machine: .*openssh-client"):
        Link("board")


@pytest.mark.parametrize(
    "host",
    [
        "-oProxyCommand=touch x",
        "",
        "pi@",
        "@pi",
        "pi@-x",
        "a b",
        "pi4\nx",
        "pi4:22",
        "a@b@c",
        "$(x)",
    ],
)
def test_what_is_no_host_never_reaches_ssh(host: str) -> None:
    with pytest.raises(InputError, match="which is no"):
        check_host(host)


@pytest.mark.parametrize("host", ["pi4", "pi@pi4.local", "10.0.0.7", "me@fe80::1%eth0", "::1"])
def test_names_and_addresses_are_hosts(host: str) -> None:
    assert check_host(host) == host


@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_whatever_ssh_says_becomes_one_line_with_a_way_out(said: str) -> None:
    error = refusal("pi@board", said)
    assert error.where == "ssh:pi@board"
    assert error.fix
    assert len(str(error)) < 500


def test_folders_with_long_names_are_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgecnn.targets.link import _private_folder

    deep = tmp_path / ("long" * 20)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    folder = _private_folder()
    assert len(os.fsencode(folder)) < 108 - 17 - 2
    folder.rmdir()
