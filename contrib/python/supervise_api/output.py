"""What Job.output returns: a part of what a job has written."""

import base64
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Union

from .codec import Codec

#: Bytes that one answer to the method "output" has at most.
MAX_OUTPUT = 1 << 20


class Where(NamedTuple):
    """Which part of a job's output it is. Offsets are in bytes, and count from the first that the job wrote."""

    offset: int  #: of the first byte here
    next: int  #: of the byte after the last one here: the offset to go on with
    cut: int  #: bytes between the offset that was asked for and that of this, which are not kept any more
    written: int  #: bytes by now
    eof: bool  #: none will follow those that are written
    ended: bool  #: the job has ended


class Output(bytes):
    """A part of the output, and where it is."""

    where: Where


class TextOutput(str):
    """The same of a job with text=True. No character is cut in two."""

    where: Where


def output(data: bytes, where: Where, codec: Optional[Codec]) -> Union[Output, TextOutput]:
    """Make either. Of text the first bytes of a character are left to the next part."""
    made: Union[Output, TextOutput]
    if codec is None:
        made = Output(data)
    else:
        text, size = codec.decode_part(data, final=where.eof and where.next == where.written)
        made, where = TextOutput(text), where._replace(next=where.offset + size)
    made.where = where
    return made


class Kept:
    """Output that is asked for, in as many pieces as it takes."""

    def __init__(self, fd: int, offset: Optional[int], max: Optional[int], wait: Optional[float]) -> None:
        """Be what Job.output was asked for."""
        if max is not None and max < 0:
            raise ValueError("max is negative")
        self._fd, self._offset, self._left, self._wait = fd, offset, max, wait
        self._pieces: List[bytes] = []
        self._first: Optional[Mapping[str, Any]] = None
        self._last: Mapping[str, Any] = {}
        self._torn = False  # what comes next is not kept any more

    def params(self) -> Optional[Dict[str, Any]]:
        """Return the parameters of the next request; None: all is there."""
        most = MAX_OUTPUT if self._left is None else min(self._left, MAX_OUTPUT)
        params = {"fd": self._fd, "offset": self._offset, "max": most, "wait": self._wait}
        if self._first is None:
            return {name: value for name, value in params.items() if value is not None and (name, value) != ("max", 0)}
        params.update(offset=self._last["next"], wait=None)
        there = self._last["next"] < self._last["bytes"] and self._pieces[-1] and not self._torn
        return {name: value for name, value in params.items() if value is not None} if there and most > 0 else None

    def add(self, result: Mapping[str, Any]) -> None:
        """Take an answer. What has gone between two answers is no part of this."""
        if self._first is not None and result["cut"]:
            self._torn = True
            return
        piece = base64.b64decode(result.get("data") or "")
        if self._left is not None:
            piece = piece[: self._left]
            self._left -= len(piece)
        self._first, self._last = self._first or result, {**result, "next": result["offset"] + len(piece)}
        self._pieces.append(piece)

    def output(self, codec: Optional[Codec]) -> Union[Output, TextOutput]:
        """Return all of it."""
        first, last = self._first or self._last, self._last
        where = Where(first["offset"], last["next"], first["cut"], last["bytes"], last["eof"], last["ended"])
        return output(b"".join(self._pieces), where, codec)


def of_buffer(
    data: bytearray, offset: Optional[int], max: Optional[int], ended: bool, codec: Optional[Codec]
) -> Union[Output, TextOutput]:
    """Return a part of what was captured, and is all here."""
    start = min(len(data), offset or 0)
    if start < 0:
        start = len(data) + start if len(data) + start > 0 else 0
    piece = bytes(data[start:] if max is None else data[start : start + max])
    return output(piece, Where(start, start + len(piece), 0, len(data), ended, ended), codec)
