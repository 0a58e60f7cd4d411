"""A job of a Supervisor."""

import contextlib
from types import TracebackType
from typing import IO, Any, Dict, Iterator, Literal, Mapping, Optional, Type, Union, overload

from .answers import Enforced, Scope, Stat
from .basejob import BaseJob, Killed
from .connection import Connection
from .decoder import make
from .errors import JobGone
from .jobevents import Event
from .jobhistory import JobHistory
from .options import LimitValue
from .output import Kept
from .parameters import given, grace_of, limits_of, signal_name
from .record import Phase, Record
from .streams import Terminal, reader, text_file, writer
from .texts import text_of


class Job(BaseJob):
    """A job of a Supervisor. Any number of threads may use it at the same time, but for the pipes."""

    def __init__(self, connection: Connection, history: JobHistory) -> None:
        """Not to be called: see Supervisor.spawn."""
        super().__init__(history)
        self._connection = connection
        self.stdin, self.stdout, self.stderr = (self._file(fd) for fd in range(3))
        #: What the job prints, and the keyboard, if it was spawned with pty; else None.
        self.terminal: Optional[Terminal] = None
        if self._has_terminal:
            self.terminal = Terminal(connection, history, history.codec)

    def _file(self, fd: int) -> Optional[IO[Any]]:
        codec, pipe = self._history.codec, self._files.get(fd)
        if pipe is not None:
            return pipe if codec is None else text_file(pipe, codec)
        if self._stdio[fd] == "input":
            return writer(self._connection, self._history, codec)
        if fd in self._history.inflows and (fd != 1 or not self._has_terminal):
            return reader(self._connection, self._history, fd, codec)
        return None

    def wait(self, timeout: Optional[float] = None) -> Record:
        """Wait until the job has ended, all of it, and return its record.

        timeout: seconds; None: for ever. TimeoutError: they are over, and the job goes on. SupervisorLost: the supervisor was
        killed or closed, and with it the job has ended; or the job was detached.
        """
        self._connection.until(lambda: self._history.ended.done, timeout)
        return self._history.final()

    def events(self, timeout: Optional[float] = None) -> Iterator[Event]:
        """Iterate over the events that were not taken yet, until the job has ended: "started" first, "ended" last.

        Up to 1,000 are kept; of more, which come while something else is waited for, the oldest are forgotten, and
        events_forgotten counts them. timeout: seconds to wait for each; TimeoutError. SupervisorLost.
        """
        events = self._history.events
        while True:
            self._connection.until(events.ready, timeout)
            with self._connection.changed:
                event = events.take()
                over = events.closed
            if event is not None:
                yield event
            elif over:
                self._history.final()  # or there was no "ended"
                return

    def signal(self, signal: Union[int, str], all: bool = False) -> None:
        """Send a signal to the main process, or to every process of the job. What has ended is left alone."""
        self._if_there("signal", {"signal": signal_name(signal), "all": all})

    @overload
    def kill(self, grace: Optional[float] = ..., signal: Union[None, int, str] = ..., *, wait: Literal[True]) -> Killed:
        ...

    @overload
    def kill(self, grace: Optional[float] = ..., signal: Union[None, int, str] = ..., wait: bool = ...) -> Optional[Killed]:
        ...

    def kill(
        self, grace: Optional[float] = None, signal: Union[None, int, str] = None, wait: bool = False
    ) -> Optional[Killed]:
        """End the job: with grace by a signal to all (None: SIGTERM), and after so many seconds the kill.

        wait: return when nothing of it is left, with what was killed; else return None at once, and see Job.wait.
        """
        result = self._if_there("kill", given(grace=grace_of(grace), signal=signal_name(signal), wait=wait or None))
        return self._killed(result, self.wait()) if wait else None

    def ready(self, timeout: Optional[float] = None) -> str:
        """Wait until the job says that it is ready (READY=1 by sd_notify(3)), and return its status; it wants notify=["ready"].

        TimeoutError; NotReady: it has ended; SupervisorLost.
        """
        self._expects_ready()
        self._connection.until(lambda: self._history.readied.done, timeout)
        return self._was_ready()

    def output(
        self, fd: int = 1, *, offset: Optional[int] = None, max: Optional[int] = None, wait: Optional[float] = None
    ) -> Any:
        """Return output of a descriptor that is captured or kept, as an Output, which are bytes; with text=True a TextOutput.

        offset: of the first byte, counted from the job's first; negative: so many before the end; None: from the oldest there is.
        max: bytes; None: all there are. wait: seconds to wait if there are none yet.
        The attribute `where` has the offset to go on with (`next`), and whether all is there (`eof`), or some is not any more (`cut`).

        What is captured has come here, and this says how much by now: all of it once the job has ended. What is kept, the
        supervisor has, after the job's end too, until `forget`; JobGone: nothing is kept of the job any more.
        """
        if fd not in self._keeps:
            if wait:
                with contextlib.suppress(TimeoutError):
                    self._connection.until(lambda: self._more_than(fd, offset), wait)
            return self._captured(fd, offset, max)
        kept = Kept(fd, offset, max, grace_of(wait))
        for params in iter(kept.params, None):
            kept.add(self._call("output", params))
        return kept.output(self._history.codec)

    def forget(self) -> None:
        """Drop what is kept of a job that has ended. JobGone: nothing is."""
        self._call("forget")

    def freeze(self) -> None:
        """Stop every process, until thaw. JobGone, Unsupported."""
        self._call("freeze")

    def thaw(self) -> None:
        """Let a frozen job go on. JobGone, Unsupported."""
        self._call("thaw")

    def limit(self, limits: Optional[Mapping[str, LimitValue]] = None, best_effort: bool = False, **more: LimitValue) -> Enforced:
        """Change limits: limit({"memory-max": "1G"}), or limit(memory_max="1G"). JobGone, Unsupported, LimitRefused."""
        given_limits = limits_of({**(limits or {}), **more})
        return make(Enforced, self._call("limit", {"limits": given_limits, "best_effort": best_effort}))

    def stat(self) -> Stat:
        """Return what the job does and uses now. JobGone."""
        return make(Stat, self._call("stat"))

    def mark(self, name: Union[str, bytes]) -> Phase:
        """Begin a phase, of which the record will tell what it used; return the one that ends by it. JobGone, Unsupported."""
        return make(Phase, self._call("mark", {"name": text_of(name)})["phase"])

    def detach(self) -> Scope:
        """Hand the job to a systemd scope of its own, where it may outlive us; nothing is heard of it any more."""
        return make(Scope, self._call("detach"))

    def __enter__(self) -> "Job":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        """End the job, wait until it is dead, and close the pipes.

        Ctrl-C (KeyboardInterrupt) ends it by SIGINT first, as `run` does.
        """
        self._connection.end([self._history], value)
        self.wait()
        self.close_pipes()

    def _call(self, method: str, params: Mapping[str, Any] = {}) -> Any:
        return self._connection.call(method, {"job": self.number, **params})

    def _if_there(self, method: str, params: Dict[str, Any]) -> Optional[Dict[str, Any]]:
        """Return the result; None: the job has ended."""
        if self._history.last is not None:
            return None
        try:
            result: Dict[str, Any] = self._call(method, params)
        except JobGone:
            return None
        return result
