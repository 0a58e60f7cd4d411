"""The program `supervise serve`, or a connection to one."""

import contextlib
import os
import socket
import subprocess
from typing import Any, List, Mapping, Optional, Sequence, Union

from .decoder import field
from .location import supervise_location
from .parameters import MAX_INPUT, Origin

Address = Union[str, "os.PathLike[str]"]


class Server:
    """A supervisor: one that we have started, or one that listens at a socket."""

    def __init__(self, flags: Sequence[str], address: Optional[Address]) -> None:
        """Start or connect; for errors see Supervisor."""
        self.origin: Optional[Origin] = None  # None: not known
        self._process: Optional["subprocess.Popen[bytes]"] = None
        if address is not None:
            self.socket = _connect(address)
        else:
            self.origin = Origin.here()
            self.socket = self._start(flags, self.origin.environ)
        self.socket.setblocking(False)

    def _start(self, flags: Sequence[str], environ: Mapping[str, str]) -> socket.socket:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                argv, end = [supervise_location(), "serve", *flags], theirs.fileno()
                # In a session of its own Ctrl-C at our terminal does not reach it; it ends when we do.
                self._process = subprocess.Popen(argv, stdin=end, stdout=end, env=environ, start_new_session=True)
        except BaseException:
            ours.close()
            raise
        return ours

    def end_input(self) -> None:
        """Have it end all jobs, and go on listening to it."""
        with contextlib.suppress(OSError):  # it has ended
            self.socket.shutdown(socket.SHUT_WR)

    def hang_up(self) -> None:
        """Have it end all jobs, and do not listen any more."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def wait(self) -> None:
        """Wait until the process has ended, which is when it has closed its socket."""
        if self._process is not None:
            self._process.wait()


def _connect(address: Address) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(os.fspath(address))
    except BaseException:
        sock.close()
        raise
    return sock


class Greeting:
    """What a supervisor said to hello."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        """Read it."""
        self.server: str = result["server"]
        self.pid: int = result["pid"]
        self.containment: str = result["containment"]
        self.containment_reason: Optional[str] = result.get("containment_reason")
        self.cgroup: Optional[str] = field(result, "cgroup")
        self.controllers: List[str] = result.get("controllers") or []
        self.features: List[str] = result.get("features") or []
        self.max_request: Optional[int] = result.get("max_request")
        self.max_input: int = result.get("max_input") or MAX_INPUT
