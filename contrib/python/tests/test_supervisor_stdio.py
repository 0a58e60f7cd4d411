import os
import subprocess
import tempfile
from typing import Any, Dict

from supervise_api import DEVNULL, PIPE, STDOUT, Capture, File, SystemCallFailed

from .case import DEADLINE, FOREVER, read_all, read_until
from .serve_case import ServeCase


class TestStdio(ServeCase):
    """The descriptors, environment and directory of a job."""

    def captured(self, args: Any, **options: Any) -> str:
        job = self.start().spawn(args, stdout="capture", **options)
        job.wait(DEADLINE)
        return str(job.output(), "utf-8")

    def test_pipes(self) -> None:
        with self.start().spawn(["sh", "-c", "cat; echo err >&2"], stdin=PIPE, stdout=PIPE, stderr=PIPE) as job:
            assert job.stdin and job.stdout and job.stderr
            job.stdin.write(b"text")
            job.stdin.close()
            self.assertEqual((job.stdout.read(), job.stderr.read()), (b"text", b"err\n"))
            job.wait(DEADLINE)
        self.assertTrue(job.stdout.closed)

    def test_end_of_a_context(self) -> None:
        """The end of a job's context ends the job, and closes its pipes."""
        supervisor = self.start()
        with supervisor.spawn(["sh", "-c", "setsid sleep 100000 & exec sleep 100000"], stdin=PIPE) as job:
            assert job.stdin
            job.stdin.write(b"never read")
        self.assertTrue(job.stdin.closed)
        self.assertEqual((job.record and job.record.cause, supervisor.list()), ("killed", []))

    def test_descriptors(self) -> None:
        reader, writer = os.pipe()
        with tempfile.TemporaryFile() as file, open(reader, "rb"):
            file.write(b"from a file")
            file.seek(0)
            self.start().spawn(["sh", "-c", "cat >&2"], stdin=file, stderr=writer).wait(DEADLINE)
            os.close(writer)
            self.assertEqual(read_all(reader), "from a file")

    def test_nothing_else_is_inherited(self) -> None:
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        try:
            supervisor = self.start()
            text = self.captured(["sh", "-c", "ls /proc/$$/fd"])
            self.assertEqual(text.split(), ["0", "1", "2"])
            supervisor.spawn(FOREVER)
        finally:
            os.close(writer)
        self.assertEqual(read_until(reader, 1), "")
        os.close(reader)

    def test_capture(self) -> None:
        supervisor = self.start()
        script = "for i in 1 2 3 4 5 6 7 8; do cat /dev/zero | head -c 500000; done; echo err >&2"
        job = supervisor.spawn(["sh", "-c", script], stdout="capture", stderr=Capture(limit=2))
        self.assertIsNone(job.output_dropped())
        job.wait(DEADLINE)
        self.assertEqual((len(job.output()), job.output_dropped()), (4000000, 0))
        self.assertEqual((job.output(2), job.output_dropped(2), job.output_dropped(3)), (b"er", 2, None))

    def test_stderr_to_stdout(self) -> None:
        self.assertEqual(self.captured(["sh", "-c", "echo one; echo two >&2"], stderr=STDOUT), "one\ntwo\n")

    def test_null(self) -> None:
        for what in None, DEVNULL:
            self.assertEqual(self.captured(["readlink", "/proc/self/fd/0"], stdin=what), "/dev/null\n")

    def test_paths(self) -> None:
        """Paths are relative to our directory, not to the job's."""
        supervisor, before = self.start(), os.getcwd()
        with tempfile.TemporaryDirectory() as directory:
            os.chdir(directory)
            try:
                for stdout in File("log", "create"), "log", File("log", "append"):
                    assert isinstance(stdout, (str, File))
                    supervisor.spawn(["echo", "line"], stdout=stdout, cwd="/").wait(DEADLINE)
                with self.assertRaises(SystemCallFailed):
                    supervisor.spawn(["true"], stdout=File("log", "create"))
                job = supervisor.spawn(["sh", "-c", "cat; pwd"], stdin="log", stdout="capture")
                job.wait(DEADLINE)
            finally:
                os.chdir(before)
            self.assertEqual(job.output().decode(), "line\nline\n{}\n".format(os.path.realpath(directory)))

    def test_environment(self) -> None:
        """It is what ours is at the moment, as with subprocess; not what it was when the supervisor was started."""
        os.environ["SUPERVISE_TEST_OLD"] = os.environ["SUPERVISE_TEST_GONE"] = "old"
        supervisor = self.start()
        del os.environ["SUPERVISE_TEST_GONE"]
        os.environ["SUPERVISE_TEST_NEW"] = "new"
        try:
            for options in [{}, {"env_update": {"A": "b", "SUPERVISE_TEST_OLD": None}}, {"env": {}}, {"env": {"B": "ü"}}]:
                options_: Dict[str, Any] = options  # type: ignore[assignment]
                job = supervisor.spawn(["/usr/bin/env"], stdout="capture", **options_)
                job.wait(DEADLINE)
                expected = dict(options_.get("env", os.environ))
                expected.update(options_.get("env_update", {}))
                lines = {"{}={}".format(name, value) for name, value in expected.items() if value is not None}
                self.assertEqual(set(job.output().decode().splitlines()), lines)
        finally:
            del os.environ["SUPERVISE_TEST_OLD"], os.environ["SUPERVISE_TEST_NEW"]

    def test_session(self) -> None:
        """Neither supervisor nor job is in our session."""
        supervisor = self.start()
        job = supervisor.spawn(FOREVER)
        self.assertNotEqual(os.getsid(supervisor.pid), os.getsid(0))
        self.assertNotIn(os.getsid(job.pid), (os.getsid(0), os.getsid(supervisor.pid)))

    def test_supervisor_holds_nothing(self) -> None:
        """An inheritable descriptor of ours does not stay open with the supervisor."""
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        self.start()
        os.close(writer)
        self.assertEqual(read_until(reader, 1), "")
        os.close(reader)

    def test_programs_do_not_inherit_the_connection(self) -> None:
        supervisor = self.start()
        names = subprocess.run(["ls", "-l", "/proc/self/fd"], stdout=subprocess.PIPE, close_fds=False).stdout.decode()
        self.assertNotIn(os.readlink("/proc/self/fd/{}".format(supervisor.fileno())), names)


class TestStdioSubreaper(TestStdio):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]
