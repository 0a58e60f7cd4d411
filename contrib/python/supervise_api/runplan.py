"""A command that is to be run to its end: what it is given, and what is made of its record."""

import os
import tempfile
from subprocess import DEVNULL, PIPE
from typing import IO, Dict, List, Mapping, Optional, Sequence, Union

from .basejob import BaseJob
from .completed import Completed, TimeoutExpired
from .descriptors import is_valid_fd
from .errors import SupervisorLost
from .parameters import Argument, Command, LimitValue
from .record import Record
from .stdio import Stdio


class RunPlan:
    """What is to be run; run explains it. As a context it holds the input until the job has it."""

    def __init__(
        self,
        argv: Sequence[Argument],
        *,
        input: Union[None, bytes, str] = None,
        stdin: Stdio = None,
        stdout: Stdio = None,
        stderr: Stdio = None,
        capture_output: bool = False,
        text: bool = False,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        check: bool = False,
        memory_max: Optional[LimitValue] = None,
        cpus: Optional[float] = None,
        pids_max: Optional[int] = None,
        limits: Optional[Mapping[str, LimitValue]] = None,
        timeout: Optional[float] = None,
        cpu_timeout: Optional[float] = None,
        grace: Optional[float] = 0,
        signal: Union[None, int, str] = None,
        env: Optional[Mapping[str, str]] = None,
        env_update: Optional[Mapping[str, Optional[str]]] = None,
        cwd: Optional[Argument] = None,
        name: Optional[str] = None,
        tags: Optional[Mapping[str, str]] = None,
        leftovers: Optional[str] = None,
        delegate: bool = False,
        best_effort: bool = False,
    ) -> None:
        """Check what contradicts itself: ValueError."""
        if capture_output and not (stdout is None and stderr is None):
            raise ValueError("capture_output takes the place of stdout and stderr")
        if input is not None and stdin is not None:
            raise ValueError("input takes the place of stdin")
        self._argv, self._check, self._leftovers, self._timeout = argv, check, leftovers, timeout
        self._text, self._encoding, self._errors = text or bool(encoding or errors), encoding, errors
        self._input: Optional[IO[bytes]] = None
        if input is not None:
            self._input = _file_of(self._encode(input) if isinstance(input, str) else input)
            stdin = self._input
        self.command = Command(
            argv, env, env_update, cwd,
            DEVNULL if stdin == PIPE else _ours(0, stdin),
            "capture" if capture_output or stdout == PIPE else _ours(1, stdout),
            "capture" if capture_output or stderr == PIPE else _ours(2, stderr),
            {**_limits(memory_max, cpus, pids_max), **(limits or {})},
            timeout, cpu_timeout, grace, signal, name, tags, leftovers, (), (), None, delegate, best_effort,
        )  # fmt: skip

    def _encode(self, text: str) -> bytes:
        return text.encode(self._encoding or "utf-8", self._errors or "strict")

    def completed(self, job: BaseJob, record: Record) -> Completed:
        """Return what came of the job, or raise TimeoutExpired, CalledProcessError; SupervisorLost: it is not known."""
        stdout, stderr = self._output(job, 1), self._output(job, 2)
        if record.cause == "timeout":
            late = TimeoutExpired(list(self._argv), self._timeout or 0, stdout, stderr)
            late.record = record
            raise late
        if record.exit is None:
            raise SupervisorLost(record.error or "the command's exit status is not known")
        done = Completed(self._argv, record.exit.returncode, stdout, stderr, record)
        if self._check:
            done.check_returncode()
            if self._leftovers == "fail" and record.leftovers_total:
                raise done.failure()
        return done

    def _output(self, job: BaseJob, fd: int) -> Union[None, bytes, str]:
        if (self.command.stdout, self.command.stderr)[fd - 1] != "capture":
            return None
        data = job.output(fd)
        if not self._text:
            return data
        return data.decode(self._encoding or "utf-8", self._errors or "strict").replace("\r\n", "\n").replace("\r", "\n")

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


def _limits(memory_max: Optional[LimitValue], cpus: Optional[float], pids_max: Optional[int]) -> Dict[str, LimitValue]:
    limits = {"memory-max": memory_max, "cpus": cpus, "pids-max": pids_max}
    return {name: value for name, value in limits.items() if value is not None}


def _file_of(data: bytes) -> IO[bytes]:
    """Return a file that holds data, at its beginning: unlike a pipe it needs nobody to write while we wait."""
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
