"""The conversation with `supervise serve`, by the protocol of protocol/SERVE.md: connection and asyncconnection do the waiting.

    requests ──> unsent ──> send ──> socket ──> receive ──> lines ──> replies, events of jobs

Nothing here blocks, and nothing here is guarded against other threads.
"""

import array
import json
import os
import socket
import weakref
from collections import deque
from typing import Any, Callable, Collection, Deque, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from .errors import SupervisorLost, request_error
from .features import missing
from .jobevents import Event
from .jobhistory import JobHistory
from .latch import Latch

#: The highest version of the protocol that is spoken here.
VERSION = 1

#: Bytes that a request may have, its newline included, until the supervisor has said how many it takes.
MAX_REQUEST = 1 << 20

_RECEIVE = 1 << 16
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_MAX_FDS = 253  # SCM_MAX_FD


class Reply(Latch):
    """What becomes of a request: a result or an error."""

    def __init__(
        self,
        method: str,
        params: Mapping[str, Any],
        on_event: Optional[Callable[[Event], object]] = None,
        files: Mapping[str, Any] = {},
    ) -> None:
        super().__init__()
        self.method = method
        self.params = params
        self.on_event = on_event  # of the job that is spawned
        self.files = files  # that are asked for, by field
        self.sent = False  # the request is on its way
        self.abandoned = False  # the caller does not wait for it any more
        self.job: Optional[JobHistory] = None
        self._value: Any = None
        self._error: Optional[Exception] = None

    def succeed(self, value: Any) -> None:
        self._value = value
        self.set()

    def fail(self, error: Exception) -> None:
        self._error = error
        self.set()

    def result(self) -> Any:
        """Return the result, or raise the error."""
        if self._error is not None:
            raise self._error
        return self._value


class Conversation:
    """All that is known of a supervisor and its jobs, on one socket."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a stream socket of AF_UNIX, non-blocking."""
        self.socket = sock
        self.jobs: Dict[int, JobHistory] = {}  # those that have not ended
        self.unsent: Deque[Tuple[memoryview, List[int]]] = deque()  # each with its descriptors, ours to close
        self.max_request = MAX_REQUEST
        self.features: Optional[Collection[str]] = None  # what the supervisor can do; None: it has not said yet
        self.over: Optional[Exception] = None  # nothing more will be heard, and why
        self.farewell = SupervisorLost("the supervisor is gone")  # what the end of input is taken for
        self.fresh: Dict[int, JobHistory] = {}  # with events for a callback
        self._last = 0  # number of a request
        self._replies: Dict[int, Reply] = {}
        self._begun: List[bytes] = []  # of a line
        self._received: Deque[int] = deque()  # descriptors that came
        _conversations.add(self)

    def request(self, reply: Reply, fds: Sequence[int] = ()) -> None:
        """Ask for something. The descriptors are copied.

        The error of a conversation that is over is the reply's; ValueError, TypeError: the parameters are no JSON; SystemCallFailed:
        they are too long; Unsupported: the supervisor does not know what they ask for.
        """
        if self.over is not None:
            reply.fail(self.over)
            return
        lacking = None if self.features is None else missing(reply.method, reply.params, self.features)
        if lacking is not None:
            raise lacking
        self._last += 1
        self._queue({"id": self._last, "method": reply.method, "params": reply.params}, fds, reply.files)
        self._replies[self._last] = reply
        reply.sent = True

    def tell(self, method: str, params: Mapping[str, Any]) -> None:
        """Ask for something that is not answered."""
        if self.over is None:
            self._queue({"method": method, "params": params}, (), {})

    def end(self, jobs: Iterable[JobHistory], signal: Optional[str] = None, gently: bool = False) -> None:
        """Ask for the end of jobs; gently: after a signal and the grace period of each."""
        for job in jobs:
            if not job.ended.done:
                how = {"signal": signal or job.params.get("signal") or "TERM", "grace": job.grace} if gently else {}
                self.tell("kill", {"job": job.number, **how})

    def _queue(self, message: Dict[str, Any], fds: Sequence[int], files: Mapping[str, Any]) -> None:
        line = _ENCODER.encode({"jsonrpc": "2.0", **message}).encode() + b"\n"
        if len(line) > self.max_request:
            text = "the request has {} bytes, more than {}".format(len(line), self.max_request)
            data = {"field": "argv", "errno": "E2BIG"}
            raise request_error(str(message["method"]), {"code": -32002, "message": text, "data": data}, files)
        if len(fds) > _MAX_FDS:
            raise ValueError("more than {} descriptors".format(_MAX_FDS))
        copies: List[int] = []
        try:
            for fd in fds:
                copies.append(os.dup(fd))
        except OSError:
            _close_all(copies)
            raise
        self.unsent.append((memoryview(line), copies))

    def send(self) -> None:
        """Send what there is room for. That the supervisor is gone is noticed in receive."""
        while self.unsent and self.over is None:
            line, fds = self.unsent[0]
            try:
                sent = self.socket.sendmsg([line], _rights(fds), socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return
            except OSError:
                self._drop_unsent()
                return
            _close_all(fds)
            self.unsent.popleft()
            if sent < len(line):
                self.unsent.appendleft((line[sent:], []))

    def receive(self) -> None:
        """Take some of what came."""
        if self.over is not None:
            return
        try:
            data, control, _, _ = self.socket.recvmsg(_RECEIVE, socket.CMSG_SPACE(_MAX_FDS * 4), socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            data, control = b"", []
        for level, kind, fds in control:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                self._received.extend(array.array("i", fds[: len(fds) - len(fds) % 4]))
        if not data:
            self.lose(self.farewell)
            return
        self._lines(data)

    def _lines(self, data: bytes) -> None:
        first, *rest = data.split(b"\n")
        self._begun.append(first)
        while rest:
            line, self._begun = b"".join(self._begun), [rest.pop(0)]
            try:
                self._line(json.loads(line))
            except (ValueError, LookupError, TypeError, AttributeError) as e:
                self.lose(SupervisorLost("the supervisor does not speak the protocol: {!r}".format(e)))
                return

    def _line(self, message: Dict[str, Any]) -> None:
        if "method" not in message:
            self._answer(message)
            return
        params = message["params"]
        job = self.jobs.get(params.get("job"))
        if job is None:
            return
        job.tell(message["method"], params)
        if job.events.callback is not None:
            self.fresh[job.number] = job
        if job.last is not None:
            del self.jobs[job.number]

    def next_call(self) -> Optional[Tuple[Callable[[Event], object], Event]]:
        """Take an event that a callback is for, and the callback. Each job has its turn."""
        while self.fresh:
            job = self.fresh.pop(next(iter(self.fresh)))
            event = job.events.take()
            if event is not None and job.events.callback is not None:
                self.fresh[job.number] = job
                return job.events.callback, event
        return None

    def _answer(self, message: Dict[str, Any]) -> None:
        reply = self._replies.pop(message["id"], None)
        if reply is None:
            return
        if message.get("error"):
            reply.fail(request_error(reply.method, message["error"], reply.files))
            return
        result = message["result"]
        if reply.method == "spawn":
            self._begin(reply, result)
        elif reply.method == "detach":
            self._detached(reply.params["job"])
        reply.succeed(result)

    def _begin(self, reply: Reply, result: Mapping[str, Any]) -> None:
        pipes = {number: self._received.popleft() for number in result.get("pipes") or []}
        reply.job = JobHistory(result, reply.params, pipes)
        reply.job.events.callback = reply.on_event
        self.jobs[reply.job.number] = reply.job
        if reply.abandoned:
            self._discard(reply.job)

    def abandon(self, reply: Reply) -> None:
        """Give up a reply. A job that the caller has not heard of is ended."""
        reply.abandoned = True
        if reply.job is not None:
            self._discard(reply.job)

    def _discard(self, job: JobHistory) -> None:
        _close_all(job.pipes.values())
        self.tell("kill", {"job": job.number})

    def _detached(self, number: int) -> None:
        job = self.jobs.pop(number, None)
        if job is not None:
            job.lose(SupervisorLost("the job was detached: nothing will be heard of its end"))

    def lose(self, why: Exception) -> None:
        """End the conversation, and fail with the reason what is still waited for."""
        self.over = self.over or why
        replies, self._replies = self._replies, {}
        jobs, self.jobs = self.jobs, {}
        for reply in replies.values():
            reply.fail(self.over)
        for job in jobs.values():
            job.lose(self.over)
        self._close()

    def _close(self) -> None:
        self._drop_unsent()
        _close_all(self._received)
        self._received.clear()
        self.socket.close()

    def __del__(self) -> None:
        self._close()

    def _drop_unsent(self) -> None:
        for _, fds in self.unsent:
            _close_all(fds)
        self.unsent.clear()


# A child of a fork that lives on without exec must not keep the supervisor waiting for the end of its input.
_conversations: "weakref.WeakSet[Conversation]" = weakref.WeakSet()


def _hang_up_in_child() -> None:
    for conversation in list(_conversations):
        conversation.over = conversation.over or SupervisorLost("the supervisor is the parent's, and this is a fork")
        conversation.socket.close()


os.register_at_fork(after_in_child=_hang_up_in_child)


def _rights(fds: List[int]) -> List[Tuple[int, int, "array.array[int]"]]:
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []


def _close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)
