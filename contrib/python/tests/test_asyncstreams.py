"""Input, windows, terminals, kept output, readiness and pipelines of jobs, with asyncio."""

import asyncio
import sys
from typing import Any, Awaitable, Callable, TypeVar

from supervise_api import (
    INPUT,
    PIPE,
    AsyncJob,
    AsyncSupervisor,
    Capture,
    JobGone,
    NotReady,
    Output,
    SupervisorLost,
    TextOutput,
    Unsupported,
)

from .case import DEADLINE, FOREVER
from .serve_case import ServeCase
from .test_streams import MUCH, READY

T = TypeVar("T")


async def read_terminal(job: AsyncJob, until: Any = None) -> Any:
    """Read what is printed up to some text, or the end."""
    assert job.terminal
    text = await job.terminal.read(timeout=DEADLINE)
    while until is None or until not in text:
        more = await job.terminal.read(timeout=DEADLINE)
        if not more:
            break
        text += more
    return text


class TestAsyncStreams(ServeCase):
    """Each test is a coroutine that is run with a deadline."""

    def run_async(self, test: Callable[[AsyncSupervisor], Awaitable[T]]) -> T:
        async def limited() -> T:
            async with AsyncSupervisor(self.flags) as supervisor:
                result = await asyncio.wait_for(test(supervisor), 2 * DEADLINE)
            self.assertEqual([task for task in asyncio.all_tasks() if task is not asyncio.current_task()], [])
            return result

        return asyncio.run(limited(), debug=True)

    def test_conversation(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            job = await supervisor.spawn(["cat"], stdin=INPUT, stdout=Capture(window=4096))
            for line in b"one\n", b"\xff\0\n":
                job.stdin.write(line)
                await job.stdin.drain()
                self.assertEqual(await job.stdout.readline(), line)
            self.assertIsInstance(job.stdout, asyncio.StreamReader)
            self.assertRaises(TypeError, job.stdin.write, "text")
            job.stdin.write_eof()
            await job.stdin.wait_closed()
            self.assertRaises(ValueError, job.stdin.write, b"more")
            self.assertEqual(await job.stdout.read(), b"")
            self.assertEqual((await job.wait()).cause, "exited")

        self.run_async(test)

    def test_text(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            job = await supervisor.spawn(["cat"], stdin=INPUT, stdout=Capture(window=2), text=True)
            await job.stdin.write("täxt 🐱\nzwei\r\n")
            self.assertEqual(await job.stdout.readline(), "täxt 🐱\n")
            job.stdin.writelines(["drei\n", "vier"])
            job.stdin.close()
            self.assertEqual([line async for line in job.stdout], ["zwei\n", "drei\n", "vier"])
            self.assertEqual((await job.stdout.read(), await job.stdout.read(5), job.stdout.at_eof()), ("", "", True))

        self.run_async(test)

    def test_slow_job(self) -> None:
        """Writing waits for a job that does not read; others go on meanwhile; the end of the job ends it."""

        async def test(supervisor: AsyncSupervisor) -> None:
            job = await supervisor.spawn(FOREVER, stdin=INPUT)
            job.stdin.write(MUCH)
            writing = asyncio.ensure_future(job.stdin.drain())
            self.assertEqual((await supervisor.run(["true"])).returncode, 0)
            self.assertFalse(writing.done())
            await job.kill(wait=True)
            with self.assertRaises(BrokenPipeError):
                await writing
            await job.stdin.wait_closed()
            with self.assertRaises(BrokenPipeError):
                await job.stdin.write(b"x")

        self.run_async(test)

    def test_much(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            job = await supervisor.spawn(["cat"], stdin=INPUT, stdout=Capture(window=50000))
            job.stdin.write(MUCH)
            job.stdin.close()
            self.assertEqual(await job.stdout.readexactly(10), MUCH[:10])  # the rest is more than the reader takes
            self.assertEqual((await supervisor.run(["echo"], stdout=PIPE)).stdout, b"\n")
            self.assertEqual(await job.stdout.read(), MUCH[10:])

        self.run_async(test)

    def test_lost(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            job = await supervisor.spawn(FOREVER, stdin=INPUT, stdout=Capture(window=1))
            await supervisor.close()
            self.assertEqual(await job.stdout.read(), b"")
            with self.assertRaises(SupervisorLost):
                await job.stdin.write(b"x")

        self.run_async(test)

    def test_terminal(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            script = "stty size; read a; echo got $a; trap 'stty size; exit 4' WINCH; echo waits; while :; do sleep 0.01; done"
            job = await supervisor.spawn(["sh", "-c", script], pty=(10, 20), text=True)
            assert job.terminal
            self.assertEqual(await read_terminal(job, "\n"), "10 20\r\n")
            await job.terminal.write("täxt\n")
            self.assertIn("got täxt\r\n", await read_terminal(job, "waits"))
            with self.assertRaises(asyncio.TimeoutError):
                await job.terminal.read(timeout=0.01)
            await job.terminal.resize(30, 40)
            self.assertIn("30 40\r\n", await read_terminal(job))
            await job.wait()
            self.assertEqual((job.returncode, await job.terminal.read()), (4, ""))
            done = await supervisor.run(["sh", "-c", "stty -echo; cat"], pty=True, input=b"a\n")
            self.assertTrue(done.stdout.endswith(b"a\r\n"), done.stdout)

        self.run_async(test)

    def test_kept(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            job = await supervisor.spawn(["sh", "-c", "echo ä; read x; echo two"], stdin=INPUT, keep=1000, text=True)
            one = await job.output(wait=DEADLINE)
            self.assertIsInstance(one, TextOutput)
            self.assertEqual((one, one.where.next), ("ä\n", 3))
            await job.stdin.write("\n")
            self.assertEqual(await job.output(offset=one.where.next, wait=DEADLINE), "two\n")
            await job.wait()
            self.assertEqual(await job.output(offset=-3, max=2), "wo")
            await job.forget()
            with self.assertRaises(JobGone):
                await job.output()

        self.run_async(test)

    def test_captured(self) -> None:
        """It may be awaited, and need not be."""

        async def test(supervisor: AsyncSupervisor) -> None:
            job = await supervisor.spawn(["sh", "-c", "echo one; exec sleep 1000"], stdout="capture")
            self.assertEqual(await job.output(wait=DEADLINE), b"one\n")
            self.assertEqual(await job.output(offset=4, wait=0.01), b"")
            self.assertIsInstance(job.output(), Output)
            self.assertEqual((job.output(), await job.output()), (b"one\n", b"one\n"))
            later = asyncio.ensure_future(job.output(offset=4, wait=DEADLINE))
            await job.kill(wait=True)
            self.assertEqual(await later, b"")

        self.run_async(test)

    def test_ready(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            job = await supervisor.spawn([sys.executable, "-c", READY, "up"], stdin=INPUT, notify=["ready"])
            self.assertEqual((await job.ready(DEADLINE), await job.ready(0)), ("up", "up"))
            with self.assertRaises(NotReady):
                await (await supervisor.spawn(["true"], notify=["ready"])).ready()
            with self.assertRaises(asyncio.TimeoutError):
                await (await supervisor.spawn(FOREVER, notify=["ready"])).ready(0.01)

        self.run_async(test)

    def test_pipeline(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            done = await supervisor.run(pipeline=[["echo", "b\na"], ["sort"]], stdout=PIPE, text=True)
            self.assertEqual((done.returncode, done.stdout, len(done.commands or [])), (0, "a\nb\n", 2))

        self.run_async(test)

    def test_kill(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            job = await supervisor.spawn(FOREVER)
            killed = await job.kill(wait=True)
            assert killed
            self.assertEqual((killed.record, [one.pid for one in killed.processes]), (job.record, [job.pid]))
            self.assertEqual((await job.kill(), await job.kill(wait=True)), (None, ([], 0, job.record)))

        self.run_async(test)

    def test_older_supervisor(self) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            job = await supervisor.spawn(FOREVER, stdin=INPUT)
            supervisor._connection.talk.features = []
            with self.assertRaises(Unsupported):
                await supervisor.spawn(["true"], pty=True)
            with self.assertRaises(Unsupported):
                await job.stdin.write(b"x")

        self.run_async(test)


class TestAsyncStreamsSubreaper(TestAsyncStreams):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]
