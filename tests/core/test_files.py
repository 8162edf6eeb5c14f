from __future__ import annotations

import contextlib
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgecnn.core import files
from edgecnn.core.errors import InputError


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@contextlib.contextmanager
def at_most(size_bytes: int) -> Iterator[None]:
    """Let no file grow beyond a size, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.txt"
    files.write_text(path, "grün")
    assert path.read_text() == "grün"
    assert left_over(path.parent) == []


def test_a_file_gets_the_usual_rights(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_bytes(tmp_path / "x", b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    files.write_bytes(path, b"old")
    with at_most(10_000), pytest.raises(InputError, match="cannot write"):
        files.write_bytes(path, b"new" * 10_000)
    assert path.read_bytes() == b"old"
    assert left_over(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_full_disk_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this machine allows no mount")
    try:
        with pytest.raises(InputError, match=r"no space left on device.*: free some space"):
            files.write_bytes(tmp_path / "x", bytes(1_000_000))
        with (
            pytest.raises(InputError, match="no space left"),
            files.new_folder(tmp_path / "run") as folder,
        ):
            (folder / "model").write_bytes(bytes(1_000_000))
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize("where", ["/proc/edgecnn/x", "/dev/null/x", "file/x"])
def test_what_cannot_be_written_is_one_line(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(InputError, match=r"cannot write \(.+\) in .+: choose another output path"):
        files.write_bytes(Path(where), b"1")
    with pytest.raises(InputError, match="cannot write"), files.new_folder(Path(where)):
        pass
    with pytest.raises(InputError, match=r"cannot write \(.+\) in .+: choose another output path"):
        files.refuse_unwritable(Path(where))


@pytest.mark.parametrize("where", [".", "new", "new/deep"])
def test_asking_whether_a_folder_takes_files_leaves_nothing(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_mtime_ns
    files.refuse_unwritable(Path(where))
    assert list(tmp_path.iterdir()) == []
    assert tmp_path.stat().st_mtime_ns == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="permission denied"):
        files.write_bytes(tmp_path / "x", b"1")


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with files.new_folder(path) as folder:
        (folder / "a").write_text("1")
        assert not path.exists()
    assert (path / "a").read_text() == "1"
    assert left_over(tmp_path) == []


def test_a_folder_that_is_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(InputError, match="--force"), files.new_folder(tmp_path / "run"):
        raise AssertionError("not reached")


@pytest.mark.parametrize("exchange", [True, False])
def test_an_old_folder_gives_way_only_when_the_new_one_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:  # a file system that can't swap two names
        monkeypatch.setattr(files, "_exchange", lambda first, second: False)
    path = tmp_path / "run[1]"
    with files.new_folder(path) as folder:
        (folder / "old").touch()
    with contextlib.suppress(KeyboardInterrupt), files.new_folder(path, replace=True) as folder:
        raise KeyboardInterrupt
    assert (path / "old").exists()
    with files.new_folder(path, replace=True) as folder:
        (folder / "new").touch()
        assert (path / "old").exists()
    assert [p.name for p in path.iterdir()] == ["new"]
    assert left_over(tmp_path) == []


def test_a_folder_can_take_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with files.new_folder(tmp_path / "run", replace=True) as folder:
        (folder / "a").touch()
    assert (tmp_path / "run" / "a").exists()
    assert left_over(tmp_path) == []


def test_an_old_folder_that_was_moved_aside_comes_back(tmp_path: Path) -> None:
    aside = tmp_path / ".run.partial-old-123"
    aside.mkdir()
    (aside / "weights").touch()
    with (
        pytest.raises(InputError, match="already a result"),
        files.new_folder(tmp_path / "run"),
    ):
        pass
    assert (tmp_path / "run" / "weights").exists()


_WRITER = """
import sys
from pathlib import Path
from edgecnn.core import files
folder = Path(sys.argv[1])
for i in range(1_000_000):
    letter = b"ab"[i % 2 : i % 2 + 1]
    files.write_bytes(folder / "file", letter * 300_000)
    with files.new_folder(folder / "run", replace=True) as new:
        for name in ("one", "two"):
            (new / name).write_bytes(letter * 100_000)
    print(i, flush=True)
"""


@pytest.mark.parametrize("wait_ms", [0, 3, 7, 13])
def test_a_kill_at_any_moment_leaves_the_old_or_the_new(tmp_path: Path, wait_ms: int) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    time.sleep(wait_ms / 1000)
    writer.kill()
    writer.wait()
    writer.stdout.close()
    content = (tmp_path / "file").read_bytes()
    assert (len(content), len(set(content))) == (300_000, 1)
    parts = [(tmp_path / "run" / name).read_bytes() for name in ("one", "two")]
    assert parts[0] == parts[1]
    assert (len(parts[0]), len(set(parts[0]))) == (100_000, 1)
    with files.new_folder(tmp_path / "run", replace=True) as folder:
        (folder / "new").touch()
    assert [name for name in left_over(tmp_path) if name.startswith(".run")] == []


def test_a_hash_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert files.sha256(tmp_path / "x").startswith("ba7816bf8f01cfea")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "no such card"),
        ("folder", "a folder instead of a file"),
        ("empty", "an empty card"),
        ("large", "a card of"),
        ("x" * 5000, "an unreadable card"),
        ("nul\0", "no such card"),
        ("pipe", "no such card"),
    ],
)
def test_files_that_cannot_be_read_are_one_line(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "large").write_bytes(bytes(101))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=words):
        files.read_bytes(tmp_path / name, limit=100, kind="card")


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(100))
    assert files.read_bytes(tmp_path / "x", limit=100, kind="card") == bytes(100)
