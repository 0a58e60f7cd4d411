"""What the tests of supervise serve's clients stand on."""

import os
import select
import unittest
from typing import Any, List, Sequence

from supervise_api import Supervisor

from .case import DEADLINE, Case

#: A command that starts a daemon, in two forks and with setsid, and ends.
DAEMON = ["sh", "-c", "(setsid sh -c 'echo $$; exec sleep 100000' &) & wait"]


class ServeCase(Case):
    """A test with a supervisor; the subclasses of its class say how that holds jobs."""

    flags: List[str] = []

    def start(self, **options: Any) -> Supervisor:
        """Start a supervisor that is closed at the latest when the test ends."""
        supervisor = Supervisor(self.flags, **options)
        self.addCleanup(supervisor.close)
        return supervisor

    def need_cgroup(self, supervisor: Any) -> None:
        if supervisor.containment != "cgroup":
            raise unittest.SkipTest("jobs have no cgroup here: {}".format(supervisor.containment_reason))


def need_controllers(test: unittest.TestCase, supervisor: Any, names: Sequence[str]) -> None:
    if not set(names) <= set(supervisor.controllers):
        test.skipTest("no controllers here")


def pid_ends(pid: int) -> "PidWatch":
    return PidWatch(pid)


class PidWatch:
    """A process that is not our child, by a descriptor that tells of its end (Linux 5.3)."""

    def __init__(self, pid: int) -> None:
        libc_open = getattr(os, "pidfd_open", None)  # Python 3.9
        if libc_open is None:
            raise unittest.SkipTest("os.pidfd_open")
        self._fd = libc_open(pid)

    def wait(self) -> None:
        """Wait until it has ended."""
        try:
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            if not poll.poll(DEADLINE * 1000):
                raise AssertionError("it lives on")
        finally:
            os.close(self._fd)
