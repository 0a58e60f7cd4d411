"""Kernels that end in all the ways that users know, with real clients."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import unittest
from typing import Any

import supervise_api
from jupyter_client.manager import KernelManager

from .case import DEADLINE, Case, Process

#: Starts a kernel with a daemon, says who they are, and waits to be killed.
CLIENT = """
import sys
from tests.case import DAEMON, Case

case = Case()
case.setUp()
manager = case.manager(sys.argv[1])
client = case.client(manager)
kernel = case.printed(client, "import os; print(os.getpid())")
print(int(kernel), int(case.printed(client, DAEMON.format("SIG_DFL"))), flush=True)
sys.stdin.read()
"""


class TestKernels(Case):
    def test_restart_and_shutdown(self) -> None:
        manager = self.manager()
        client = self.client(manager)
        for now in (False, True):
            with self.subTest(now=now):
                daemon = self.daemon(client, "SIG_IGN")
                self.printed(client, "a = 1")
                manager.restart_kernel(now=now)
                self.assertFalse(daemon.alive(), "the new kernel runs beside what the old one has started")
                client.wait_for_ready(timeout=DEADLINE)
                self.assertIn("NameError", self.printed(client, "a"))
        daemon = self.daemon(client, "SIG_IGN")
        manager.shutdown_kernel()
        self.assertFalse(daemon.alive())
        self.assertFalse(manager.has_kernel)

    def test_without_us(self) -> None:
        """What becomes of the daemon without supervise: else the other tests would show nothing."""
        manager = self.manager("local-provisioner")
        daemon_pid = int(self.printed(self.client(manager), "import subprocess; print(subprocess.Popen(['sleep', '100000'], start_new_session=True).pid)"))
        daemon = Process(daemon_pid)
        try:
            manager.shutdown_kernel(now=True)
            self.assertTrue(daemon.alive())
        finally:
            os.kill(daemon_pid, signal.SIGKILL)

    def test_interrupt(self) -> None:
        manager = self.manager()
        client = self.client(manager)
        daemon, background = self.daemon(client), self.daemon(client, "SIG_IGN")
        request = client.execute("print('runs'); import time; time.sleep(100000)", stop_on_error=False)
        self.shown(client, request, "stream")
        manager.interrupt_kernel()
        self.assertEqual(self.shown(client, request, "error")["ename"], "KeyboardInterrupt")
        self.assertTrue(daemon.wait(), "what a cell has started goes on after the interrupt")
        self.assertTrue(background.alive())  # which wants to hear nothing of interrupts
        self.assertEqual(self.printed(client, "print('lives')"), "lives\n")
        self._interrupt_as_jupyter(manager, client)

    def _interrupt_as_jupyter(self, manager: KernelManager, client: Any) -> None:
        self.provisioner(manager).interrupt_all = False
        daemon = self.daemon(client)
        request = client.execute("import subprocess; print('runs'); subprocess.call(['sleep', '100000'])", stop_on_error=False)
        self.shown(client, request, "stream")
        manager.interrupt_kernel()
        self.assertEqual(self.shown(client, request, "error")["ename"], "KeyboardInterrupt")
        self.assertTrue(daemon.alive())

    def test_client_killed(self) -> None:
        kernel, daemon = self._kill_client("supervise-provisioner")
        self.assertTrue(kernel.wait(), "the kernel has outlived its client")
        self.assertTrue(daemon.wait(), "the daemon has outlived the kernel")

    def _kill_client(self, provisioner: str) -> Any:
        argv = [sys.executable, "-c", CLIENT, provisioner]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            processes = [Process(int(pid)) for pid in client.stdout.readline().split()]
            self.assertEqual([one.alive() for one in processes], [True, True])
            client.kill()
        return processes

    def test_crash(self) -> None:
        manager = self.manager()
        client = self.client(manager)
        daemon = self.daemon(client)
        request = client.execute("import time; print('runs'); time.sleep(100000)")
        self.shown(client, request, "stream")
        os.kill(self.provisioner(manager).pid, signal.SIGSEGV)
        error = self.shown(client, request, "error")
        self.assertIn("signal SIGSEGV", error["evalue"])
        self.assertIn("sleep", error["evalue"])  # it is among what ended with the kernel
        self.assertFalse(daemon.alive())
        manager.restart_kernel(now=True)  # as Jupyter's restarter does: same ports
        client.wait_for_ready(timeout=DEADLINE)
        self.assertEqual(self.printed(client, "print('lives')"), "lives\n")

    def test_exit(self) -> None:
        """A kernel that ends by itself while nobody listens is dead all the same."""
        manager = self.manager()
        client = self.client(manager)
        client.execute("import os; os._exit(3)")
        client.stop_channels()
        until = time.monotonic() + DEADLINE
        while manager.is_alive():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)  # there is nothing to wait for: Jupyter asks again and again
        self.assertEqual(asyncio.run(self.provisioner(manager).wait()), 3)

    def test_any_name(self) -> None:
        """A kernel's display name may be anything, such as that of a path."""
        manager = self.described("supervise-provisioner")
        spec = manager.kernel_spec
        assert spec is not None
        spec.display_name = "Python 3 (/opt/a)\n" + "é" * 300
        manager.start_kernel()
        self.addCleanup(manager.shutdown_kernel, now=True)
        self.assertEqual(self.printed(self.client(manager), "print(1)"), "1\n")

    def test_refused(self) -> None:
        with self.assertRaisesRegex(supervise_api.Unsupported, "needs a cgroup"):
            self.manager(limits={"memory-max": "1G"}, contain="subreaper")

    def test_unknown_option(self) -> None:
        with self.assertRaisesRegex(ValueError, "no option 'memory'"):
            self.manager(memory="1G")


if __name__ == "__main__":
    unittest.main()
