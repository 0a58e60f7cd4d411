"""Ctrl-C while a job is waited for, and its like with asyncio."""

import asyncio
import os
import signal
import subprocess
import sys
from typing import Any, Awaitable, Callable, List
from unittest import mock

from supervise_api import DEVNULL, PIPE, AsyncSupervisor, Job, Supervisor, interrupts
from supervise_api.asyncconnection import wait_for
from supervise_api.interrupts import Held, Woken
from supervise_api.latch import Latch

from .case import DEADLINE, FOREVER, Case, read_all, read_until
from .serve_case import ServeCase

#: Says that it is ready, and saves when it is told to end.
SAVES = "trap 'echo {0}; exit 7' {0}; echo ready; while :; do sleep 0.01; done"
#: Says so, and goes on.
GOES_ON = "trap 'echo {0}' {0}; echo ready; while :; do sleep 0.01; done"


class Interrupted(ServeCase):
    """What is said by a job that is interrupted."""

    def setUp(self) -> None:
        super().setUp()
        self.reader, self.writer = os.pipe()
        self.addCleanup(os.close, self.reader)

    def interrupt_at(self, *lines: str) -> "subprocess.Popen[bytes]":
        """Have SIGINT sent to this process, once it waits for a job, whenever the job has said the next line.

        A process does it. A thread might at the moment when Python lets go of the interpreter to wait: it does not look for signals
        then, and nothing would end the waiting.
        """
        waiting, waits = os.pipe()

        def wait(job: Job, *args: Any) -> Any:
            os.write(waits, b"\n")
            return original(job, *args)

        original = Job.wait
        patch = mock.patch.object(Job, "wait", wait)
        patch.start()
        for cleanup in patch.stop, lambda: os.close(waits), lambda: os.close(waiting):
            self.addCleanup(cleanup)
        kill = "read line <&{} && kill -INT {};".format(self.reader, os.getpid())
        script = "read line <&{};".format(waiting) + kill * len(lines)
        return subprocess.Popen(["sh", "-c", script], pass_fds=[waiting, self.reader])

    def interrupt_program(self, program: str, script: str) -> None:
        """Do as a terminal does to a program that waits for a job, of which both say so."""
        argv = [sys.executable, "-c", program, script]
        client = subprocess.Popen(argv, stdout=self.writer, stderr=subprocess.PIPE, start_new_session=True)
        self.addCleanup(client.kill)  # of one that has ended it does nothing
        self.assertEqual(sorted(read_until(self.reader, 12).split()), ["ready", "waits"])
        os.killpg(client.pid, signal.SIGINT)
        _, complaint = client.communicate(timeout=DEADLINE)
        self.assertEqual(client.returncode, -signal.SIGINT, complaint)
        self.assertIn(b"KeyboardInterrupt", complaint)

    def said(self) -> str:
        """Return what the job said after that. It is dead: nobody holds the pipe but we."""
        os.close(self.writer)
        os.set_blocking(self.reader, False)
        return read_all(self.reader)


class TestInterrupted(Interrupted):
    """KeyboardInterrupt, by SIGINT."""

    def run_until_interrupted(self, script: str, *lines: str, **options: Any) -> str:
        supervisor = self.start()
        killer = self.interrupt_at(*lines)
        with self.assertRaises(KeyboardInterrupt):
            supervisor.run(["sh", "-c", script], stdout=self.writer, stderr=DEVNULL, **options)
        self.assertEqual(killer.wait(DEADLINE), 0)
        self.assertEqual(supervisor.list(), [])
        self.assertEqual(supervisor.run(["true"]).returncode, 0)
        return self.said()

    def test_saves(self) -> None:
        self.assertEqual(self.run_until_interrupted(SAVES.format("INT"), "ready"), "INT\n")

    def test_every_process(self) -> None:
        """As the terminal's SIGINT, it is for the children too."""
        script = "trap : INT; sh -c \"{}\"; echo parent".format(SAVES.format("INT"))
        self.assertEqual(self.run_until_interrupted(script, "ready"), "INT\nparent\n")

    def test_goes_on(self) -> None:
        """After the grace period it is killed, or at once by another Ctrl-C."""
        self.assertEqual(self.run_until_interrupted(GOES_ON.format("INT"), "ready", grace=2), "INT\n")

    def test_second(self) -> None:
        self.assertEqual(self.run_until_interrupted(GOES_ON.format("INT"), "ready", "INT", grace=1000), "")

    def test_no_grace(self) -> None:
        self.assertEqual(self.run_until_interrupted(GOES_ON.format("INT"), "ready", grace=0), "")

    def test_other_signal(self) -> None:
        """The signal of the time limit is another matter."""
        self.assertEqual(self.run_until_interrupted(SAVES.format("INT"), "ready", signal="TERM", timeout=1000), "INT\n")

    def test_other_exception(self) -> None:
        """What another handler raises kills at once."""

        def leave(number: int, frame: object) -> None:
            raise SystemExit(3)

        handler = signal.signal(signal.SIGINT, leave)
        try:
            supervisor = self.start()
            killer = self.interrupt_at("ready")
            with self.assertRaises(SystemExit):
                supervisor.run(["sh", "-c", GOES_ON.format("INT")], stdout=self.writer)
            self.assertEqual(killer.wait(DEADLINE), 0)
        finally:
            signal.signal(signal.SIGINT, handler)
        self.assertEqual(self.said(), "")

    def test_with_supervisor(self) -> None:
        """Jobs that were spawned too, each by its own grace period."""
        killer = self.interrupt_at("ready")
        with self.assertRaises(KeyboardInterrupt):
            with Supervisor(self.flags) as supervisor:
                deaf = supervisor.spawn(["sh", "-c", "trap '' INT; echo; while :; do sleep 0.01; done"], stdout=PIPE, grace=0.1)
                assert deaf.stdout
                deaf.stdout.readline()
                deaf.close_pipes()
                job = supervisor.spawn(["sh", "-c", SAVES.format("INT")], stdout=self.writer)
                job.wait()
        self.assertEqual(killer.wait(DEADLINE), 0)
        self.assertEqual((job.returncode, deaf.returncode, self.said()), (7, -signal.SIGKILL, "INT\n"))
        self.assert_nothing_runs()

    def test_with_job(self) -> None:
        supervisor = self.start()
        killer = self.interrupt_at("ready")
        with self.assertRaises(KeyboardInterrupt):
            with supervisor.spawn(["sh", "-c", SAVES.format("INT")], stdout=self.writer) as job:
                job.wait()
        self.assertEqual(killer.wait(DEADLINE), 0)
        self.assertEqual((job.returncode, self.said()), (7, "INT\n"))

    def test_terminal(self) -> None:
        """The SIGINT of a terminal is for all in the process group of the program."""
        program = """if True:
            import os, sys, supervise_api as s
            original = s.Job.wait
            def wait(job):
                os.write(1, b"waits\\n")  # in one piece
                return original(job)
            s.Job.wait = wait
            s.run(["sh", "-c", sys.argv[1]])
        """
        self.interrupt_program(program, SAVES.format("INT"))
        self.assertEqual(self.said(), "INT\n")


class TestInterruptedSubreaper(TestInterrupted):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]


class TestCancelled(Interrupted):
    """CancelledError, in a task."""

    def run_async(self, test: Callable[[AsyncSupervisor], Awaitable[None]]) -> None:
        async def limited() -> None:
            async with AsyncSupervisor(self.flags) as supervisor:
                await asyncio.wait_for(test(supervisor), 2 * DEADLINE)

        asyncio.run(limited(), debug=True)

    async def line(self) -> str:
        return await asyncio.get_running_loop().run_in_executor(None, self.read_line)

    def read_line(self) -> str:
        text = ""
        while not text.endswith("\n"):
            text += read_until(self.reader, 1)
        return text

    async def cancelled_run(self, supervisor: AsyncSupervisor, script: str, cancel_at: List[str], **options: Any) -> str:
        running = asyncio.ensure_future(supervisor.run(["sh", "-c", script], stdout=self.writer, stderr=DEVNULL, **options))
        while not await supervisor.list():  # once it is there, it is waited for
            pass
        for line in cancel_at:
            self.assertEqual(await self.line(), line + "\n")
            running.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await running
        self.assertEqual(await supervisor.list(), [])
        return self.said()

    def check(self, expected: str, *args: Any, **options: Any) -> None:
        async def test(supervisor: AsyncSupervisor) -> None:
            self.assertEqual(await self.cancelled_run(supervisor, *args, **options), expected)

        self.run_async(test)

    def test_saves(self) -> None:
        self.check("TERM\n", SAVES.format("TERM"), ["ready"])

    def test_own_signal(self) -> None:
        self.check("INT\n", SAVES.format("INT"), ["ready"], signal=signal.SIGINT)

    def test_goes_on(self) -> None:
        self.check("TERM\n", GOES_ON.format("TERM"), ["ready"], grace=2)

    def test_second(self) -> None:
        self.check("", GOES_ON.format("TERM"), ["ready", "TERM"], grace=1000)

    def test_no_grace(self) -> None:
        self.check("", GOES_ON.format("TERM"), ["ready"], grace=0)

    def test_wait_for(self) -> None:
        """What is left when a timeout of asyncio's is over has ended like that."""

        async def test(supervisor: AsyncSupervisor) -> None:
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(supervisor.run(FOREVER), 0.3)
            self.assertEqual(await supervisor.list(), [])

        self.run_async(test)
        os.close(self.writer)

    def test_with(self) -> None:
        """Jobs that were spawned too."""
        waits = Latch()

        async def body() -> None:
            async with AsyncSupervisor(self.flags) as supervisor:
                self.job = await supervisor.spawn(["sh", "-c", SAVES.format("TERM")], stdout=self.writer)
                async with await supervisor.spawn(FOREVER) as self.other:
                    waits.set()
                    await self.job.wait()

        async def test() -> None:
            task = asyncio.ensure_future(body())
            await wait_for(waits)
            await self.line()
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(test(), debug=True)
        self.assertEqual((self.job.returncode, self.other.returncode), (7, -signal.SIGTERM))
        self.assertEqual(self.said(), "TERM\n")

    def test_terminal(self) -> None:
        program = """if True:
            import asyncio, os, sys, supervise_api as s
            original = s.AsyncJob.wait
            async def wait(job):
                os.write(1, b"waits\\n")  # in one piece
                return await original(job)
            s.AsyncJob.wait = wait
            async def main():
                async with s.AsyncSupervisor() as supervisor:
                    await supervisor.run(["sh", "-c", sys.argv[1]], stdout=1)
            asyncio.run(main())
        """
        self.interrupt_program(program, SAVES.format("TERM"))
        self.assertEqual(self.said(), "TERM\n")


class TestCancelledSubreaper(TestCancelled):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]


class TestHeld(Case):
    """Signals are held back for a moment only."""

    def test_handler_raises_meanwhile(self) -> None:
        """A handler of what came right before is called by the function that blocks, when that has blocked."""

        def block(how: int, mask: Any) -> Any:
            before = original(how, mask)
            if how == signal.SIG_BLOCK and mask:
                raise KeyboardInterrupt
            return before

        original = signal.pthread_sigmask
        before = original(signal.SIG_BLOCK, [])
        with mock.patch.object(interrupts, "_sigmask", block), self.assertRaises(KeyboardInterrupt), Held():
            pass
        self.assertEqual(original(signal.SIG_SETMASK, before), before)

    def test_woken(self) -> None:
        """What comes before the waiting ends it. Another that is woken like that is left alone, and put back."""
        reader, writer = os.pipe2(os.O_NONBLOCK)
        handler = signal.signal(signal.SIGUSR1, lambda number, frame: None)
        try:
            with Woken(writer):
                os.kill(os.getpid(), signal.SIGUSR1)
            self.assertEqual(os.read(reader, 10), bytes([signal.SIGUSR1]))
            os.kill(os.getpid(), signal.SIGUSR1)
            self.assertRaises(BlockingIOError, os.read, reader, 10)
            self.assertEqual(signal.set_wakeup_fd(writer), -1)
            other = os.dup(writer)
            with Woken(other):
                pass
            self.assertEqual(signal.set_wakeup_fd(-1), writer)
            os.close(other)
        finally:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGUSR1, handler)
            os.close(reader)
            os.close(writer)
