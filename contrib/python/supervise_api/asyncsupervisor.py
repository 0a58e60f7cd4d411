"""A supervisor for any number of jobs, used with asyncio."""

import asyncio
import contextlib
from types import TracebackType
from typing import List, Optional, Sequence, Type, TypeVar, Union

from .answers import JobInfo
from .asyncconnection import AsyncConnection
from .asyncjob import AsyncJob
from .asyncstreams import AsyncTerminal
from .basesupervisor import BaseSupervisor
from .completed import Completed
from .decoder import make
from .options import Argument, RunOptions, SpawnOptions, Unpack, takes
from .parameters import given, grace_of, signal_name
from .runplan import RunPlan
from .server import Address

_Self = TypeVar("_Self", bound="AsyncSupervisor")


class AsyncSupervisor(BaseSupervisor):
    """A Supervisor whose waiting leaves the event loop to others.

        async with AsyncSupervisor() as supervisor:
            jobs = [await supervisor.spawn(["./judge", name], limits={"memory-max": "1G"}) for name in names]
            records = await asyncio.gather(*[job.wait() for job in jobs])

    When the task is cancelled within the `async with`, each job ends as it does in `run`.

    It is of the loop in which `async with` was entered, or open called. It has one task, which reads what the supervisor tells
    whether or not a task waits; the task ends, and is waited for, in close. What the caller has not asked for yet is bounded: 1,000
    events a job, and captured output by its limit. To start the supervisor takes some milliseconds, which are not waited for
    asynchronously. For arguments and errors, here and in AsyncJob, see Supervisor and Job.
    """

    _connection: AsyncConnection

    def __init__(self, flags: Sequence[str] = (), *, address: Optional[Address] = None) -> None:
        """Prepare to start `supervise serve`, or to connect to one."""
        self._connection = AsyncConnection(flags, address)

    async def open(self: _Self) -> _Self:
        """Start the supervisor, or connect to it, and say hello."""
        await self._connection.open()
        return self

    @takes(SpawnOptions)
    async def spawn(self, argv: Optional[Sequence[Argument]] = None, **options: "Unpack[SpawnOptions]") -> AsyncJob:
        """Start a job, as Supervisor.spawn does. on_event is called from the loop; what it raises goes to the loop's handler.

        When this is cancelled the job, should it have started, is killed first.
        """
        return AsyncJob(self._connection, await self._connection.spawn(argv, options))

    @takes(RunOptions)
    async def run(self, argv: Optional[Sequence[Argument]] = None, **options: "Unpack[RunOptions]") -> Completed:
        """Run a command as supervise_api.run does, with this supervisor.

        When this is cancelled the job ends first, as when its time is up: every process gets the signal (None: SIGTERM), and what is
        left is killed after grace seconds (None: 10), or at once when this is cancelled again. Ctrl-C in asyncio.run cancels.
        """
        plan, history = RunPlan(argv, options), None
        try:
            with plan:
                history = await self._connection.spawn(plan.argv, plan.options)
                history.grace = plan.grace
            job = AsyncJob(self._connection, history)
            if plan.typed is not None and job.terminal is not None:
                await self._type(job.terminal, plan.typed)
            record = await job.wait()
        except BaseException as e:
            if history is not None:
                await self._connection.end([history], e)
            raise
        return plan.completed(job, record)

    @staticmethod
    async def _type(terminal: AsyncTerminal, text: memoryview) -> None:
        """Type the input of a job, and its end. That the job ends before it has read all is no error."""
        with contextlib.suppress(BrokenPipeError):
            await terminal.type(text)
            await terminal.eof()

    async def list(self) -> List[JobInfo]:
        """Return the jobs that have not ended, oldest first."""
        return [make(JobInfo, one) for one in (await self._connection.call("list", {}))["jobs"]]

    async def shutdown(self, grace: Optional[float] = None, signal: Union[None, int, str] = None) -> None:
        """End all jobs, by a signal (None: SIGTERM) and so many seconds before the kill if grace is given, and close."""
        await self._connection.call("shutdown", given(grace=grace_of(grace), signal=signal_name(signal)))
        await self.close()

    async def close(self) -> None:
        """End all jobs at once, and wait until everything is dead. Their records are still heard of."""
        await self._connection.close()

    async def __aenter__(self: _Self) -> _Self:
        await self.open()
        self._connection.will_be_closed = True
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        try:
            if isinstance(value, asyncio.CancelledError):
                await self._connection.end(self._connection.all_jobs(), value)
        finally:
            await self.close()
