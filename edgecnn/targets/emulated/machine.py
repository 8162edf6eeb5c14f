"""An emulated board that runs: started from its image, reached by ssh, gone without a trace."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edgecnn.core import files
from edgecnn.core.errors import InputError
from edgecnn.targets.emulated import hardware, rootless, server
from edgecnn.targets.emulated import image as images
from edgecnn.targets.emulated.boards import EmulatedBoard
from edgecnn.targets.emulated.program import absent
from edgecnn.targets.link import Link

_START = Path(__file__).with_name("start.sh")
_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.05


@dataclasses.dataclass(frozen=True)
class Machine:
    """A board that answers.

    Attributes:
        board: Which.
        folder: All that belongs to it; it goes when the board stops.
        process: The parent of its first process, where this process started it.
    """

    board: EmulatedBoard
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """The name that ssh knows it by, with `options`."""
        return self.board.name

    @property
    def options(self) -> tuple[str, ...]:
        """Arguments that make ssh and scp know it."""
        return "-F", str(self.folder / "ssh_config")

    @property
    def root(self) -> Path:
        """Its file system, as this machine sees it; for `hardware`'s knobs."""
        return self.folder / "root"

    @property
    def alive(self) -> bool:
        """Whether its first process is there."""
        return _is_running(self._number())

    def link(self) -> Link:
        """Open a connection to it.

        Raises:
            InputError: it is gone, or no ssh is here.
        """
        return Link(self.host, options=self.options)

    def unplug(self) -> None:
        """End all its processes at once, as if the cable were pulled."""
        number = self._number()
        with contextlib.suppress(ProcessLookupError):
            if number:
                os.kill(number, signal.SIGKILL)
        if _rootless():
            rootless.kill(self.folder)
        if self.process is not None:
            self.process.wait()
        _wait(lambda: not _is_running(number))

    def stop(self) -> None:
        """Unplug it, and remove all that is left."""
        self.unplug()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _number(self) -> int:
        try:
            return int((self.folder / "pid").read_text())
        except (OSError, ValueError):
            return 0


@contextlib.contextmanager
def running(board: EmulatedBoard, *, home_mb: int = 0) -> Iterator[Machine]:
    """Give a board that lives as long as the block; see `start`."""
    with tempfile.TemporaryDirectory(prefix="edgecnn-board-") as scratch:
        machine = start(board, Path(scratch) / board.name, home_mb=home_mb)
        try:
            yield machine
        finally:
            machine.stop()


def start(board: EmulatedBoard, folder: Path, *, home_mb: int = 0, stays: bool = False) -> Machine:
    """Start a board; its image is built first where the cache does not have it.

    Args:
        board: Which.
        folder: For all that belongs to it; new.
        home_mb: Size of the home folder. 0: as much as this machine has.
        stays: It goes on when this process ends.

    Raises:
        InputError: a program is absent, this user may not, or the board doesn't come up.
    """
    image = images.image(board.system, board.board)
    with files.writing(folder):
        folder.mkdir(parents=True)
        (folder / "root").mkdir()
    machine = Machine(board, folder)
    try:
        images.unpack(image, machine.root)
        hardware.install(board, machine.root)
        port = server.free_port()
        steady = {"QEMU_CPU": board.qemu_cpu, rootless.MARK: str(folder)}
        more = rootless.SSHD if _rootless() else ""
        server.write_keys(machine.root, folder, machine.host, port, steady, more=more)
        process = _boot(machine, home_mb=home_mb, stays=stays)
        machine = dataclasses.replace(machine, process=process)
        _await(machine, process, port)
    except BaseException:
        machine.stop()
        raise
    return machine


def started(board: EmulatedBoard) -> Machine | None:
    """Return the board that `tools/emulated_pi up` left running, if there is one."""
    machine = Machine(board, staying(board))
    return machine if machine.alive else None


def staying(board: EmulatedBoard) -> Path:
    """Return the folder of a board that was started to stay."""
    return images.folder() / "up" / board.name


def _rootless() -> bool:
    return os.geteuid() != 0


def _boot(machine: Machine, *, home_mb: int, stays: bool) -> subprocess.Popen[bytes]:
    """Start the board's first process in namespaces of its own; they end with it."""
    system = machine.board.system
    if _rootless():
        if home_mb:
            raise InputError(
                "a home folder of limited size", where="an emulated board", fix="be root"
            )
        rootless.adopt(machine.root)
        command = rootless.command(system, machine.root, machine.folder / "pid")
    else:
        os.chown(machine.root / "home" / server.USER, 1000, 1000)
        command = [
            *("unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child=KILL"),
            *("sh", str(_START), str(machine.root), str(machine.folder / "pid")),
            *(f"qemu-{system.qemu}", *system.magic, str(home_mb)),
        ]
    # A board that is not to stay goes with this process, however that ends.
    prefix = [] if stays else ["setpriv", "--pdeathsig", "KILL"]
    try:
        with (machine.folder / "log").open("wb") as log:
            return subprocess.Popen(
                [*prefix, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={
                    "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin",
                    rootless.MARK: str(machine.folder),
                },
            )
    except FileNotFoundError as error:
        raise absent(str(error.filename)) from None


def _await(machine: Machine, process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until the board's SSH server greets."""
    if (
        not _wait(lambda: process.poll() is not None or server.greets(port))
        or process.poll() is not None
    ):
        said = (machine.folder / "log").read_text("utf-8", errors="replace").strip().splitlines()
        raise InputError(
            f"a board that does not start ({(said or ['no word of it'])[-1][:200]})",
            where=machine.board.target,
            fix="run as root with leave to mount, or install proot and run as a user",
        )


def _wait(done: Callable[[], bool]) -> bool:
    """Return whether it became true in time."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


def _is_running(number: int) -> bool:
    """Tell whether a process is there and not only waiting to be forgotten."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
