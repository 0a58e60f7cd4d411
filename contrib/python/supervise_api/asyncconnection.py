"""The connection of an AsyncSupervisor and its jobs to `supervise serve`: waiting with asyncio."""

import asyncio
from typing import Any, Callable, List, Mapping, Optional, Sequence

from .codec import codec_of
from .conversation import VERSION, Conversation, Reply
from .errors import SupervisorLost
from .jobevents import Event
from .jobhistory import JobHistory
from .latch import Latch
from .options import Argument, SpawnOptions
from .parameters import files_of, spawn_parameters
from .server import Address, Greeting, Server


class AsyncConnection:
    """A conversation in which tasks wait. It has a task of its own that reads."""

    talk: Conversation  #: from open on, as greeting
    greeting: Greeting

    def __init__(self, flags: Sequence[str], address: Optional[Address]) -> None:
        """Prepare to start `supervise serve`, or to connect to one."""
        self._flags, self._address = flags, address
        self._reader: Optional["asyncio.Task[None]"] = None
        self._writing = False
        self.will_be_closed = False  #: whatever happens; before that is done, reading is not over

    async def open(self) -> None:
        """Start the supervisor, or connect to it, and say hello."""
        if self._reader is not None:
            raise ValueError("the supervisor was opened before")
        self._loop = asyncio.get_running_loop()
        self._server = Server(self._flags, self._address)
        self.talk = Conversation(self._server.socket)
        self._fd = self.talk.socket.fileno()
        self._reader = self._loop.create_task(self._read())
        try:
            self.greeting = Greeting(await self.call("hello", {"versions": [VERSION]}))
            self.talk.max_request = self.greeting.max_request or self.talk.max_request
            self.talk.features = self.greeting.features
        except BaseException:
            self._server.hang_up()
            await self.close()
            raise

    async def spawn(self, argv: Optional[Sequence[Argument]], options: SpawnOptions) -> JobHistory:
        """Start a job, and return what is known of it."""
        fds: List[int] = []
        params = spawn_parameters(argv, options, fds, self._server.origin)
        reply = Reply("spawn", params, options.get("on_event"), files_of(argv, options))
        await self._ask(reply, fds)
        assert reply.job is not None
        reply.job.codec = codec_of(options)
        return reply.job

    async def end(self, jobs: Sequence[JobHistory], why: Optional[BaseException] = None) -> None:
        """End jobs, and wait until they are dead.

        why: what has ended the waiting for them. If it is CancelledError they get the signal that they are to be sent first when
        their time is up, and are killed after their grace period, or at once if the task is cancelled again. Else they are
        killed at once.
        """
        try:
            await self._end(jobs, isinstance(why, asyncio.CancelledError))
        except BaseException:
            await self._end(jobs, gently=False)
            raise

    async def _end(self, jobs: Sequence[JobHistory], gently: bool) -> None:
        self.talk.end(jobs, gently=gently)
        self._send()
        for job in jobs:
            await wait_for(job.ended)

    def all_jobs(self) -> List[JobHistory]:
        """Return the jobs that have not ended."""
        return list(self.talk.jobs.values())

    async def close(self) -> None:
        """End all jobs at once, and wait until everything is dead. Their records are still heard of."""
        if self._reader is None:
            return
        reader = self._reader
        self.talk.farewell = SupervisorLost("the connection to the supervisor was closed")
        self._server.end_input()
        try:
            if not reader.done():
                await asyncio.wait([reader])
        except BaseException:  # cancelled
            self._server.hang_up()
            if not reader.done():
                await asyncio.wait([reader])
            raise
        finally:
            self._server.wait()

    async def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Make a request, and return its result; RequestError, SupervisorLost."""
        return await self._ask(Reply(method, params))

    def start(self, reply: Reply, fds: Sequence[int] = ()) -> None:
        """Make a request that is waited for later."""
        self.talk.request(reply, fds)
        self._send()

    def tell(self, method: str, params: Mapping[str, Any]) -> None:
        """Make a request that is not answered."""
        self.talk.tell(method, params)
        self._send()

    async def _ask(self, reply: Reply, fds: Sequence[int] = ()) -> Any:
        self.start(reply, fds)
        try:
            await wait_for(reply)
        except BaseException:
            await self._abandon(reply)
            raise
        return reply.result()

    async def _abandon(self, reply: Reply) -> None:
        """Give up an answer: the caller was cancelled. A job that was to be spawned is dead when this returns."""
        self.talk.abandon(reply)
        self._send()
        if reply.method == "spawn":
            await wait_for(reply)
            if reply.job is not None:
                await wait_for(reply.job.ended)

    async def _read(self) -> None:
        """Be the task that reads. The end of input ends it, and that is what cancelling it leads to.

        Unless close will be called: before Python 3.11 asyncio.run cancels all tasks at Ctrl-C, also those that end their jobs then.
        """
        try:
            while self.talk.over is None:
                try:
                    await self._readable()
                except asyncio.CancelledError:
                    if not self.will_be_closed:
                        raise
                self.talk.receive()
                self._send()
                self._call_back()
        finally:
            self._stop_writing()
            if self.talk.over is None:
                self.talk.lose(self.talk.farewell)

    async def _readable(self) -> None:
        latch = Latch()
        self._loop.add_reader(self._fd, latch.set)
        try:
            await wait_for(latch)
        finally:
            self._loop.remove_reader(self._fd)

    def _call_back(self) -> None:
        for callback, event in iter(self.talk.next_call, None):
            try:
                callback(event)
            except Exception as e:
                self._loop.call_exception_handler({"message": "an on_event of supervise_api has failed", "exception": e})

    def _send(self) -> None:
        """Send what was asked for; if there is no room, go on when there is."""
        self.talk.send()
        if self.talk.unsent and not self._writing:
            self._writing = True
            self._loop.add_writer(self._fd, self._send)
        elif not self.talk.unsent:
            self._stop_writing()

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._fd)


async def wait_for(latch: Latch) -> None:
    """Wait until something has happened."""
    if latch.done:
        return
    future: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    latch.then(wake)
    try:
        await future
    finally:
        latch.forget(wake)
