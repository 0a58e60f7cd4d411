"""Run commands so that nothing they start can outlive them.

    import supervise_api

    with supervise_api.Process(["sh", "-c", "nohup sleep 1000 & exit 3"]) as process:
        print(process.wait().exit_status)  # 3
    # the sleep is being killed

Each command gets a supervisor, the program `supervise`, which must be on PATH. It holds everything the command starts, in
whatever way that daemonizes, and kills it when the last copy of the supervisor's socket is closed: by `close`, at the end of
a `with`, when the Process is collected as garbage, or because this program has ended, even by SIGKILL.

`Process` is to be used by hand or in a loop of select or poll, `AsyncProcess` with asyncio; `dfork` is what they are made of.
"""

import shutil
from typing import Optional

from .aio import AsyncProcess
from .descriptors import fileno, is_valid_fd, update_fds
from .event import ChildCode, ChildEvent
from .process import Process, SupervisorLost, ignore_sigchld
from .spawn import dfork

#: The program `supervise`. None if it was not on PATH at the import: it is then looked for again at each start.
supervise_utility_location: Optional[str] = shutil.which("supervise")

__all__ = [
    "AsyncProcess",
    "ChildCode",
    "ChildEvent",
    "Process",
    "SupervisorLost",
    "dfork",
    "fileno",
    "ignore_sigchld",
    "is_valid_fd",
    "supervise_utility_location",
    "update_fds",
]
