"""What jupyter_client calls to start, interrupt and end a kernel."""

import asyncio
import os
import signal
from typing import Any, Dict, List, Mapping, Optional, cast

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_client.session import Session
from supervise_api import DEVNULL, Supervisor
from supervise_api.descriptors import is_valid_fd
from supervise_api.options import LimitValue, SpawnOptions
from traitlets import Any as AnyTrait
from traitlets import Bool, Dict as DictTrait, Float, Unicode

from .kernel import Kernel, Place


class SuperviseProvisioner(LocalProvisioner):  # type: ignore[misc]  # whose metaclass mypy does not see
    """Runs a kernel as a job of `supervise`. Its options are in the kernelspec, or for all kernels in Jupyter's configuration."""

    memory_max = AnyTrait(None, allow_none=True, config=True, help="Memory of the kernel and all that it starts: \"2G\", or bytes.")
    cpus = AnyTrait(None, allow_none=True, config=True, help="Processors that it may use: 1.5")
    pids_max = AnyTrait(None, allow_none=True, config=True, help="Processes and threads that it may have.")
    limits = DictTrait(config=True, help="Further limits, by the names of the flags of `supervise run`: {\"io-max\": ...}")
    best_effort = Bool(False, config=True, help="Start the kernel without the limits that cannot be had here, and log which.")
    timeout = Float(None, allow_none=True, config=True, help="Seconds after which the kernel ends.")
    cpu_timeout = Float(None, allow_none=True, config=True, help="Seconds of processor time after which it ends.")
    interrupt_all = Bool(True, config=True, help="""Interrupt all processes of the kernel, those in sessions of their own too;
        else those of its process group, as Jupyter does.""")
    contain = Unicode("", config=True, help="\"cgroup\": start no kernel where there is no cgroup for it.")
    address = Unicode("", config=True, help="The socket of a `supervise serve` that is to run it; else one is started.")

    _kernel: Optional[Kernel] = None

    def __init__(self, **options: Any) -> None:
        """Take the options of the kernelspec. ValueError: there is no such option."""
        for name in options:
            if not self.has_trait(name):
                raise ValueError("supervise-provisioner has no option {!r}".format(name))
        super().__init__(**options)

    @property
    def has_process(self) -> bool:
        """Whether a kernel was started, and its end was not waited for yet."""
        return self._kernel is not None

    async def poll(self) -> Optional[int]:
        """Return the kernel's exit status; None: something of it is alive."""
        return 0 if self._kernel is None else self._kernel.poll()

    async def wait(self) -> Optional[int]:
        """Wait until nothing of the kernel is alive, and return its exit status."""
        kernel = self._kernel
        if kernel is None:
            return 0
        while kernel.poll() is None:  # a future would be of one loop, and cancelled by a caller that waits for a time
            await asyncio.sleep(0.05)
        self._close()
        return kernel.poll()

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel and its processes; 0 does nothing."""
        if self._kernel is None or signum == 0:
            return
        if signum == signal.SIGINT:
            self._kernel.interrupt(self.interrupt_all)
        elif signum == signal.SIGKILL:
            self._kernel.kill()
        else:
            self._kernel.signal(signum)

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Hear that the kernel was asked to end."""
        if self._kernel is not None:
            self._kernel.expect_end()

    async def terminate(self, restart: bool = False) -> None:
        """Send SIGTERM to all processes of the kernel."""
        if self._kernel is not None:
            self._kernel.expect_end()
            self._kernel.signal(signal.SIGTERM)

    async def kill(self, restart: bool = False) -> None:
        """End everything of the kernel."""
        if self._kernel is not None:
            self._kernel.kill()

    async def cleanup(self, restart: bool = False) -> None:
        """End what is left, also if the end was not waited for."""
        self._close()
        await super().cleanup(restart=restart)

    async def launch_kernel(self, cmd: List[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel. Of the arguments for Popen env, cwd, stdout and stderr are taken."""
        self._close()
        flags = ["--contain=" + self.contain] if self.contain else []
        supervisor = Supervisor(flags, address=self.address or None)
        self._kernel = Kernel(supervisor, cmd, self._options(kwargs), self._place(), self.log)
        self.pid = self.pgid = self._kernel.pid
        return self.connection_info

    def _close(self) -> None:
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            kernel.close()

    def _options(self, kwargs: Mapping[str, Any]) -> SpawnOptions:
        if kwargs.get("independent"):
            self.log.warning("supervise-provisioner: a kernel that is independent ends with this process too")
        environ = {**(kwargs.get("env") or os.environ), "JPY_PARENT_PID": "1"}
        options: SpawnOptions = {
            "env": environ,  # ipykernel asks each second whether its parent lives; with 1 it does not: supervise ends it
            "cwd": kwargs.get("cwd"),
            "stdin": DEVNULL,
            "stdout": _ours(1, kwargs.get("stdout")),
            "stderr": _ours(2, kwargs.get("stderr")),
            "limits": self._limits(),
            "best_effort": self.best_effort,
            "timeout": self.timeout,
            "cpu_timeout": self.cpu_timeout,
            "name": job_name("jupyter " + (getattr(self.kernel_spec, "display_name", "") or "kernel")),
            "tags": {"jupyter.kernel": self.kernel_id or ""},
        }
        return options

    def _limits(self) -> Dict[str, LimitValue]:
        named = {"memory-max": self.memory_max, "cpus": self.cpus, "pids-max": self.pids_max}
        return {**{name: value for name, value in named.items() if value is not None}, **self.limits}

    def _place(self) -> Place:
        info = cast(Dict[str, Any], self.connection_info)
        separator = "-" if info["transport"] == "ipc" else ":"
        address = "{}://{}{}{}".format(info["transport"], info["ip"], separator, info["iopub_port"])
        return Place(address, Session(key=info["key"], signature_scheme=info["signature_scheme"]), not self.address)


def job_name(text: str) -> str:
    """Return a text without what no job may have in its name, and no longer than that may be."""
    plain = text.translate({ord("/"): "-", ord("\n"): " ", 0: " "})
    return plain.encode(errors="replace")[:255].decode(errors="ignore")


def _ours(fd: int, what: Any) -> Any:
    """Return what a descriptor of the kernel is to be: our own if nothing was said."""
    if what is not None:
        return what
    return fd if is_valid_fd(fd) else DEVNULL
