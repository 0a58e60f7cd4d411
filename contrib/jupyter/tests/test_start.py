"""What becomes of a kernel whose start fails half-way, and of the number of one that has ended."""

import logging
import os
import signal
import subprocess
import threading
import unittest
from typing import Any, List
from unittest import mock

from jupyter_client.session import Session
from supervise_api import DEVNULL, Supervisor

from .case import Case, Process
from supervise_jupyter.group import Group
from supervise_jupyter.kernel import Kernel, Place

#: The pid that the kernel gave away last, which root may set.
LAST_PID = "/proc/sys/kernel/ns_last_pid"


class TestStart(Case):
    def test_undone(self) -> None:
        """What was started before the error is ended, whichever step it is."""
        for step in ("StandIn", "Cell", "threading.Thread"):
            with self.subTest(step=step):
                threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
                supervisor = Supervisor()
                started: List[Process] = []

                def fails(*args: Any, **kwargs: Any) -> None:
                    started.append(Process(supervisor.list()[0].pid))
                    raise OSError("no descriptor is left")

                place = Place("ipc://{}/iopub".format(self.directory), Session(key=b"key"), True)
                with mock.patch("supervise_jupyter.kernel." + step, fails), self.assertRaisesRegex(OSError, "no descriptor"):
                    Kernel(supervisor, ["sleep", "100000"], {"stdin": DEVNULL}, place, logging.getLogger())
                self.assertFalse(started.pop().alive())
                self.assertEqual((threading.active_count(), len(os.listdir("/proc/self/fd"))), (threads, descriptors))


class TestGroup(unittest.TestCase):
    def test_signal(self) -> None:
        with subprocess.Popen(["sh", "-c", "sleep 100000 & wait"], start_new_session=True) as leader:
            group = Group(leader.pid)
            group.signal(signal.SIGTERM)
            self.assertEqual(leader.wait(), -signal.SIGTERM)
            group.close()

    def test_members(self) -> None:
        """The group is signalled, not the leader alone."""
        script = "trap '' TERM; sleep 100000; echo over"  # which the end of sleep ends
        with subprocess.Popen(["sh", "-c", "echo; " + script], start_new_session=True, stdout=subprocess.PIPE) as leader:
            assert leader.stdout is not None
            leader.stdout.readline()
            group = Group(leader.pid)
            group.signal(signal.SIGKILL)
            leader.stdout.read()  # of which sleep has a copy
            group.close()

    def test_recycled(self) -> None:
        """A process that has the number by now is not signalled."""
        with subprocess.Popen(["sleep", "100000"], start_new_session=True) as leader:
            group = Group(leader.pid)
            leader.kill()
        stranger = self._with_pid(leader.pid)
        try:
            self.assertEqual(os.getpgid(stranger.pid), leader.pid)
            group.signal(signal.SIGHUP)
            os.kill(stranger.pid, signal.SIGINT)  # of two signals that wait the lower one comes first
            self.assertEqual(stranger.wait(), -signal.SIGINT)
        finally:
            stranger.kill()
            stranger.wait()
            group.close()

    def _with_pid(self, pid: int) -> "subprocess.Popen[bytes]":
        """Return a process that leads a group and has that number."""
        for _ in range(1000):  # others start processes too
            try:
                with open(LAST_PID, "w") as file:
                    file.write(str(pid - 1))
            except OSError as e:
                self.skipTest("choosing a pid takes root: {}".format(e))
            child = subprocess.Popen(["sleep", "100000"], start_new_session=True)
            if child.pid == pid:
                return child
            child.kill()
            child.wait()
        self.skipTest("the number was never free")


if __name__ == "__main__":
    unittest.main()
