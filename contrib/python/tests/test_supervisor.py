import os
import signal
import sys
import tempfile
import threading
import time
from typing import Any, Callable, Dict, List, Type

from supervise_api import (
    CommandNotFound,
    Event,
    InvalidRequest,
    JobGone,
    LimitRefused,
    NotExecutable,
    Pressing,
    RequestError,
    SupervisorLost,
    Unsupported,
)

from .case import DEADLINE, FOREVER
from .serve_case import ServeCase


class TestSupervisor(ServeCase):
    """Jobs of a Supervisor, and what can be done with them."""

    def test_hello(self) -> None:
        supervisor = self.start()
        self.assertRegex(supervisor.server, "^supervise ")
        os.kill(supervisor.pid, 0)
        self.assertIn(supervisor.containment, ("cgroup", "subreaper"))
        self.assertIn("fds", supervisor.features)
        self.assertEqual(supervisor.cgroup is None, supervisor.containment == "subreaper")
        expected = os.environ.get("SUPERVISE_CONTAINMENT")
        if expected and not self.flags:
            self.assertEqual(supervisor.containment, expected)

    def test_record(self) -> None:
        supervisor = self.start()
        job = supervisor.spawn(["sh", "-c", "exit 3"], name="three", tags={"a": "b"})
        record = job.wait(DEADLINE)
        self.assertEqual((record.cause, record.exit and record.exit.code, job.returncode), ("exited", 3, 3))
        self.assertEqual((record.name, record.pid, record.argv), ("three", job.pid, ["sh", "-c", "exit 3"]))
        self.assertEqual((record.containment, record.cgroup), (supervisor.containment, job.cgroup))
        self.assertLess(record.started, record.ended)
        self.assertGreater(record.wall_s, 0)
        self.assertIsNotNone(record.cpu.total_s or record.cpu.user_s)
        self.assertIs(job.wait(), record)
        self.assertIs(job.record, record)
        self.assertEqual((job.name, job.tags, job.number), ("three", {"a": "b"}, 1))

    def test_events(self) -> None:
        job = self.start().spawn(["sh", "-c", "kill -KILL $$"])
        events = list(job.events(DEADLINE))
        self.assertEqual([event.kind for event in events], ["started", "exited", "ended"])
        self.assertEqual((events[0].data["pid"], events[1].data["signal"]), (job.pid, "SIGKILL"))
        self.assertEqual(job.returncode, -signal.SIGKILL)
        self.assertEqual(list(job.events()), [])

    def test_stopped(self) -> None:
        job = self.start().spawn(FOREVER)
        kinds = []
        job.signal(signal.SIGSTOP)
        for event in job.events(DEADLINE):
            kinds.append(event.kind)
            if event.kind == "stopped":
                self.assertIsNone(job.record)
                job.signal("CONT")
            if event.kind == "continued":
                job.signal(signal.SIGRTMIN + 3)
        self.assertEqual(kinds, ["started", "stopped", "continued", "exited", "ended"])
        self.assertEqual(job.returncode, -(signal.SIGRTMIN + 3))

    def test_wait_has_a_timeout(self) -> None:
        job = self.start().spawn(FOREVER)
        for timeout in 0, 0.01:
            with self.assertRaises(TimeoutError):
                job.wait(timeout)
        with self.assertRaises(TimeoutError):
            list(job.events(0.01))
        job.kill()
        self.assertEqual(job.wait(DEADLINE).cause, "killed")

    def test_signal_and_kill(self) -> None:
        supervisor = self.start()
        script = "trap 'exit 7' TERM; echo; while :; do sleep 0.01; done"
        one = supervisor.spawn(["sh", "-c", "sleep 100000 & wait"])
        one.signal("TERM", all=True)
        self.assertEqual(one.wait(DEADLINE).cause, "signaled")
        two = supervisor.spawn(["sh", "-c", script], stdout=-1)
        assert two.stdout
        two.stdout.readline()  # the trap is set
        two.kill(grace=DEADLINE)
        self.assertEqual((two.wait(DEADLINE).cause, two.returncode), ("killed", 7))
        two.close_pipes()
        for job in one, two:
            job.signal(signal.SIGTERM)
            job.kill()
            for refused in job.freeze, job.thaw, job.stat, job.detach:
                with self.assertRaises(JobGone):
                    refused()

    def test_time_limits(self) -> None:
        supervisor = self.start()
        start = time.monotonic()
        job = supervisor.spawn(["sh", "-c", "trap '' TERM; setsid sleep 100000 & wait; wait"], timeout=0.05, grace=0.05)
        self.assertEqual(job.wait(DEADLINE).cause, "timeout")
        self.assertGreaterEqual(time.monotonic() - start, 0.1)
        busy = ["sh", "-c", "while :; do :; done"]
        if supervisor.containment == "cgroup":
            record = supervisor.spawn(busy, cpu_timeout=0.05, grace=0).wait(DEADLINE)
            self.assertEqual(record.cause, "cpu-timeout")
        else:
            with self.assertRaises(Unsupported) as caught:
                supervisor.spawn(busy, cpu_timeout=0.05)
            self.assertEqual(caught.exception.field, "cpu_timeout")

    def test_freeze(self) -> None:
        supervisor = self.start()
        job = supervisor.spawn(FOREVER)
        if supervisor.containment == "subreaper":
            refusals: List[Callable[[], object]] = [job.freeze, job.thaw, lambda: job.mark("x"), lambda: job.limit(cpus=1)]
            for refused in refusals:
                with self.assertRaises(Unsupported):
                    refused()
            return
        job.freeze()
        self.assertTrue(job.stat().frozen)
        job.thaw()
        self.assertFalse(job.stat().frozen)
        job.signal("KILL")
        self.assertEqual(job.wait(DEADLINE).cause, "signaled")

    def test_stat_and_list(self) -> None:
        supervisor = self.start()
        jobs = [supervisor.spawn(FOREVER, name=name, tags={"is": name}) for name in ("one", "two")]
        self.assertEqual([(one.job, one.pid, one.name, one.tags) for one in supervisor.list()],
                         [(job.number, job.pid, job.name, job.tags) for job in jobs])  # fmt: skip
        stat = jobs[1].stat()
        self.assertEqual((stat.state, stat.frozen, stat.cgroup), ("running", False, jobs[1].cgroup))
        if supervisor.containment == "cgroup":
            self.assertEqual(stat.procs, [jobs[1].pid])
            assert stat.sample
            self.assertGreater(stat.sample.wall_s, 0)
        jobs[0].kill()
        jobs[0].wait(DEADLINE)
        self.assertEqual([one.job for one in supervisor.list()], [jobs[1].number])

    def test_marks_samples_and_pressure(self) -> None:
        supervisor = self.start()
        self.need_cgroup(supervisor)
        job = supervisor.spawn(FOREVER, sample=0.01, pressure=[Pressing("cpu", 1.9, 2)])
        self.assertEqual(next(event for event in job.events(DEADLINE) if event.kind == "sample").data["job"], job.number)
        self.assertEqual((job.mark("build").name, job.mark("test").name), ("", "build"))
        job.kill()
        phases = job.wait(DEADLINE).phases
        self.assertEqual([phase.name for phase in phases or []], ["", "build", "test"])

    def test_limits(self) -> None:
        supervisor = self.start()
        limits: Dict[str, Any] = {"memory_max": "1G", "cpus": 0.5, "TasksMax": 100}
        if set(supervisor.controllers) >= {"memory", "cpu", "pids"}:
            job = supervisor.spawn(FOREVER, limits=limits)
            self.assertLessEqual({"memory.max", "cpu.max", "pids.max"}, {limit.file for limit in job.limits})
            self.assertEqual(job.limit(pids_max=50).limits[0].value, "50")
            return
        with self.assertRaises(RequestError) as caught:
            supervisor.spawn(FOREVER, limits=limits)
        self.assertIsInstance(caught.exception, (LimitRefused, Unsupported))
        self.assertRegex(str(caught.exception), "^spawn: .")
        self.assertEqual(supervisor.list(), [])
        job = supervisor.spawn(["true"], limits=limits, best_effort=True)
        self.assertEqual(len(job.unenforced) >= 3 and job.limits, [])
        self.assertEqual(job.wait(DEADLINE).unenforced, job.unenforced)

    def test_detach(self) -> None:
        supervisor = self.start()
        job = supervisor.spawn(FOREVER)
        if "detach" in supervisor.features:
            scope = job.detach()
            self.assertRegex(scope.unit, r"\.scope$")
            with self.assertRaises(SupervisorLost):
                job.wait(DEADLINE)
            os.kill(job.pid, signal.SIGKILL)
            return
        with self.assertRaises(Unsupported):
            job.detach()

    def test_refused(self) -> None:
        """What is refused starts nothing, and is said by the class of the error."""
        supervisor = self.start()
        kind: Type[Exception]
        with tempfile.NamedTemporaryFile() as file:
            for kind, field, args, options in [
                (CommandNotFound, "argv", ["supervise_api_no_such_program"], {}),
                (FileNotFoundError, "cwd", ["true"], {"cwd": "/no/such/directory"}),
                (FileNotFoundError, "stdio[0]", ["true"], {"stdin": "/no/such/file"}),
                (NotExecutable, "argv", [file.name], {}),
                (PermissionError, "argv", [file.name], {}),
                (InvalidRequest, "argv", [], {}),
                (ValueError, "signal", ["true"], {"signal": "NONE"}),
                (InvalidRequest, "leftovers", ["true"], {"leftovers": "keep"}),
                (InvalidRequest, "notify[0]", ["true"], {"notify": ["everything"]}),
                (InvalidRequest, "limits.memory-max", ["true"], {"limits": {"memory_max": "much"}}),
            ]:  # fmt: skip
                with self.subTest(args=args, options=options), self.assertRaises(kind) as caught:
                    supervisor.spawn(args, **options)  # type: ignore[arg-type]
                assert isinstance(caught.exception, RequestError)
                self.assertEqual(caught.exception.field, field)
        self.assertEqual(supervisor.list(), [])

    def test_cannot_be_asked(self) -> None:
        """What cannot be said is refused here, and the conversation goes on."""
        supervisor = self.start()
        for error, args, options in [
            (TypeError, "true", {}),
            (TypeError, b"true", {}),
            (TypeError, [1], {}),
            (ValueError, ["echo", "\ud800"], {}),
            (ValueError, ["echo", "\0"], {}),
            (OSError, ["echo", "x" * (1 << 24)], {}),
            (ValueError, ["true"], {"timeout": float("nan")}),
            (TypeError, ["true"], {"timeout": "1"}),
            (ValueError, ["true"], {"env": {"A=B": "c"}}),
            (ValueError, ["true"], {"env_update": {b"\xff=": b""}}),
            (ValueError, ["true"], {"stdout": -2}),
            (OSError, ["true"], {"stdout": 10000}),
        ]:
            with self.subTest(args=str(args)[:20], options=options), self.assertRaises(error):
                supervisor.spawn(args, **options)  # type: ignore[arg-type]
        self.assertEqual(supervisor.list(), [])

    def test_callback(self) -> None:
        """A callback may call anything, and what it raises is printed."""
        supervisor = self.start()
        seen: List[str] = []

        def on_event(event: Event) -> None:
            seen.append(event.kind)
            if event.kind == "started":
                supervisor.list()
                job = next(one for one in supervisor.list() if one.job == event.data["job"])
                os.kill(job.pid, signal.SIGKILL)
            if event.kind == "ended":
                raise ValueError("printed")

        printed: List[object] = []
        hook, sys.excepthook = sys.excepthook, lambda kind, value, trace: printed.append(value)
        try:
            job = supervisor.spawn(FOREVER, on_event=on_event)
            job.wait(DEADLINE)
        finally:
            sys.excepthook = hook
        self.assertEqual(seen, ["started", "exited", "ended"])
        self.assertEqual([str(value) for value in printed], ["printed"])

    def test_threads(self) -> None:
        """Many threads spawn and wait at once, and each gets its own."""
        supervisor = self.start()
        codes: List[object] = [None] * 20

        def one(number: int) -> None:
            for _ in range(3):
                codes[number] = supervisor.run(["sh", "-c", "exit {}".format(number)]).returncode

        threads = [threading.Thread(target=one, args=(number,), daemon=True) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        self.assertEqual(codes, list(range(20)))


class TestSupervisorSubreaper(TestSupervisor):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]
