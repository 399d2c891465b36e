"""One worker process, seen from the pool: started, asked, and cleared away when it dies or hangs."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from signal import SIGABRT, SIGALRM, SIGKILL, SIGXCPU, Signals

import msgspec

from localsearch.checked import clean
from localsearch.errors import ExtractionError, UnavailableError
from localsearch.extract import wire
from localsearch.extract.limits import HINTS, failure
from localsearch.platform import group
from localsearch.platform.confine import NO_PROGRAMS
from localsearch.platform.interpreter import ONE_THREAD, environment, module_command
from localsearch.settings import MB, ChunkSettings, ExtractSettings
from localsearch.types import Extract


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A regular file that the caller has opened for reading, and closes when the outcome is there."""

    path: Path
    descriptor: int


Outcome = tuple[Extract, ...] | ExtractionError
START_S = 60
"""Seconds a worker may take to start on a busy machine."""
MOST_PROCESSES = 16
"""Processes of one reader at once, itself among them; tesseract is one."""
DYING_S = 5
"""Seconds a worker that has closed its connection may take to end."""


class Worker:
    """One process that reads files, started anew after it has died or left; `cut` says how it cuts text, if so."""

    def __init__(self, settings: ExtractSettings, cut: ChunkSettings | None = None) -> None:
        self._settings = settings
        self._cut = cut
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        fcntl.fcntl(self._errors, fcntl.F_SETFL, os.O_APPEND)
        self._largest = 0
        self._fresh = True
        self._given_up = False
        self.confinement: dict[str, str] = {}

    def read(self, file: Path | OpenFile) -> Outcome:
        """What is in a file, or why that cannot be said; raises only UnavailableError."""
        self._given_up = False
        if isinstance(file, OpenFile):
            return self._read(file.descriptor, file.path.name)
        try:
            descriptor = _open(file)
        except ExtractionError as error:
            return error
        try:
            return self._read(descriptor, file.name)
        finally:
            os.close(descriptor)

    def draw(self, file: OpenFile, page: wire.Page) -> Outcome:
        """A page of a file as a picture, in the metadata of one Extract, or why it cannot be drawn."""
        self._given_up = False
        return self._read(file.descriptor, file.path.name, page)

    def _read(self, descriptor: int, name: str, page: wire.Page | None = None) -> Outcome:
        """Ask twice if need be: what files before have left in a worker must not be laid to this one."""
        while True:
            self.start()
            fresh, self._fresh = self._fresh, False
            try:
                return self._ask(descriptor, name, page)
            except ExtractionError as error:
                if fresh or self._given_up or error.data["rule"] not in ("crash", "memory"):
                    return error

    def start(self) -> None:
        """Start the process unless it runs; UnavailableError when no process can be had."""
        if self._process is not None and self._process.poll() is None:
            return
        self.stop()
        ours, theirs = socket.socketpair()
        with theirs:
            self._connection = ours
            self._process = self._spawn(theirs.fileno())
        self._fresh = True
        try:
            self.confinement = self._receive(time.monotonic() + START_S).confinement
        except (EOFError, OSError, msgspec.DecodeError) as error:
            raise _unavailable(self._end(error).message) from None

    def _spawn(self, descriptor: int) -> subprocess.Popen[bytes]:
        told = [msgspec.json.encode(settings).decode() for settings in (self._settings, self._cut)]
        command = module_command("localsearch.extract.worker", str(descriptor), *told)
        try:
            return subprocess.Popen(
                command,
                pass_fds=[descriptor],
                env=environment("PATH", "TESSDATA_PREFIX") | ONE_THREAD,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            raise _unavailable(error.strerror or str(error)) from None

    def stop(self) -> None:
        """End the process now, whatever it does."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            if self._process.returncode is None:
                self._kill(self._process)
            self._reap(None)
        self._process = self._connection = None

    def give_up(self) -> None:
        """End what it is reading now, from another thread; `read` then returns an error there."""
        self._given_up = True
        if self._process is not None:
            self._kill(self._process)

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the process and any program that it has started."""
        if NO_PROGRAMS not in self.confinement.get("seccomp", ""):
            group.kill(process.pid)
            return
        try:
            os.killpg(process.pid, SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def close(self) -> None:
        """End the process for good."""
        self.stop()
        self._errors.close()

    def _ask(self, descriptor: int, name: str, page: wire.Page | None) -> Outcome:
        assert self._connection is not None
        job = msgspec.msgpack.encode(wire.Job(os.fsencode(name).decode("utf-8", "replace"), page=page))
        deadline = time.monotonic() + self._settings.wall_s
        watch = self._watch()
        self._errors.truncate(0)
        try:
            self._connection.settimeout(self._settings.wall_s)
            socket.send_fds(self._connection, [job], [descriptor])
            reply = self._receive(deadline, watch)
            if not 0 <= reply.count <= wire.MOST_EXTRACTS or (reply.rule and reply.rule not in HINTS):
                raise msgspec.ValidationError("a reply that no reader gives")
            found = tuple(
                wire.unpack(wire.receive(self._connection, deadline, watch)) for _ in range(reply.count)
            )
        except group.Exceeded as error:
            self.stop()
            raise self._together(error.what) from None
        except (EOFError, OSError) as error:
            raise self._end(error) from None
        except (msgspec.DecodeError, ValueError, RecursionError, MemoryError) as error:
            self.stop()  # it is not to be trusted with another file
            raise failure("crash", f"its reader answered nonsense: {error}") from None
        if reply.leaving or (watch and watch.has_children()):
            self.stop()
        if reply.rule:
            raise failure(reply.rule, clean(reply.reason))
        return found

    def _receive(self, deadline: float, watch: group.GroupWatch | None = None) -> wire.Reply:
        assert self._connection is not None
        return msgspec.msgpack.decode(wire.receive(self._connection, deadline, watch), type=wire.Reply)

    def _watch(self) -> group.GroupWatch | None:
        """What holds the process and its programs to one bound; None for one that can start none."""
        assert self._process is not None
        if NO_PROGRAMS in self.confinement.get("seccomp", ""):
            return None
        settings = self._settings
        bound = group.Bound(settings.memory_mb * MB, settings.cpu_s, MOST_PROCESSES)
        return group.GroupWatch(self._process.pid, bound)

    def _together(self, what: str) -> ExtractionError:
        """Which bound the process and its programs have met together."""
        if what == "memory":
            limit = f"{self._settings.memory_mb} MB of memory"
            return failure(
                "memory", f"reading it takes more than {limit}, with the programs that this starts"
            )
        if what == "cpu_s":
            limit = f"{self._settings.cpu_s} s of processor time"
            return failure("cpu", f"reading it took more than {limit}, with the programs that this starts")
        return failure("crash", f"its reader started more than {MOST_PROCESSES} programs at once")

    def _end(self, error: Exception) -> ExtractionError:
        """Clear away a worker that died or hangs, and say which of the limits it met."""
        assert self._process is not None
        if not isinstance(error, TimeoutError):
            self._reap(time.monotonic() + DYING_S)
        if self._process.returncode is None:
            self._kill(self._process)
        status = self._process.returncode
        self.stop()
        if isinstance(error, TimeoutError):
            return failure("timeout", f"reading it took longer than {self._settings.wall_s} s")
        return self._cause(status)

    def _reap(self, deadline: float | None) -> None:
        """Wait for the process to end, and note the most memory that it had."""
        process = self._process
        while process is not None and process.returncode is None:
            try:
                ended = os.waitid(
                    os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | (os.WNOHANG if deadline else 0)
                )
                if ended:
                    self._kill(process)  # what it has started, while its number is still its group's
                done, status, usage = os.wait4(process.pid, os.WNOHANG)
            except ChildProcessError:
                process.returncode = 0
                return
            if done:
                process.returncode = os.waitstatus_to_exitcode(status)
                self._largest = wire.resident_bytes(usage)
            elif deadline and time.monotonic() > deadline:
                return
            else:
                time.sleep(0.01)

    def _cause(self, status: int | None) -> ExtractionError:
        words = self._last_words()
        if status == -SIGXCPU:
            return failure("cpu", f"reading it took more than {self._settings.cpu_s} s of processor time")
        if status == -SIGALRM:
            return failure("timeout", f"reading it took longer than {self._settings.wall_s} s")
        full = self._largest > self._settings.memory_mb * MB / 2
        if (
            "memory allocation" in words
            or "MemoryError" in words
            or status == -SIGKILL
            or (status == -SIGABRT and full)
        ):
            return failure("memory", f"reading it takes more than {self._settings.memory_mb} MB of memory")
        ended = Signals(-status).name if status is not None and status < 0 else f"status {status}"
        return failure("crash", f"its reader died of it ({ended}) {words}".strip())

    def _last_words(self) -> str:
        """The last line that the process wrote to its standard error, hints for its developers aside."""
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 2000))
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return next((line for line in reversed(lines) if line.strip() and not line.startswith("note:")), "")


def _unavailable(reason: str) -> UnavailableError:
    return UnavailableError(
        f"the readers of files cannot be started: {reason}",
        hint="Run `localsearch doctor`; installing localsearch anew mends a damaged installation.",
    )


def _open(path: Path) -> int:
    """A descriptor on a regular file; nothing that blocks or acts on being opened is ever opened."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise failure("special", "not a regular file")
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise failure("missing", "it was gone when it was to be read") from None
    except OSError as error:
        raise failure("unreadable", error.strerror or str(error)) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise failure("special", "not a regular file")
    return descriptor
