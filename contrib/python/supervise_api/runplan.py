"""A command that is to be run to its end: what it is given, and what is made of its record."""

import os
import tempfile
from subprocess import DEVNULL, PIPE
from typing import IO, Any, Dict, List, Optional, Sequence, Union, cast

from .basejob import BaseJob
from .codec import Codec, codec_of
from .completed import Completed, TimeoutExpired
from .descriptors import is_valid_fd
from .errors import SupervisorLost
from .jobhistory import GRACE
from .options import Argument, JobOptions, LimitValue, RunOptions, SpawnOptions, refuse_unknown
from .parameters import grace_of, terminal_of
from .record import Record
from .stdio import Capture, Input, Stdio


class RunPlan:
    """What is to be run; run explains it. As a context it holds the input until the job has it."""

    def __init__(self, argv: Optional[Sequence[Argument]], options: RunOptions) -> None:
        """Check the options: TypeError; ValueError: they contradict each other."""
        refuse_unknown("run", RunOptions, options)
        self._capture = options.get("capture_output", False)
        if self._capture and not (options.get("stdout") is None and options.get("stderr") is None):
            raise ValueError("capture_output takes the place of stdout and stderr")
        if options.get("input") is not None and options.get("stdin") is not None:
            raise ValueError("input takes the place of stdin")
        self.argv, self._given = argv, options
        self._args: List[Any] = list((options.get("pipeline") or ()) if argv is None else argv)
        terminal = terminal_of(options.get("pty"))
        self._terminal = None if terminal is None else terminal._replace(window=None)
        self.typed = self._typed()  #: to a terminal, the job's input
        self._input = None if self.typed is not None else self._input_file()
        self.options = self._spawn_options()  #: those of spawn
        grace = grace_of(options.get("grace"))
        self.grace = GRACE if grace is None else grace  #: before the kill, if the caller is interrupted

    def _spawn_options(self) -> SpawnOptions:
        given = self._given
        shared = {name: value for name, value in given.items() if name in JobOptions.__annotations__}
        options = cast(SpawnOptions, shared)
        stdin = given.get("stdin") if self._input is None else self._input
        options["pty"] = self._terminal
        options["stdin"] = DEVNULL if stdin == PIPE else self._or_ours(0, stdin)
        options["stdout"] = self._output_to(1, given.get("stdout"))
        options["stderr"] = self._output_to(2, given.get("stderr"))
        options["grace"] = given.get("grace", 0)
        options["limits"] = {**_limits(given), **(given.get("limits") or {})}
        return options

    def _output_to(self, fd: int, what: Stdio) -> Stdio:
        if self._terminal is not None and what is None:
            return None
        if isinstance(what, Capture) and what.window:
            raise ValueError("nobody reads by a window here: see Supervisor.spawn")
        return "capture" if self._capture or what == PIPE else _ours(fd, what)

    def _or_ours(self, fd: int, what: Stdio) -> Stdio:
        if isinstance(what, Input):
            raise ValueError("nobody writes to INPUT here: give input, or see Supervisor.spawn")
        return what if self._terminal is not None else _ours(fd, what)

    def _typed(self) -> Optional[memoryview]:
        data = self._given.get("input")
        if self._terminal is None or data is None:
            return None
        return memoryview(self._codec().encode(data) if isinstance(data, str) else data)

    def _input_file(self) -> Optional[IO[bytes]]:
        data = self._given.get("input")
        if data is None:
            return None
        return _file_of(self._codec().encode(data) if isinstance(data, str) else data)

    def _codec(self) -> Codec:
        return codec_of(self._given) or Codec("utf-8", "strict")

    def completed(self, job: BaseJob, record: Record) -> Completed:
        """Return what came of the job, or raise TimeoutExpired, CalledProcessError; SupervisorLost: it is not known."""
        stdout, stderr = self._output(job, 1), self._output(job, 2)
        if record.cause == "timeout":
            late = TimeoutExpired(self._args, self._given.get("timeout") or 0, stdout, stderr)
            late.record = record
            raise late
        if record.exit is None:
            raise SupervisorLost(record.error or "the command's exit status is not known")
        args = self._args if self.argv is None else self.argv
        done = Completed(args, record.exit.returncode, stdout, stderr, record, job.commands)
        if self._given.get("check"):
            done.check_returncode()
            if self._given.get("leftovers") == "fail" and record.leftovers_total:
                raise done.failure()
        return done

    def _output(self, job: BaseJob, fd: int) -> Union[None, bytes, str]:
        what = (self.options.get("stdout"), self.options.get("stderr"))[fd - 1]
        if what != "capture" and not isinstance(what, Capture) and (self._terminal is None or fd != 1 or what is not None):
            return None
        data, codec = job.captured(fd), codec_of(self._given)
        return data if codec is None else codec.decode(data)

    def __enter__(self) -> "RunPlan":
        return self

    def __exit__(self, *_: object) -> None:
        if self._input is not None:
            self._input.close()


def _ours(fd: int, what: Stdio) -> Stdio:
    """Return what a descriptor is to be: our own if nothing was said, unless it was closed, and is something else now."""
    if what is not None:
        return what
    return fd if is_valid_fd(fd) and os.get_inheritable(fd) else DEVNULL


def _limits(options: RunOptions) -> Dict[str, LimitValue]:
    limits = {"memory-max": options.get("memory_max"), "cpus": options.get("cpus"), "pids-max": options.get("pids_max")}
    return {name: value for name, value in limits.items() if value is not None}


def _file_of(data: bytes) -> IO[bytes]:
    """Return a file that holds data, at its beginning: unlike a pipe it needs no thread to write while we wait."""
    file: IO[bytes] = open(os.memfd_create("input"), "r+b", 0) if hasattr(os, "memfd_create") else tempfile.TemporaryFile(buffering=0)
    try:
        rest: List[memoryview] = [memoryview(data)]
        while rest[0]:
            rest[0] = rest[0][file.write(rest[0]) :]
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
