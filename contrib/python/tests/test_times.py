"""Time limits that are none, or over, as subprocess has them."""

import asyncio
import subprocess
from typing import Any

import supervise_api
from supervise_api import AsyncSupervisor, Process, TimeoutExpired

from .case import DEADLINE, FOREVER
from .serve_case import ServeCase

INFINITY = float("inf")


class TestTimes(ServeCase):
    """timeout and cpu_timeout, and the timeouts of waiting."""

    def test_over(self) -> None:
        """The job has started, and was ended, however short it would have been."""
        supervisor = self.start()
        for timeout in 0, 0.0, -1, -INFINITY, False, 1e-300:
            for argv in ["true"], FOREVER:
                with self.subTest(timeout=timeout, argv=argv), self.assertRaises(subprocess.TimeoutExpired) as caught:
                    supervisor.run(argv, timeout=timeout, capture_output=True)
                assert isinstance(caught.exception, TimeoutExpired)
                self.assertEqual((caught.exception.timeout, caught.exception.stdout), (timeout, b""))
                self.assertEqual((caught.exception.record.cause, caught.exception.record.pid is None), ("timeout", False))
                job = supervisor.spawn(argv, timeout=timeout)
                self.assertEqual(job.wait(DEADLINE).cause, "timeout")

    def test_over_beside_subprocess(self) -> None:
        with self.assertRaises(subprocess.TimeoutExpired):
            subprocess.run(["true"], timeout=0, capture_output=True)
        with self.assertRaises(subprocess.TimeoutExpired):
            supervise_api.run(["true"], timeout=0, capture_output=True)

    def test_none(self) -> None:
        supervisor = self.start()
        for timeout in None, INFINITY, 1e12, 10**12:
            with self.subTest(timeout=timeout):
                for _ in range(2):
                    self.assertEqual(subprocess.run(["true"], timeout=timeout).returncode, 0)
                    self.assertEqual(supervisor.run(["true"], timeout=timeout, cpu_timeout=timeout).returncode, 0)
                self.assertEqual(supervisor.spawn(["true"], timeout=timeout).wait(timeout).cause, "exited")

    def test_cpu_time_is_over(self) -> None:
        supervisor = self.start()
        self.need_cgroup(supervisor)
        for argv in ["true"], FOREVER:
            for timeout in 0, -1:
                self.assertEqual(supervisor.run(argv, cpu_timeout=timeout).record.cause, "cpu-timeout")
                self.assertEqual(supervisor.spawn(argv, cpu_timeout=timeout).wait(DEADLINE).cause, "cpu-timeout")

    def test_grace(self) -> None:
        """Less than none is none; more than there is goes on."""
        supervisor = self.start()
        deaf = ["sh", "-c", "trap '' TERM; while :; do sleep 0.01; done"]
        for grace in 0, -1:
            self.assertEqual(supervisor.spawn(deaf, timeout=0.2, grace=grace).wait(DEADLINE).cause, "timeout")
        job = supervisor.spawn(FOREVER, timeout=0.1, grace=INFINITY)
        self.assertEqual((job.wait(DEADLINE).cause, job.returncode), ("timeout", -15))
        job = supervisor.spawn(FOREVER)
        job.kill(grace=INFINITY)
        self.assertEqual((job.wait(DEADLINE).cause, job.returncode), ("killed", -15))

    def test_waiting(self) -> None:
        """What has happened is told however little time there is; and there may be any of it."""
        supervisor = self.start()
        job = supervisor.spawn(FOREVER)
        for timeout in 0, -1, -INFINITY:
            with self.assertRaises(TimeoutError):
                job.wait(timeout)
            supervisor.read(timeout)
        job.kill()
        for timeout in INFINITY, 1e12:
            self.assertEqual(job.wait(timeout).cause, "killed")
            self.assertEqual(len(list(supervisor.spawn(["true"]).events(timeout))), 3)
        self.assertEqual((job.wait(0).cause, job.wait(-1).cause), ("killed", "killed"))
        with Process(["true"]) as process:
            self.assertEqual(process.wait(INFINITY).exit_status, 0)
        with Process(["true"]) as process:
            self.assertEqual(process.wait(1e12), process.wait(0))

    def test_async(self) -> None:
        async def test() -> None:
            async with AsyncSupervisor(self.flags) as supervisor:
                for timeout in 0, -1:
                    with self.assertRaises(TimeoutExpired):
                        await supervisor.run(["true"], timeout=timeout)
                    self.assertEqual((await (await supervisor.spawn(["true"], timeout=timeout)).wait()).cause, "timeout")
                self.assertEqual((await supervisor.run(["true"], timeout=INFINITY)).returncode, 0)
                job = await supervisor.spawn(FOREVER)
                for timeout in 0, -1:
                    with self.assertRaises(asyncio.TimeoutError):
                        await job.wait(timeout)
                await job.kill()
                await job.wait(INFINITY)
                self.assertEqual(((await job.wait(0)).cause, (await job.wait(-1)).cause), ("killed", "killed"))

        asyncio.run(test())

    def test_sample(self) -> None:
        """None and 0 are no samples."""
        supervisor = self.start()
        given: Any = {"sample": 0}
        events = [event.kind for event in supervisor.spawn(["true"], **given).events(DEADLINE)]
        self.assertEqual(events, ["started", "exited", "ended"])


class TestTimesSubreaper(TestTimes):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]
