"""The program `supervise serve`, or a connection to one."""

import contextlib
import os
import socket
import subprocess
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from .conversation import Conversation
from .spawn import supervise_location

Address = Union[str, "os.PathLike[str]"]


class Server:
    """A supervisor: one that we have started, or one that listens at a socket."""

    def __init__(self, flags: Sequence[str], address: Optional[Address]) -> None:
        """Start or connect; for errors see Supervisor."""
        self.environ: Optional[Mapping[str, str]] = None  # the supervisor's; None: not known
        self._process: Optional["subprocess.Popen[bytes]"] = None
        if address is not None:
            self.socket = _connect(address)
        else:
            self.environ = dict(os.environ)
            self.socket = self._start(flags)
        self.socket.setblocking(False)

    def _start(self, flags: Sequence[str]) -> socket.socket:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                argv, end = [supervise_location(), "serve", *flags], theirs.fileno()
                # In a session of its own Ctrl-C at our terminal does not reach it; it ends when we do.
                self._process = subprocess.Popen(argv, stdin=end, stdout=end, env=self.environ, start_new_session=True)
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
        self.cgroup: Optional[str] = result.get("cgroup")
        self.controllers: List[str] = result.get("controllers") or []
        self.features: List[str] = result.get("features") or []


class BaseSupervisor:
    """What supervisors have in common, be they waited for with asyncio or without."""

    _server: Server
    _talk: Conversation
    _greeting: Greeting

    @property
    def server(self) -> str:
        """Who it is: "supervise" and its version."""
        return self._greeting.server

    @property
    def pid(self) -> int:
        """Its pid."""
        return self._greeting.pid

    @property
    def containment(self) -> str:
        """How it holds jobs: cgroup or subreaper."""
        return self._greeting.containment

    @property
    def containment_reason(self) -> Optional[str]:
        """Why jobs are not in a cgroup, or in a shared one."""
        return self._greeting.containment_reason

    @property
    def cgroup(self) -> Optional[str]:
        """The directory that its jobs are below; None without cgroups."""
        return self._greeting.cgroup

    @property
    def controllers(self) -> List[str]:
        """What limits and numbers are to be had of."""
        return list(self._greeting.controllers)

    @property
    def features(self) -> List[str]:
        """What else is to be had here: see "Features" in protocol/SERVE.md."""
        return list(self._greeting.features)

    def fileno(self) -> int:
        """Return the descriptor of the connection, which is readable when there is news; -1 if it is over."""
        return self._talk.socket.fileno()


def given(**options: Any) -> Dict[str, Any]:
    """Return those parameters that were given."""
    return {name: value for name, value in options.items() if value is not None}
