"""What Supervisor and AsyncSupervisor have in common."""

from typing import List, Optional, Union

from .asyncconnection import AsyncConnection
from .connection import Connection


class BaseSupervisor:
    """What supervisors have in common, be they waited for with asyncio or without."""

    _connection: Union[Connection, AsyncConnection]

    @property
    def server(self) -> str:
        """The server's name: "supervise" and its version."""
        return self._connection.greeting.server

    @property
    def pid(self) -> int:
        """Its pid."""
        return self._connection.greeting.pid

    @property
    def containment(self) -> str:
        """How it holds jobs: cgroup or subreaper."""
        return self._connection.greeting.containment

    @property
    def containment_reason(self) -> Optional[str]:
        """Why jobs are not in a cgroup, or in a shared one."""
        return self._connection.greeting.containment_reason

    @property
    def cgroup(self) -> Optional[str]:
        """The directory that its jobs are below; None without cgroups."""
        return self._connection.greeting.cgroup

    @property
    def controllers(self) -> List[str]:
        """What limits and numbers are to be had of."""
        return list(self._connection.greeting.controllers)

    @property
    def features(self) -> List[str]:
        """What else is to be had here: see "Features" in protocol/SERVE.md."""
        return list(self._connection.greeting.features)

    def fileno(self) -> int:
        """Return the descriptor of the connection, which is readable when there is news; -1 if it is over."""
        return self._connection.talk.socket.fileno()
