"""A job of a Supervisor."""

from types import TracebackType
from typing import Any, Dict, Iterator, Mapping, Optional, Type, Union

from .answers import Enforced, Scope, Stat
from .basejob import BaseJob
from .connection import Connection
from .decoder import make
from .errors import JobGone
from .jobevents import Event
from .jobhistory import JobHistory
from .options import LimitValue
from .parameters import given, grace_of, limits_of, signal_name
from .record import Phase, Record
from .texts import text_of


class Job(BaseJob):
    """A job of a Supervisor. Any number of threads may use it at the same time, but for the pipes."""

    def __init__(self, connection: Connection, history: JobHistory) -> None:
        """Not to be called: see Supervisor.spawn."""
        super().__init__(history)
        self._connection = connection

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

    def kill(self, grace: Optional[float] = None, signal: Union[None, int, str] = None) -> None:
        """End the job: with grace by a signal to all (None: SIGTERM), and after so many seconds the kill. See wait."""
        self._if_there("kill", given(grace=grace_of(grace), signal=signal_name(signal)))

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

    def _if_there(self, method: str, params: Dict[str, Any]) -> None:
        if self._history.last is not None:
            return
        try:
            self._call(method, params)
        except JobGone:
            pass
