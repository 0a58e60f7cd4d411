"""A pipeline of a scripted server: its programs run one after the other, each with all that the one before has written."""

import copy
from typing import Any, Dict, List, Optional, Tuple, Union

from .scriptedjob import Program, ScriptedJob


class Stage(ScriptedJob):
    """A command of a pipeline, as its program has it: what is not its own is that of the job."""

    @classmethod
    def of(cls, job: ScriptedJob, argv: List[str], data: Optional[bytes], last: bool) -> "Stage":
        """Make one; data: what it reads, None: what the job reads."""
        stage = copy.copy(job)
        stage.__class__ = cls
        assert isinstance(stage, cls)
        stage.argv, stage._data, stage._last, stage._written = argv, data, last, b""
        return stage

    _data: Optional[bytes]
    _last: bool
    _written: bytes

    def write(self, data: Union[bytes, str], fd: int = 1) -> None:
        """Write to a descriptor: 1 is what the next one reads."""
        if fd != 1 or self._last:
            super().write(data, fd)
        else:
            self._check()
            self._written += data.encode() if isinstance(data, str) else bytes(data)

    def _read(self, size: int, fd: int) -> bytes:
        if fd != 0 or self._data is None:
            return super()._read(size, fd)
        self._check()
        data, self._data = self._data[:size], self._data[size:]
        return data


def pipeline(commands: List[Tuple[List[str], Program]]) -> Program:
    """Return the program that runs several."""

    def run(job: ScriptedJob) -> int:
        data: Optional[bytes] = None
        codes: List[int] = []
        for number, (argv, program) in enumerate(commands):
            stage = Stage.of(job, argv, data, number == len(commands) - 1)
            codes.append((program(stage) or 0) & 0xFF)
            data = stage._written
        job.commands = [_end(job.pid + 1 + number, code) for number, code in enumerate(codes)]
        return next((code for code in reversed(codes) if code), 0)

    return run


def joined(commands: List[List[str]]) -> List[str]:
    """Return what the record has for argv."""
    return [one for argv in commands for one in ["|", *argv]][1:]


def _end(pid: int, code: int) -> Dict[str, Any]:
    return {"pid": pid, "exit": {"code": code, "signal": None, "core": False}}
