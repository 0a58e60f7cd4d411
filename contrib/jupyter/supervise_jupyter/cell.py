"""Which request a kernel is busy with."""

import json
import os
import threading
from typing import Any, Dict, List, Optional

import zmq

_DELIMITER = b"<IDS|MSG>"

#: Milliseconds in which what a kernel has said before its end arrives: it is in the buffers of this machine by then.
_DRAIN = 200


class Cell:
    """Listens to a kernel as any front end does, and keeps the header of the request that it executes.

    A front end shows what a kernel says in the cell that asked for it, which it knows by that header alone.
    """

    def __init__(self, address: str) -> None:
        """Listen; the kernel need not be there yet."""
        self._running: Optional[Dict[str, Any]] = None
        self._thread = threading.Thread(target=self._listen, args=(address,), name="cell of a kernel", daemon=True)
        self._wake, self._woken = os.pipe()
        try:
            self._thread.start()
        except BaseException:
            os.close(self._wake)
            os.close(self._woken)
            raise

    def stop(self) -> Optional[Dict[str, Any]]:
        """Stop listening, and return the header of the request that runs; None: none does."""
        os.close(self._woken)
        self._thread.join()
        os.close(self._wake)
        return self._running

    def _listen(self, address: str) -> None:
        """Be the thread that listens. The end of the pipe ends it."""
        with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
            subscriber.linger = 0
            subscriber.reconnect_ivl = 20
            subscriber.subscribe(b"")
            subscriber.connect(address)
            poller = zmq.Poller()
            poller.register(subscriber, zmq.POLLIN)
            poller.register(self._wake, zmq.POLLIN)
            while self._wake not in dict(poller.poll()):
                self._take(subscriber)
            while subscriber.poll(_DRAIN):
                self._take(subscriber)

    def _take(self, subscriber: "zmq.Socket[bytes]") -> None:
        try:
            frames = subscriber.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return
        try:
            self._hear(frames[frames.index(_DELIMITER) + 2 :])
        except (ValueError, KeyError, IndexError, AttributeError):  # it is no message of the protocol
            pass

    def _hear(self, frames: List[bytes]) -> None:
        """Take header, parent header, metadata and content."""
        if json.loads(frames[0])["msg_type"] != "status":
            return
        parent, state = json.loads(frames[1]), json.loads(frames[3])["execution_state"]
        if parent.get("msg_type") != "execute_request":
            return
        if state == "busy":
            self._running = parent
        elif state == "idle" and self._running is not None and self._running["msg_id"] == parent["msg_id"]:
            self._running = None
