"""A kernel that runs."""

import contextlib
import signal
import threading
from concurrent.futures import Future
from typing import Any, List, NamedTuple, Optional

from jupyter_client.session import Session
from supervise_api import Record, Supervisor, SupervisorLost
from supervise_api.options import SpawnOptions

from .cell import Cell
from .group import Group
from .reason import Reason, reason_of
from .standin import StandIn


class Place(NamedTuple):
    """Where a kernel publishes, and how what it says is signed."""

    address: str
    session: Session
    here: bool  # its processes are those of this machine, as we see it: else pids say nothing


class Kernel:
    """A kernel: a job of a supervisor of its own, so that the end of this process, or of the supervisor, is the kernel's.

    It has two threads, which are waited for in `close`: one hears which cell runs, the other waits for the job's end. Everything
    here may be called from any loop and any thread, as the synchronous and the asynchronous managers of Jupyter do.
    """

    def __init__(self, supervisor: Supervisor, argv: List[str], options: SpawnOptions, place: Place, log: Any) -> None:
        """Start it; the supervisor is its own from now on. OSError, supervise_api.RequestError: it does not start."""
        self._supervisor, self._here, self._log = supervisor, place.here, log
        #: Done when nothing of the kernel is alive any more, and those who listened to it know why.
        self.ended: "Future[int]" = Future()
        self.record: Optional[Record] = None
        self._asked_to_end = False
        with contextlib.ExitStack() as undo:
            undo.callback(supervisor.close)
            self._job = supervisor.spawn(argv, **options)
            self.pid = self._job.pid
            self._group = self._find_group() if place.here else None
            undo.callback(self._close_group)
            self._stand_in = StandIn(place.address, place.session)
            undo.callback(self._stand_in.close)
            self._cell = Cell(place.address)
            undo.callback(self._cell.stop)
            self._thread = threading.Thread(target=self._watch, name="end of a kernel", daemon=True)
            self._thread.start()
            undo.pop_all()

    def _find_group(self) -> Optional[Group]:
        """Return the process group of the kernel: a job leads a session, hence a group. None: it has ended, or cannot be held."""
        try:
            group = Group(self.pid)
        except (AttributeError, OSError):
            return None
        with contextlib.ExitStack() as undo:
            undo.callback(group.close)
            if not any(one.pid == self.pid and one.state == "running" for one in self._supervisor.list()):
                return None
            undo.pop_all()  # the kernel has not been waited for yet: the number was its own
        return group

    def _close_group(self) -> None:
        group, self._group = self._group, None
        if group is not None:
            group.close()

    def poll(self) -> Optional[int]:
        """Return the exit status, or -N if signal N ended it; None: something of it is alive."""
        return self.ended.result() if self.ended.done() else None

    def interrupt(self, all: bool) -> None:
        """Send SIGINT to all processes of the kernel; all false: to those of its process group, as a terminal would."""
        if not all and self._group is not None:
            self._group.signal(signal.SIGINT)
        else:
            self.signal(signal.SIGINT, all or not self._here)

    def signal(self, number: int, all: bool = True) -> None:
        """Send a signal to all processes of the kernel, or to the first of them."""
        if not self.ended.done():
            try:
                self._job.signal(number, all=all)
            except SupervisorLost:
                pass

    def expect_end(self) -> None:
        """Take the end of the kernel, from now on, for what the user wanted."""
        self._asked_to_end = True

    def kill(self) -> None:
        """End everything of the kernel, without waiting for it."""
        self.expect_end()
        try:
            self._job.kill()
        except SupervisorLost:
            pass

    def close(self) -> None:
        """End what is alive, wait for it, and give the kernel's addresses back."""
        self.expect_end()
        self._stand_in.release()
        self._supervisor.close()
        self._thread.join()
        self._close_group()

    def _watch(self) -> None:
        """Be the thread that waits for the job's end, which ends it; after an unexpected end release does."""
        status = -signal.SIGKILL
        try:
            reason = self._end()
            if self.record is not None and self.record.exit is not None:
                status = self.record.exit.returncode
            request = self._cell.stop()
            if reason is not None:
                self._log.warning("%s", reason.text)
                self._stand_in.say(reason, request, lambda: self._finish(status))
        finally:
            self._finish(status)
            self._stand_in.close()

    def _end(self) -> Optional[Reason]:
        """Wait until all has ended, and return why; None: it was to."""
        try:
            self.record = self._job.wait()
        except SupervisorLost as e:
            self._supervisor.close()
            return None if self._asked_to_end else Reason("KernelEnded", "The kernel was ended: {}.".format(e))
        self._supervisor.close()
        self._log.debug("kernel %s: %s", self.pid, self.record)
        return None if self._asked_to_end else reason_of(self.record)

    def _finish(self, status: int) -> None:
        if not self.ended.done():
            self.ended.set_result(status)
