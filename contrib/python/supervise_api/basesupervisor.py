"""What Supervisor and AsyncSupervisor have in common."""

from typing import Any, List, Mapping, Optional

from .conversation import Conversation
from .server import Server


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
