"""The bytes of a conversation of a scripted server, and the descriptors that travel with them."""

import array
import os
import socket
from collections import deque
from typing import Deque, Optional, Tuple


class Wire:
    """Where a conversation goes: a stream socket, or two pipes."""

    def __init__(self, reader: int, writer: int, sock: Optional[socket.socket] = None) -> None:
        """Take over a socket, or two descriptors."""
        self._reader, self._writer, self._socket = reader, writer, sock
        self.rights = sock is not None
        self.received: Deque[int] = deque()  # descriptors that came

    def read(self) -> bytes:
        """Return what came; b"": the end of input."""
        if self._socket is None:
            return os.read(self._reader, 65536)
        try:
            data, control, _, _ = self._socket.recvmsg(65536, socket.CMSG_SPACE(253 * 4), socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            return b""
        for _, _, fds in control:
            self.received.extend(array.array("i", fds[: len(fds) - len(fds) % 4]))
        return data

    def write(self, data: bytes, fds: Tuple[int, ...] = ()) -> None:
        """Write all; OSError: nobody reads."""
        rest = memoryview(data)
        while rest and self._socket is None:
            rest = rest[os.write(self._writer, rest) :]
        if fds and self._socket is not None:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
            rest = rest[self._socket.sendmsg([rest], rights, socket.MSG_NOSIGNAL) :]
        if rest and self._socket is not None:
            self._socket.sendall(rest, socket.MSG_NOSIGNAL)

    def fileno(self) -> int:
        """Return the descriptor that is readable when something came."""
        return self._reader

    def close(self) -> None:
        """Close both ends, and what came."""
        while self.received:
            os.close(self.received.popleft())
        if self._socket is not None:
            self._socket.close()
        else:
            os.close(self._reader)
            os.close(self._writer)
