"""What is written to a job and read of it by messages, with flow control: as asyncio has streams, and the terminal."""

import asyncio
from collections import deque
from typing import Any, AsyncIterator, Awaitable, Deque, Dict, Generator, Iterable, Optional, Union, cast

from .asyncconnection import AsyncConnection, wait_for
from .codec import Codec, encoded
from .conversation import Reply
from .errors import JobGone
from .inflow import Inflow
from .jobhistory import JobHistory
from .latch import Latch
from .parameters import input_parameters
from .streams import Data, broken_pipe, check_readable


class AsyncInput:
    """AsyncJob.stdin of a job with stdin=INPUT, as an asyncio.StreamWriter: write, and await drain."""

    def __init__(self, connection: AsyncConnection, history: JobHistory, codec: Optional[Codec]) -> None:
        """Not to be called: see AsyncJob.stdin."""
        self._connection, self._history, self._codec = connection, history, codec
        self._unsent: Deque[Dict[str, Any]] = deque()
        self._idle = Latch()
        self._idle.set()
        self._error: Optional[Exception] = None
        self._closing = False

    def write(self, data: Data) -> "Awaitable[None]":
        """Write all of it, later if there is no room now. What it returns may be awaited, and is `drain` then."""
        if self._closing:
            raise ValueError("write to closed file")
        return self.type(encoded(data, self._codec), False)

    def writelines(self, lines: Iterable[Data]) -> None:
        """Write several."""
        for line in lines:
            self.write(line)

    async def drain(self) -> None:
        """Wait until all is in the job's pipe. BrokenPipeError: the job has closed its end, or has ended."""
        await wait_for(self._idle)
        if self._error is not None:
            raise self._error

    def can_write_eof(self) -> bool:
        """Return True."""
        return True

    def write_eof(self) -> None:
        """Have the job read the end behind what was written."""
        if not self._closing:
            self._closing = True
            self.type(memoryview(b""), True)

    close = write_eof

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self._closing

    async def wait_closed(self) -> None:
        """Wait until what was written is in the job's pipe, or the job does not read any more."""
        await wait_for(self._idle)

    def type(self, data: memoryview, eof: bool) -> "Awaitable[None]":
        """Write bytes that are encoded, and the end."""
        if self._error is None:
            self._unsent.extend(input_parameters(self._history.number, data, eof, self._connection.greeting.max_input))
            if self._idle.done:
                self._idle = Latch()
                self._send()
        return _Drained(self)

    def _send(self) -> None:
        """Send the next piece, when the one before was taken."""
        if not self._unsent:
            self._idle.set()
            return
        reply = Reply("input", self._unsent.popleft())
        try:
            self._connection.start(reply)
        except Exception as e:
            reply.fail(e)
        reply.then(lambda: self._sent(reply))

    def _sent(self, reply: Reply) -> None:
        try:
            reply.result()
        except JobGone:
            self._error = broken_pipe()
        except Exception as e:
            self._error = e
        if self._error is not None:
            self._unsent.clear()
        self._send()


class _Drained:
    """What write returns: nothing complains if it is not awaited."""

    def __init__(self, stream: AsyncInput) -> None:
        self._stream = stream

    def __await__(self) -> Generator[Any, None, None]:
        return self._stream.drain().__await__()


class _Window(asyncio.ReadTransport):
    """What a StreamReader takes for its transport: it gives credit while the reader has room."""

    def __init__(self, connection: AsyncConnection, history: JobHistory, fd: int, reader: asyncio.StreamReader) -> None:
        super().__init__()
        self._connection, self._number, self._fd = connection, history.number, fd
        self._inflow: Inflow = history.inflows[fd]
        self._reader = reader
        self._paused = False
        reader.set_transport(self)
        self._inflow.wake = self._feed
        self._feed()

    def _feed(self) -> None:
        data = self._inflow.take()
        if data:
            self._reader.feed_data(data)
        if self._inflow.ended:
            self._reader.feed_eof()
            self._inflow.wake = _nothing
        credit = 0 if self._paused else self._inflow.credit(len(data))
        if self._paused:
            self._owed += len(data)
        elif credit:
            self._connection.tell("credit", {"job": self._number, "fd": self._fd, "bytes": credit})

    def is_reading(self) -> bool:
        return not self._paused

    def pause_reading(self) -> None:
        self._paused = True
        self._owed = 0

    def resume_reading(self) -> None:
        self._paused = False
        credit = self._inflow.credit(self._owed)
        if credit:
            self._connection.tell("credit", {"job": self._number, "fd": self._fd, "bytes": credit})

    def is_closing(self) -> bool:
        return self._inflow.ended

    def close(self) -> None:
        """Do nothing: a job whose output nobody takes waits."""


class AsyncText:
    """A StreamReader's text, for a job with text=True. All ends of lines are newlines."""

    def __init__(self, reader: asyncio.StreamReader, codec: Codec) -> None:
        """Not to be called: see AsyncJob.stdout."""
        self._reader = reader
        self._decoder = codec.decoder(newlines=True)
        self._text = ""
        self._over = False

    async def read(self, n: int = -1) -> str:
        """Read up to the end, or what there is, at most n characters. Empty: the job has ended."""
        while n and (n < 0 or not self._text) and await self._more():
            pass
        n = len(self._text) if n < 0 else n
        text, self._text = self._text[:n], self._text[n:]
        return text

    async def readline(self) -> str:
        """Read up to a newline, or the end."""
        while "\n" not in self._text and await self._more():
            pass
        size = self._text.find("\n") + 1 or len(self._text)
        line, self._text = self._text[:size], self._text[size:]
        return line

    def at_eof(self) -> bool:
        """Whether the job has ended, and all was read."""
        return not self._text and self._reader.at_eof()

    async def _more(self) -> bool:
        data = b"" if self._over else await self._reader.read(65536)
        self._text += self._decoder.decode(data, not data)
        self._over = not data
        return bool(data)

    async def __aiter__(self) -> AsyncIterator[str]:
        while True:
            line = await self.readline()
            if not line:
                return
            yield line


def async_reader(
    connection: AsyncConnection, history: JobHistory, fd: int, codec: Optional[Codec]
) -> Union[asyncio.StreamReader, AsyncText]:
    """Return what reads that which comes by a window."""
    reader = stream(connection, history, fd)
    return reader if codec is None else AsyncText(reader, codec)


def stream(connection: AsyncConnection, history: JobHistory, fd: int) -> asyncio.StreamReader:
    """Return the bytes that come by a window as a stream."""
    reader = asyncio.StreamReader()
    _Window(connection, history, fd, reader)
    return reader


class AsyncTerminal:
    """The terminal of a job with pty=(rows, cols): see Terminal."""

    def __init__(self, connection: AsyncConnection, history: JobHistory, codec: Optional[Codec]) -> None:
        """Not to be called: see AsyncJob.terminal."""
        self._connection, self._history, self._codec = connection, history, codec
        self._keyboard = AsyncInput(connection, history, codec)
        self._reader = stream(connection, history, 1) if 1 in history.inflows else None
        self._decoder = codec.decoder(newlines=False) if codec is not None else None

    async def read(self, size: int = 65536, timeout: Optional[float] = None) -> Any:
        """Wait until something is printed, and return it; empty: the job has ended. asyncio.TimeoutError."""
        check_readable(self._history)
        if size < 1:
            raise ValueError("size is less than 1")
        while True:
            data = await asyncio.wait_for(cast(asyncio.StreamReader, self._reader).read(size), timeout)
            text = data if self._decoder is None else self._decoder.decode(data, not data)
            if text or not data:
                return text

    async def write(self, data: Data) -> int:
        """Type: wait until the terminal has taken all. BrokenPipeError: the job has ended."""
        await self._keyboard.type(encoded(data, self._codec), False)
        return len(data)

    async def type(self, data: memoryview) -> None:
        """Type bytes, whether or not text is wanted."""
        await self._keyboard.type(data, False)

    async def eof(self) -> None:
        """Type the end-of-file character."""
        await self._keyboard.type(memoryview(b""), True)

    async def resize(self, rows: int, cols: int) -> None:
        """Set the size. JobGone."""
        await self._connection.call("resize", {"job": self._history.number, "rows": rows, "cols": cols})


def _nothing() -> None:
    pass
