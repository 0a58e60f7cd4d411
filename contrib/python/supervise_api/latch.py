"""What is waited for, be it with asyncio or without."""

from typing import Callable, List


class Latch:
    """Something that happens once."""

    def __init__(self) -> None:
        self.done = False
        self._calls: List[Callable[[], None]] = []

    def set(self) -> None:
        """It has happened."""
        self.done = True
        calls, self._calls = self._calls, []
        for call in calls:
            call()

    def then(self, call: Callable[[], None]) -> None:
        """Have something called when it happens."""
        if self.done:
            call()
        else:
            self._calls.append(call)

    def forget(self, call: Callable[[], None]) -> None:
        """Have it not called after all."""
        if call in self._calls:
            self._calls.remove(call)
