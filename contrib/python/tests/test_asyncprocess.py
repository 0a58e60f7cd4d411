import asyncio
import os
import signal
import unittest
from typing import Any, Awaitable, Callable, List, TypeVar

from supervise_api import AsyncProcess, ChildCode, ChildEvent, SupervisorLost

from .case import DEADLINE, FOREVER, Case

T = TypeVar("T")


class TestAsync(Case):
    """AsyncProcess: each test is a coroutine that is run with a deadline."""

    def run_async(self, test: Callable[[], Awaitable[T]]) -> T:
        async def limited() -> T:
            return await asyncio.wait_for(test(), DEADLINE)

        return asyncio.run(limited())

    def test_wait(self) -> None:
        async def test() -> None:
            async with AsyncProcess(["sh", "-c", "exit 3"]) as process:
                event = await process.wait()
                self.assertEqual((event.pid, event.exit_status), (process.pid, 3))
                self.assertEqual(await process.wait(), event)
                self.assertEqual(await process.wait_tree(), event)

        self.run_async(test)

    def test_loop_goes_on(self) -> None:
        """Others have their turn while one waits."""

        async def test() -> None:
            async with AsyncProcess(FOREVER) as process:
                asyncio.get_running_loop().call_soon(process.terminate)
                self.assertEqual((await process.wait()).killed_with(), signal.SIGTERM)

        self.run_async(test)

    def test_events(self) -> None:
        async def test() -> List[ChildCode]:
            seen = []
            async with AsyncProcess(FOREVER) as process:
                process.send_signal(signal.SIGSTOP)
                async for event in process:
                    seen.append(event.code)
                    process.send_signal({ChildCode.STOPPED: signal.SIGCONT}.get(event.code, signal.SIGKILL))
            return seen

        self.assertEqual(self.run_async(test), [ChildCode.STOPPED, ChildCode.CONTINUED, ChildCode.KILLED])

    def test_each_sees_every_event(self) -> None:
        async def watch(process: AsyncProcess) -> List[ChildEvent]:
            return [event async for event in process]

        async def test() -> None:
            async with AsyncProcess(["sh", "-c", "sleep 100000 & exec sleep 100000"]) as process:
                watchers = [asyncio.ensure_future(watch(process)) for _ in range(3)]
                final = asyncio.ensure_future(process.wait())
                await asyncio.sleep(0)
                process.kill()
                event = await final
                await process.kill_tree()
                seen = [await watcher for watcher in watchers]
                self.assertEqual(seen[0], seen[1])
                self.assertEqual(seen[0], seen[2])
                self.assertEqual(seen[0][0], event)
                self.assertIsNotNone(process.final_event)

        self.run_async(test)

    def test_many(self) -> None:
        async def one(number: int) -> None:
            async with AsyncProcess(["sh", "-c", "exit {}".format(number)]) as process:
                self.assertEqual((await process.wait()).exit_status, number)

        async def test() -> None:
            await asyncio.gather(*[one(number) for number in range(30)])

        self.run_async(test)

    def test_end_of_with_waits(self) -> None:
        async def test() -> None:
            reader, writer = os.pipe()
            async with AsyncProcess(["sh", "-c", "setsid sleep 100000 & exec sleep 100000"], fds={writer: writer}) as process:
                os.close(writer)
            self.assertTrue(process.process.childfree)
            os.set_blocking(reader, False)
            self.assertEqual(os.read(reader, 1), b"")
            os.close(reader)

        self.run_async(test)

    def test_cancelled(self) -> None:
        """A task that waits can be cancelled, and the process goes on."""

        async def test() -> None:
            async with AsyncProcess(FOREVER) as process:
                for wait in process.wait, process.wait_tree:
                    with self.assertRaises(asyncio.TimeoutError):
                        await asyncio.wait_for(wait(), 0.01)
                process.kill()
                await process.wait()

        self.run_async(test)

    def test_closed_while_waited_for(self) -> None:
        async def test() -> None:
            process = AsyncProcess(FOREVER)
            waiting: "asyncio.Future[Any]" = asyncio.ensure_future(process.wait())
            await asyncio.sleep(0)
            process.close()
            with self.assertRaises(SupervisorLost):
                await waiting
            self.assertEqual([event async for event in process], [])

        self.run_async(test)

    def test_closed_after_the_loop(self) -> None:
        async def test() -> AsyncProcess:
            process = AsyncProcess(FOREVER)
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), 0.01)
            return process

        process = self.run_async(test)
        process.close()
        self.assertTrue(process.process.closed())

    def test_supervisor_killed(self) -> None:
        async def test() -> None:
            process = AsyncProcess(FOREVER)
            process.send_signal(signal.SIGSTOP)
            async for event in process:  # the supervisor is at work
                break
            os.kill(process.process.supervisor_pid, signal.SIGKILL)
            with self.assertRaises(SupervisorLost):
                await process.wait()

        self.run_async(test)

    def test_not_in_a_loop(self) -> None:
        with self.assertRaises(RuntimeError):
            AsyncProcess(FOREVER)
        self.assert_nothing_runs()

    def test_cannot_start(self) -> None:
        async def test() -> None:
            with self.assertRaises(FileNotFoundError):
                AsyncProcess(["supervise_api_no_such_program"])
            self.assert_nothing_runs()

        self.run_async(test)
