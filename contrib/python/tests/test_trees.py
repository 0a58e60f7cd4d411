import os
import signal
import subprocess
import sys
import unittest
from typing import Optional

from supervise_api import ChildCode, Process, SupervisorLost
from supervise_api.deadline import Deadline

from .case import DEADLINE, FOREVER, Case, read_all, read_until

# One command put into the background five ways.
FIVE_WAYS = "{{ {0} & {0} & }} & {{ {0} & {0} & }} & {{ {{ {{ {0} & }} & }} & }} &"


def settled(process: Process) -> None:
    """Wait until the supervisor is at work: it answers, and so has its guardian and its cgroup, if there are any."""
    process.send_signal(signal.SIGSTOP)
    for code in ChildCode.STOPPED, ChildCode.CONTINUED:
        while True:
            process._wait_readable(Deadline(None))
            event = process.get_event()
            if event is not None and event.pid == process.pid and event.code is code:
                break
        if code is ChildCode.STOPPED:
            process.send_signal(signal.SIGCONT)


class TestTrees(Case):
    """However it daemonizes, what the command has started is killed."""

    def multifork(self, command: str, kill_main: bool = True) -> None:
        script = FIVE_WAYS.format("{ echo started; " + command + "; }")
        started, out = os.pipe()
        exited, writer = os.pipe()
        process = Process(["sh", "-c", script], fds={writer: writer, 1: out})
        os.close(out)
        os.close(writer)
        self.assertEqual(read_until(started, 5 * len("started\n")), 5 * "started\n")
        if kill_main:
            process.kill()  # it may have ended already
        self.assertEqual(process.wait(DEADLINE).pid, process.pid)
        process.close()
        self.assertEqual(read_all(exited), "")
        os.close(started)
        os.close(exited)

    def test_plain(self) -> None:
        self.multifork("sleep 100000")

    def test_nohup(self) -> None:
        self.multifork("nohup sleep 100000 2>/dev/null")

    def test_setsid(self) -> None:
        self.multifork("setsid sleep 100000")

    def test_nohup_and_setsid(self) -> None:
        self.multifork("nohup setsid sleep 100000 2>/dev/null", kill_main=False)

    def test_command_has_ended_long_since(self) -> None:
        """Orphans of orphans are told of, and wait_tree waits for them."""
        with Process(["sh", "-c", "(sleep 100000 & sleep 100000 &) & wait; exit 4"]) as process:
            self.assertEqual(process.wait(DEADLINE).exit_status, 4)
            self.assertFalse(process.childfree)
            with self.assertRaises(TimeoutError):
                process.wait_tree(0.0)
            event = process.kill_tree()
            assert event
            self.assertEqual(event.exit_status, 4)
            self.assertTrue(process.childfree)

    def test_kill_tree_waits(self) -> None:
        reader, writer = os.pipe()
        process = Process(["sh", "-c", FIVE_WAYS.format("setsid sleep 100000") + " echo; exec sleep 100000"], fds={1: writer})
        os.close(writer)
        read_until(reader, 1)
        event = process.kill_tree()
        assert event
        self.assertEqual(event.killed_with(), signal.SIGKILL)
        os.set_blocking(reader, False)
        self.assertEqual(os.read(reader, 1), b"")  # all processes that held it are dead
        os.close(reader)
        process.kill_tree()

    def test_collected_as_garbage(self) -> None:
        reader, writer = os.pipe()
        process: Optional[Process] = Process(FOREVER, fds={writer: writer})
        os.close(writer)
        del process
        self.assertEqual(read_all(reader), "")
        os.close(reader)

    def test_our_end(self) -> None:
        """When the program that started it ends, by SIGKILL too."""
        program = "import os, sys, supervise_api as s; p = s.Process(['sleep', '100000'], fds={1: 1}); "
        for end in "pass", "os._exit(1)", "os.kill(os.getpid(), 9)":
            text = subprocess.run([sys.executable, "-c", program + end], stdout=subprocess.PIPE, timeout=DEADLINE).stdout
            self.assertEqual(text, b"", end)

    def test_supervisor_killed(self) -> None:
        """kill -9 on the supervisor: wait raises, and the tree is gone all the same."""
        reader, writer = os.pipe()
        script = FIVE_WAYS.format("setsid sleep 100000") + " exec sleep 100000"
        process = Process(["sh", "-c", script], fds={writer: writer})
        os.close(writer)
        settled(process)
        os.kill(process.supervisor_pid, signal.SIGKILL)
        with self.assertRaises(SupervisorLost):
            process.wait(DEADLINE)
        with self.assertRaises(SupervisorLost):
            process.wait_tree(DEADLINE)
        self.assertTrue(process.closed())
        self.assertIsNone(process.kill_tree())
        self.assertEqual(read_all(reader), "")
        os.close(reader)

    def test_supervisor_killed_after_the_end(self) -> None:
        """The final event was heard of before."""
        process = Process(["sh", "-c", "sleep 100000 & exit 2"])
        self.assertEqual(process.wait(DEADLINE).exit_status, 2)
        os.kill(process.supervisor_pid, signal.SIGKILL)
        self.assertEqual(process.wait_tree(DEADLINE).exit_status, 2)
        self.assertEqual(process.wait(DEADLINE).exit_status, 2)

    def test_nested(self) -> None:
        """A job that supervises others."""
        program = "import supervise_api as s, os; p = s.Process(['sleep', '100000']); os.write(1, b'x'); p.wait()"
        reader, writer = os.pipe()
        with Process([sys.executable, "-c", program], fds={1: writer, writer: writer}) as process:
            os.close(writer)
            self.assertEqual(read_until(reader, 1), "x")
            process.kill_tree()
        self.assertEqual(read_all(reader), "")
        os.close(reader)


class TestContainment(Case):
    """Where the tests are told what containment there is, they find it."""

    def test_containment(self) -> None:
        expected = os.environ.get("SUPERVISE_CONTAINMENT")
        if not expected:
            raise unittest.SkipTest("SUPERVISE_CONTAINMENT does not say what is to be expected: cgroup or subreaper")
        with Process(FOREVER) as process:
            settled(process)
            moved = cgroup(process.pid) != cgroup(os.getpid())
            self.assertEqual(moved, expected == "cgroup", cgroup(process.pid))


def cgroup(pid: int) -> str:
    """Return a process's cgroup v2."""
    with open("/proc/{}/cgroup".format(pid)) as file:
        return next((line for line in file if line.startswith("0::")), "")
