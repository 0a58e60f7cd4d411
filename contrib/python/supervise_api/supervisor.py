"""A supervisor for any number of jobs, used without asyncio."""

import contextlib
from types import TracebackType
from typing import List, Optional, Sequence, Type, TypeVar, Union

from .answers import JobInfo
from .basesupervisor import BaseSupervisor
from .completed import Completed
from .connection import Connection
from .decoder import make
from .job import Job
from .options import Argument, RunOptions, SpawnOptions, Unpack, takes
from .parameters import given, grace_of, signal_name
from .runplan import RunPlan
from .server import Address
from .streams import Terminal

_Self = TypeVar("_Self", bound="Supervisor")


class Supervisor(BaseSupervisor):
    """A supervisor that runs any number of jobs, with limits, and tells what each has used.

        with Supervisor() as supervisor:
            job = supervisor.spawn(["make", "-j8"], stdout="make.log", limits={"memory-max": "2G"}, timeout=600)
            print(job.wait().cpu.total_s)

    When it is closed, or this process ends in whatever way, all jobs end and everything that they have started. Ctrl-C within the
    `with` ends each job as it does in `run`: by SIGINT, after its grace period or by another Ctrl-C the kill.

    Any number of threads may use it at the same time. It has none of its own: whichever thread waits for something here reads
    what comes for all. While none does, what the supervisor has to tell stays in the kernel and with it, and a job whose
    output is captured may wait in its write; killing and time limits go on. What the caller has not asked for yet is bounded: 1,000
    events a job, see Job.events. Signal handlers must not call it; they may raise.
    """

    _connection: Connection

    def __init__(self, flags: Sequence[str] = (), *, address: Optional[Address] = None) -> None:
        """Start `supervise serve`, or connect to one.

        flags: of `supervise serve`, such as ["--contain=cgroup"].
        address: the path of a Unix socket at which a supervisor listens, such as systemd's supervise.socket; no flags then.
        OSError: the program or the socket is not there; SupervisorLost: it did not say hello.
        """
        self._connection = Connection(flags, address)

    @takes(SpawnOptions)
    def spawn(self, argv: Optional[Sequence[Argument]] = None, **options: "Unpack[SpawnOptions]") -> Job:
        """Start a job.

        argv: the command; without a slash argv[0] is looked up in the PATH that the job gets.
        pipeline: commands in place of argv, each a list of arguments or a Command; the output of each is the input of the next. They
            are one job, whose exit is that of the last that failed ("pipefail"); Job.commands has the ends of all.
        env: all of the environment; None: ours (of a supervisor that we have connected to: its own).
        env_update: changes to that; None removes a variable.
        cwd: the working directory; None: ours (of a supervisor that we have connected to: its own).
        stdin, stdout, stderr: None or DEVNULL: /dev/null. PIPE: Job.stdin and so on are the other ends. STDOUT, for stderr: as
            stdout. A descriptor or an object with one. "capture" or a Capture: see Job.output; a Capture with a window: Job.stdout
            (or stderr) reads it, and a job that is too fast waits. INPUT, for stdin: Job.stdin writes to it, and waits until the
            job has room. Else a path, or a File.
        pty: (rows, columns), or True for (24, 80): what is not given of stdin, stdout and stderr is a terminal, Job.terminal.
        keep: so many bytes of stdout and of stderr, the last ones, are kept for Job.output, after the end too: of what is captured, or
            not given, or of the terminal.
        text, encoding, errors: the files here are of text, as subprocess has it, and so are Job.terminal and Job.output.
        limits: by the names of the flags of `supervise run` or of systemd: {"memory-max": "1G", "cpus": 1.5, "TasksMax": 200}.
        timeout, cpu_timeout: seconds, and seconds of processor time of the whole job, after which it ends; None or infinity: it
            does not; 0 or less: it ends as soon as it has started.
        grace: seconds between signal and the end when a time is up; None: 10.
        signal: what all processes are sent first then; None: SIGTERM.
        name, tags: for people, and the caller's own; they come back in list.
        leftovers: what becomes of processes that outlive the main process: "kill" (as None), "wait" for them, or "fail": as kill,
            and run(check=True) takes it for a failure.
        notify: more events to hear of: "descendants", "oom", "limit"; "ready": see Job.ready.
        pressure: PSI triggers, each an event.
        sample: seconds between events that tell what the job uses; None or 0: there are none.
        delegate: it gets the controllers for sub-cgroups of its own.
        best_effort: limits that cannot be had are listed in Job.unenforced, and refuse nothing.
        on_event: is called with each event, by whichever thread waits for something here; Job.events has none then. It may
            call everything here. What it raises is printed.

        Text may have any bytes: as bytes, or as a string with surrogates (os.fsdecode).

        RequestError: nothing was started; its subclasses say why. CommandNotFound is a FileNotFoundError, NotExecutable a
        PermissionError, each with errno, strerror and filename as subprocess has them; LimitRefused has the reason and the fix.
        ValueError, TypeError; SupervisorLost.
        """
        return Job(self._connection, self._connection.spawn(argv, options))

    @takes(RunOptions)
    def run(self, argv: Optional[Sequence[Argument]] = None, **options: "Unpack[RunOptions]") -> Completed:
        """Run a command as supervise_api.run does, with this supervisor."""
        plan, history = RunPlan(argv, options), None
        try:
            with plan:
                history = self._connection.spawn(plan.argv, plan.options)
                history.grace = plan.grace
            job = Job(self._connection, history)
            if plan.typed is not None and job.terminal is not None:
                self._type(job.terminal, plan.typed)
            record = job.wait()
        except BaseException as e:
            if history is not None:
                self._connection.end([history], e)
            raise
        return plan.completed(job, record)

    @staticmethod
    def _type(terminal: Terminal, text: memoryview) -> None:
        """Type the input of a job, and its end. That the job ends before it has read all is no error."""
        with contextlib.suppress(BrokenPipeError):
            terminal.type(text)
            terminal.eof()

    def list(self) -> List[JobInfo]:
        """Return the jobs that have not ended, oldest first."""
        return [make(JobInfo, one) for one in self._connection.call("list", {})["jobs"]]

    def read(self, timeout: Optional[float] = 0) -> None:
        """Take what the supervisor has to tell now; wait up to so many seconds if there is nothing. None: for ever."""
        self._connection.read(timeout)

    def shutdown(self, grace: Optional[float] = None, signal: Union[None, int, str] = None) -> None:
        """End all jobs, by a signal (None: SIGTERM) and so many seconds before the kill if grace is given, and close."""
        self._connection.call("shutdown", given(grace=grace_of(grace), signal=signal_name(signal)))
        self.close()

    def close(self) -> None:
        """End all jobs at once, and wait until everything is dead. Their records are still heard of."""
        self._connection.close()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        try:
            if isinstance(value, KeyboardInterrupt):
                self._connection.end(self._connection.all_jobs(), value)
        finally:
            self.close()
