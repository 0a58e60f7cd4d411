"""A job of an AsyncSupervisor."""

import asyncio
from types import TracebackType
from typing import Any, AsyncIterator, Dict, Mapping, Optional, Type, Union

from .answers import Enforced, Scope, Stat
from .asyncconnection import AsyncConnection, wait_for
from .basejob import BaseJob
from .decoder import make
from .errors import JobGone
from .jobevents import Event
from .jobhistory import JobHistory
from .latch import Latch
from .options import LimitValue
from .parameters import given, grace_of, limits_of, signal_name
from .record import Phase, Record
from .texts import text_of


class AsyncJob(BaseJob):
    """A job of an AsyncSupervisor. Its pipes are ordinary files: reading them blocks the loop, connect_read_pipe does not."""

    def __init__(self, connection: AsyncConnection, history: JobHistory) -> None:
        """Not to be called: see AsyncSupervisor.spawn."""
        super().__init__(history)
        self._connection = connection

    async def wait(self, timeout: Optional[float] = None) -> Record:
        """Wait until the job has ended, all of it, and return its record. asyncio.TimeoutError; SupervisorLost."""
        if not self._history.ended.done:  # else even a timeout of 0 is none
            await asyncio.wait_for(wait_for(self._history.ended), timeout)
        return self._history.final()

    async def events(self) -> AsyncIterator[Event]:
        """Iterate over the events that were not taken yet, until the job has ended; SupervisorLost. One task at a time."""
        events = self._history.events
        while True:
            event = events.take()
            if event is not None:
                yield event
            elif events.closed:
                self._history.final()  # or there was no "ended"
                return
            else:
                await self._news()

    async def _news(self) -> None:
        latch, events = Latch(), self._history.events
        events.wake = latch.set
        await wait_for(latch)

    async def signal(self, signal: Union[int, str], all: bool = False) -> None:
        """Send a signal to the main process, or to every process of the job. What has ended is left alone."""
        await self._if_there("signal", {"signal": signal_name(signal), "all": all})

    async def kill(self, grace: Optional[float] = None, signal: Union[None, int, str] = None) -> None:
        """End the job: with grace by a signal to all (None: SIGTERM), and after so many seconds the kill. See wait."""
        await self._if_there("kill", given(grace=grace_of(grace), signal=signal_name(signal)))

    async def freeze(self) -> None:
        """Stop every process, until thaw."""
        await self._call("freeze")

    async def thaw(self) -> None:
        """Let a frozen job go on."""
        await self._call("thaw")

    async def limit(self, limits: Optional[Mapping[str, LimitValue]] = None, best_effort: bool = False, **more: LimitValue) -> Enforced:
        """Change limits: limit({"memory-max": "1G"}), or limit(memory_max="1G")."""
        given_limits = limits_of({**(limits or {}), **more})
        return make(Enforced, await self._call("limit", {"limits": given_limits, "best_effort": best_effort}))

    async def stat(self) -> Stat:
        """Return what the job does and uses now."""
        return make(Stat, await self._call("stat"))

    async def mark(self, name: Union[str, bytes]) -> Phase:
        """Begin a phase, of which the record will tell what it used; return the one that ends by it."""
        return make(Phase, (await self._call("mark", {"name": text_of(name)}))["phase"])

    async def detach(self) -> Scope:
        """Hand the job to a systemd scope of its own, where it may outlive us; nothing is heard of it any more."""
        return make(Scope, await self._call("detach"))

    async def __aenter__(self) -> "AsyncJob":
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        """End the job, wait until it is dead, and close the pipes. When the task is cancelled it ends as by `run`."""
        await self._connection.end([self._history], value)
        await self.wait()
        self.close_pipes()

    async def _call(self, method: str, params: Mapping[str, Any] = {}) -> Any:
        return await self._connection.call(method, {"job": self.number, **params})

    async def _if_there(self, method: str, params: Dict[str, Any]) -> None:
        if self._history.last is not None:
            return
        try:
            await self._call(method, params)
        except JobGone:
            pass
