"""The last message, in the place of a kernel that has ended."""

import os
import select
import threading
import time
from typing import Any, Callable, Dict, Optional

import zmq
from jupyter_client.session import Session

from .reason import Reason

#: Seconds after which nobody is waited for who listened to the kernel: who does comes back within some tenths.
PATIENCE = 2.0

#: Seconds within which the other listeners come back after one has.
SETTLED = 0.3


class StandIn:
    """Holds the address at which a kernel published, and gives each listener who comes back to it one message.

    Nobody but the kernel can publish: all that front ends show comes from this address, to which their sockets return by
    themselves. It is free once the kernel is dead, and the next kernel wants it: see release.
    """

    def __init__(self, address: str, session: Session) -> None:
        """Prepare it; session signs as the kernel did."""
        self._address, self._session = address, session
        self._wake, self._release = os.pipe()
        self._lock = threading.Lock()

    def release(self) -> None:
        """Have the address given up. Nobody is told any more."""
        with self._lock:
            release, self._release = self._release, -1
        if release != -1:
            os.close(release)

    def say(self, reason: Reason, request: Optional[Dict[str, Any]], told: Callable[[], None]) -> None:
        """Tell the reason as an error of the request, and call told when the listeners know it. Return when released."""
        content = {"ename": reason.name, "evalue": reason.text, "traceback": ["{}: {}".format(*reason)]}
        with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
            publisher.linger = 1000
            publisher.setsockopt(zmq.XPUB_MANUAL, 1)  # tells of each listener, and lets each have a topic of its own
            if self._bind(publisher):
                self._serve(publisher, content, request or {}, told)

    def _bind(self, publisher: Any) -> bool:
        """Take the address, which some connection may have for a moment; say whether it is ours."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                publisher.bind(self._address)
                return True
            except zmq.ZMQError:
                if time.monotonic() >= until or select.select([self._wake], [], [], 0.05)[0]:
                    return False

    def _serve(self, publisher: Any, content: Dict[str, Any], request: Dict[str, Any], told: Callable[[], None]) -> None:
        poller = zmq.Poller()
        poller.register(publisher, zmq.POLLIN)
        poller.register(self._wake, zmq.POLLIN)
        until: Optional[float] = time.monotonic() + PATIENCE
        listeners = 0
        while True:
            ready = dict(poller.poll(None if until is None else max(0, int((until - time.monotonic()) * 1000) + 1)))
            if self._wake in ready:
                return
            if publisher in ready and publisher.recv().startswith(b"\1"):
                listeners += 1
                topic = b"%d." % listeners
                publisher.setsockopt(zmq.SUBSCRIBE, topic)  # of the one who has come last
                message = self._session.msg("error", content, parent={"header": request} if request else None)
                publisher.send_multipart(self._session.serialize(message, ident=topic))
                until = None if until is None else time.monotonic() + SETTLED
            if until is not None and time.monotonic() >= until:
                until = None
                told()

    def close(self) -> None:
        """Close what is left, when nobody serves any more."""
        self.release()
        os.close(self._wake)
