import asyncio
import os
import signal
from typing import Any, Awaitable, Callable, List, TypeVar

from supervise_api import (
    PIPE,
    AsyncSupervisor,
    CommandNotFound,
    Event,
    JobGone,
    SupervisorLost,
    TimeoutExpired,
    Unsupported,
)

from .case import DEADLINE, FOREVER, read_until
from .serve_case import ServeCase

T = TypeVar("T")


class TestAsyncSupervisor(ServeCase):
    """AsyncSupervisor: each test is a coroutine that is run with a deadline."""

    def run_async(self, test: Callable[[AsyncSupervisor], Awaitable[T]]) -> T:
        async def limited() -> T:
            async with AsyncSupervisor(self.flags) as supervisor:
                result = await asyncio.wait_for(test(supervisor), 2 * DEADLINE)
            self.assertEqual([task for task in asyncio.all_tasks() if task is not asyncio.current_task()], [])
            return result

        return asyncio.run(limited(), debug=True)

    def test_record(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            job = await supervisor.spawn(["sh", "-c", "echo out; exit 3"], stdout="capture", tags={"a": "b"})
            self.assertEqual([event.kind async for event in job.events()], ["started", "exited", "ended"])
            record = await job.wait()
            self.assertEqual((record.cause, job.returncode, job.output(), job.tags), ("exited", 3, b"out\n", {"a": "b"}))
            self.assertEqual(record.containment, supervisor.containment)

        self.run_async(test)

    def test_control(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            job = await supervisor.spawn(FOREVER)
            kinds = []
            await job.signal(signal.SIGSTOP)
            async for event in job.events():
                kinds.append(event.kind)
                if event.kind == "stopped":
                    await job.signal("CONT")
                elif event.kind == "continued":
                    self.assertEqual((await job.stat()).pid, job.pid)
                    self.assertEqual([one.job for one in await supervisor.list()], [job.number])
                    await job.kill(grace=DEADLINE, signal="USR1")
            self.assertEqual(kinds, ["started", "stopped", "continued", "exited", "ended"])
            self.assertEqual(job.returncode, -signal.SIGUSR1)
            await job.kill()
            with self.assertRaises(JobGone):
                await job.stat()

        self.run_async(test)

    def test_cgroups(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            job = await supervisor.spawn(FOREVER)
            calls: List[Callable[[], Awaitable[object]]] = [job.freeze, job.thaw, lambda: job.mark("phase")]
            if supervisor.containment == "subreaper":
                for call in calls + [lambda: job.limit(cpus=1), job.detach]:
                    with self.assertRaises(Unsupported):
                        await call()
                return
            for call in calls:
                await call()
            if "pids" in supervisor.controllers:
                self.assertEqual((await job.limit(pids_max=50)).limits[0].value, "50")

        self.run_async(test)

    def test_many(self) -> None:
        async def one(supervisor: AsyncSupervisor, number: int) -> int:
            done = await supervisor.run(["sh", "-c", "echo $0; exit $0", str(number)], capture_output=True, text=True)
            self.assertEqual(done.stdout, "{}\n".format(number))
            return done.returncode

        async def test(supervisor: AsyncSupervisor) -> None:
            codes = await asyncio.gather(*[one(supervisor, number) for number in range(200)])
            self.assertEqual(codes, list(range(200)))

        self.run_async(test)

    def test_long_requests(self) -> None:
        """What there is no room for is sent later, and others go on."""

        async def test(supervisor: AsyncSupervisor) -> None:
            tags = {"long": "x" * 900000}
            jobs = await asyncio.gather(*[supervisor.spawn(["true"], tags=tags) for _ in range(8)])
            self.assertEqual({(await job.wait(DEADLINE)).cause for job in jobs}, {"exited"})

        self.run_async(test)

    def test_timeouts(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            job = await supervisor.spawn(FOREVER)
            with self.assertRaises(asyncio.TimeoutError):
                await job.wait(0.01)
            with self.assertRaises(TimeoutExpired) as caught:
                await supervisor.run(["sh", "-c", "echo out; exec sleep 100000"], timeout=2, stdout=PIPE)
            self.assertEqual((caught.exception.stdout, caught.exception.record.cause), (b"out\n", "timeout"))
            await job.kill()
            self.assertEqual((await job.wait()).cause, "killed")

        self.run_async(test)

    def test_cancelled(self) -> None:
        """A run that is cancelled has ended its job; a spawn too."""

        async def test(supervisor: AsyncSupervisor) -> None:
            reader, writer = os.pipe()
            running = asyncio.ensure_future(supervisor.run(["sh", "-c", "echo; setsid sleep 100000 & wait"], stdout=writer))
            await self.readable(reader)
            running.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await running
            os.close(writer)
            self.assertEqual(read_until(reader, 10), "\n")
            os.close(reader)
            spawning = asyncio.ensure_future(supervisor.spawn(FOREVER, stdin=PIPE))
            await asyncio.sleep(0)
            spawning.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await spawning
            self.assertEqual(await supervisor.list(), [])

        self.run_async(test)

    async def readable(self, fd: int) -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.add_reader(fd, future.set_result, None)
        await future
        loop.remove_reader(fd)

    def test_callback(self) -> None:
        """What a callback raises is the loop's to handle."""

        async def test(supervisor: AsyncSupervisor) -> None:
            handled: List[Any] = []
            seen: List[str] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: handled.append(context["exception"]))

            def on_event(event: Event) -> None:
                seen.append(event.kind)
                raise ValueError(event.kind)

            await (await supervisor.spawn(["true"], on_event=on_event)).wait()
            self.assertEqual(seen, ["started", "exited", "ended"])
            self.assertEqual([str(error) for error in handled], seen)

        self.run_async(test)

    def test_end(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            job = await supervisor.spawn(FOREVER)
            waiting = asyncio.ensure_future(job.wait())
            await asyncio.sleep(0)
            await supervisor.close()
            self.assertEqual((await waiting).cause, "owner-gone")
            with self.assertRaises(SupervisorLost):
                await supervisor.spawn(FOREVER)
            self.assert_nothing_runs()

        self.run_async(test)

    def test_shutdown(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            async with await supervisor.spawn(["sh", "-c", "trap 'exit 7' TERM; echo; while :; do sleep 0.01; done"], stdout=PIPE) as job:
                assert job.stdout
                job.stdout.readline()
                await supervisor.shutdown(grace=DEADLINE)
            self.assertEqual(job.returncode, 7)

        self.run_async(test)

    def test_supervisor_killed(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            reader, writer = os.pipe()
            job = await supervisor.spawn(FOREVER, stdout=writer)
            os.close(writer)
            waits = [asyncio.ensure_future(job.wait()), asyncio.ensure_future(job._news())]
            os.kill(supervisor.pid, signal.SIGKILL)
            with self.assertRaises(SupervisorLost):
                await waits[0]
            await waits[1]
            with self.assertRaises(SupervisorLost):
                [event async for event in job.events()]
            with self.assertRaises(SupervisorLost):
                await job.kill()
            self.assertEqual(read_until(reader, 1), "")
            os.close(reader)

        self.run_async(test)

    def test_left_open(self) -> None:
        """A supervisor that is not closed ends with its loop."""

        async def test() -> AsyncSupervisor:
            supervisor = await AsyncSupervisor(self.flags).open()
            await supervisor.spawn(FOREVER)
            return supervisor

        supervisor = asyncio.run(test())
        self.assertEqual(supervisor.fileno(), -1)
        asyncio.run(supervisor.close())

    def test_refused(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            with self.assertRaises(CommandNotFound):
                await supervisor.spawn(["supervise_api_no_such_program"])
            with self.assertRaises(FileNotFoundError):
                await supervisor.run(["supervise_api_no_such_program"], input=b"x")
            with self.assertRaises(ValueError):
                await supervisor.open()
            with self.assertRaises(FileNotFoundError):
                await AsyncSupervisor(address="/no/such/socket").open()
            with self.assertRaises(SupervisorLost):
                await AsyncSupervisor(["--help"]).open()

        self.run_async(test)


class TestAsyncSupervisorSubreaper(TestAsyncSupervisor):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]
