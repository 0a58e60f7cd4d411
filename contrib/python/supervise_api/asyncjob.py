"""A job of an AsyncSupervisor."""

import asyncio
from types import TracebackType
from typing import Any, AsyncIterator, Dict, Generator, Literal, Mapping, Optional, Type, Union, overload

from .answers import Enforced, Scope, Stat
from .asyncconnection import AsyncConnection, wait_for
from .asyncstreams import AsyncInput, AsyncTerminal, async_reader
from .basejob import BaseJob, Killed
from .decoder import make
from .errors import JobGone
from .jobevents import Event
from .jobhistory import JobHistory
from .latch import Latch
from .options import LimitValue
from .output import Kept, Output, TextOutput
from .parameters import given, grace_of, limits_of, signal_name
from .record import Phase, Record
from .streams import text_file
from .texts import text_of


class AsyncJob(BaseJob):
    """A job of an AsyncSupervisor.

    Of stdin, stdout and stderr that which is INPUT, or a Capture with a window, is as asyncio.subprocess has it: a writer with drain,
    and an asyncio.StreamReader (with text=True a like one of text). What is a PIPE is an ordinary file: reading it blocks the loop,
    connect_read_pipe does not.
    """

    def __init__(self, connection: AsyncConnection, history: JobHistory) -> None:
        """Not to be called: see AsyncSupervisor.spawn."""
        super().__init__(history)
        self._connection = connection
        #: What the job prints, and the keyboard, if it was spawned with pty; else None.
        self.terminal: Optional[AsyncTerminal] = None
        if self._has_terminal:
            self.terminal = AsyncTerminal(connection, history, history.codec)
        self.stdin, self.stdout, self.stderr = (self._file(fd) for fd in range(3))

    def _file(self, fd: int) -> Any:
        codec, pipe = self._history.codec, self._files.get(fd)
        if pipe is not None:
            return pipe if codec is None else text_file(pipe, codec)
        if self._stdio[fd] == "input":
            return AsyncInput(self._connection, self._history, codec)
        if fd in self._history.inflows and (fd != 1 or not self._has_terminal):
            return async_reader(self._connection, self._history, fd, codec)
        return None

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

    @overload
    async def kill(self, grace: Optional[float] = ..., signal: Union[None, int, str] = ..., *, wait: Literal[True]) -> Killed:
        ...

    @overload
    async def kill(self, grace: Optional[float] = ..., signal: Union[None, int, str] = ..., wait: bool = ...) -> Optional[Killed]:
        ...

    async def kill(
        self, grace: Optional[float] = None, signal: Union[None, int, str] = None, wait: bool = False
    ) -> Optional[Killed]:
        """End the job: with grace by a signal to all (None: SIGTERM), and after so many seconds the kill; wait: see Job.kill."""
        params = given(grace=grace_of(grace), signal=signal_name(signal), wait=wait or None)
        result = await self._if_there("kill", params)
        return self._killed(result, await self.wait()) if wait else None

    async def ready(self, timeout: Optional[float] = None) -> str:
        """Wait until the job says that it is ready, and return its status. asyncio.TimeoutError; NotReady; SupervisorLost."""
        self._expects_ready()
        if not self._history.readied.done:
            await asyncio.wait_for(wait_for(self._history.readied), timeout)
        return self._was_ready()

    def output(
        self, fd: int = 1, *, offset: Optional[int] = None, max: Optional[int] = None, wait: Optional[float] = None
    ) -> Any:
        """Return output as Job.output does: to be awaited. What is captured, without wait, may be used at once, too."""
        if fd not in self._keeps and not wait:
            captured = self._captured(fd, offset, max)
            return _TextOutput.of(captured) if isinstance(captured, TextOutput) else _Output.of(captured)
        return self._output(fd, offset, max, wait)

    async def _output(self, fd: int, offset: Optional[int], max: Optional[int], wait: Optional[float]) -> Any:
        if fd not in self._keeps:
            return await self._captured_later(fd, offset, max, wait)
        kept = Kept(fd, offset, max, grace_of(wait))
        for params in iter(kept.params, None):
            kept.add(await self._call("output", params))
        return kept.output(self._history.codec)

    async def _captured_later(self, fd: int, offset: Optional[int], max: Optional[int], wait: Optional[float]) -> Any:
        try:
            await asyncio.wait_for(self._until_more_than(fd, offset), wait)
        except asyncio.TimeoutError:
            pass
        return self._captured(fd, offset, max)

    async def _until_more_than(self, fd: int, offset: Optional[int]) -> None:
        while not self._more_than(fd, offset):
            if self._history.news.done:
                self._history.news = Latch()
            await wait_for(self._history.news)

    async def forget(self) -> None:
        """Drop what is kept of a job that has ended. JobGone: nothing is."""
        await self._call("forget")

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

    async def _if_there(self, method: str, params: Dict[str, Any]) -> Optional[Dict[str, Any]]:
        """Return the result; None: the job has ended."""
        if self._history.last is not None:
            return None
        try:
            result: Dict[str, Any] = await self._call(method, params)
        except JobGone:
            return None
        return result


class _Output(Output):
    """An Output that may be awaited."""

    @classmethod
    def of(cls, output: Output) -> "_Output":
        made = cls(output)
        made.where = output.where
        return made

    def __await__(self) -> Generator[Any, None, "_Output"]:
        yield from ()
        return self


class _TextOutput(TextOutput):
    """A TextOutput that may be awaited."""

    @classmethod
    def of(cls, output: TextOutput) -> "_TextOutput":
        made = cls(output)
        made.where = output.where
        return made

    def __await__(self) -> Generator[Any, None, "_TextOutput"]:
        yield from ()
        return self
