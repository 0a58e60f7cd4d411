"""What a supervisor tells of a process: one siginfo_t for each change of its status."""

import enum
import signal
import struct
from dataclasses import dataclass
from typing import Optional

from .errors import UncleanExit

# The C int signo, errno, code, padding, pid, uid, status at the start of a siginfo_t of 64-bit Linux, as waitid(2) fills it.
_SIGINFO = struct.Struct("=iiiiiIi")
_SIZE = 128  # of all of it


class ChildCode(enum.Enum):
    """How a process changed its status: the CLD_ constants of sigaction(2)."""

    EXITED = 1  #: it has exited
    KILLED = 2  #: a signal ended it
    DUMPED = 3  #: a signal ended it, and it has dumped core
    TRAPPED = 4  #: it is traced, and was trapped
    STOPPED = 5  #: a signal stopped it
    CONTINUED = 6  #: SIGCONT continued it


@dataclass
class ChildEvent:
    """A change of a process's status."""

    code: ChildCode
    pid: int
    uid: int  #: the process's real user
    exit_status: Optional[int]  #: 0 to 255; None unless it has exited
    signal: Optional[int]  #: a signal.Signals where Python has a name for it; None if it has exited

    @property
    def ended(self) -> bool:
        """Whether the process has ended, in whatever way. One that was stopped or continued has not."""
        return self.code in (ChildCode.EXITED, ChildCode.KILLED, ChildCode.DUMPED)

    def died(self) -> bool:
        """Return ended."""
        return self.ended

    def clean(self) -> bool:
        """Whether the process has exited with status 0."""
        return self.code is ChildCode.EXITED and self.exit_status == 0

    def check(self) -> None:
        """Raise UncleanExit unless the process has exited with status 0."""
        if not self.clean():
            raise UncleanExit(self)

    def killed_with(self) -> int:
        """Return the signal that ended the process; ValueError if none did."""
        if self.signal is None or not self.died():
            raise ValueError("no signal has ended this process: {}".format(self))
        return self.signal

    @classmethod
    def parse(cls, buf: bytes) -> "ChildEvent":
        """Make an event of the bytes of a siginfo_t; ValueError if they are none of a child."""
        if len(buf) < _SIGINFO.size:
            raise ValueError("not an event: {!r}".format(buf))
        _, _, number, _, pid, uid, status = _SIGINFO.unpack_from(buf)
        code = ChildCode(number)
        if code is ChildCode.EXITED:
            return cls(code, pid, uid, status, None)
        return cls(code, pid, uid, None, _name(status))


class ChildEventBuffer:
    """Makes events of what was read, in whatever pieces that came."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._data = b""

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        self._data += data

    def consume(self) -> Optional[ChildEvent]:
        """Return the oldest event that is complete, or None if there is none."""
        if len(self._data) < _SIZE:
            return None
        event, self._data = ChildEvent.parse(self._data[:_SIZE]), self._data[_SIZE:]
        return event


def _name(number: int) -> int:
    try:
        return signal.Signals(number)
    except ValueError:  # a real-time signal
        return number
