import os
import signal
import subprocess
import sys
import tempfile
from typing import Any

import supervise_api
from supervise_api import DEVNULL, PIPE, STDOUT, Completed, LimitRefused, RequestError, Unsupported

from .case import FOREVER, read_until
from .serve_case import ServeCase


class TestRun(ServeCase):
    """supervise_api.run, beside subprocess.run."""

    def run_job(self, *args: Any, **options: Any) -> Completed:
        return supervise_api.run(*args, supervisor=self.supervisor, **options)

    def setUp(self) -> None:
        super().setUp()
        self.supervisor = self.start()

    def test_as_subprocess_does(self) -> None:
        commands = ["exit 3", "kill -9 $$", "echo out; echo err >&2", "cat; cat >&2", "printf 'a\\r\\nb\\rc'"]
        for command in commands:
            for options in [
                {"capture_output": True},
                {"capture_output": True, "text": True, "input": "täxt\n"},
                {"capture_output": True, "input": b"\0\xff" * 100000},
                {"stdout": PIPE, "stderr": STDOUT, "stdin": DEVNULL},
                {"stdout": DEVNULL, "stderr": PIPE, "encoding": "latin-1", "input": "ü"},
            ]:  # fmt: skip
                given: Any = options
                with self.subTest(command=command, options=options):
                    argv = ["sh", "-c", command]
                    ours, theirs = self.run_job(argv, **given), subprocess.run(argv, **given)
                    self.assertEqual((ours.args, ours.returncode, ours.stdout, ours.stderr),
                                     (theirs.args, theirs.returncode, theirs.stdout, theirs.stderr))  # fmt: skip

    def test_record(self) -> None:
        done = self.run_job(["sh", "-c", "setsid sleep 100000 & exec true"])
        self.assertEqual((done.record.cause, done.record.containment), ("exited", self.supervisor.containment))
        self.assertEqual(done.record.leftovers_total, 1)
        self.assertIsNone(done.record.oom)
        self.assertIn(done.record.oom_killed, (False, None))

    def test_bytes(self) -> None:
        """Names that are no UTF-8 are as in sys.argv."""
        script = "n=$(printf 'caf\\351'); cp $(command -v sleep) $n; ./$n 10000 & while [ $(cat /proc/$!/comm) = sh ]; do :; done"
        with tempfile.TemporaryDirectory() as directory:
            (left,) = self.run_job(["sh", "-c", script], cwd=directory).record.leftovers or []
        self.assertEqual((os.fsencode(left.comm), os.fsencode((left.argv or [])[0])), (b"caf\xe9", b"./caf\xe9"))

    def test_inherits(self) -> None:
        """What is not said is ours."""
        reader, writer = os.pipe()
        program = "import supervise_api; print(supervise_api.run(['sh', '-c', 'cat; echo err >&2; exit 4']).returncode)"
        child = subprocess.run([sys.executable, "-c", program], input=b"in", stdout=subprocess.PIPE, stderr=writer)
        os.close(writer)
        self.assertEqual(child.stdout, b"in4\n")
        self.assertEqual(read_until(reader, 100), "err\n")
        os.close(reader)

    def test_standard_descriptors_closed(self) -> None:
        program = "import os; os.close(0); os.close(1); import supervise_api as s; s.run(['sh', '-c', 'ls -l /proc/$$/fd >&2'], check=True)"
        child = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE)
        self.assertEqual((child.returncode, child.stderr.count(b"/dev/null")), (0, 2), child.stderr)

    def test_check(self) -> None:
        self.run_job(["true"], check=True).check_returncode()
        with self.assertRaises(subprocess.CalledProcessError) as caught:
            self.run_job(["sh", "-c", "echo out; exit 3"], check=True, capture_output=True)
        assert isinstance(caught.exception, supervise_api.CalledProcessError)
        self.assertEqual((caught.exception.returncode, caught.exception.stdout), (3, b"out\n"))
        self.assertEqual(caught.exception.record.cause, "exited")
        self.assertIn("exit status 3. (exited)", str(caught.exception))
        with self.assertRaises(supervise_api.CalledProcessError):
            self.run_job(["sh", "-c", "kill $$"]).check_returncode()

    def test_check_leftovers(self) -> None:
        leaks = ["sh", "-c", "setsid sleep 100000 & exec true"]
        self.run_job(leaks, check=True)
        with self.assertRaisesRegex(supervise_api.CalledProcessError, "left 1 process"):
            self.run_job(leaks, check=True, leftovers="fail")

    def test_timeout(self) -> None:
        """It raises, as with subprocess; but all is dead then, and what was written is there."""
        reader, writer = os.pipe()
        try:
            with self.assertRaises(subprocess.TimeoutExpired) as caught:
                argv = ["sh", "-c", "trap '' TERM; echo out; setsid sleep 100000 & while :; do sleep 1; done"]
                self.run_job(argv, timeout=2, stdout=PIPE, text=True, stderr=writer)
        finally:
            os.close(writer)
        os.set_blocking(reader, False)
        self.assertEqual(os.read(reader, 1), b"")
        os.close(reader)
        assert isinstance(caught.exception, supervise_api.TimeoutExpired)
        self.assertEqual((caught.exception.stdout, caught.exception.timeout), ("out\n", 2))
        self.assertEqual(caught.exception.record.cause, "timeout")

    def test_timeout_while_waiting(self) -> None:
        """The main process has exited with 0, and the work has not been done."""
        with self.assertRaises(supervise_api.TimeoutExpired) as caught:
            self.run_job(["sh", "-c", "sleep 1000 & exit 0"], leftovers="wait", timeout=0.2)
        self.assertEqual(caught.exception.record.cause, "timeout")

    def test_timeout_with_grace(self) -> None:
        with self.assertRaises(supervise_api.TimeoutExpired) as caught:
            self.run_job(["sh", "-c", "trap 'exit 9' INT; while :; do sleep 0.01; done"], timeout=2, grace=30, signal=signal.SIGINT)
        self.assertEqual(caught.exception.record.exit and caught.exception.record.exit.code, 9)

    def test_limits(self) -> None:
        options: Any = {"memory_max": "1G", "cpus": 1, "pids_max": 100}
        if {"memory", "cpu", "pids"} <= set(self.supervisor.controllers):
            files = {limit.file for limit in self.run_job(["true"], **options).record.limits}
            self.assertLessEqual({"memory.max", "cpu.max", "pids.max"}, files)
            return
        with self.assertRaises(RequestError) as caught:
            self.run_job(["true"], **options)
        self.assertIsInstance(caught.exception, (LimitRefused, Unsupported))
        done = self.run_job(["true"], best_effort=True, **options)
        self.assertGreaterEqual(len(done.record.unenforced), 3)

    def test_contradictions(self) -> None:
        for options_ in [{"capture_output": True, "stdout": PIPE}, {"input": b"x", "stdin": PIPE}]:
            given: Any = options_
            with self.assertRaises(ValueError):
                self.run_job(["true"], **given)
        with self.assertRaises(TypeError):
            self.run_job(["true"], no_such_option=1)
        with self.assertRaises(FileNotFoundError):
            self.run_job(["supervise_api_no_such_program"], input=b"x")

    def test_large(self) -> None:
        """Neither side waits for the other, however much there is."""
        data = os.urandom(1 << 20) * 8
        self.assertEqual(self.run_job(["cat"], input=data, capture_output=True).stdout, data)

    def test_to_a_file(self) -> None:
        with tempfile.TemporaryFile() as file:
            self.run_job(["echo", "text"], stdout=file)
            file.seek(0)
            self.assertEqual(file.read(), b"text\n")

    def test_of_its_own(self) -> None:
        """Without a supervisor one is started, and has ended with it."""
        self.supervisor.close()
        self.assertEqual(supervise_api.run(["sh", "-c", "exit 3"]).returncode, 3)
        with self.assertRaises(supervise_api.TimeoutExpired):
            supervise_api.run(FOREVER, timeout=0.05)
        self.assert_nothing_runs()


class TestRunSubreaper(TestRun):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]
