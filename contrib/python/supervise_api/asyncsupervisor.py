"""A supervisor for any number of jobs, used with asyncio."""

import asyncio
from types import TracebackType
from typing import Any, Callable, List, Mapping, Optional, Sequence, Type, TypeVar, Union

from .answers import JobInfo
from .asyncjob import AsyncJob, wait_for
from .basesupervisor import BaseSupervisor, Greeting
from .completed import Completed
from .conversation import VERSION, Conversation, Reply
from .decoder import make
from .errors import SupervisorLost
from .jobevents import Event
from .latch import Latch
from .parameters import Argument, Command, LimitValue, Pressing, given, signal_name
from .runplan import RunPlan
from .server import Address, Server
from .stdio import Stdio

_Self = TypeVar("_Self", bound="AsyncSupervisor")


class AsyncSupervisor(BaseSupervisor):
    """A Supervisor whose waiting leaves the event loop to others.

        async with AsyncSupervisor() as supervisor:
            jobs = [await supervisor.spawn(["./judge", name], limits={"memory-max": "1G"}) for name in names]
            records = await asyncio.gather(*[job.wait() for job in jobs])

    It is of the loop in which `async with` was entered, or open called. It has one task, which reads what the supervisor tells
    whether or not somebody waits; the task ends, and is waited for, in close. What nobody has asked for yet is bounded: 1,000
    events a job, and captured output by its limit. To start the supervisor takes some milliseconds, which are not waited for
    asynchronously. For arguments and errors, here and in AsyncJob, see Supervisor and Job.
    """

    def __init__(self, flags: Sequence[str] = (), *, address: Optional[Address] = None) -> None:
        """Prepare to start `supervise serve`, or to connect to one."""
        self._flags, self._address = flags, address
        self._reader: Optional["asyncio.Task[None]"] = None
        self._writing = False

    async def open(self: _Self) -> _Self:
        """Start the supervisor, or connect to it, and say hello."""
        if self._reader is not None:
            raise ValueError("the supervisor was opened before")
        self._loop = asyncio.get_running_loop()
        self._server = Server(self._flags, self._address)
        self._talk = Conversation(self._server.socket)
        self._fd = self._talk.socket.fileno()
        self._reader = self._loop.create_task(self._read())
        try:
            self._greeting = Greeting(await self._call("hello", {"versions": [VERSION]}))
        except BaseException:
            self._server.hang_up()
            await self.close()
            raise
        return self

    async def spawn(
        self,
        argv: Sequence[Argument],
        *,
        env: Optional[Mapping[str, str]] = None,
        env_update: Optional[Mapping[str, Optional[str]]] = None,
        cwd: Optional[Argument] = None,
        stdin: Stdio = None,
        stdout: Stdio = None,
        stderr: Stdio = None,
        limits: Optional[Mapping[str, LimitValue]] = None,
        timeout: Optional[float] = None,
        cpu_timeout: Optional[float] = None,
        grace: Optional[float] = None,
        signal: Union[None, int, str] = None,
        name: Optional[str] = None,
        tags: Optional[Mapping[str, str]] = None,
        leftovers: Optional[str] = None,
        notify: Sequence[str] = (),
        pressure: Sequence[Pressing] = (),
        sample: Optional[float] = None,
        delegate: bool = False,
        best_effort: bool = False,
        on_event: Optional[Callable[[Event], object]] = None,
    ) -> AsyncJob:
        """Start a job, as Supervisor.spawn does. on_event is called from the loop; what it raises goes to the loop's handler.

        When this is cancelled the job, should it have started, is ended first.
        """
        return await self._spawn(
            Command(
                argv, env, env_update, cwd, stdin, stdout, stderr, limits, timeout, cpu_timeout, grace, signal, name, tags, leftovers,
                notify, pressure, sample, delegate, best_effort,
            ),
            on_event,
        )  # fmt: skip

    async def run(self, argv: Sequence[Argument], **options: Any) -> Completed:
        """Run a command as supervise_api.run does, with this supervisor. When this is cancelled the job ends first."""
        plan, job = RunPlan(argv, **options), None
        try:
            with plan:
                job = await self._spawn(plan.command, None)
            record = await job.wait()
        except BaseException:
            if job is not None:
                await job.kill()
                await job.wait()
            raise
        return plan.completed(job, record)

    async def list(self) -> List[JobInfo]:
        """Return the jobs that have not ended, oldest first."""
        return [make(JobInfo, one) for one in (await self._call("list", {}))["jobs"]]

    async def shutdown(self, grace: Optional[float] = None, signal: Union[None, int, str] = None) -> None:
        """End all jobs, by a signal (None: SIGTERM) and so many seconds before the kill if grace is given, and close."""
        await self._call("shutdown", given(grace=grace, signal=signal_name(signal)))
        await self.close()

    async def close(self) -> None:
        """End all jobs at once, and wait until everything is dead. Their records are still heard of."""
        if self._reader is None:
            return
        reader = self._reader
        self._talk.farewell = SupervisorLost("the connection to the supervisor was closed")
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

    async def _spawn(self, command: Command, on_event: Optional[Callable[[Event], object]]) -> AsyncJob:
        fds: List[int] = []
        reply = Reply("spawn", command.request(fds, self._server.environ), on_event)
        await self._ask(reply, fds)
        assert reply.job is not None
        return AsyncJob(self, reply.job)

    async def _call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Make a request, and return its result; RequestError, SupervisorLost."""
        return await self._ask(Reply(method, params))

    async def _ask(self, reply: Reply, fds: Sequence[int] = ()) -> Any:
        self._talk.request(reply, fds)
        self._send()
        try:
            await wait_for(reply)
        except BaseException:
            await self._abandon(reply)
            raise
        return reply.result()

    async def _abandon(self, reply: Reply) -> None:
        """Nobody wants the answer any more; a job that was to be spawned is dead when this returns."""
        self._talk.abandon(reply)
        self._send()
        if reply.method == "spawn":
            await wait_for(reply)
            if reply.job is not None:
                await wait_for(reply.job.ended)

    async def _read(self) -> None:
        """Be the task that reads. The end of input ends it, and that is what cancelling it leads to."""
        try:
            while self._talk.over is None:
                await self._readable()
                self._talk.receive()
                self._send()
                self._call_back()
        finally:
            self._stop_writing()
            if self._talk.over is None:
                self._talk.lose(self._talk.farewell)

    async def _readable(self) -> None:
        latch = Latch()
        self._loop.add_reader(self._fd, latch.set)
        try:
            await wait_for(latch)
        finally:
            self._loop.remove_reader(self._fd)

    def _call_back(self) -> None:
        for callback, event in iter(self._talk.next_call, None):
            try:
                callback(event)
            except Exception as e:
                self._loop.call_exception_handler({"message": "an on_event of supervise_api has failed", "exception": e})

    def _send(self) -> None:
        """Send what was asked for; if there is no room, go on when there is."""
        self._talk.send()
        if self._talk.unsent and not self._writing:
            self._writing = True
            self._loop.add_writer(self._fd, self._send)
        elif not self._talk.unsent:
            self._stop_writing()

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._fd)

    async def __aenter__(self: _Self) -> _Self:
        return await self.open()

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        await self.close()
