"""What the tests stand on: a kernelspec, a manager with a client, and processes that are looked for."""

import importlib.util
import json
import os
import select
import sys
import tempfile
import time
import unittest
from typing import Any, Dict, List, Optional, Type

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

#: Seconds that anything may take before the test fails.
DEADLINE = 60.0

#: The module of the kernel, and what its argument is called.
_KERNEL = ["ipykernel_launcher", "-f"] if importlib.util.find_spec("ipykernel") else ["tests.smallkernel"]

#: Prints the pid of a process that has left the kernel's session and process group, and ignores SIGINT if it is told so.
DAEMON = """
import signal, subprocess
daemon = subprocess.Popen(["sleep", "100000"], start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.{}))
print(daemon.pid, flush=True)
"""


class Process:
    """A process that is not ours, and its end."""

    def __init__(self, pid: int) -> None:
        self._fd = os.pidfd_open(pid)

    def alive(self) -> bool:
        """Whether it is alive now: a zombie is not."""
        return not select.select([self._fd], [], [], 0)[0]

    def wait(self) -> bool:
        """Wait for its end; say whether it has come in time."""
        return bool(select.select([self._fd], [], [], DEADLINE)[0])

    def __del__(self) -> None:
        os.close(self._fd)


class Case(unittest.TestCase):
    """A test with kernels."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def manager(self, provisioner: str = "supervise-provisioner", **config: Any) -> KernelManager:
        """Start a kernel, and return its manager; it is shut down at the end of the test."""
        manager = self.described(provisioner, **config)
        manager.start_kernel()
        self.addCleanup(lambda: manager.shutdown_kernel(now=True) if manager.has_kernel else None)
        return manager

    def described(self, provisioner: str, kind: Type[KernelManager] = KernelManager, **config: Any) -> KernelManager:
        """Return the manager of a kernel that was not started yet."""
        os.makedirs(os.path.join(self.directory, "test"), exist_ok=True)
        with open(os.path.join(self.directory, "test", "kernel.json"), "w") as file:
            json.dump(_spec(provisioner, config), file)
        specs = KernelSpecManager(kernel_dirs=[self.directory])
        if kind is not KernelManager:
            return kind(kernel_name="test", kernel_spec_manager=specs)
        # By files: of two suites at a time one may take the ports that the other's kernel had before a restart.
        return kind(kernel_name="test", kernel_spec_manager=specs, transport="ipc", ip=os.path.join(self.directory, "ipc"))

    def provisioner(self, manager: KernelManager) -> Any:
        """Return a manager's provisioner."""
        return manager.provisioner

    def client(self, manager: KernelManager) -> Any:
        """Return a client whose kernel is ready."""
        client: Any = manager.client()
        client.start_channels()
        self.addCleanup(client.stop_channels)
        client.wait_for_ready(timeout=DEADLINE)
        return client

    def printed(self, client: Any, code: str) -> str:
        """Run a cell, and return what it has printed."""
        text: List[str] = []

        def hear(message: Dict[str, Any]) -> None:
            text.append(message["content"].get("text") or "".join(message["content"].get("traceback", [])))

        client.execute_interactive(code, timeout=DEADLINE, output_hook=hear, stop_on_error=False)
        return "".join(text)

    def daemon(self, client: Any, sigint: str = "SIG_DFL") -> Process:
        """Have a cell start a process in a session of its own."""
        return Process(int(self.printed(client, DAEMON.format(sigint))))

    def shown(self, client: Any, request: str, kind: str) -> Dict[str, Any]:
        """Return what a front end shows in the cell of a request: the first message of a kind."""
        until = time.monotonic() + DEADLINE
        while True:
            message: Dict[str, Any] = client.get_iopub_msg(timeout=max(0, until - time.monotonic()))
            if message["msg_type"] == kind and message["parent_header"].get("msg_id") == request:
                content: Dict[str, Any] = message["content"]
                return content


def _spec(provisioner: str, config: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    return {
        "argv": [sys.executable, "-m", *_KERNEL, "{connection_file}"],
        "display_name": "test",
        "language": "python",
        "metadata": {"kernel_provisioner": {"provisioner_name": provisioner, "config": config}},
    }
