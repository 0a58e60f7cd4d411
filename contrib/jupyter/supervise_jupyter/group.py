"""The process group that a process leads."""

import errno
import os
import select
import signal

#: Of pidfd_send_signal(2), since Linux 6.9: the group that the process leads.
_PROCESS_GROUP = 1 << 2


class Group:
    """A process group by its leader, whatever process has that number when the leader has ended."""

    def __init__(self, leader: int) -> None:
        """Hold on to a process that lives. AttributeError, OSError: Python before 3.9, or Linux before 5.3, has nothing to hold it by."""
        self._fd = os.pidfd_open(leader)
        self._leader = leader

    def signal(self, number: int) -> None:
        """Send a signal to all processes of the group, if there are any."""
        try:
            signal.pidfd_send_signal(self._fd, number, None, _PROCESS_GROUP)
        except OSError as e:
            if e.errno == errno.EINVAL and not select.select([self._fd], [], [], 0)[0]:
                os.killpg(self._leader, number)  # it lived a moment ago: its number is not another's yet
            elif e.errno not in (errno.EINVAL, errno.ESRCH):
                raise

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)
