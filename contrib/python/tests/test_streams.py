"""Input, windows, terminals, kept output, readiness and pipelines of jobs."""

import io
import subprocess
import sys
import tempfile
import threading
from typing import Any, List

import supervise_api
from supervise_api import (
    INPUT,
    PIPE,
    STDOUT,
    Capture,
    Command,
    Job,
    JobGone,
    NotReady,
    Output,
    SupervisorLost,
    TextOutput,
    Unsupported,
)

from .case import DEADLINE, FOREVER
from .serve_case import ServeCase

#: More than a pipe, and all that waits for a job, hold.
MUCH = b"0123456789abcdef" * (1 << 17)

#: A program that says it is ready, and waits.
READY = """if True:
    import os, socket, sys
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1))
    sock.send(("STATUS=" + sys.argv[1] + "\\nREADY=1").encode())
    sys.stdin.read()
"""


def read_terminal(job: Job, until: Any = None) -> Any:
    """Read what is printed up to some text, or the end."""
    assert job.terminal
    text = job.terminal.read(timeout=DEADLINE)
    while until is None or until not in text:
        more = job.terminal.read(timeout=DEADLINE)
        if not more:
            break
        text += more
    return text


class StreamsCase(ServeCase):
    def setUp(self) -> None:
        super().setUp()
        self.supervisor = self.start()


class TestInput(StreamsCase):
    """stdin=INPUT."""

    def test_conversation(self) -> None:
        job = self.supervisor.spawn(["cat"], stdin=INPUT, stdout=Capture(window=4096))
        for line in b"one\n", bytearray(b"\xff\0\n"), memoryview(b"three\n"):
            self.assertEqual(job.stdin.write(line), len(line))
            self.assertEqual(job.stdout.readline(), bytes(line))
        job.stdin.close()
        job.stdin.close()
        self.assertEqual(job.stdout.read(), b"")
        self.assertEqual(job.wait(DEADLINE).cause, "exited")

    def test_text(self) -> None:
        for options in {"text": True}, {"encoding": "utf-16-le"}, {"errors": "replace"}:
            given: Any = options
            with self.supervisor.spawn(["cat"], stdin=INPUT, stdout=Capture(window=4), stderr=STDOUT, **given) as job:
                with job.stdin as stdin:
                    print("täxt", "🐱", file=stdin, flush=True)
                    stdin.writelines(["a\r\n", "b"])
                self.assertEqual(list(job.stdout), ["täxt 🐱\n", "a\n", "b"])

    def test_wrong_types(self) -> None:
        bytes_, text = (self.supervisor.spawn(["cat"], stdin=INPUT, text=text) for text in (False, True))
        self.assertRaises(TypeError, bytes_.stdin.write, "text")
        self.assertRaises(TypeError, text.stdin.write, b"bytes")
        self.assertRaises(io.UnsupportedOperation, text.stdin.fileno)
        text.stdin.close()
        self.assertRaises(ValueError, text.stdin.write, "text")

    def test_much(self) -> None:
        job = self.supervisor.spawn(["wc", "-c"], stdin=INPUT, stdout="capture")
        job.stdin.write(MUCH)
        job.stdin.close()
        job.wait(DEADLINE)
        self.assertEqual(int(job.output()), len(MUCH))

    def test_slow_job(self) -> None:
        """A write waits for a job that does not read; others go on meanwhile; the end of the job ends it."""
        job = self.supervisor.spawn(FOREVER, stdin=INPUT)
        failed: List[BaseException] = []

        def write() -> None:
            try:
                job.stdin.write(MUCH)
            except BaseException as e:
                failed.append(e)

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        self.assertEqual(self.supervisor.run(["true"]).returncode, 0)
        self.assertEqual((thread.is_alive(), failed), (True, []))
        job.kill()
        job.wait(DEADLINE)
        thread.join(DEADLINE)
        self.assertIsInstance(failed[0], BrokenPipeError)

    def test_closed(self) -> None:
        """A job that does not read is a broken pipe; and as with files its end is no error for close."""
        with self.supervisor.spawn(["sh", "-c", "exec <&-; echo; exec sleep 1000"], stdin=INPUT, stdout=Capture(window=1)) as job:
            job.stdout.read(1)
            with self.assertRaises(BrokenPipeError) as caught:
                job.stdin.write(b"x")
            self.assertIsInstance(caught.exception, supervise_api.RequestError)
        self.assertRaises(BrokenPipeError, job.stdin.write, b"x")
        job.stdin.close()

    def test_of_one_that_is_gone(self) -> None:
        job = self.supervisor.spawn(FOREVER, stdin=INPUT)
        self.supervisor.close()
        self.assertRaises(SupervisorLost, job.stdin.write, b"x")
        job.stdin.close()

    def test_only_where_it_makes_sense(self) -> None:
        for options in {"stdout": INPUT}, {"pty": True, "stdin": INPUT, "stdout": "a", "stderr": "b"}, {"pty": True, "stdout": "capture"}:
            given: Any = options
            self.assertRaises(ValueError, self.supervisor.spawn, ["cat"], **given)
        for options in {"stdin": INPUT}, {"stdout": Capture(window=1)}:
            given = options
            self.assertRaises(ValueError, self.supervisor.run, ["cat"], **given)


class TestInputSubreaper(TestInput):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]


class TestWindow(StreamsCase):
    """Output by a window, and pipes of text."""

    def test_slow_reader(self) -> None:
        """It delays its own job alone, and nothing is lost."""
        script = "i=0; while [ $i -lt 40 ]; do head -c 100000 /dev/zero; i=$((i+1)); done; echo end >&2"
        job = self.supervisor.spawn(["sh", "-c", script], stdout=Capture(window=1000), stderr=Capture(window=1000))
        self.assertEqual(len(job.stdout.read(500)), 500)
        self.assertEqual(self.supervisor.run(["echo", "beside"], stdout=PIPE).stdout, b"beside\n")
        self.assertEqual([one.job for one in self.supervisor.list()], [job.number])
        self.assertEqual(job.stdout.read(), bytes(4000000 - 500))
        self.assertEqual(job.stderr.read(), b"end\n")
        self.assertEqual((job.output_dropped(1), job.output_dropped(2)), (0, 0))

    def test_small_windows(self) -> None:
        for window in 1, 2, 3:
            job = self.supervisor.spawn(["echo", "some text"], stdout=Capture(window=window))
            self.assertEqual(job.stdout.read(), b"some text\n")

    def test_limit(self) -> None:
        job = self.supervisor.spawn(["echo", "some text"], stdout=Capture(4, window=2))
        self.assertEqual(job.stdout.read(), b"some")
        job.wait(DEADLINE)
        self.assertEqual(job.output_dropped(), 6)

    def test_kept_too(self) -> None:
        job = self.supervisor.spawn(["echo", "some text"], stdout=Capture(window=2), keep=5)
        self.assertEqual((job.stdout.read(), job.output()), (b"some text\n", b"text\n"))

    def test_pipes_of_text(self) -> None:
        with self.supervisor.spawn(["sh", "-c", "cat; printf 'a\\r\\n'"], stdin=PIPE, stdout=PIPE, text=True) as job:
            job.stdin.write("täxt\n")
            job.stdin.close()
            self.assertEqual(job.stdout.read(), "täxt\na\n")


class TestTerminal(StreamsCase):
    """pty=."""

    def test_size_and_keyboard(self) -> None:
        script = "stty size; read a; echo got $a; trap 'stty size; exit 4' WINCH; echo waits; while :; do sleep 0.01; done"
        job = self.supervisor.spawn(["sh", "-c", script], pty=(10, 20), text=True)
        assert job.terminal
        self.assertEqual(read_terminal(job, "\n"), "10 20\r\n")
        job.terminal.write("täxt\n")
        self.assertIn("got täxt\r\n", read_terminal(job, "waits"))
        job.terminal.resize(30, 40)
        self.assertIn("30 40\r\n", read_terminal(job))
        job.wait(DEADLINE)
        self.assertEqual(job.returncode, 4)
        self.assertEqual(job.terminal.read(), "")
        self.assertRaises(BrokenPipeError, job.terminal.write, "x")
        self.assertRaises(JobGone, job.terminal.resize, 1, 1)

    def test_end_of_file_and_interrupt(self) -> None:
        job = self.supervisor.spawn(["sh", "-c", "cat; echo; trap 'exit 5' INT; echo waits; while :; do sleep 0.01; done"], pty=True)
        assert job.terminal
        job.terminal.write(b"line\n")
        job.terminal.eof()
        read_terminal(job, b"waits")
        job.terminal.write(b"\x03")
        job.wait(DEADLINE)
        self.assertEqual(job.returncode, 5)

    def test_what_is_given_is_no_terminal(self) -> None:
        job = self.supervisor.spawn(["sh", "-c", "for i in 0 1 2; do [ -t $i ] && echo $i; done; echo err >&2"], pty=True, stderr=Capture(window=9))
        self.assertEqual((read_terminal(job), job.stderr.read()), (b"0\r\n1\r\n", b"err\n"))
        self.assertIsNone(job.stdout)

    def test_silence(self) -> None:
        job = self.supervisor.spawn(FOREVER, pty=True)
        assert job.terminal
        self.assertRaises(TimeoutError, job.terminal.read, timeout=0.01)
        self.assertIsNone(self.supervisor.spawn(FOREVER).terminal)

    def test_kept(self) -> None:
        job = self.supervisor.spawn(["echo", "text"], pty=True, keep=100)
        assert job.terminal
        self.assertRaises(ValueError, job.terminal.read)
        job.wait(DEADLINE)
        self.assertEqual(job.output(), b"text\r\n")

    def test_run(self) -> None:
        done = self.supervisor.run(["sh", "-c", "stty -echo; tty -s && cat"], pty=(24, 80), input="a\n", text=True)
        self.assertEqual((done.returncode, done.stdout.endswith("a\n"), done.stderr), (0, True, None))
        done = self.supervisor.run(["stty", "size"], pty=(3, 4))
        self.assertEqual(done.stdout, b"3 4\r\n")
        self.assertEqual(self.supervisor.run(["true"], pty=True, input=MUCH).returncode, 0)


class TestTerminalSubreaper(TestTerminal):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]


class TestKept(StreamsCase):
    """keep=, Job.output and forget."""

    def test_while_it_runs(self) -> None:
        job = self.supervisor.spawn(["sh", "-c", "echo one; read x; echo two; echo err >&2"], stdin=INPUT, keep=1000)
        one = job.output(wait=DEADLINE)
        self.assertIsInstance(one, Output)
        self.assertEqual((one, one.where.offset, one.where.next, one.where.eof), (b"one\n", 0, 4, False))
        self.assertEqual(job.output(offset=4), b"")
        job.stdin.write(b"\n")
        two = job.output(offset=one.where.next, wait=DEADLINE)
        self.assertEqual(two, b"two\n")
        job.wait(DEADLINE)
        self.assertEqual((job.output(offset=-3, max=2), job.output(max=0), job.output(2)), (b"wo", b"", b"err\n"))
        last = job.output(wait=DEADLINE)
        self.assertEqual((last, last.where.written, last.where.eof, last.where.ended), (b"one\ntwo\n", 8, True, True))
        job.forget()
        self.assertRaises(JobGone, job.output)
        self.assertRaises(JobGone, job.forget)

    def test_large(self) -> None:
        """More than one answer has."""
        job = self.supervisor.spawn(["head", "-c", "3000000", "/dev/zero"], keep=2500000)
        job.wait(DEADLINE)
        output = job.output()
        self.assertEqual((len(output), output.where.offset, output.where.cut), (2500000, 500000, 0))
        output = job.output(offset=1, max=2000000)
        self.assertEqual((len(output), output.where.cut, output.where.next), (2000000, 499999, 2500000))

    def test_text(self) -> None:
        job = self.supervisor.spawn(["printf", "aüb"], keep=100, text=True)
        job.wait(DEADLINE)
        output = job.output(max=2)
        self.assertIsInstance(output, TextOutput)
        self.assertEqual((output, output.where.next, job.output(offset=output.where.next)), ("a", 1, "üb"))

    def test_captured_too(self) -> None:
        """What is captured is told, and kept if that is asked for; it has offsets, too."""
        job = self.supervisor.spawn(["echo", "text"], stdout="capture", keep=3, text=True)
        job.wait(DEADLINE)
        self.assertEqual((job.output(), job.captured()), ("xt\n", b"text\n"))
        job = self.supervisor.spawn(["echo", "text"], stdout="capture")
        self.assertEqual(job.output(offset=4, wait=DEADLINE), b"\n")
        self.assertEqual((job.output(offset=-3, max=2), job.output(offset=-99), job.output(offset=99)), (b"xt", b"text\n", b""))

    def test_nothing(self) -> None:
        job = self.supervisor.spawn(["true"])
        job.wait(DEADLINE)
        self.assertEqual(job.output(wait=DEADLINE), b"")
        self.assertRaises(JobGone, job.forget)


class TestReady(StreamsCase):
    """notify=["ready"]."""

    def test_ready(self) -> None:
        job = self.supervisor.spawn([sys.executable, "-c", READY, "as ever"], stdin=INPUT, notify=["ready"])
        self.assertEqual((job.ready(DEADLINE), job.ready(0), job.ready_status), ("as ever", "as ever", "as ever"))
        job.stdin.close()
        job.wait(DEADLINE)
        self.assertEqual([event.kind for event in job.events()], ["started", "ready", "exited", "ended"])
        self.assertEqual(job.ready(), "as ever")

    def test_never(self) -> None:
        with self.assertRaisesRegex(NotReady, "exited"):
            self.supervisor.spawn(["true"], notify=["ready"]).ready(DEADLINE)
        with self.assertRaises(TimeoutError):
            self.supervisor.spawn(FOREVER, notify=["ready"]).ready(0.01)
        self.assertRaises(ValueError, self.supervisor.spawn(["true"]).ready)


class TestReadySubreaper(TestReady):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]


class TestPipeline(StreamsCase):
    """pipeline=."""

    def test_run(self) -> None:
        done = self.supervisor.run(pipeline=[["cat"], ["sort", "-r"], ["cat"]], input="a\nb\n", stdout=PIPE, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, "b\na\n"))
        self.assertEqual([one.exit and one.exit.returncode for one in done.commands or []], [0, 0, 0])
        with self.assertRaises(subprocess.CalledProcessError) as caught:
            self.supervisor.run(pipeline=[["true"], ["sh", "-c", "exit 3"], ["true"]], check=True)
        self.assertEqual((caught.exception.returncode, caught.exception.cmd), (3, [["true"], ["sh", "-c", "exit 3"], ["true"]]))

    def test_commands(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            commands = [Command(["pwd"], cwd=directory), Command(["sh", "-c", "cat; echo $A $B"], env_update={"A": "a"})]
            job = self.supervisor.spawn(pipeline=commands, env_update={"A": "-", "B": "b"}, stdout="capture")
            job.wait(DEADLINE)
            self.assertEqual(job.output(), "{}\na b\n".format(directory).encode())
        self.assertEqual((job.name, len(job.commands or [])), ("pwd", 2))

    def test_mistakes(self) -> None:
        call: Any = self.supervisor.spawn
        self.assertRaises(ValueError, call, ["true"], pipeline=[["true"]])
        self.assertRaises(TypeError, call, pipeline=["true"])
        self.assertRaises(TypeError, call, pipeline=None)
        self.assertRaises(ValueError, call, pipeline=[])


class TestPipelineSubreaper(TestPipeline):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]


class TestKill(StreamsCase):
    """kill(wait=True)."""

    def test_killed(self) -> None:
        job = self.supervisor.spawn(["sh", "-c", "sleep 1000 & echo; wait"], stdout=Capture(window=1))
        job.stdout.read(1)
        self.assertIsNone(job.kill(grace=DEADLINE, signal="CONT"))
        killed = job.kill(wait=True)
        assert killed
        self.assertEqual((killed.record.cause, killed.record), ("killed", job.record))
        self.assertEqual(killed.total, len(killed.processes))
        self.assertIn(job.pid, [one.pid for one in killed.processes])
        self.assertEqual(job.kill(wait=True), ([], 0, job.record))


class TestKillSubreaper(TestKill):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]


class TestFeatures(StreamsCase):
    def test_of_an_older_supervisor(self) -> None:
        """What it does not list is refused, and nothing is started."""
        job = self.supervisor.spawn(["sh", "-c", "read x"], stdin=INPUT, pty=False, keep=10)
        terminal = self.supervisor.spawn(FOREVER, pty=True).terminal
        assert terminal
        self.supervisor._connection.talk.features = ["base64", "fds"]
        spawn: Any = self.supervisor.spawn
        cases: Any = [
            (spawn, {"stdin": INPUT}, "stdin|input"), (spawn, {"pty": True}, "pty"), (spawn, {"keep": 1}, "keep"),
            (spawn, {"stdout": Capture(window=1)}, "window"), (spawn, {"notify": ["ready"]}, "ready"),
        ]  # fmt: skip
        for call, options, word in cases:
            with self.subTest(word), self.assertRaisesRegex(Unsupported, word):
                call(["true"], **options)
        for method in (
            lambda: spawn(pipeline=[["true"]]), lambda: job.stdin.write(b"x"), lambda: job.kill(wait=True),
            job.output, job.forget, lambda: terminal.resize(1, 1), job.stdin.close,
        ):  # fmt: skip
            self.assertRaises(Unsupported, method)
        self.assertEqual(len(self.supervisor.list()), 2)
        self.assertEqual(self.supervisor.run(["echo"], capture_output=True).stdout, b"\n")

    def test_of_this_one(self) -> None:
        self.assertLessEqual({"input", "pty", "keep", "window", "ready", "kill-wait", "pipeline"}, set(self.supervisor.features))
