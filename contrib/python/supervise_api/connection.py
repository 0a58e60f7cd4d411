"""The connection of a Supervisor and its jobs to `supervise serve`: waiting without asyncio, from any number of threads."""

import os
import select
import sys
import threading
from typing import Any, Callable, List, Mapping, Optional, Sequence

from .codec import codec_of
from .conversation import VERSION, Conversation, Reply
from .deadline import Deadline
from .errors import SupervisorLost
from .interrupts import Held, Woken
from .jobevents import Event
from .jobhistory import JobHistory
from .options import Argument, SpawnOptions
from .parameters import files_of, spawn_parameters
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
            self.talk.max_request = self.greeting.max_request or self.talk.max_request
            self.talk.features = self.greeting.features
        except BaseException:
            self._server.hang_up()
            self.close()
            raise

    def spawn(self, argv: Optional[Sequence[Argument]], options: SpawnOptions) -> JobHistory:
        """Start a job, and return what is known of it."""
        fds: List[int] = []
        params = spawn_parameters(argv, options, fds, self._server.origin)
        reply = Reply("spawn", params, options.get("on_event"), files_of(argv, options))
        self._ask(reply, fds)
        assert reply.job is not None
        reply.job.codec = codec_of(options)
        return reply.job

    def read(self, timeout: Optional[float]) -> None:
        """Take what the supervisor has to tell; see Supervisor.read."""
        try:
            with Held() as held, self.changed:
                self._step(Deadline(timeout), held)
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

    def tell(self, method: str, params: Mapping[str, Any]) -> None:
        """Make a request that is not answered."""
        with Held(), self.changed:
            self.talk.tell(method, params)
            self._send()

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

    def end(self, jobs: Sequence[JobHistory], why: Optional[BaseException] = None) -> None:
        """End jobs, and wait until they are dead.

        why: what has ended the waiting for them. KeyboardInterrupt is the terminal's SIGINT: they get one too, and are killed after
        their grace period, or at once if there is another. Anything else, or None: they are killed at once.
        """
        try:
            self._end(jobs, isinstance(why, KeyboardInterrupt))
        except BaseException:
            self._end(jobs, gently=False)
            raise

    def _end(self, jobs: Sequence[JobHistory], gently: bool) -> None:
        with Held(), self.changed:
            self.talk.end(jobs, "INT", gently)
            self._send()
        self.until(lambda: all(job.ended.done for job in jobs))

    def all_jobs(self) -> List[JobHistory]:
        """Return the jobs that have not ended."""
        with self.changed:
            return list(self.talk.jobs.values())

    def until(self, done: Callable[[], bool], timeout: Optional[float] = None) -> None:
        """Read until something is done; TimeoutError. That the supervisor is lost makes everything done."""
        deadline = Deadline(timeout)
        while True:
            with Held() as held, self.changed:
                if done():
                    return
                in_time = self._step(deadline, held)
            self._deliver()
            if not in_time and not done():
                raise TimeoutError("it has not ended in {} s".format(timeout))

    def _step(self, deadline: Deadline, held: Held) -> bool:
        """Wait until something has changed; False: by the deadline nothing has.

        One thread reads; the others wait for what it has read, and one of them goes on when it has what it wanted.
        """
        if self.talk.over is not None:
            return False
        if self._reading:
            with held.pause():
                return self.changed.wait(deadline.left()) or not deadline.passed()
        self._reading = True
        try:
            ready = self._poll(deadline, held)
            self.talk.receive()
            self.talk.send()
            return ready
        finally:
            self._reading = False
            self.changed.notify_all()

    def _poll(self, deadline: Deadline, held: Held) -> bool:
        """Wait for the socket while others may do what they like, and signals come."""
        poll = select.poll()  # select cannot wait for a descriptor above 1023
        poll.register(self.talk.socket, select.POLLIN | (select.POLLOUT if self.talk.unsent else 0))
        poll.register(self._wake[0], select.POLLIN)
        self.changed.release()
        try:
            with Woken(self._wake[1]), held.pause():
                left = deadline.left()
                ready = poll.poll(None if left is None else left * 1000)
        finally:
            self.changed.acquire()
        if any(fd == self._wake[0] for fd, _ in ready):
            os.read(self._wake[0], 4096)
        return bool(ready) or not deadline.passed()

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
