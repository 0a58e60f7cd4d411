"""What all tests stand on: nothing may be left of a test, neither process nor descriptor."""

import ctypes
import gc
import os
import select
import signal
import time
import unittest
from typing import Any, Callable, Dict, List, Sequence, Tuple

from supervise_api import Process, dfork
from supervise_api.launch import Argument

#: Seconds that anything may take before the test fails.
DEADLINE = 30.0

_PR_SET_CHILD_SUBREAPER = 36

FOREVER = ["sleep", "100000"]


def setUpModule() -> None:
    """Have whatever escapes become a child of this process, where the checks find it."""
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError("prctl")


class Case(unittest.TestCase):
    """A test that leaves nothing."""

    def setUp(self) -> None:
        setUpModule()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        before = descriptors()
        self.addCleanup(self._check_nothing_left, before)

    def _check_nothing_left(self, before: Dict[int, str]) -> None:
        gc.collect()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, _too_long)
        signal.alarm(int(DEADLINE))
        try:
            collect()
        finally:
            signal.alarm(0)
        self.assertEqual(descriptors(), before)

    def assert_nothing_runs(self) -> None:
        """Fail if there is a child, living or a zombie."""
        self.assertEqual(children(), [])

    def output(self, args: Sequence[Argument], fd: int = 1, **options: Any) -> str:
        """Run a command, and return what it writes to a descriptor."""
        reader, writer = os.pipe()
        try:
            options["fds"] = {**options.get("fds", {}), fd: writer}
            with Process(args, **options) as process:
                os.close(writer)
                writer = -1
                text = read_all(reader)
                process.wait_tree(DEADLINE)
        finally:
            os.close(reader)
            if writer >= 0:
                os.close(writer)
        return text

    def assert_fails_clean(self, kind: "type[BaseException]", args: Any, **options: Any) -> BaseException:
        """Check that a start fails by dfork and by Process alike, and leaves nothing, not even for a moment."""
        collect()
        before = descriptors()
        makers: Tuple[Callable[..., object], ...] = (dfork, Process)
        for make in makers:
            with self.assertRaises(kind) as caught:
                make(args, **options)
            self.assertEqual(descriptors(), before)
            self.assert_nothing_runs()
        return caught.exception


def _too_long(number: int, frame: object) -> None:
    raise AssertionError("still there: {}".format(children()))


def children() -> List[str]:
    """Name the children of this process, zombies too."""
    found = []
    for task in os.listdir("/proc/self/task"):
        with open("/proc/self/task/{}/children".format(task)) as file:
            found += file.read().split()
    return ["{} {}".format(pid, comm(pid)) for pid in found]


def comm(pid: str) -> str:
    try:
        with open("/proc/{}/comm".format(pid)) as file:
            return file.read().strip()
    except OSError:
        return "?"


def collect() -> int:
    """Wait for all children; return how many there were."""
    for number in range(1 << 30):
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return number
    return -1


def descriptors() -> Dict[int, str]:
    """Map the open descriptors to what they are of."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink("/proc/self/fd/" + name)
        except FileNotFoundError:  # the directory's own
            pass
    return found


def read_until(fd: int, size: int) -> str:
    """Read so many bytes, or up to the end."""
    text = b""
    deadline = time.monotonic() + DEADLINE
    while len(text) < size:
        if not select.select([fd], [], [], deadline - time.monotonic())[0]:
            raise AssertionError("nothing to read after {!r}".format(text))
        piece = os.read(fd, size - len(text))
        if not piece:
            break
        text += piece
    return text.decode()


def read_all(fd: int) -> str:
    """Read up to the end, which comes when no process holds the other end any more."""
    return read_until(fd, 1 << 30)
