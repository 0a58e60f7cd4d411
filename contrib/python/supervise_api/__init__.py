"""Run commands so that nothing they start can outlive them.

    import supervise_api

    with supervise_api.Process(["sh", "-c", "nohup sleep 1000 & exit 3"]) as process:
        print(process.wait().exit_status)  # 3
    # the sleep is being killed

Each command gets a supervisor, the program `supervise`, which must be on PATH. It holds everything the command starts, in
whatever way that daemonizes, and kills it when the last copy of the supervisor's socket is closed: by `close`, at the end of
a `with`, when the Process is collected as garbage, or because this program has ended, even by SIGKILL.

`Process` is to be used by hand or in a loop of select or poll, `AsyncProcess` with asyncio; `dfork` is what they are made of.

For limits, and to hear what a command has used, there is `run`, which is used as subprocess.run is; and `Supervisor`, or
`AsyncSupervisor` with asyncio, which runs any number of jobs at a time. They are clients of `supervise serve`.

    done = supervise_api.run(["make", "-j8"], memory_max="2G", timeout=600, capture_output=True)
    print(done.returncode, done.record.cpu.total_s)

A job leads a session of its own and without pty it has no terminal: it cannot open /dev/tty, and of Ctrl-C it hears from this program alone,
which sends it SIGINT, and kills it when its grace period is over: see run. What would ask for a password has to be told
another way: ssh with -o BatchMode=yes, or SSH_ASKPASS=PROGRAM and SSH_ASKPASS_REQUIRE=force in its environment; sudo with -n,
-S (from standard input), or -A and SUDO_ASKPASS=PROGRAM; gpg with --batch --pinentry-mode loopback --passphrase-fd N, or
GPG_TTY naming a terminal for its pinentry. What needs a terminal is given one, by pty=(rows, columns).

Everything public is here, in the package. Its modules:

    a supervisor for one command:
        launch           dfork: the two forks, the command and its supervisor
        process          Process
        asyncprocess     AsyncProcess
        childevent       ChildEvent, ChildCode: what this supervisor tells
        descriptors      fileno, is_valid_fd, update_fds: which descriptors the command has
        child            supervisors that have ended, waited for later
        supervise        what the predecessor's module of this name had
    a supervisor for many jobs, `supervise serve`:
        supervisor, asyncsupervisor    Supervisor and AsyncSupervisor; basesupervisor has what they share
        job, asyncjob                  Job and AsyncJob; basejob has what they share
        streams, asyncstreams          their stdin, stdout and stderr that are messages, and their terminals
        output                         what Job.output returns
        connection, asyncconnection    waiting for what the supervisor tells, by threads or by tasks
        oneshot                        run; runplan has what is to be run, completed what came of it
        options, stdio, texts          the arguments of spawn and run; those that are descriptors; those of any bytes
        record, answers                the dataclasses that come from the supervisor: of a job that ended, of one that runs
        jobevents                      Event, and the queue of those that were not taken yet
        errors                         the exceptions
    for the tests of programs that use these:
        testing          ScriptedServer, which runs functions for processes; scriptedjob has what they are called with, and scriptedtalk,
                         scriptedmethods, scriptedstart, scriptedspawn, scriptedpipeline, scriptedoutput and scriptedwire how the
                         server answers
    below these:
        conversation     requests, replies and notifications on the socket, without waiting
        features         what a request needs of its supervisor
        inflow           output that came by a window
        codec            text of bytes
        parameters       the parameters of requests as JSON; decoder makes the dataclasses of JSON
        jobhistory       what was heard of a job
        server           the program `supervise serve`, or a connection to one; location finds the program
        latch            what happens once, and what is called then
        deadline         moments up to which is waited
        interrupts       signals held back while half of something is done
"""

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, Optional

from . import answers, asyncjob, asyncprocess, asyncsupervisor, childevent, jobevents, launch, oneshot, options
from . import supervise as supervise
from .asyncjob import AsyncJob
from .asyncprocess import AsyncProcess
from .asyncstreams import AsyncInput, AsyncTerminal
from .asyncsupervisor import AsyncSupervisor
from .basejob import Killed
from .childevent import ChildCode, ChildEvent, ChildEventBuffer
from .completed import CalledProcessError, Completed, TimeoutExpired
from .descriptors import fileno, is_valid_fd, update_fds
from .errors import (
    CommandNotFound,
    InvalidRequest,
    JobGone,
    LimitRefused,
    NotExecutable,
    NotReady,
    RequestError,
    SupervisorLost,
    SystemCallFailed,
    UncleanExit,
    Unsupported,
)
from .job import Job
from .jobevents import Event
from .launch import dfork
from .oneshot import run
from .options import Command, Pressing
from .output import Output, TextOutput
from .process import Process, ignore_sigchld
from .record import Record
from .stdio import DEVNULL, INPUT, PIPE, STDOUT, Capture, File
from .streams import JobInput, Terminal
from .supervisor import Supervisor

# The names that some modules had before. Callers may import them, and pickles have them.
for _name, _module in {
    "aio": asyncprocess,
    "aiojob": asyncjob,
    "aiosupervisor": asyncsupervisor,
    "event": childevent,
    "events": jobevents,
    "running": oneshot,
    "spawn": launch,
    "spawning": options,
    "state": answers,
}.items():
    sys.modules[__name__ + "." + _name] = globals()[_name] = _module

_location = shutil.which("supervise")
#: The program `supervise`. None if it was not on PATH at the import: it is then looked for again at each start.
supervise_utility_location: Optional[bytes] = None if _location is None else os.fsencode(_location)

if TYPE_CHECKING:  # type checkers would take the function below for leave to use any name
    ffi: Any
    lib: Any
else:

    def __getattr__(name: str) -> Any:
        """Return what else the predecessor's package had: see supervise."""
        if name in supervise.EXPORTED:
            return getattr(supervise, name)
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))

__all__ = [
    "AsyncInput",
    "AsyncJob",
    "AsyncProcess",
    "AsyncSupervisor",
    "AsyncTerminal",
    "CalledProcessError",
    "Capture",
    "ChildCode",
    "ChildEvent",
    "ChildEventBuffer",
    "Command",
    "CommandNotFound",
    "Completed",
    "DEVNULL",
    "Event",
    "File",
    "INPUT",
    "InvalidRequest",
    "Job",
    "JobGone",
    "JobInput",
    "Killed",
    "LimitRefused",
    "NotExecutable",
    "NotReady",
    "Output",
    "PIPE",
    "Pressing",
    "Process",
    "Record",
    "RequestError",
    "STDOUT",
    "Supervisor",
    "SupervisorLost",
    "SystemCallFailed",
    "Terminal",
    "TextOutput",
    "TimeoutExpired",
    "UncleanExit",
    "Unsupported",
    "dfork",
    "fileno",
    "ignore_sigchld",
    "is_valid_fd",
    "run",
    "supervise_utility_location",
    "update_fds",
]
