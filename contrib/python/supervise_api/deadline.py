"""Moments up to which something is waited for."""

import time
from typing import Optional

#: What one call of poll may wait, in seconds. It cannot wait for more than 24 days, nor for ever by a number.
_AT_ONCE = 1e6


class Deadline:
    """A moment."""

    def __init__(self, timeout: Optional[float]) -> None:
        """Be so many seconds from now; None: never. What is zero or less has passed."""
        self._at = None if timeout is None else time.monotonic() + timeout

    def left(self) -> Optional[float]:
        """Return how many seconds to wait, and then ask `passed`; None: for ever."""
        return None if self._at is None else min(max(0.0, self._at - time.monotonic()), _AT_ONCE)

    def passed(self) -> bool:
        """Whether it has."""
        return self._at is not None and not time.monotonic() < self._at
