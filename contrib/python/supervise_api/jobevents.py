"""What is told of a job while it runs."""

from collections import deque
from typing import Any, Callable, Deque, Dict, NamedTuple, Optional

#: How many events of a job are kept until the caller takes them. When more come the oldest are forgotten.
KEPT = 1000


class Event(NamedTuple):
    """A notification of protocol/SERVE.md, all but output."""

    kind: str  #: started, stopped, continued, exited, oom, limit, pressure, sample or ended
    data: Dict[str, Any]  #: its parameters, as protocol/serve_notification.go explains them


class Events:
    """The events of one job that were not taken yet."""

    def __init__(self) -> None:
        self.callback: Optional[Callable[[Event], object]] = None
        self.forgotten = 0  # how many
        self.closed = False  # no more will come
        self.wake: Callable[[], None] = _nothing  # called when there is something new
        self._queue: Deque[Event] = deque()

    def put(self, event: Event) -> None:
        """Add one; if there are too many the oldest goes."""
        if len(self._queue) >= KEPT:
            self._queue.popleft()
            self.forgotten += 1
        self._queue.append(event)
        self.wake()

    def take(self) -> Optional[Event]:
        """Take the oldest; None: there is none now."""
        return self._queue.popleft() if self._queue else None

    def ready(self) -> bool:
        """Whether take has something to give, or never will."""
        return bool(self._queue) or self.closed

    def close(self) -> None:
        """No more will come."""
        self.closed = True
        self.wake()


def _nothing() -> None:
    pass
