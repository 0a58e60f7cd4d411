"""Signals whose handlers may raise, such as KeyboardInterrupt, at a moment when half of something is done."""

import signal
import sys
import threading
from typing import Any, Set

_RAISING: Set[int] = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2}


# That of the module signal makes an enum of each number that it returns, which takes ten times as long as the call.
_sigmask: Any = getattr(sys.modules.get("_signal"), "pthread_sigmask", signal.pthread_sigmask)


class Held:
    """A context at whose end such signals come that came meanwhile.

    A lock that was just taken, or what recvmsg has returned, would be lost if a handler raised right behind it. In a program
    with several threads the kernel may give the signal to another one, and Python calls the handler nevertheless: there it is
    less likely, but not impossible.
    """

    def __enter__(self) -> "Held":
        before = _sigmask(signal.SIG_BLOCK, [])
        self._ours: Set[int] = {number for number in _RAISING if number not in before}
        try:
            _sigmask(signal.SIG_BLOCK, _RAISING)
        except BaseException:  # by a handler, of what came right before: they are blocked nevertheless
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        _sigmask(signal.SIG_UNBLOCK, self._ours)

    def pause(self) -> "_Pause":
        """Return a context in which they come."""
        return _Pause(self._ours)


class Woken:
    """A context in which a signal makes a descriptor readable, by a byte that is written to its other end.

    Python does not look for a signal that comes right before it waits in poll: nothing but this would end the waiting. Where the
    program has such a descriptor itself, it stays as it is; and so in threads, for which there are no handlers.
    """

    def __init__(self, writer: int) -> None:
        """Know the other end, which does not block."""
        self._writer = writer
        self._ours = False

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
            self._ours = before == -1
            if not self._ours:
                signal.set_wakeup_fd(before, warn_on_full_buffer=False)

    def __exit__(self, *_: object) -> None:
        if self._ours:
            signal.set_wakeup_fd(-1)


class _Pause:
    def __init__(self, numbers: Set[int]) -> None:
        self._numbers = numbers

    def __enter__(self) -> None:
        try:
            _sigmask(signal.SIG_UNBLOCK, self._numbers)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        _sigmask(signal.SIG_BLOCK, self._numbers)
