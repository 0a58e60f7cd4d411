"""The scripted server, held to the conversations of conformance.jsonl, and used as a user's tests would."""

import asyncio
import os
import tempfile
import threading
import unittest
from typing import Any, Dict, List, Tuple, Union

import supervise_api
from supervise_api import INPUT, PIPE, AsyncSupervisor, Capture, CommandNotFound, JobGone, NotReady, Supervisor, Unsupported
from supervise_api.testing import Program, ScriptedJob, ScriptedServer, serve

from .case import DEADLINE, Case
from .test_conformance import _SCRIPT, Replay, conversations

#: Conversations that need processes, files, a terminal or counters of the kernel.
LEFT_OUT = {
    "a terminal",
    "pipelines",
    "any bytes",
    "cpu_timeout",
    "descendants",
    "environment, directory and program",
    "files",
    "leftovers",
    "marks",
    "samples",
    "freeze and thaw",
    "limits",
}


def _exits_on(name: str, code: int, echo: bool = True) -> Program:
    def program(job: ScriptedJob) -> int:
        job.trap(name)
        if echo:
            job.write("\n")
        job.next_signal()
        return code

    return program


def _deaf(echo: bool) -> Program:
    def program(job: ScriptedJob) -> int:
        job.trap("TERM")
        if echo:
            job.write("\n")
        job.wait()

    return program


def _echoes_on_hup(job: ScriptedJob) -> int:
    job.trap("HUP")
    job.write("\n")
    job.next_signal()
    job.write("\n")
    job.wait()


def _writes(fd: int) -> Program:
    def program(job: ScriptedJob) -> int:
        job.write("hello", fd)
        job.wait()

    return program


def _kills_itself(job: ScriptedJob) -> int:
    job.die("TERM")


def _reads_and_copies(job: ScriptedJob) -> int:
    job.write(b"got " + job.readline())
    for data in iter(lambda: job.read(4096), b""):
        job.write(data)
    return int(job.readline(3))


def _on_a_terminal(job: ScriptedJob) -> int:
    job.write("{} {}\n".format(*job.size))
    job.write(job.readline())
    job.readline()
    job.write("{} {}\n".format(*job.size), 2)
    return 0 if job.readline() else 6


def _prints(*pieces: Union[bytes, int], code: int = -1, then_reads: bool = False) -> Program:
    """Write pieces, and read a line between two; a number is the descriptor from there on. Then wait, or exit."""

    def program(job: ScriptedJob) -> int:
        fd, first = 1, True
        for piece in pieces:
            if isinstance(piece, int):
                fd, first = piece, True
                continue
            if not first:
                job.readline()
            job.write(piece, fd)
            first = False
        if code < 0 and not then_reads:
            job.wait()
        job.readline()
        return max(0, code)

    return program


def _size_and_waits(job: ScriptedJob) -> int:
    job.write("{} {}\n".format(*job.size))
    job.wait()


def _tells_ready(job: ScriptedJob) -> int:
    job.ready("going")
    job.readline()
    return 0


_STTY = "stty -echo -opost; "

#: What the commands of the script do.
PROGRAMS: Dict[Union[str, Tuple[str, ...]], Program] = {  # fmt: skip
    ("sh", "-c", "exit 3"): lambda job: 3,
    ("sh", "-c", "kill -TERM $$"): _kills_itself,
    ("sh", "-c", "trap 'exit 5' USR1; sleep 1000 & echo; wait"): _exits_on("USR1", 5),
    ("sh", "-c", "trap 'exit 6' INT; echo; while :; do sleep 1; done"): _exits_on("INT", 6),
    ("sh", "-c", "trap '' TERM; echo; exec sleep 1000"): _deaf(True),
    ("sh", "-c", "trap '' TERM; while :; do sleep 1; done"): _deaf(False),
    ("sh", "-c", "trap 'echo; read x; sleep 1000' HUP; echo; while :; do sleep 1; done"): _echoes_on_hup,
    ("sh", "-c", "echo out; read x; echo err >&2; read x"): lambda job: 1,
    ("sh", "-c", "printf hello; exec sleep 1000"): _writes(1),
    ("sh", "-c", "printf hello >&2; exec sleep 1000"): _writes(2),
    ("sh", "-c", "printf hello >&5; exec sleep 1000"): _writes(5),
    ("sh", "-c", "read x; echo \"got $x\"; cat; read y <&3; exit $y"): _reads_and_copies,
    ("sh", "-c", "exec sleep 1000"): lambda job: job.wait(),
    (
        "sh", "-c", _STTY + "stty size; read x; test -t 0 && test -t 1 && test -t 2 && echo \"$x\" >/dev/tty; read x; "
        "stty size >&2; read x || exit 6"
    ): _on_a_terminal,
    ("sh", "-c", _STTY + "stty size; exec sleep 1000"): _size_and_waits,
    ("sh", "-c", _STTY + "printf 'caf\\303\\251'; exec sleep 1000"): _prints("café".encode()),
    ("sh", "-c", _STTY + "printf 0123456789; exec sleep 1000"): _prints(b"0123456789"),
    ("sh", "-c", "printf 0123456789; read x; printf abc; read x; exit 3"): _prints(b"0123456789", b"abc", code=3),
    ("sh", "-c", "printf 0123456789abcdef; exec sleep 1000"): _prints(b"0123456789abcdef"),
    ("sh", "-c", "printf 0123456789; exec sleep 1000"): _prints(b"0123456789"),
    (
        "sh", "-c", "printf 'caf\\303'; read x; printf '\\251 '; read x; printf '\\377'; read x; printf 'x\\342\\202'; read x"
    ): _prints(b"caf\xc3", b"\xa9 ", b"\xff", b"x\xe2\x82", then_reads=True),
    ("sh", "-c", "printf '\\303\\251\\303\\251'; printf '\\377' >&2; read x"): _prints(b"\xc3\xa9" * 2, 2, b"\xff", then_reads=True),
    ("sh", "-c", "test -z \"$NOTIFY_SOCKET\""): lambda job: 0,
    "perl": _tells_ready,
    ("sh", "-c", "trap 'exit 6' TERM; echo; while :; do sleep 1; done"): _exits_on("TERM", 6),
}


class ScriptedPipes:
    """A scripted server over two pipes."""

    def __init__(self) -> None:
        theirs, ours = os.pipe()
        self.stdin = open(ours, "wb", 0)
        reader, writer = os.pipe()
        self.stdout = open(reader, "rb", 0)
        self._thread = threading.Thread(
            target=serve, args=(theirs, writer, PROGRAMS), kwargs={"containment": "subreaper"}, daemon=True
        )
        self._thread.start()

    def wait(self) -> int:
        self._thread.join(DEADLINE)
        return 1 if self._thread.is_alive() else 0


@unittest.skipUnless(os.path.exists(_SCRIPT), "SUPERVISE_CONFORMANCE does not say where conformance.jsonl is")
class TestScriptedConformance(Case):
    def test_all(self) -> None:
        for steps in conversations("subreaper"):
            if steps[0]["conversation"] in LEFT_OUT or not all(map(known, steps)):
                continue
            with self.subTest(steps[0]["conversation"]):
                replay = Replay(ScriptedPipes())
                try:
                    for step in steps:
                        replay.do(step)
                finally:
                    replay.close()

    def test_how_many(self) -> None:
        """So that none is left out unseen: those that name a command which no program here stands for."""
        held = [steps[0]["conversation"] for steps in conversations("subreaper") if all(map(known, steps))]
        self.assertGreaterEqual(len(set(held) - LEFT_OUT), 30)


def known(step: Dict[str, Any]) -> bool:
    """Whether what a step runs is there, or nothing is to run."""
    message = step.get("send")
    if not isinstance(message, dict) or message.get("method") != "spawn" or not isinstance(message.get("params"), dict):
        return True
    params = message["params"]
    commands = [params.get("argv"), *(one.get("argv") for one in params.get("pipeline") or () if isinstance(one, dict))]
    return all(not isinstance(argv, list) or argv[:1] != ["sh"] or tuple(map(str, argv)) in PROGRAMS for argv in commands)


class TestScriptedServer(Case):
    """As a user's tests have it."""

    def serve(self, programs: Any = None, **options: Any) -> Supervisor:
        server = ScriptedServer(programs, **options)
        self.addCleanup(server.close)
        supervisor = server.supervisor()
        self.addCleanup(supervisor.close)
        self.server = server
        return supervisor

    def test_run(self) -> None:
        seen: List[Any] = []

        def judge(job: ScriptedJob) -> int:
            seen.append((job.argv, job.env.get("A"), job.cwd, job.read()))
            job.write("out\n")
            job.write("err\n", 2)
            job.record["cpu"]["total_s"] = 1.5
            job.record["oom_killed"] = True
            return 3

        supervisor = self.serve({"./judge": judge})
        done = supervisor.run(["./judge", "x"], input="in", text=True, capture_output=True, env={"A": "b"}, cwd="/", memory_max="1G")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (3, "out\n", "err\n"))
        self.assertEqual((done.record.cause, done.record.cpu.total_s, done.record.oom_killed), ("exited", 1.5, True))
        self.assertEqual(done.record.limits[0].name, "memory-max")
        self.assertEqual(seen, [(["./judge", "x"], "b", "/", b"in")])
        with self.assertRaises(CommandNotFound) as caught:
            supervisor.run(["no-such-command"])
        self.assertEqual(caught.exception.filename, "no-such-command")

    def test_timeout(self) -> None:
        def slow(job: ScriptedJob) -> int:
            job.write("began")
            job.time_out()

        supervisor = self.serve({"slow": slow})
        with self.assertRaises(supervise_api.TimeoutExpired) as caught:
            supervisor.run(["slow"], timeout=1000, capture_output=True)
        self.assertEqual((caught.exception.stdout, caught.exception.record.cause), (b"began", "timeout"))
        with self.assertRaises(supervise_api.TimeoutExpired):
            supervisor.run(["sleep", "1000"], timeout=0.01)

    def test_descriptors(self) -> None:
        supervisor = self.serve()
        with supervisor.spawn(["cat"], stdin=PIPE, stdout=PIPE, text=True) as job:
            job.stdin.write("text\n")
            job.stdin.close()
            self.assertEqual(job.stdout.read(), "text\n")
        with tempfile.TemporaryFile() as file:
            supervisor.run(["echo", "to a file"], stdout=file)
            file.seek(0)
            self.assertEqual(file.read(), b"to a file\n")

    def test_streams(self) -> None:
        supervisor = self.serve()
        job = supervisor.spawn(["cat"], stdin=INPUT, stdout=Capture(window=3), keep=6)
        job.stdin.write(b"one\ntwo\n")
        job.stdin.close()
        self.assertEqual(job.stdout.read(), b"one\ntwo\n")
        self.assertEqual((job.output(), job.output().where.offset), (b"e\ntwo\n", 2))
        job.forget()
        self.assertRaises(JobGone, job.output)

    def test_slow_job(self) -> None:
        """A program that does not read makes the owner wait, and one that closes its input is a broken pipe."""

        def closes(job: ScriptedJob) -> int:
            job.read(1)
            job.close_input()
            job.wait()

        job = self.serve({"closes": closes}).spawn(["closes"], stdin=INPUT)
        with self.assertRaises(BrokenPipeError):
            job.stdin.write(bytes(1 << 20))
        killed = job.kill(wait=True)
        self.assertEqual([one.pid for one in killed.processes] if killed else None, [job.pid])

    def test_ready_and_signals(self) -> None:
        def server(job: ScriptedJob) -> int:
            job.trap("TERM", "HUP")
            job.ready("serving")
            self.assertEqual(job.next_signal(), "HUP")
            job.write("reloaded")
            job.next_signal()
            return 0

        supervisor = self.serve({"server": server})
        job = supervisor.spawn(["server"], notify=["ready"], stdout=Capture(window=100))
        self.assertEqual(job.ready(DEADLINE), "serving")
        job.signal("HUP")
        self.assertEqual(job.stdout.read(8), b"reloaded")
        job.kill(grace=DEADLINE)
        self.assertEqual((job.wait(DEADLINE).cause, job.returncode), ("killed", 0))
        self.assertRaises(NotReady, supervisor.spawn(["true"], notify=["ready"]).ready, DEADLINE)

    def test_terminal(self) -> None:
        def shell(job: ScriptedJob) -> int:
            job.trap("WINCH")
            job.write("$ ")
            line = job.readline()
            job.next_signal()
            job.write("{} {}".format(line.decode().strip(), job.size))
            return 0

        job = self.serve({"shell": shell}).spawn(["shell"], pty=(1, 2), text=True)
        assert job.terminal
        self.assertEqual(job.terminal.read(), "$ ")
        job.terminal.write("hi\n")
        job.terminal.resize(3, 4)
        self.assertEqual(job.terminal.read(), "hi (3, 4)")

    def test_a_program_that_fails(self) -> None:
        """It is told as by Python, on stderr."""

        def fails(job: ScriptedJob) -> int:
            raise ValueError("a mistake")

        done = self.serve({"fails": fails}).run(["fails"], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr.splitlines()[-1]), (1, "ValueError: a mistake"))

    def test_containment(self) -> None:
        supervisor = self.serve(containment="subreaper")
        self.assertRaises(Unsupported, supervisor.run, ["true"], limits={"pids-max": 3})

    def test_pipeline(self) -> None:
        def upper(job: ScriptedJob) -> int:
            job.write(job.argv[0] + job.read().decode().upper())
            return 3

        done = self.serve({"upper": upper}).run(pipeline=[["echo", "a"], ["upper"], ["cat"]], capture_output=True)
        self.assertEqual((done.returncode, done.stdout, len(done.commands or [])), (3, b"upperA\n", 3))

    def test_end(self) -> None:
        """The end of the server is that of a supervisor that was killed."""
        supervisor = self.serve()
        job = supervisor.spawn(["sleep", "1000"])
        self.server.close()
        with self.assertRaises(Exception) as caught:
            supervisor.run(["true"])
        self.assertIsInstance(caught.exception, supervise_api.SupervisorLost)
        self.assertEqual(job.wait().cause, "owner-gone")

    def test_async(self) -> None:
        async def test(address: str) -> None:
            async with AsyncSupervisor(address=address) as supervisor:
                done = await asyncio.gather(*[supervisor.run(["echo", str(n)], stdout=PIPE) for n in range(20)])
                self.assertEqual([one.stdout for one in done], ["{}\n".format(n).encode() for n in range(20)])

        with ScriptedServer() as server:
            asyncio.run(test(server.address))
