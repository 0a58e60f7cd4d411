"""One conversation of a scripted server: lines, and what they ask for."""

import itertools
import json
import os
import select
import threading
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

from .scriptedjob import Program, ScriptedJob, now, usage
from .scriptedoutput import Told
from .scriptedspawn import Refusal, signal_named, types, wrong
from .scriptedwire import Wire

MAX_REQUEST = 16 << 20
MAX_INPUT = 1 << 20

#: None: the answer comes later. Else the result, and the descriptors that come with it.
Result = Optional[Tuple[Mapping[str, Any], Tuple[int, ...]]]
Method = Callable[["ScriptedTalk", "Request"], Result]

#: Finds the program for a command; None: there is none.
Finder = Callable[[List[str]], Optional[Program]]


class ScriptedTalk:
    """A conversation. One thread reads, and one for each job is its process; the lock guards all."""

    def __init__(self, wire: Wire, methods: Mapping[str, Method], find: Finder, containment: str) -> None:
        """Prepare to talk."""
        self._methods = methods
        self.changed = threading.Condition(threading.RLock())
        self.wire, self.find, self.containment = wire, find, containment
        self.jobs: Dict[int, ScriptedJob] = {}
        self.archive: Dict[int, ScriptedJob] = {}  # ended ones of which output is kept
        self.greeted = False
        self.shutdown: Optional[List[Any]] = None  # ids of those that wait for it
        self.finished = False  # the shutdown was answered
        self._numbers = itertools.count(1)
        self._over = False
        self._hung_up = False
        self._threads: List[threading.Thread] = []
        self._wake = os.pipe2(os.O_CLOEXEC)

    @property
    def cgroup(self) -> bool:
        """Whether jobs have cgroups, as far as is told."""
        return self.containment == "cgroup"

    def serve(self) -> None:
        """Talk, until the end of input or of a shutdown; all jobs have ended then."""
        begun: List[bytes] = []  # of a line
        size = 0
        try:
            while not self._over and self._readable():
                data = self.wire.read()
                if not data:
                    break
                *ends, last = data.split(b"\n")
                for piece in ends:
                    self._line(b"".join(begun) + piece if size + len(piece) < MAX_REQUEST else None)
                    begun, size = [], 0
                size += len(last)
                begun = [*begun, last] if size < MAX_REQUEST else []  # what is too long is skipped
        finally:
            self._end()

    def _readable(self) -> bool:
        poll = select.poll()
        poll.register(self.wire.fileno(), select.POLLIN)
        poll.register(self._wake[0], select.POLLIN)
        return self._wake[0] not in [fd for fd, _ in poll.poll()]

    def hang_up(self) -> None:
        """End the conversation."""
        with self.changed:
            if not self._over:
                self._over = True
                os.write(self._wake[1], b"w")

    def _end(self) -> None:
        with self.changed:
            for job in list(self.jobs.values()):
                job.cause = "owner-gone" if job.cause == "exited" else job.cause
                self.kill(job)
            self._over = True
        for thread in self._threads:
            thread.join()
        for fd in self._wake:
            os.close(fd)
        self.wire.close()

    def _line(self, line: Optional[bytes]) -> None:
        """Take a line; None: one that is too long."""
        if self._over or line is not None and not line.strip():
            return
        with self.changed:
            if line is None:
                self.fail(None, Refusal(-32002, None, "longer than {} bytes".format(MAX_REQUEST)))
                return
            try:
                message = json.loads(line.decode())
            except (ValueError, RecursionError) as e:
                self.fail(None, Refusal(-32700, None, "no JSON: {}".format(e)))
                return
            self._request(message)

    def _request(self, message: Any) -> None:
        given = isinstance(message, dict) and "id" in message
        number = message.get("id") if given else None
        valid = isinstance(number, (int, float, str)) and not isinstance(number, bool)
        if not isinstance(message, dict) or not isinstance(message.get("method", ""), str):
            self.fail(None, Refusal(-32600, None, "no request"))
        elif given and not valid:
            self.fail(None, Refusal(-32600, "id", "want a number or a string"))
        elif message.get("jsonrpc") != "2.0":
            self.fail(number, Refusal(-32600, "jsonrpc", "want 2.0"))
        elif not message.get("method"):
            self.fail(number, Refusal(-32600, "method", "want a method"))
        else:
            self._carry_out(Request(message["method"], number, message.get("params")))

    def _carry_out(self, request: "Request") -> None:
        method = self._methods.get(request.method)
        try:
            if method is None:
                raise Refusal(-32601, "method", "no such method: {}".format(request.method))
            if (request.method == "hello") == self.greeted:
                raise Refusal(-32001, "method", "hello comes first, and once")
            if not isinstance(request.params, dict):
                raise wrong(None, "want an object")
            types(request.method, request.params)
            result = method(self, request)
        except Refusal as e:
            if request.id is not None:
                self.fail(request.id, e)
            return
        except OSError as e:
            raise AssertionError("a method has failed: {!r}".format(e)) from e
        if result is not None:
            self.answer(request.id, *result)

    # What is said.

    def send(self, message: Mapping[str, Any], fds: Tuple[int, ...] = ()) -> None:
        """Send a message, unless the owner has hung up."""
        if self._hung_up:
            return
        try:
            self.wire.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n", fds)
        except OSError:
            self._hung_up = True
            self.hang_up()

    def answer(self, number: Any, result: Mapping[str, Any], fds: Tuple[int, ...] = ()) -> None:
        """Answer a request that has an id."""
        if number is not None:
            self.send({"id": number, "result": result}, fds)

    def fail(self, number: Any, refusal: Refusal) -> None:
        """Answer with an error."""
        self.send({"id": number, "error": refusal.error})

    def tell(self, method: str, params: Mapping[str, Any]) -> None:
        """Notify."""
        self.send({"method": method, "params": params})

    def pump(self, job: ScriptedJob, told: Told, ending: bool = False) -> None:
        """Tell output that there is credit for, and answer who waits for it."""
        message = told.message(told.flow(ending))
        if message is not None:
            self.tell("output", {"job": job.number, **message})
        self.serve_readers(job)

    # What becomes of jobs.

    def start(self, job: ScriptedJob, program: Program) -> None:
        """Have a job run that was answered for."""
        self.tell("started", {"job": job.number, "pid": job.pid, "name": job.name, "time": job.started})
        thread = threading.Thread(target=job.run, args=(program,), name="scripted job {}".format(job.number), daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    def next_number(self) -> int:
        """Return a job's number."""
        return next(self._numbers)

    def after(self, job: ScriptedJob, delay: float, call: Callable[[], None]) -> None:
        """Have something called later, unless the job has ended then."""

        def run() -> None:
            with self.changed:
                if not job.ended:
                    call()

        timer = threading.Timer(min(delay, threading.TIMEOUT_MAX), run)
        timer.daemon = True
        job.timers.append(timer)
        timer.start()

    def stop(self, job: ScriptedJob, cause: str, name: str, grace: float) -> None:
        """End a job, by a signal first if there is a grace period."""
        if job.cause == "exited":
            job.cause = cause
        if grace <= 0:
            self.kill(job)
            return
        job.state = "stopping"
        self.after(job, grace, lambda: self.kill(job))
        job.take_signal(name)

    def time_out(self, job: ScriptedJob) -> None:
        """End a job whose time is up."""
        grace = job.params.get("grace")
        name = signal_named(job.params.get("signal") or "TERM") or "SIGTERM"
        self.stop(job, "timeout", name, 10.0 if grace is None else grace)

    def kill(self, job: ScriptedJob) -> None:
        """End a job at once."""
        if job.exit is None:
            self.exit(job, {"code": None, "signal": "SIGKILL", "core": False}, [{"pid": job.pid, "comm": job.name[:15]}])

    def exit(self, job: ScriptedJob, how: Dict[str, Any], killed: Optional[List[Dict[str, Any]]] = None) -> None:
        """Tell the end of a job: its process is all there is of it."""
        job.exit, job.ended = how, True
        job.seal()
        self.tell("exited", {"job": job.number, "pid": job.pid, "main": True, **how, "usage": usage(), "time": now()})
        for source in job.inputs.values():
            source.close()
        for told in job.outputs():
            self.pump(job, told, ending=True)
            rest = told.rest()
            if rest is not None:
                self.tell("output", {"job": job.number, **rest})
            told.over = told.ended = True
        del self.jobs[job.number]
        end = {"job": job.number, "tags": job.tags, "record": job.record}
        if job.commands is not None:
            end["commands"] = job.commands
        if job.told:
            end["output"] = [told.end() for told in job.outputs()]
        self.tell("ended", end)
        for number in job.waits:
            self.answer(number, end)
        for number in job.kills:
            self.answer(number, {**end, "killed": killed or [], "killed_total": len(killed or [])})
        self.serve_readers(job)
        if any(told.keep for told in job.told.values()):
            self.archive[job.number] = job
        job.finish()
        self.end_shutdown()

    def end_shutdown(self) -> None:
        """Answer a shutdown, when all jobs have ended."""
        if self.shutdown is not None and not self.jobs and not self.finished:
            self.finished = True
            for number in self.shutdown:
                self.answer(number, {})
            self.hang_up()

    def serve_readers(self, job: ScriptedJob) -> None:
        """Answer those who wait for output."""
        for reader in list(job.readers):
            number, told, params = reader
            part = told.part(params)
            if part["next"] > part["offset"] or part["eof"]:
                job.readers.remove(reader)
                self.answer(number, part)


class Request:
    """A request that is one."""

    def __init__(self, method: str, number: Union[None, int, float, str], params: Any) -> None:
        self.method, self.id = method, number
        self.params: Any = {} if params is None else params
