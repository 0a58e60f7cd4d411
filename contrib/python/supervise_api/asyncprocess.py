"""A command and its supervisor, used with asyncio."""

import asyncio
import itertools
import os
from collections import deque
from types import TracebackType
from typing import AsyncIterator, Callable, Deque, Dict, Mapping, Optional, Sequence, Set, Type, TypeVar

from .childevent import ChildEvent
from .descriptors import Source
from .launch import Argument
from .process import Process

# Events that are read before others have their turn.
_AT_ONCE = 100

_Self = TypeVar("_Self", bound="AsyncProcess")


class AsyncProcess:
    """A Process whose waiting leaves the event loop to others.

        async with AsyncProcess(["make", "-j8"]) as process:
            async for event in process:
                print(event)

    It is to be made where an event loop runs; to start the command takes a few milliseconds, which are not waited for
    asynchronously. Any number of tasks may wait and iterate at once: each sees every event from when it began on. While no
    task does, events stay in the kernel.
    """

    def __init__(
        self,
        args: Sequence[Argument],
        env: Mapping[str, str] = {},
        fds: Mapping[int, Source] = {},
        cwd: Optional[Argument] = None,
        flags: int = os.O_CLOEXEC,
    ) -> None:
        """Start the command; arguments and errors are those of dfork."""
        self._loop = asyncio.get_running_loop()
        self._waiters: "Set[asyncio.Future[None]]" = set()
        self._streams: Dict[object, Deque[ChildEvent]] = {}  # what each iteration has still to yield
        self.process = Process(args, env, fds, cwd, flags)  #: the synchronous one; its events are read by this one

    @property
    def pid(self) -> int:
        """The command's pid."""
        return self.process.pid

    @property
    def final_event(self) -> Optional[ChildEvent]:
        """How the command has ended; None if that was not heard of yet."""
        return self.process.final_event

    @property
    def returncode(self) -> Optional[int]:
        """See Process.returncode."""
        return self.process.returncode

    async def wait(self) -> ChildEvent:
        """Wait until the command has ended, and return its final event. SupervisorLost: nothing will be heard any more."""
        await self._until(lambda: self.final_event is not None)
        return self.process._final()

    async def wait_tree(self) -> ChildEvent:
        """Wait until everything has ended, and return the command's final event. SupervisorLost: there was none."""
        await self._until(lambda: False)
        return self.process._final()

    async def kill_tree(self) -> Optional[ChildEvent]:
        """Kill everything, and wait until it is dead. Return the command's final event; None if the supervisor was killed."""
        self.process._end_input()
        await self._until(lambda: False)
        return self.final_event

    async def __aiter__(self) -> AsyncIterator[ChildEvent]:
        """Iterate over all events from now on, until everything has ended."""
        key = object()
        stream = self._streams[key] = deque()
        try:
            while True:
                while stream:
                    yield stream.popleft()
                if self.process.closed():
                    return
                await self._change()
        finally:
            del self._streams[key]

    def send_signal(self, signum: int) -> None:
        """Send a signal to the command itself; see Process.send_signal."""
        self.process.send_signal(signum)

    def terminate(self) -> None:
        """Send SIGTERM to the command itself."""
        self.process.terminate()

    def kill(self) -> None:
        """Send SIGKILL to the command itself."""
        self.process.kill()

    def close(self) -> None:
        """Have everything killed. Tasks that wait hear of nothing more; kill_tree is gentler."""
        if self._waiters:  # else the loop does not watch it, and may have been closed
            self._unwatch()
        self.process.close()
        self._wake()

    async def _until(self, done: Callable[[], bool]) -> None:
        while not done() and not self.process.closed():
            await self._change()

    async def _change(self) -> None:
        """Wait until events were read, or there are no more."""
        waiter = self._loop.create_future()
        if not self._waiters:
            self._loop.add_reader(self.process.fileno(), self._read)
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
            if not self._waiters:
                self._unwatch()

    def _read(self) -> None:
        fd = self.process.fileno()
        try:
            for event in itertools.islice(self.process.new_events(), _AT_ONCE):
                for stream in self._streams.values():
                    stream.append(event)
        finally:
            if self.process.closed():
                self._loop.remove_reader(fd)
            self._wake()

    def _unwatch(self) -> None:
        if not self.process.closed():
            self._loop.remove_reader(self.process.fileno())

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def __aenter__(self: _Self) -> _Self:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        """Kill everything, and wait until it is dead."""
        await self.kill_tree()
