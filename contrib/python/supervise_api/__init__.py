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
"""

import shutil
from typing import Optional

from .asyncjob import AsyncJob
from .asyncprocess import AsyncProcess
from .asyncsupervisor import AsyncSupervisor
from .childevent import ChildCode, ChildEvent
from .completed import CalledProcessError, Completed, TimeoutExpired
from .descriptors import fileno, is_valid_fd, update_fds
from .errors import (
    CommandNotFound,
    InvalidRequest,
    JobGone,
    LimitRefused,
    NotExecutable,
    RequestError,
    SupervisorLost,
    SystemCallFailed,
    Unsupported,
)
from .job import Job
from .jobevents import Event
from .launch import dfork
from .oneshot import run
from .options import Pressing
from .process import Process, ignore_sigchld
from .record import Record
from .stdio import DEVNULL, PIPE, STDOUT, Capture, File
from .supervisor import Supervisor

#: The program `supervise`. None if it was not on PATH at the import: it is then looked for again at each start.
supervise_utility_location: Optional[str] = shutil.which("supervise")

__all__ = [
    "AsyncJob",
    "AsyncProcess",
    "AsyncSupervisor",
    "CalledProcessError",
    "Capture",
    "ChildCode",
    "ChildEvent",
    "CommandNotFound",
    "Completed",
    "DEVNULL",
    "Event",
    "File",
    "InvalidRequest",
    "Job",
    "JobGone",
    "LimitRefused",
    "NotExecutable",
    "PIPE",
    "Pressing",
    "Process",
    "Record",
    "RequestError",
    "STDOUT",
    "Supervisor",
    "SupervisorLost",
    "SystemCallFailed",
    "TimeoutExpired",
    "Unsupported",
    "dfork",
    "fileno",
    "ignore_sigchld",
    "is_valid_fd",
    "run",
    "supervise_utility_location",
    "update_fds",
]
