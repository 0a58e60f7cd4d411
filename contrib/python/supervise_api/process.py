"""A command and its supervisor, used by hand or in a loop of select or poll."""

import contextlib
import os
import select
import signal
import socket
import struct
from types import TracebackType
from typing import Callable, Iterator, Mapping, Optional, Sequence, Tuple, Type, TypeVar

from .childevent import ChildEvent
from .deadline import Deadline
from .descriptors import Source
from .errors import SupervisorLost
from .launch import Argument, start

_REQUEST = struct.Struct("=ii")  # pid, signal

# More than any event: a message that does not fit is cut.
_BUFFER = 4096

_Self = TypeVar("_Self", bound="Process")


class Process:
    """A command that runs in a supervisor of its own, and is killed with all it has started when this object goes.

    Arguments and errors are those of dfork; of its flags, O_NONBLOCK is always set. The object can be given to select and
    poll: it is readable when there is an event. Its methods are not to be called from several threads at once.
    """

    #: The socket to the supervisor, non-blocking.
    fd: socket.socket
    #: The command's pid.
    pid: int
    #: The supervisor's pid.
    supervisor_pid: int
    #: How the command has ended; None if that was not heard of yet.
    final_event: Optional[ChildEvent]
    #: Whether the supervisor has ended, and with it everything.
    childfree: bool

    def __init__(
        self,
        args: Sequence[Argument],
        env: Mapping[str, str] = {},
        fds: Mapping[int, Source] = {},
        cwd: Optional[Argument] = None,
        flags: int = os.O_CLOEXEC,
    ) -> None:
        """Start the command."""
        self.final_event = None
        self.childfree = False
        self.fd, self.pid, self._supervisor = start(args, env, fds, cwd, flags)
        self.supervisor_pid = self._supervisor.pid
        self.fd.setblocking(False)

    @property
    def returncode(self) -> Optional[int]:
        """The command's exit status, or -N if signal N ended it; None if that was not heard of yet.

        -SIGKILL if the socket was closed before, by which everything is killed.
        """
        event = self.final_event
        if event is None:
            return -signal.SIGKILL if self.closed() else None
        return -event.killed_with() if event.exit_status is None else event.exit_status

    def poll(self) -> Optional[int]:
        """Read the events that were not read yet, throw them away, and return returncode, as subprocess.Popen.poll does."""
        self.flush_events()
        return self.returncode

    def closed(self) -> bool:
        """Whether the socket is closed: by close, or because everything has ended."""
        return self.fd.fileno() == -1

    def fileno(self) -> int:
        """Return the descriptor of the socket, or -1 if it is closed."""
        return self.fd.fileno()

    def close(self) -> None:
        """Close the socket, and so have everything killed. Nothing is waited for: see kill_tree."""
        if not self.closed():
            self.fd.close()
            self._supervisor.collect_later()

    def get_event(self) -> Optional[ChildEvent]:
        """Return the oldest event that was not read yet, or None if there is none now.

        Events are of all immediate children of the supervisor: the command, and what it has left to others. A stop and a
        continuation are events too: ChildEvent.ended tells. None at the end of events; the object is closed and childfree
        then.
        """
        if self.closed():
            return None
        try:
            buf = self.fd.recv(_BUFFER)
        except BlockingIOError:
            return None
        except ConnectionResetError:  # it was killed before it had read all requests
            buf = b""
        if not buf:
            self.childfree = True
            self.close()
            return None
        event = ChildEvent.parse(buf)
        if event.pid == self.pid and event.died() and self.final_event is None:
            self.final_event = event
        return event

    def new_events(self) -> Iterator[ChildEvent]:
        """Iterate over the events that were not read yet."""
        return iter(self.get_event, None)

    def flush_events(self) -> None:
        """Read the events that were not read yet, and throw them away."""
        for _ in self.new_events():
            pass

    def wait(self, timeout: Optional[float] = None) -> ChildEvent:
        """Wait until the command has ended, and return its final event. Other events are thrown away.

        timeout: in seconds; None: for ever. TimeoutError: it is over; SupervisorLost: nothing will be heard any more.
        """
        self._read_until(lambda: self.final_event is not None, timeout)
        return self._final()

    def wait_tree(self, timeout: Optional[float] = None) -> ChildEvent:
        """Wait until everything has ended, and return the command's final event. For the rest see wait."""
        self._read_until(lambda: False, timeout)
        return self._final()

    def kill_tree(self) -> Optional[ChildEvent]:
        """Kill everything, and wait until it is dead. Return the command's final event; None if the supervisor was killed."""
        self._end_input()
        self._read_until(lambda: False, None)
        return self.final_event

    def _end_input(self) -> None:
        """Tell the supervisor to kill everything, and go on listening to it."""
        if not self.closed():
            with contextlib.suppress(OSError):  # it has ended already
                self.fd.shutdown(socket.SHUT_WR)

    def _read_until(self, done: Callable[[], bool], timeout: Optional[float]) -> None:
        """Read events until done, or until there are no more."""
        deadline = Deadline(timeout)
        self.flush_events()
        while not done() and not self.closed():
            self._wait_readable(deadline)
            self.flush_events()

    def _wait_readable(self, deadline: Deadline) -> None:
        poll = select.poll()  # select cannot wait for a descriptor above 1023
        poll.register(self.fd, select.POLLIN)
        left = deadline.left()
        if not poll.poll(None if left is None else left * 1000) and deadline.passed():
            raise TimeoutError("the process still runs")

    def _final(self) -> ChildEvent:
        if self.final_event is None:
            raise SupervisorLost("Process was abruptly closed, no final status available")
        return self.final_event

    def send_signal(self, signum: int) -> None:
        """Send a signal to the command itself; one that has ended is left alone.

        ValueError: close was called, or this is no signal; TypeError; BlockingIOError: the supervisor reads no requests
        now, because the caller does not read its events.
        """
        if not isinstance(signum, int):
            raise TypeError("signum must be an integer: {!r}".format(signum))
        if self.closed() and not self.childfree:
            raise ValueError("the process is closed")
        if signum != 0 and signum not in signal.valid_signals():
            raise ValueError("no signal: {}".format(signum))  # which the supervisor would ignore
        if self.childfree:
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # everything has ended
            self.fd.send(_REQUEST.pack(self.pid, signum))

    def terminate(self) -> None:
        """Send SIGTERM to the command itself, as send_signal does; close kills everything."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the command itself, as send_signal does; close kills everything."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, _: None = None) -> Tuple[None, None]:
        """Wait until the command has ended. Data are nothing that this passes on: use fds."""
        self.wait()
        return None, None

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "fd"):  # it was started
            self.close()


def ignore_sigchld() -> None:
    """Ignore SIGCHLD, so that no supervisor that has ended is left as a zombie. To be called from the main thread."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
