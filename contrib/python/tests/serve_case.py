"""What the tests of supervise serve's clients stand on."""

import unittest
from typing import Any, List

from supervise_api import Supervisor

from .case import Case


class ServeCase(Case):
    """A test with a supervisor; the subclasses of its class say how that holds jobs."""

    flags: List[str] = []

    def start(self) -> Supervisor:
        """Start a supervisor that is closed at the latest when the test ends."""
        supervisor = Supervisor(self.flags)
        self.addCleanup(supervisor.close)
        return supervisor

    def need_cgroup(self, supervisor: Any) -> None:
        if supervisor.containment != "cgroup":
            raise unittest.SkipTest("jobs have no cgroup here: {}".format(supervisor.containment_reason))
