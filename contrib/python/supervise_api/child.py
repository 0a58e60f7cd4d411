"""Children of this process that the caller does not wait for itself."""

import os
from collections import deque
from typing import Deque, Optional


class Child:
    """A child process, told apart from a later one with the same pid."""

    def __init__(self, pid: int) -> None:
        """Know a child that was just made."""
        self.pid = pid
        self._born = _born(pid)

    def collected(self) -> bool:
        """Whether it has ended and was waited for, by us now or by the caller before."""
        if self._born is None or _born(self.pid) != self._born:
            return True
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True

    def wait(self) -> None:
        """Wait until it has ended."""
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:  # the caller was faster, or SIGCHLD is ignored
            pass

    def collect_later(self) -> None:
        """Have collect_ended wait for it when it has ended. Until then the caller may wait for it, as for any child."""
        _later.append(self)


_later: Deque[Child] = deque()


def collect_ended() -> None:
    """Wait for those that have ended meanwhile."""
    for _ in range(len(_later)):
        try:
            child = _later.popleft()
        except IndexError:  # another thread does the same
            return
        if not child.collected():
            _later.append(child)


def _born(pid: int) -> Optional[bytes]:
    """Return when a process was started, in clock ticks since the boot (/proc/PID/stat, field 22)."""
    try:
        with open("/proc/{}/stat".format(pid), "rb", buffering=0) as stat:
            return stat.read(4096).rpartition(b")")[2].split()[19]
    except (OSError, IndexError):
        return None
