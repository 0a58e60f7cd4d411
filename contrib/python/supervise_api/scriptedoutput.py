"""The descriptors of a scripted job: where what it writes goes, and where what it reads comes from."""

import base64
import os
from typing import Any, Callable, Dict, List, Mapping, Optional

_MODES = {
    "read": os.O_RDONLY,
    "append": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "create": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
    "truncate": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
}

#: Bytes that are told of a captured descriptor if nothing is said.
_USUAL_LIMIT = 1 << 20


def open_file(path: bytes, mode: str) -> int:
    """Open a file for a job."""
    return os.open(path, _MODES[mode] | os.O_CLOEXEC, 0o666)


class Told:
    """Output that the owner is told, or that is kept for it."""

    def __init__(self, number: int, spec: Mapping[str, Any], terminal: bool) -> None:
        """Be what "capture" or "pty" says."""
        self.number = number
        window, keep = spec.get("window") or 0, spec.get("keep") or 0
        usual = -1 if terminal or window else 0 if keep else _USUAL_LIMIT
        limit = spec.get("limit") or (0 if keep else usual)
        self._left: Optional[int] = None if limit < 0 else limit
        self.windowed, self.credit = window > 0, window
        self.text = bool(spec.get("text"))
        self.keep = keep
        self.ring = b""  # the last bytes
        self.pipe = b""  # what was written, and waits for credit
        self.total = self.told = 0
        self.over = False
        self.ended = False
        self._head = b""  # the first bytes of a character

    def put(self, data: bytes) -> bytes:
        """Take what the pipe has room for, and return the rest."""
        room = Input.SIZE - len(self.pipe)
        self.pipe += data[:room]
        return data[room:]

    def flow(self, ending: bool) -> bytes:
        """Return what is to be told now: all, or what there is credit for."""
        size = self.credit if self.windowed and not ending else len(self.pipe)
        data, self.pipe = self.pipe[:size], self.pipe[size:]
        return self.take(data)

    def take(self, data: bytes) -> bytes:
        """Take what the job wrote, and return what is to be told."""
        self.total += len(data)
        if self.keep:
            self.ring = (self.ring + data)[-self.keep :]
        tell = data if self._left is None else data[: self._left]
        if self._left is not None:
            self._left -= len(tell)
        self.told += len(tell)
        if self.windowed:
            self.credit -= len(tell)
        return tell

    def message(self, data: bytes) -> Optional[Dict[str, Any]]:
        """Return what is told, or None if it is nothing by now."""
        data = self._head + data
        size = whole(data) if self.text else len(data)
        data, self._head = data[:size], data[size:]
        return None if not data else {"fd": self.number, **as_told(data, self.text)}

    def rest(self) -> Optional[Dict[str, Any]]:
        """Return what is told in the end: a character that was not finished."""
        data, self._head = self._head, b""
        return {"fd": self.number, **as_told(data, self.text)} if data else None

    def end(self) -> Dict[str, Any]:
        """Return how much there was."""
        kept = {"kept_bytes": len(self.ring)} if self.keep else {}
        dropped = max(0, self.total - self.told - len(self.ring))
        return {"fd": self.number, "bytes": self.told, "dropped_bytes": dropped, **kept}

    def part(self, params: Mapping[str, Any]) -> Dict[str, Any]:
        """Return the result of the method "output"."""
        oldest = self.total - len(self.ring)
        asked = params.get("offset")
        asked = oldest if asked is None else max(oldest, self.total + asked) if asked < 0 else min(asked, self.total)
        start = max(asked, oldest)
        most = max(params.get("max") or 65536, 4 if params.get("text") else 1)
        data = self.ring[start - oldest :][:most]
        if params.get("text") and not (self.over and start + len(data) == self.total):
            data = data[: whole(data)]
        return {
            "offset": start, "next": start + len(data), "cut": start - asked, "bytes": self.total,
            "eof": self.over, "ended": self.ended, **as_told(data, bool(params.get("text"))),
        }  # fmt: skip


def as_told(data: bytes, text: bool) -> Dict[str, str]:
    """Return bytes as they are sent."""
    if text:
        try:
            return {"text": data.decode()}
        except UnicodeDecodeError:
            pass
    return {"data": base64.b64encode(data).decode()}


def whole(data: bytes) -> int:
    """Return how many bytes are of whole characters, if the rest may be the beginning of one."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        size = 1 if byte >= 0xF5 else 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return len(data) - back if size > back else len(data)
    return len(data)


class Input:
    """What the owner writes: it waits here until the job reads it, up to what a pipe holds, and then the owner waits."""

    #: Bytes of a pipe.
    SIZE = 65536

    def __init__(self) -> None:
        self.data = bytearray()
        self.over = False  # its end was asked for
        self.closed = False  # the job has closed it, or ended
        self._queue: List[Any] = []

    def put(self, data: bytes, eof: bool, answer: Callable[[bool], None]) -> None:
        """Take what the owner writes; answer is called when there is room for it, or with False when there will be none."""
        self._queue.append([data, answer])
        self.over = self.over or eof
        self.flow()

    def waiting(self) -> int:
        """Return how many bytes there is no room for."""
        return sum(len(data) for data, _ in self._queue)

    def flow(self) -> None:
        """Let in what there is room for."""
        while self._queue and not self.closed:
            data, answer = self._queue[0]
            room = self.SIZE - len(self.data)
            self.data += data[:room]
            self._queue[0][0] = data[room:]
            if len(data) > room:
                return
            self._queue.pop(0)
            answer(True)

    def finished(self) -> bool:
        """Whether nothing will come any more."""
        return self.over and not self._queue

    def close(self) -> None:
        """The job does not read any more."""
        self.closed = True
        queue, self._queue = self._queue, []
        for _, answer in queue:
            answer(False)
