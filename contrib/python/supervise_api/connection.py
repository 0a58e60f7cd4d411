"""The connection of a Supervisor and its jobs to `supervise serve`: waiting without asyncio, from any number of threads."""

import os
import select
import sys
import threading
import time
from typing import Any, Callable, List, Mapping, Optional, Sequence

from .conversation import VERSION, Conversation, Reply
from .errors import SupervisorLost
from .interrupts import Held
from .jobevents import Event
from .jobhistory import JobHistory
from .options import Argument, SpawnOptions
from .parameters import spawn_parameters
from .server import Address, Greeting, Server


class Connection:
    """A conversation in which threads wait: whichever thread waits for something reads what comes for all."""

    def __init__(self, flags: Sequence[str], address: Optional[Address]) -> None:
        """Start `supervise serve`, or connect to one, and say hello; for errors see Supervisor."""
        self._closed = threading.Lock()  # taken once
        self.changed = threading.Condition(threading.Lock())  #: guards the conversation and all below
        self._reading = False  # a thread does
        self._delivering = False
        self._wake = list(os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))  # the thread that reads
        try:
            self._server = Server(flags, address)
        except BaseException:
            self._close_wake()
            raise
        self.talk = Conversation(self._server.socket)
        try:
            self.greeting = Greeting(self.call("hello", {"versions": [VERSION]}))
        except BaseException:
            self._server.hang_up()
            self.close()
            raise

    def spawn(self, argv: Sequence[Argument], options: SpawnOptions) -> JobHistory:
        """Start a job, and return what is known of it."""
        fds: List[int] = []
        reply = Reply("spawn", spawn_parameters(argv, options, fds, self._server.environ), options.get("on_event"))
        self._ask(reply, fds)
        assert reply.job is not None
        return reply.job

    def read(self, timeout: Optional[float]) -> None:
        """Take what the supervisor has to tell; see Supervisor.read."""
        try:
            with Held() as held, self.changed:
                self._step(None if timeout is None else time.monotonic() + timeout, held)
        finally:
            self._deliver()

    def close(self) -> None:
        """End all jobs at once, and wait until everything is dead. Their records are still heard of."""
        if not self._closed.acquire(blocking=False):
            self.until(lambda: self.talk.over is not None)
            return
        self.talk.farewell = SupervisorLost("the connection to the supervisor was closed")
        self._server.end_input()
        try:
            self.until(lambda: self.talk.over is not None)
        except BaseException:
            self._server.hang_up()
            with self.changed:
                self.talk.lose(self.talk.farewell)
            raise
        finally:
            self._server.wait()
            self._close_wake()

    def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Make a request, and return its result; RequestError, SupervisorLost."""
        return self._ask(Reply(method, params))

    def _ask(self, reply: Reply, fds: Sequence[int] = ()) -> Any:
        try:
            with Held(), self.changed:
                self.talk.request(reply, fds)
                self._send()
            self.until(lambda: reply.done)
        except BaseException:
            if reply.sent:
                self._abandon(reply)
            raise
        return reply.result()

    def _abandon(self, reply: Reply) -> None:
        """Give up an answer: the caller was interrupted. A job that was to be spawned is dead when this returns."""
        with Held(), self.changed:
            self.talk.abandon(reply)
            self._send()
        if reply.method == "spawn":
            self.until(lambda: reply.done)
            self.until(lambda: reply.job is None or reply.job.ended.done)

    def until(self, done: Callable[[], bool], timeout: Optional[float] = None) -> None:
        """Read until something is done; TimeoutError. That the supervisor is lost makes everything done."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with Held() as held, self.changed:
                if done():
                    return
                in_time = self._step(deadline, held)
            self._deliver()
            if not in_time and not done():
                raise TimeoutError("it has not ended in {} s".format(timeout))

    def _step(self, deadline: Optional[float], held: Held) -> bool:
        """Wait until something has changed; False: by the deadline nothing has.

        One thread reads; the others wait for what it has read, and one of them goes on when it has what it wanted.
        """
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if self.talk.over is not None:
            return False
        if self._reading:
            with held.pause():
                return self.changed.wait(left)
        self._reading = True
        try:
            ready = self._poll(left, held)
            self.talk.receive()
            self.talk.send()
            return ready
        finally:
            self._reading = False
            self.changed.notify_all()

    def _poll(self, left: Optional[float], held: Held) -> bool:
        """Wait for the socket while others may do what they like, and signals come."""
        poll = select.poll()  # select cannot wait for a descriptor above 1023
        poll.register(self.talk.socket, select.POLLIN | (select.POLLOUT if self.talk.unsent else 0))
        poll.register(self._wake[0], select.POLLIN)
        self.changed.release()
        try:
            with held.pause():
                ready = poll.poll(None if left is None else left * 1000)
        finally:
            self.changed.acquire()
        if any(fd == self._wake[0] for fd, _ in ready):
            os.read(self._wake[0], 4096)
        return bool(ready)

    def _send(self) -> None:
        """Send what was asked for. If there is no room, the thread that reads sends the rest."""
        self.talk.send()
        if self.talk.unsent and self._reading:
            os.write(self._wake[1], b"w")

    def _deliver(self) -> None:
        """Call the callbacks of events that came, one after the other."""
        with self.changed:
            if self._delivering or not self.talk.fresh:
                return
            self._delivering = True
        try:
            while True:
                with self.changed:
                    call = self.talk.next_call()
                    if call is None:
                        self._delivering = False
                        return
                _call_back(*call)
        except BaseException:
            self._delivering = False
            raise

    def _close_wake(self) -> None:
        while self._wake:
            os.close(self._wake.pop())

    def __del__(self) -> None:
        self._close_wake()


def _call_back(callback: Callable[[Event], object], event: Event) -> None:
    try:
        callback(event)
    except Exception:
        sys.excepthook(*sys.exc_info())
