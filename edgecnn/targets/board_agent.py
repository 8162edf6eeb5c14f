"""What stays on a board for the length of a session: unpacks, runs, watches, and leaves nothing.

It talks over its standard input and output, a line of JSON each; Python 3.9 is all it needs.
When the other end is silent or gone, whatever the reason, it kills what it started, removes
its folder and ends. `edgecnn.targets.session` is the other end, and sends this file there.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import traceback
import zipfile
from pathlib import Path
from typing import Any

from edgecnn.targets.board_folder import open_lock, private_folder
from edgecnn.targets.board_sensing import keep_sampling, oom_kills, prefer_to_kill, sample

# After so many seconds of silence the other end is gone; a network may stumble. The other end
# gives its own number as the first argument.
SILENCE_SECONDS = 60.0
BEATS = 12  # in that time, from each end
KEPT = Path("~/.edgecnn")


class Agent:
    """One session.

    Attributes:
        folder: Private; all that is sent lies there, and goes with the session.
    """

    def __init__(self, silence_seconds: float) -> None:
        """Make the folder, and listen."""
        self._silence = silence_seconds
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._in: Any = sys.stdin.buffer
        # A signal may come while this thread is ending already.
        self._speaking, self._ending = threading.Lock(), threading.RLock()
        self._heard = time.monotonic()
        self._requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._child: subprocess.Popen[bytes] | None = None
        try:
            self.folder, self._alive = private_folder()
        except OSError as error:
            self.say(failed={"text": str(error), "errno": error.errno})
            raise SystemExit(2) from None
        for number_ in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number_, lambda *_: self.end())
        for work in (self._listen, self._watch):
            threading.Thread(target=work, daemon=True).start()

    def say(self, **what: Any) -> None:
        """Send one line; nobody there is an end of the session."""
        try:
            with self._speaking:
                self._out.write(json.dumps(what) + "\n")
                self._out.flush()
        except OSError:
            self.end()

    def end(self) -> None:
        """Kill, remove, exit."""
        with self._ending:
            self._kill()
            for _ in range(20):
                shutil.rmtree(self.folder, ignore_errors=True)
                if not self.folder.exists():
                    break
                time.sleep(0.05)  # somebody was just writing there
            os._exit(0)

    def _kill(self) -> None:
        child = self._child
        if child is not None and child.returncode is None:
            with contextlib.suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)

    def _listen(self) -> None:
        while line := self._in.readline():
            self._heard = time.monotonic()
            if not line.strip():
                continue
            request = json.loads(line)
            source, sink = os.pipe()
            self._requests.put({**request, "stream": os.fdopen(source, "rb")})
            self._pass_on(request.get("bytes", 0), os.fdopen(sink, "wb"))
        self.end()

    def _pass_on(self, left: int, sink: Any) -> None:
        """Hand what follows a request to whoever works on it, and read it where nobody does."""
        with contextlib.suppress(OSError), sink:
            while left:
                part = self._in.read1(min(1 << 16, left))
                if not part:
                    self.end()
                left -= len(part)
                self._heard = time.monotonic()
                with contextlib.suppress(OSError):
                    sink.write(part)

    def _watch(self) -> None:
        while time.monotonic() - self._heard < self._silence:
            self.say(alive=True)
            time.sleep(self._silence / BEATS)
        self.end()

    def serve(self) -> None:
        """Answer requests until the other end is gone."""
        self.say(done={"folder": str(self.folder), "python": sys.executable})
        known = {"unpack": self.unpack, "wheels": self.wheels, "run": self.run,
                 "sense": self.sense, "keep": self.keep}  # fmt: skip
        while True:
            request = self._requests.get()
            try:
                with request["stream"]:
                    told = known[request["do"]](request)
                self.say(done=told)
            except (OSError, ValueError, zipfile.BadZipFile, tarfile.TarError) as error:
                free = shutil.disk_usage(self.folder).free / 1e6
                self.say(failed={"text": str(error), "errno": getattr(error, "errno", None),
                                 "folder": str(self.folder), "free_mb": free})  # fmt: skip

    def unpack(self, request: dict[str, Any]) -> dict[str, Any]:
        """Unpack a tar.gz that follows the request."""
        with tarfile.open(fileobj=request["stream"], mode="r|*") as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extraction_filter = tarfile.data_filter
            archive.extractall(self.folder)  # noqa: S202 - the bundle that our other end made
        return {}

    def wheels(self, request: dict[str, Any]) -> dict[str, Any]:
        """Unzip all wheels of one folder into another: an environment, by PYTHONPATH."""
        for wheel in sorted((self.folder / request["source"]).glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(self.folder / request["to"])  # noqa: S202 - wheels of ours
            wheel.unlink()
        return {}

    def keep(self, request: dict[str, Any]) -> dict[str, Any]:
        """Copy one of the session's folders home, where it stays: whole, or not at all."""
        if not re.fullmatch(r"\w[\w.-]*", request["name"]):
            raise ValueError(f"{request['name']!r} is no name of a folder")
        place = KEPT.expanduser() / request["name"]
        partial = place.with_name(f".{place.name}.partial")
        for stale in (partial, place):
            shutil.rmtree(stale, ignore_errors=True)
        shutil.copytree(self.folder / request["source"], partial)
        partial.rename(place)
        return {"path": str(place)}

    def sense(self, _: dict[str, Any]) -> dict[str, Any]:
        """Tell clock, temperature and throttling at this moment."""
        return sample(0.0)

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run a program of the session, alone on this board, and sample sensors meanwhile."""
        with contextlib.ExitStack() as stack:
            if request["exclusive"]:
                stack.enter_context(self._turn())
            kills, began = oom_kills(), time.monotonic()
            process = self._start(request)
            prefer_to_kill(process.pid)
            samples, stop = [sample(0.0)], threading.Event()
            sampler = threading.Thread(target=keep_sampling, args=(samples, began, stop))
            sampler.start()
            late = False
            try:
                out, err = process.communicate(request["input"].encode(), request["seconds"])
            except subprocess.TimeoutExpired:
                late = True
                self._kill()
                out, err = process.communicate()
            finally:
                stop.set()
                sampler.join()
        return {
            "code": process.returncode,
            "stdout": out.decode(errors="replace"),
            "stderr": err.decode(errors="replace")[-4000:],
            "late": late,
            "oom_kills": oom_kills() - kills,
            "samples": [*samples, sample(time.monotonic() - began)],
        }

    def _start(self, request: dict[str, Any]) -> subprocess.Popen[bytes]:
        with self._ending:  # an end in between would leave it running
            self._child = subprocess.Popen(
                request["words"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self.folder / request["cwd"],
                env={**os.environ, **request["environment"]},
                start_new_session=True,
            )
            return self._child

    @contextlib.contextmanager
    def _turn(self) -> Any:
        """Hold the board's lock; say so where another benchmark holds it."""
        with open_lock() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self.say(note="another benchmark runs there: waiting for its end")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def main() -> None:
    """Serve one session."""
    agent = Agent(float(sys.argv[1]) if len(sys.argv) > 1 else SILENCE_SECONDS)
    try:
        agent.serve()
    finally:
        # An error's traceback first: nothing else is said by a process that ends like this.
        traceback.print_exc()
        agent.end()


if __name__ == "__main__":
    main()
