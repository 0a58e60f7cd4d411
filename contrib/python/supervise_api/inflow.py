"""Output that comes by a window: what was told and not taken yet, and what is given back for it."""

from typing import Any, Callable, Dict, Mapping, Sequence


class Inflow:
    """The output of one descriptor, or of the terminal, that has a window."""

    def __init__(self, window: int) -> None:
        self.ended = False  # no more will come
        self.wake: Callable[[], None] = _nothing  # called when there is something new
        self._window = window
        self._waiting = bytearray()
        self._owed = 0  # bytes that were taken, and not given back

    def put(self, data: bytes) -> None:
        """Add what came."""
        self._waiting += data
        self.wake()

    def end(self) -> None:
        """No more will come."""
        self.ended = True
        self.wake()

    def ready(self) -> bool:
        """Whether take has something to give, or never will."""
        return bool(self._waiting) or self.ended

    def take(self, most: int = -1) -> bytes:
        """Take what there is, at most so many bytes."""
        data = bytes(self._waiting if most < 0 else self._waiting[:most])
        del self._waiting[: len(data)]
        return data

    def credit(self, taken: int) -> int:
        """Return how many bytes to give back now that so many were taken: 0, or half a window at least, so that it is not told for each."""
        self._owed += taken
        if self.ended or self._owed < max(1, self._window // 2):
            return 0
        owed, self._owed = self._owed, 0
        return owed


def inflows(stdio: Sequence[Any]) -> Dict[int, Inflow]:
    """Make those for the parameter "stdio", by descriptor; that of a terminal is 1."""
    found: Dict[int, Inflow] = {}
    for number, entry in enumerate(stdio):
        for kind, spec in (entry.items() if isinstance(entry, dict) else ()):
            if isinstance(spec, Mapping) and spec.get("window"):
                found[1 if kind == "pty" else number] = Inflow(spec["window"])
    return found


def _nothing() -> None:
    pass
