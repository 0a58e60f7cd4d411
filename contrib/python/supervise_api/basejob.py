"""What jobs have in common, be they waited for with asyncio or without."""

import os
from typing import Any, BinaryIO, Dict, List, Mapping, NamedTuple, Optional

from .answers import CommandEnd, KilledProcess
from .decoder import field, make
from .errors import NotReady
from .jobhistory import JobHistory
from .output import of_buffer
from .record import Exit, Limit, Record, Unenforced
from .texts import argument_of


class Killed(NamedTuple):
    """What a kill has ended, and the job's record."""

    processes: List[KilledProcess]  #: the first 100 of them
    total: Optional[int]  #: None: not known
    record: Record


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
    #: Files: the other ends of what was spawned as PIPE, INPUT, or by a Capture with a window; None if it was not. A caller of more
    #: than one must see to it that neither side waits for ever.
    stdin: Any
    stdout: Any
    stderr: Any

    def __init__(self, history: JobHistory) -> None:
        """Be the job that was spawned."""
        self._history = history
        params, result = history.params, history.spawned
        self.number, self.pid, self.cgroup = history.number, result["pid"], field(result, "cgroup")
        argv = params["argv"] if "argv" in params else params["pipeline"][0]["argv"]
        self.name = argument_of(params.get("name") or "") or os.path.basename(argument_of(argv[0]))
        self.tags = params.get("tags") or {}
        self.limits = [make(Limit, one) for one in result.get("limits") or []]
        self.unenforced = [make(Unenforced, one) for one in result.get("unenforced") or []]
        self._files: Dict[int, BinaryIO] = {fd: _open(pipe, fd) for fd, pipe in history.pipes.items()}
        self.stdin, self.stdout, self.stderr = (self._files.get(fd) for fd in range(3))
        self._stdio = params["stdio"]
        self._has_terminal = any(entry == "pty" or isinstance(entry, dict) and "pty" in entry for entry in self._stdio)
        self._keeps = {1 if "pty" in entry else fd for fd, entry in enumerate(self._stdio) if _keeps(entry)}

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

    @property
    def commands(self) -> Optional[List[CommandEnd]]:
        """How each command of a pipeline has ended; None: the job has not, or is no pipeline."""
        ends = (self._history.last or {}).get("commands")
        return [make(CommandEnd, one) for one in ends] if ends else None

    @property
    def ready_status(self) -> Optional[str]:
        """The status that the job had when it said that it is ready; None if it did not by now."""
        return self._history.status

    def captured(self, fd: int = 1) -> bytes:
        """Return what has come by now of a descriptor that is captured: its bytes, whatever text is."""
        return bytes(self._history.output.get(fd, b""))

    def _captured(self, fd: int, offset: Optional[int] = None, max: Optional[int] = None) -> Any:
        data = self._history.output.get(fd, bytearray())
        return of_buffer(data, offset, max, self._history.ended.done, self._history.codec)

    def _more_than(self, fd: int, offset: Optional[int]) -> bool:
        """Whether there is output behind an offset, or none will follow."""
        return self._history.ended.done or len(self._history.output.get(fd, b"")) > (offset or 0)

    def _expects_ready(self) -> None:
        if "ready" not in (self._history.params.get("notify") or ()):
            raise ValueError("the job was not spawned with notify=['ready']")

    def _was_ready(self) -> str:
        if self._history.status is None:
            cause = self.record.cause if self.record is not None else self._history.lost
            raise NotReady("job {} ({}) has ended, and did not say that it is ready: {}".format(self.number, self.name, cause))
        return self._history.status

    def _killed(self, result: Optional[Mapping[str, Any]], record: Record) -> Killed:
        """Return what a kill says; None: there was nothing any more."""
        if result is None:
            return Killed([], 0, record)
        return Killed([make(KilledProcess, one) for one in result["killed"]], result["killed_total"], record)

    def output_dropped(self, fd: int = 1) -> Optional[int]:
        """Return how many bytes of a captured descriptor were dropped; None if the job has not ended, or it is not captured."""
        ends = (self._history.last or {}).get("output") or []
        return next((int(end["dropped_bytes"]) for end in ends if end["fd"] == fd), None)

    def close_pipes(self) -> None:
        """Close those of stdin, stdout and stderr that are pipes. What could not be written to a job that has ended is dropped."""
        for file in self._files.values():
            try:
                file.close()
            except BrokenPipeError:
                pass

    def __repr__(self) -> str:
        return "<{} {} {!r}, pid {}>".format(type(self).__name__, self.number, self.name, self.pid)


def _keeps(entry: Any) -> bool:
    return isinstance(entry, dict) and any(isinstance(spec, dict) and spec.get("keep") for spec in entry.values())


def _open(pipe: int, fd: int) -> BinaryIO:
    """Open our end of a pipe, as subprocess does."""
    return open(pipe, "wb") if fd == 0 else open(pipe, "rb")
