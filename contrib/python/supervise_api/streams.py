"""What is written to a job and read of it by messages, with flow control: as files, and the terminal."""

import errno
import io
import threading
from types import TracebackType
from typing import IO, Any, BinaryIO, Iterable, NoReturn, Optional, Type, Union, cast

from .codec import Codec, encoded
from .connection import Connection
from .errors import JobGone, request_error
from .inflow import Inflow
from .jobhistory import JobHistory
from .parameters import input_parameters

Data = Union[str, bytes, bytearray, memoryview]


class JobInput:
    """Job.stdin of a job with stdin=INPUT: a file, not buffered. Any number of threads may write; what each writes stays together.

    To drop it closes nothing: the job reads on until `close`, or until it ends.
    """

    mode, name = "w", "<stdin of a job>"

    def __init__(self, connection: Connection, history: JobHistory, codec: Optional[Codec]) -> None:
        """Not to be called: see Job.stdin."""
        self._connection, self._history, self._codec = connection, history, codec
        self._lock = threading.Lock()
        self.closed = False

    def write(self, data: Data) -> int:
        """Write all of it: wait until the job has room for it. BrokenPipeError: the job has closed its end, or has ended."""
        if self.closed:
            raise ValueError("write to closed file")
        self._send(encoded(data, self._codec), False)
        return len(data)

    def writelines(self, lines: Iterable[Data]) -> None:
        """Write several."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Do nothing: what was written is on its way."""

    def close(self) -> None:
        """Have the job read the end behind what was written. Never fails for a job that does not read."""
        if self.closed:
            return
        self.closed = True
        if self._history.ended.done:
            return
        try:
            self._send(memoryview(b""), True)
        except BrokenPipeError:
            pass

    def type(self, data: memoryview, eof: bool) -> None:
        """Write bytes that are encoded, and the end."""
        self._send(data, eof)

    def _send(self, data: memoryview, eof: bool) -> None:
        with self._lock:
            for params in input_parameters(self._history.number, data, eof, self._connection.greeting.max_input):
                try:
                    self._connection.call("input", params)
                except JobGone:
                    raise broken_pipe() from None

    def writable(self) -> bool:
        """Whether write may be called."""
        return True

    def readable(self) -> bool:
        """Whether read may be called."""
        return False

    def seekable(self) -> bool:
        """Whether seek may be called."""
        return False

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return False

    def fileno(self) -> NoReturn:
        """There is no descriptor: io.UnsupportedOperation."""
        raise io.UnsupportedOperation("fileno")

    def __enter__(self) -> "JobInput":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        self.close()


class _Reader(io.RawIOBase):
    """What comes by a window, as a file. To close it tells nobody."""

    def __init__(self, connection: Connection, history: JobHistory, fd: int) -> None:
        self._connection, self._history, self._fd = connection, history, fd

    def readinto(self, buffer: Any) -> int:
        """Wait until there is something, and take it; 0: the job has ended."""
        data = take(self._connection, self._history, self._fd, len(buffer), None)
        buffer[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        return True


def reader(connection: Connection, history: JobHistory, fd: int, codec: Optional[Codec]) -> IO[Any]:
    """Return a file to read what comes by a window, as subprocess has it."""
    raw = io.BufferedReader(_Reader(connection, history, fd))
    return text_file(raw, codec) if codec is not None else raw


def writer(connection: Connection, history: JobHistory, codec: Optional[Codec]) -> IO[Any]:
    """Return a file to write what the job reads."""
    return cast(IO[Any], JobInput(connection, history, codec))


def text_file(raw: BinaryIO, codec: Codec, write: bool = False) -> IO[Any]:
    """Return a file of text on one of bytes, as subprocess has it."""
    return io.TextIOWrapper(raw, codec.encoding, codec.errors, write_through=write)


def take(connection: Connection, history: JobHistory, fd: int, most: int, timeout: Optional[float]) -> bytes:
    """Wait for what comes by a window, and take it; b"": there will be no more. TimeoutError."""
    inflow = history.inflows[fd]
    while True:
        connection.until(inflow.ready, timeout)
        with connection.changed:  # another thread may have taken it
            if inflow.ready():
                data = inflow.take(most)
                credit = inflow.credit(len(data))
                break
    if credit:
        connection.tell("credit", {"job": history.number, "fd": fd, "bytes": credit})
    return data


class Terminal:
    """The terminal of a job with pty=(rows, cols): what it prints, and the keyboard. Any number of threads may use it."""

    def __init__(self, connection: Connection, history: JobHistory, codec: Optional[Codec]) -> None:
        """Not to be called: see Job.terminal."""
        self._connection, self._history, self._codec = connection, history, codec
        self._keyboard = JobInput(connection, history, codec)
        self._decoder = codec.decoder(newlines=False) if codec is not None else None

    def read(self, size: int = 65536, timeout: Optional[float] = None) -> Any:
        """Wait until something is printed, and return it, at most so many bytes: as text with text=True. Empty: the job has ended.

        Lines end with "\\r\\n", unless the job has said otherwise to its terminal. TimeoutError: nothing came in so many seconds.
        """
        check_readable(self._history)
        if size < 1:
            raise ValueError("size is less than 1")
        while True:
            data = take(self._connection, self._history, 1, size, timeout)
            text = data if self._decoder is None else self._decoder.decode(data, not data)
            if text or not data:
                return text

    def write(self, data: Data) -> int:
        """Type: wait until the terminal has taken all. BrokenPipeError: the job has ended."""
        self._keyboard.type(encoded(data, self._codec), False)
        return len(data)

    def type(self, data: memoryview) -> None:
        """Type bytes, whether or not text is wanted."""
        self._keyboard.type(data, False)

    def eof(self) -> None:
        """Type the end-of-file character: Ctrl-D, unless the job has set another."""
        self._keyboard.type(memoryview(b""), True)

    def resize(self, rows: int, cols: int) -> None:
        """Set the size, of which the foreground programs hear by SIGWINCH. JobGone."""
        self._connection.call("resize", {"job": self._history.number, "rows": rows, "cols": cols})

    def flush(self) -> None:
        """Do nothing: what was written is on its way."""

    def isatty(self) -> bool:
        """Return True."""
        return True


def check_readable(history: JobHistory) -> None:
    """Raise ValueError if what the terminal prints is not told."""
    if 1 not in history.inflows:
        raise ValueError("what the terminal prints is kept for Job.output, and not told")


def broken_pipe() -> Exception:
    """Return the error of a write to a job that has ended."""
    data = {"field": "fd", "errno": errno.errorcode[errno.EPIPE]}
    return request_error("input", {"code": -32010, "message": "the job has ended", "data": data})
