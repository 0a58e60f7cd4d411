"""A job of a scripted server: a function of Python, which takes it for what a process sees."""

import itertools
import os
import threading
import time
import traceback
from datetime import datetime, timezone
from typing import Any, Callable, Dict, List, Mapping, NoReturn, Optional, Protocol, Set, Union

from .scriptedoutput import Input, Told

#: What a job does; what it returns is its exit status, None is 0.
Program = Callable[["ScriptedJob"], Optional[int]]

_pids = itertools.count(1 << 23)  # more than Linux gives, so that no process has one

_NOTHING = {"SIGCHLD", "SIGURG", "SIGWINCH", "SIGCONT", "SIGTSTP", "SIGTTIN", "SIGTTOU"}


class Talk(Protocol):
    """What a job needs of its conversation, whose lock guards both."""

    changed: threading.Condition
    containment: str

    def tell(self, method: str, params: Mapping[str, Any]) -> None:
        """Notify."""

    def pump(self, job: "ScriptedJob", told: Told) -> None:
        """Tell output that there is credit for."""

    def exit(self, job: "ScriptedJob", how: Dict[str, Any]) -> None:
        """Tell the end."""

    def time_out(self, job: "ScriptedJob") -> None:
        """End a job whose time is up."""


class _Ended(BaseException):
    """Ends the function of a job that was killed."""


class ScriptedJob:
    """What a scripted program is called with. Its methods may be called while the job lives, from any thread.

    record is what the owner will hear in the end, as record.schema.json has it: a program may change it, so as to say
    job.record["cpu"]["total_s"] = 1.5, or job.record["cause"] = "oom".
    """

    def __init__(self, talk: Talk, number: int, argv: List[str], params: Dict[str, Any]) -> None:
        """Not to be called: the server does."""
        self.argv, self.params = argv, params
        self.env: Dict[str, str] = {}  #: what was sent of the environment
        self.cwd: Optional[str] = None  #: what was sent
        self.tags: Dict[str, str] = params.get("tags") or {}
        self.number, self.pid = number, next(_pids)
        name = params.get("name")
        self.name = name if isinstance(name, str) and name else os.path.basename(argv[0])
        self.size = (24, 80)  #: of the terminal: rows, columns
        self.state, self.frozen = "running", False
        self.cause = "exited"
        self.exit: Optional[Dict[str, Any]] = None
        self.ended = False
        self.told: Dict[int, Told] = {}
        self.inputs: Dict[int, Input] = {}
        self.files: Dict[int, int] = {}  # descriptors of ours
        self.timers: List[threading.Timer] = []
        self.waits: List[Any] = []  # ids
        self.kills: List[Any] = []
        self.readers: List[Any] = []
        self.commands: Optional[List[Dict[str, Any]]] = None  # of a pipeline, how each has ended
        self._main = self
        self._talk = talk
        self._changed = talk.changed
        self._traps: Set[str] = set()
        self._signals: List[str] = []
        self.started = now()
        self._begin = time.monotonic()
        self.record = new_record(self, talk.containment)

    def write(self, data: Union[bytes, str], fd: int = 1) -> None:
        """Write to a descriptor. It waits for an owner that is slow to give credit."""
        rest = data.encode() if isinstance(data, str) else bytes(data)
        with self._changed:
            told = self.told.get(fd)
            if told is None:
                self._check()
                if fd in self.files:
                    file = os.dup(self.files[fd])
                else:
                    return
            else:
                self._write(told, rest)
                return
        try:
            while rest:
                rest = rest[os.write(file, rest) :]
        finally:
            os.close(file)

    def _write(self, told: Told, rest: bytes) -> None:
        while rest:
            self._check()
            size, rest = len(rest), told.put(rest)
            if len(rest) == size:
                self._changed.wait()
            else:
                self._talk.pump(self._main, told)

    def read(self, size: int = -1, fd: int = 0) -> bytes:
        """Read so many bytes, or what there is up to the end; b"": there will be no more."""
        data = b""
        while size < 0 or not data:
            piece = self._read(65536 if size < 0 else size, fd)
            if not piece:
                break
            data += piece
        return data

    def readline(self, fd: int = 0) -> bytes:
        """Read a line."""
        line = b""
        while not line.endswith(b"\n"):
            piece = self._read(1, fd)
            if not piece:
                break
            line += piece
        return line

    def _read(self, size: int, fd: int) -> bytes:
        with self._changed:
            self._check()
            source = self.inputs.get(fd)
            if source is not None:
                while not source.data and not source.finished():
                    self._changed.wait()
                    self._check()
                data = bytes(source.data[:size])
                del source.data[:size]
                source.flow()
                return data
            if fd not in self.files:
                return b""
            file = os.dup(self.files[fd])
        try:
            return os.read(file, size)
        finally:
            os.close(file)

    def close_input(self, fd: int = 0) -> None:
        """Read no more: the owner's next write is a broken pipe."""
        with self._changed:
            self._check()
            if fd in self.inputs:
                self.inputs[fd].close()

    def ready(self, status: str = "") -> None:
        """Say READY=1."""
        with self._changed:
            self._check()
            if "ready" in (self.params.get("notify") or ()):
                self._talk.tell("ready", {"job": self.number, "pid": self.pid, "status": status, "time": now()})

    def trap(self, *signals: str) -> None:
        """Have signals, such as "TERM", not end the job: next_signal returns them."""
        with self._changed:
            self._check()
            self._traps.update("SIG" + name for name in signals)

    def next_signal(self) -> str:
        """Wait for a signal that is trapped, and return its name, such as "TERM"."""
        with self._changed:
            while True:
                self._check()
                if self._signals:
                    return self._signals.pop(0)[3:]
                self._changed.wait()

    def wait(self) -> NoReturn:
        """Do nothing until a signal or a kill ends the job, as "sleep infinity" does."""
        with self._changed:
            while True:
                self._check()
                self._changed.wait()

    def time_out(self) -> NoReturn:
        """Let the job's timeout be over now."""
        with self._changed:
            self._check()
            self._talk.time_out(self._main)
        self.wait()

    def die(self, name: str) -> NoReturn:
        """End by a signal, such as "SEGV"."""
        with self._changed:
            self._check()
            self._talk.exit(self._main, {"code": None, "signal": "SIG" + name, "core": False})
            self._check()
        raise AssertionError

    def _check(self) -> None:
        if self._main.exit is not None:
            raise _Ended

    # What the server calls, with the lock held.

    def run(self, program: Program) -> None:
        """Be the thread of the job. It ends when the program does, which every method makes it do when the job is killed."""
        try:
            code = program(self) or 0
        except _Ended:
            return
        except Exception:
            code = 1
            try:
                self.write(traceback.format_exc(), 2)
            except _Ended:
                return
        with self._changed:
            if self.exit is None:
                self._talk.exit(self, {"code": code & 0xFF, "signal": None, "core": False})

    def take_signal(self, name: str) -> None:
        """Do what a process would."""
        if self.exit is not None:
            return
        if name in self._traps:
            self._signals.append(name)
            self._changed.notify_all()
        elif name in ("SIGSTOP", "SIGCONT"):
            stop = name == "SIGSTOP"
            told = {"job": self.number, "pid": self.pid, "time": now(), **({"signal": name} if stop else {})}
            self._talk.tell("stopped" if stop else "continued", told)
        elif name not in _NOTHING:
            self._talk.exit(self, {"code": None, "signal": name, "core": False})

    def finish(self) -> None:
        """Let go of everything."""
        for timer in self.timers:
            timer.cancel()
        for source in self.inputs.values():
            source.close()
        for file in set(self.files.values()):
            os.close(file)
        self.files.clear()
        self._changed.notify_all()

    def seal(self) -> None:
        """Fill in the record's end."""
        self.record["exit"] = self.exit
        if self.record["cause"] is None:
            self.record["cause"] = self.cause if self.cause != "exited" or not self.exit or not self.exit["signal"] else "signaled"
        self.record["ended"], self.record["wall_s"] = now(), time.monotonic() - self._begin

    def outputs(self) -> List[Told]:
        """Return all that is told, each once."""
        return list({id(told): told for told in self.told.values()}.values())

    def described(self) -> Dict[str, Any]:
        """Return its entry in list."""
        return {
            "job": self.number, "pid": self.pid, "name": self.name, "tags": self.tags, "state": self.state, "frozen": self.frozen,
            "cgroup": self.record["cgroup"], "started": self.started,
        }  # fmt: skip


def now() -> str:
    """Return the time as it is told."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def new_record(job: ScriptedJob, containment: str) -> Dict[str, Any]:
    """Return the record of a job that has used nothing."""
    stall = {"some_s": None, "full_s": None}
    return {
        "schema": "supervise.record/1", "version": "scripted", "name": job.name, "argv": job.argv, "pid": job.pid,
        "cgroup": "/sys/fs/cgroup/scripted/" + job.name if containment == "cgroup" else None,
        "containment": containment, "containment_reason": None,
        "started": job.started, "ended": None, "wall_s": 0, "exit": None, "cause": None,
        "cpu": {"user_s": 0, "system_s": 0, "total_s": 0, "periods": None, "throttled_periods": None, "throttled_s": None},
        "memory": dict.fromkeys(["peak_bytes", "swap_peak_bytes", "events", "events_local", "at_peak", "sampled_max"]),
        "io": dict.fromkeys(["read_bytes", "write_bytes", "read_ops", "write_ops", "devices"]),
        "pids": {"peak": None, "max_hits": None}, "pressure": {"cpu": stall, "memory": dict(stall), "io": dict(stall)},
        "main": {"max_rss_bytes": None, "minor_faults": 0, "major_faults": 0, "voluntary_switches": 0, "involuntary_switches": 0},
        "oom_killed": False, "oom": None, "reaped": 1, "phases": None, "limits": [], "unenforced": [],
        "leftovers": [], "leftovers_total": 0, "error": None,
    }  # fmt: skip


def usage() -> Dict[str, Any]:
    """Return the rusage of a process that has used nothing."""
    return {
        "user_s": 0, "system_s": 0, "max_rss_bytes": None, "minor_faults": 0, "major_faults": 0, "voluntary_switches": 0,
        "involuntary_switches": 0,
    }  # fmt: skip
