"""A kernel that is ended for memory: what the notebook shows of it."""

import os
import signal
import subprocess
import time
import unittest
from typing import Any, Dict, Optional

import supervise_api
from supervise_api.testing import Program, ScriptedJob, ScriptedServer

from .case import DEADLINE, Case
from supervise_jupyter.reason import reason_of, size

LIMIT = 300 << 20

#: Holds more than the limit, all of it written to.
EATS = "print('runs'); import time; time.sleep(1); a = b'x' * {}".format(2 * LIMIT)

#: Waits to be killed.
WAITS = "import os, time; print(os.getpid()); time.sleep(100000)"


class TestMemory(Case):
    def test_limit(self) -> None:
        """The kernel's own OOM killer, where there is a memory controller; else the limit is refused, which the user sees too."""
        try:
            manager = self.manager(memory_max="300M")
        except (supervise_api.LimitRefused, supervise_api.Unsupported) as e:
            self.assertRegex(str(e), "memory|needs a cgroup")
            self.skipTest("no memory controller: see test_scripted")
        self._check(manager, EATS)

    def test_scripted(self) -> None:
        """The same where a scripted server says so of a kernel that runs: all but the kill by Linux is as it is with a limit."""
        with ScriptedServer() as server:
            setattr(server, "find", lambda argv: _kernel)
            manager = self.manager(memory_max="300M", address=server.address)
            self._check(manager, WAITS)
            manager.shutdown_kernel(now=True)

    def _check(self, manager: Any, code: str) -> None:
        client = self.client(manager)
        self.printed(client, "1 + 1")  # another cell, which is not the one that ended it
        request = client.execute(code)
        text = self.shown(client, request, "stream")["text"]
        if code == WAITS:
            os.kill(int(text), signal.SIGKILL)
        error = self.shown(client, request, "error")
        self.assertEqual(error["ename"], "MemoryLimit")
        self.assertIn("memory_max = 300M", error["evalue"])
        self.assertEqual(error["traceback"], ["MemoryLimit: " + error["evalue"]])
        manager.restart_kernel(now=True)
        client.wait_for_ready(timeout=DEADLINE)
        self.assertEqual(self.printed(client, "print('lives')"), "lives\n")


def _kernel(job: ScriptedJob) -> int:
    """Be a kernel, ended by Linux for memory if SIGKILL ends it."""
    limit = {"name": "memory-max", "file": "memory.max", "value": str(LIMIT)}
    with subprocess.Popen(job.argv, start_new_session=True) as kernel:
        job.trap("INT")
        try:
            while kernel.poll() is None:
                job.write(b"")  # raises when the job was killed
                time.sleep(0.05)
        finally:
            kernel.kill()
    if kernel.returncode != -signal.SIGKILL:
        return 0
    job.record.update(cause="oom", oom_killed=True, oom={"by": "job", "cgroup": None, "kills": 1}, limits=[limit])
    job.die("KILL")


class TestReason(unittest.TestCase):
    def _text(self, **changes: Any) -> str:
        with ScriptedServer({"kernel": _dies(changes)}) as server, server.supervisor() as supervisor:
            return reason_of(supervisor.spawn(["kernel"]).wait()).text

    def test_whose_memory(self) -> None:
        around = {"by": "ancestor", "cgroup": "/user.slice", "kills": 1}
        self.assertIn("the limit of memory of /user.slice", self._text(cause="oom", oom_killed=True, oom=around))
        machine = {"by": "machine", "cgroup": None, "kills": 1}
        self.assertIn("this machine had no memory left", self._text(cause="oom", oom_killed=True, oom=machine))
        oomd = {"by": "systemd-oomd", "cgroup": None, "kills": None}
        self.assertIn("systemd-oomd", self._text(cause="oom", oom_killed=True, oom=oomd))

    def test_others(self) -> None:
        self.assertIn("exited with status 3", self._text())
        self.assertIn("processor time", self._text(cause="cpu-timeout"))
        self.assertIn("its time (timeout) is over after 0 s", self._text(cause="timeout"))

    def test_size(self) -> None:
        self.assertEqual([size(n) for n in (1000, 1 << 10, 300 << 20, 3 << 29)], ["1000", "1K", "300M", "1.5G"])


def _dies(changes: Dict[str, Any]) -> Program:
    def program(job: ScriptedJob) -> Optional[int]:
        job.record.update(changes)
        return 3

    return program


if __name__ == "__main__":
    unittest.main()
