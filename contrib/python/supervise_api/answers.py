"""What a supervisor says of a job that runs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Dict, List, Optional

from .record import CPU, IO, Exit, Limit, Pressure, Unenforced


@dataclass(frozen=True)
class JobInfo:
    """An entry of Supervisor.list."""

    job: int  #: its number
    pid: int  #: of the main process
    name: str
    tags: Dict[str, str]
    state: str  #: running, waiting (the main process has ended), stopping (in the grace period) or killing
    frozen: bool
    cgroup: Optional[str]
    started: datetime  #: UTC


@dataclass(frozen=True)
class MemoryNow:
    """What a job holds at this moment."""

    current_bytes: Optional[int]
    anon_bytes: Optional[int]
    file_bytes: Optional[int]
    shmem_bytes: Optional[int]
    kernel_bytes: Optional[int]


@dataclass(frozen=True)
class Sample:
    """What a job used by now. What is not known is None."""

    time: datetime  #: UTC
    wall_s: float  #: since the job's start
    cpu: CPU
    memory: MemoryNow
    io: IO
    pids: Optional[int]  #: processes and threads
    pressure: Pressure


@dataclass(frozen=True)
class Stat(JobInfo):
    """What a job does and uses now."""

    sample: Optional[Sample]  #: None without a cgroup
    procs: Optional[List[int]]  #: the first 1,000 live processes; None if not known


@dataclass(frozen=True)
class Enforced:
    """What became of limits that were asked for."""

    limits: List[Limit]
    unenforced: List[Unenforced]


@dataclass(frozen=True)
class CommandEnd:
    """How a command of a pipeline has ended. The job's exit is that of the last one that did not exit with 0."""

    pid: Optional[int]  #: None: it was not started, which its exit tells as a shell does: 127 or 126
    exit: Optional[Exit]  #: None: it was killed with the others, and its end was not seen


@dataclass(frozen=True)
class KilledProcess:
    """A process that a kill has ended."""

    pid: int
    comm: str


@dataclass(frozen=True)
class Scope:
    """Where a job is that was detached."""

    unit: str  #: of systemd's
    cgroup: str
