"""Signals whose handlers may raise, such as KeyboardInterrupt, at a moment when half of something is done."""

import signal
from typing import Set

_RAISING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2}


class Held:
    """A context at whose end such signals come that came meanwhile.

    A lock that was just taken, or what recvmsg has returned, would be lost if a handler raised right behind it. In a program
    with several threads the kernel may give the signal to another one, and Python calls the handler nevertheless: there it is
    less likely, but not impossible.
    """

    def __enter__(self) -> "Held":
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        self._ours: Set[signal.Signals] = {number for number in _RAISING if number not in before}
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, _RAISING)
        except BaseException:  # by a handler, of what came right before: they are blocked nevertheless
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._ours)

    def pause(self) -> "_Pause":
        """Return a context in which they come."""
        return _Pause(self._ours)


class _Pause:
    def __init__(self, numbers: Set[signal.Signals]) -> None:
        self._numbers = numbers

    def __enter__(self) -> None:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, self._numbers)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)
