"""A supervisor for any number of jobs, used without asyncio."""

import os
import select
import sys
import threading
import time
from types import TracebackType
from typing import Any, Callable, List, Mapping, Optional, Sequence, Type, TypeVar, Union

from .answers import JobInfo
from .basesupervisor import BaseSupervisor, Greeting
from .completed import Completed
from .conversation import VERSION, Conversation, Reply
from .decoder import make
from .errors import SupervisorLost
from .interrupts import Held
from .job import Job
from .jobevents import Event
from .parameters import Argument, Command, LimitValue, Pressing, given, signal_name
from .runplan import RunPlan
from .server import Address, Server
from .stdio import Stdio

_Self = TypeVar("_Self", bound="Supervisor")


class Supervisor(BaseSupervisor):
    """A supervisor that runs any number of jobs, with limits, and tells what each has used.

        with Supervisor() as supervisor:
            job = supervisor.spawn(["make", "-j8"], stdout="make.log", limits={"memory-max": "2G"}, timeout=600)
            print(job.wait().cpu.total_s)

    When it is closed, or this process ends in whatever way, all jobs end and everything that they have started.

    Any number of threads may use it at the same time. It has none of its own: whichever thread waits for something here reads
    what comes for all. While none does, what the supervisor has to tell stays in the kernel and with it, and a job whose
    output is captured may wait in its write; killing and time limits go on. What nobody has asked for yet is bounded: 1,000
    events a job, see Job.events. Signal handlers must not call it; they may raise.
    """

    def __init__(self, flags: Sequence[str] = (), *, address: Optional[Address] = None) -> None:
        """Start `supervise serve`, or connect to one.

        flags: of `supervise serve`, such as ["--contain=cgroup"].
        address: the path of a Unix socket at which a supervisor listens, such as systemd's supervise.socket; no flags then.
        OSError: the program or the socket is not there; SupervisorLost: it did not say hello.
        """
        self._closed = threading.Lock()  # taken once
        self._changed = threading.Condition(threading.Lock())  # guards all below
        self._reading = False  # somebody does
        self._delivering = False
        self._wake = list(os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))  # whoever reads
        try:
            self._server = Server(flags, address)
        except BaseException:
            self._close_wake()
            raise
        self._talk = Conversation(self._server.socket)
        try:
            self._greeting = Greeting(self._call("hello", {"versions": [VERSION]}))
        except BaseException:
            self._server.hang_up()
            self.close()
            raise

    def spawn(
        self,
        argv: Sequence[Argument],
        *,
        env: Optional[Mapping[str, str]] = None,
        env_update: Optional[Mapping[str, Optional[str]]] = None,
        cwd: Optional[Argument] = None,
        stdin: Stdio = None,
        stdout: Stdio = None,
        stderr: Stdio = None,
        limits: Optional[Mapping[str, LimitValue]] = None,
        timeout: Optional[float] = None,
        cpu_timeout: Optional[float] = None,
        grace: Optional[float] = None,
        signal: Union[None, int, str] = None,
        name: Optional[str] = None,
        tags: Optional[Mapping[str, str]] = None,
        leftovers: Optional[str] = None,
        notify: Sequence[str] = (),
        pressure: Sequence[Pressing] = (),
        sample: Optional[float] = None,
        delegate: bool = False,
        best_effort: bool = False,
        on_event: Optional[Callable[[Event], object]] = None,
    ) -> Job:
        """Start a job.

        argv: the command; without a slash argv[0] is looked up in the PATH that the job gets.
        env: all of the environment; None: ours (of a supervisor that we have connected to: its own).
        env_update: changes to that; None removes a variable.
        cwd: the working directory; None: ours.
        stdin, stdout, stderr: None or DEVNULL: /dev/null. PIPE: Job.stdin and so on are the other ends. STDOUT, for stderr: as
            stdout. A descriptor or an object with one. "capture" or a Capture: see Job.output. Else a path, or a File.
        limits: by the names of the flags of `supervise run` or of systemd: {"memory-max": "1G", "cpus": 1.5, "TasksMax": 200}.
        timeout, cpu_timeout: seconds, and seconds of processor time of the whole job, after which it ends.
        grace: seconds between signal and the end when a time is up; None: 10.
        signal: what all processes are sent first then; None: SIGTERM.
        name, tags: for people, and the caller's own; they come back in list.
        leftovers: what becomes of processes that outlive the main process: "kill" (as None), "wait" for them, or "fail": as kill,
            and run(check=True) takes it for a failure.
        notify: more events to hear of: "descendants", "oom", "limit".
        pressure: PSI triggers, each an event.
        sample: seconds between events that tell what the job uses.
        delegate: it gets the controllers for sub-cgroups of its own.
        best_effort: limits that cannot be had are listed in Job.unenforced, and refuse nothing.
        on_event: is called with each event, by whichever thread waits for something here; Job.events has none then. It may
            call everything here. What it raises is printed.

        RequestError: nothing was started; its subclasses say why. CommandNotFound is a FileNotFoundError, NotExecutable a
        PermissionError, LimitRefused has the reason and the fix. ValueError, TypeError; SupervisorLost.
        """
        return self._spawn(
            Command(
                argv, env, env_update, cwd, stdin, stdout, stderr, limits, timeout, cpu_timeout, grace, signal, name, tags, leftovers,
                notify, pressure, sample, delegate, best_effort,
            ),
            on_event,
        )  # fmt: skip

    def run(self, argv: Sequence[Argument], **options: Any) -> Completed:
        """Run a command as supervise_api.run does, with this supervisor."""
        plan, job = RunPlan(argv, **options), None
        try:
            with plan:
                job = self._spawn(plan.command, None)
            record = job.wait()
        except BaseException:
            if job is not None:
                job.kill()
                job.wait()
            raise
        return plan.completed(job, record)

    def list(self) -> List[JobInfo]:
        """Return the jobs that have not ended, oldest first."""
        return [make(JobInfo, one) for one in self._call("list", {})["jobs"]]

    def read(self, timeout: Optional[float] = 0) -> None:
        """Take what the supervisor has to tell now; wait up to so many seconds if there is nothing. None: for ever."""
        try:
            with Held() as held, self._changed:
                self._step(None if timeout is None else time.monotonic() + timeout, held)
        finally:
            self._deliver()

    def shutdown(self, grace: Optional[float] = None, signal: Union[None, int, str] = None) -> None:
        """End all jobs, by a signal (None: SIGTERM) and so many seconds before the kill if grace is given, and close."""
        self._call("shutdown", given(grace=grace, signal=signal_name(signal)))
        self.close()

    def close(self) -> None:
        """End all jobs at once, and wait until everything is dead. Their records are still heard of."""
        if not self._closed.acquire(blocking=False):
            self._until(lambda: self._talk.over is not None)
            return
        self._talk.farewell = SupervisorLost("the connection to the supervisor was closed")
        self._server.end_input()
        try:
            self._until(lambda: self._talk.over is not None)
        except BaseException:
            self._server.hang_up()
            with self._changed:
                self._talk.lose(self._talk.farewell)
            raise
        finally:
            self._server.wait()
            self._close_wake()

    def _close_wake(self) -> None:
        while self._wake:
            os.close(self._wake.pop())

    def _spawn(self, command: Command, on_event: Optional[Callable[[Event], object]]) -> Job:
        fds: List[int] = []
        reply = Reply("spawn", command.request(fds, self._server.environ), on_event)
        self._ask(reply, fds)
        assert reply.job is not None
        return Job(self, reply.job)

    def _call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Make a request, and return its result; RequestError, SupervisorLost."""
        return self._ask(Reply(method, params))

    def _ask(self, reply: Reply, fds: Sequence[int] = ()) -> Any:
        try:
            with Held(), self._changed:
                self._talk.request(reply, fds)
                self._send()
            self._until(lambda: reply.done)
        except BaseException:
            if reply.sent:
                self._abandon(reply)
            raise
        return reply.result()

    def _abandon(self, reply: Reply) -> None:
        """Nobody wants the answer any more; a job that was to be spawned is dead when this returns."""
        with Held(), self._changed:
            self._talk.abandon(reply)
            self._send()
        if reply.method == "spawn":
            self._until(lambda: reply.done)
            self._until(lambda: reply.job is None or reply.job.ended.done)

    def _until(self, done: Callable[[], bool], timeout: Optional[float] = None) -> None:
        """Read until something is done; TimeoutError. That the supervisor is lost makes everything done."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with Held() as held, self._changed:
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
        if self._talk.over is not None:
            return False
        if self._reading:
            with held.pause():
                return self._changed.wait(left)
        self._reading = True
        try:
            ready = self._poll(left, held)
            self._talk.receive()
            self._talk.send()
            return ready
        finally:
            self._reading = False
            self._changed.notify_all()

    def _poll(self, left: Optional[float], held: Held) -> bool:
        """Wait for the socket while others may do what they like, and signals come."""
        poll = select.poll()  # select cannot wait for a descriptor above 1023
        poll.register(self._talk.socket, select.POLLIN | (select.POLLOUT if self._talk.unsent else 0))
        poll.register(self._wake[0], select.POLLIN)
        self._changed.release()
        try:
            with held.pause():
                ready = poll.poll(None if left is None else left * 1000)
        finally:
            self._changed.acquire()
        if any(fd == self._wake[0] for fd, _ in ready):
            os.read(self._wake[0], 4096)
        return bool(ready)

    def _send(self) -> None:
        """Send what was asked for. If there is no room, whoever reads sees to the rest."""
        self._talk.send()
        if self._talk.unsent and self._reading:
            os.write(self._wake[1], b"w")

    def _deliver(self) -> None:
        """Call the callbacks of events that came, one after the other."""
        with self._changed:
            if self._delivering or not self._talk.fresh:
                return
            self._delivering = True
        try:
            while True:
                with self._changed:
                    call = self._talk.next_call()
                    if call is None:
                        self._delivering = False
                        return
                _call_back(*call)
        except BaseException:
            self._delivering = False
            raise

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self._close_wake()


def _call_back(callback: Callable[[Event], object], event: Event) -> None:
    try:
        callback(event)
    except Exception:
        sys.excepthook(*sys.exc_info())
