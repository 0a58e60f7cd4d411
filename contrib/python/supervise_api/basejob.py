"""What jobs have in common, be they waited for with asyncio or without."""

import os
from typing import BinaryIO, Dict, List, Mapping, Optional

from .decoder import field, make
from .jobhistory import JobHistory
from .record import Exit, Limit, Record, Unenforced
from .texts import argument_of


class BaseJob:
    """A command and everything that it started."""

    #: The job's number, for its supervisor.
    number: int
    #: Of the main process. After its end the number may be another's.
    pid: int
    #: For people.
    name: str
    #: The caller's own.
    tags: Mapping[str, str]
    #: The job's directory; None without cgroups.
    cgroup: Optional[str]
    #: Limits that are enforced.
    limits: List[Limit]
    #: Limits that cannot be had, with best_effort.
    unenforced: List[Unenforced]
    #: The other ends of what was spawned as PIPE. A caller of more than one must see to it that neither side waits for ever.
    stdin: Optional[BinaryIO]
    stdout: Optional[BinaryIO]
    stderr: Optional[BinaryIO]

    def __init__(self, history: JobHistory) -> None:
        """Be the job that was spawned."""
        self._history = history
        params, result = history.params, history.spawned
        self.number, self.pid, self.cgroup = history.number, result["pid"], field(result, "cgroup")
        self.name = argument_of(params.get("name") or "") or os.path.basename(argument_of(params["argv"][0]))
        self.tags = params.get("tags") or {}
        self.limits = [make(Limit, one) for one in result.get("limits") or []]
        self.unenforced = [make(Unenforced, one) for one in result.get("unenforced") or []]
        self._files: Dict[int, BinaryIO] = {fd: _open(pipe, fd) for fd, pipe in history.pipes.items()}
        self.stdin, self.stdout, self.stderr = (self._files.get(fd) for fd in range(3))

    @property
    def record(self) -> Optional[Record]:
        """The record; None if the job had not ended when last something was heard."""
        return self._history.record()

    @property
    def returncode(self) -> Optional[int]:
        """The main process's exit status, or -N if signal N ended it; None if that is not known, or not yet."""
        if self._history.exit is not None:
            return make(Exit, self._history.exit).returncode
        record = self.record
        return record.exit.returncode if record is not None and record.exit is not None else None

    @property
    def events_forgotten(self) -> int:
        """How many events were lost because the caller did not take them: 1,000 are kept, of more the oldest go."""
        return self._history.events.forgotten

    def output(self, fd: int = 1) -> bytes:
        """Return what has come by now of a descriptor that is captured: all of it once the job has ended."""
        return bytes(self._history.output.get(fd, b""))

    def output_dropped(self, fd: int = 1) -> Optional[int]:
        """Return how many bytes of a captured descriptor were dropped; None if the job has not ended, or it is not captured."""
        ends = (self._history.last or {}).get("output") or []
        return next((int(end["dropped_bytes"]) for end in ends if end["fd"] == fd), None)

    def close_pipes(self) -> None:
        """Close stdin, stdout and stderr. What could not be written to a job that has ended is dropped."""
        for file in self._files.values():
            try:
                file.close()
            except BrokenPipeError:
                pass

    def __repr__(self) -> str:
        return "<{} {} {!r}, pid {}>".format(type(self).__name__, self.number, self.name, self.pid)


def _open(pipe: int, fd: int) -> BinaryIO:
    """Open our end of a pipe, as subprocess does."""
    return open(pipe, "wb") if fd == 0 else open(pipe, "rb")
