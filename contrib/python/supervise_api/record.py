"""The record of a job: how it ended and what it used."""

import signal
from dataclasses import dataclass
from datetime import datetime
from typing import List, Optional

# What is not known is None, never zero. The units are in the names: seconds end in _s, bytes in _bytes.
# Text that is no UTF-8 is as in sys.argv: os.fsencode has its bytes.


@dataclass(frozen=True)
class Exit:
    """How a process ended: by code or by signal, the other is None."""

    code: Optional[int]  #: 0 to 255
    signal: Optional[str]  #: such as SIGKILL or SIGRTMIN+1
    core: bool  #: a core was dumped

    @property
    def returncode(self) -> int:
        """The code, or the signal's number as a negative one, as in subprocess."""
        return -_signal_number(self.signal) if self.code is None and self.signal else int(self.code or 0)


@dataclass(frozen=True)
class CPU:
    """Processor time of the whole job."""

    user_s: Optional[float]
    system_s: Optional[float]
    total_s: Optional[float]
    periods: Optional[int]  #: of cpu.max in which the job ran
    throttled_periods: Optional[int]  #: in which it used up its quota
    throttled_s: Optional[float]


@dataclass(frozen=True)
class MemoryEvents:
    """How often the limits of memory were met (memory.events)."""

    low: Optional[int]
    high: Optional[int]
    max: Optional[int]
    oom: Optional[int]
    oom_kill: Optional[int]
    oom_group_kill: Optional[int]


@dataclass(frozen=True)
class MemorySplit:
    """What memory was used for."""

    anon_bytes: Optional[int]  #: what processes have allocated
    file_bytes: Optional[int]  #: page cache, and shmem_bytes
    shmem_bytes: Optional[int]  #: tmpfs, and memory that processes share
    kernel_bytes: Optional[int]


@dataclass(frozen=True)
class Memory:
    """What the whole job held. To size a limit by: sampled_max.anon_bytes and shmem_bytes."""

    peak_bytes: Optional[int]  #: page cache included
    swap_peak_bytes: Optional[int]
    events: Optional[MemoryEvents]  #: here or in sub-cgroups of the job
    events_local: Optional[MemoryEvents]  #: at the job's own limits
    at_peak: Optional[MemorySplit]  #: of the sample that held most
    sampled_max: Optional[MemorySplit]  #: the highest of each in the samples; None without sample


@dataclass(frozen=True)
class DeviceIO:
    """Input and output of one block device."""

    device: str  #: MAJOR:MINOR
    read_bytes: int
    write_bytes: int
    read_ops: int
    write_ops: int


@dataclass(frozen=True)
class IO:
    """Input and output of the whole job, from and to block devices."""

    read_bytes: Optional[int]
    write_bytes: Optional[int]
    read_ops: Optional[int]
    write_ops: Optional[int]
    devices: Optional[List[DeviceIO]]


@dataclass(frozen=True)
class Pids:
    """Processes and threads."""

    peak: Optional[int]
    max_hits: Optional[int]  #: forks that the limit refused


@dataclass(frozen=True)
class Stall:
    """How long some, or all, processes waited for a resource."""

    some_s: Optional[float]
    full_s: Optional[float]


@dataclass(frozen=True)
class Pressure:
    """How long processes of the job waited (PSI)."""

    cpu: Stall
    memory: Stall
    io: Stall


@dataclass(frozen=True)
class Main:
    """The rusage of the main process, and of the children that it waited for (getrusage(2))."""

    max_rss_bytes: Optional[int]
    minor_faults: Optional[int]
    major_faults: Optional[int]
    voluntary_switches: Optional[int]
    involuntary_switches: Optional[int]


@dataclass(frozen=True)
class OOM:
    """What ran out of memory when processes of the job were killed for it."""

    by: str  #: job, ancestor, outside, machine or systemd-oomd
    cgroup: Optional[str]  #: whose limit it was
    kills: Optional[int]  #: processes of the job; None: not known, as mostly where a group was killed


@dataclass(frozen=True)
class Phase:
    """What happened between two marks."""

    name: str  #: of the mark that began it; "" for what was before the first
    started: datetime
    wall_s: float
    cpu: CPU
    io: IO
    pressure: Pressure
    max_memory_bytes: Optional[int]  #: page cache included
    max_anon_bytes: Optional[int]


@dataclass(frozen=True)
class Limit:
    """A limit that was asked for, and is enforced."""

    name: str
    file: str  #: of the job's cgroup
    value: str  #: that was written to it


@dataclass(frozen=True)
class Unenforced:
    """A limit that was asked for with best_effort, and cannot be had."""

    name: str
    reason: str


@dataclass(frozen=True)
class Leftover:
    """A process that outlived the main process."""

    pid: int
    comm: str
    argv: Optional[List[str]]
    argv_cut: bool  #: argv is not all: see record.schema.json
    age_s: Optional[float]
    rss_bytes: Optional[int]


@dataclass(frozen=True)
class Record:
    """The final word about a job. protocol/record.schema.json explains each field with unit and source."""

    schema: str
    version: str  #: of the supervise that wrote it
    name: Optional[str]
    argv: List[str]
    pid: Optional[int]  #: of the main process
    cgroup: Optional[str]
    containment: Optional[str]  #: cgroup or subreaper
    containment_reason: Optional[str]
    started: datetime  #: UTC, as ended, in microseconds
    ended: datetime  #: nothing of the job was alive any more
    wall_s: float
    exit: Optional[Exit]  #: of the main process; None: not known
    cause: str  #: exited, signaled, timeout, cpu-timeout, oom, killed, owner-gone or start-failed
    cpu: CPU
    memory: Memory
    io: IO
    pids: Pids
    pressure: Pressure
    main: Main
    oom_killed: Optional[bool]  #: a process of the job was killed for want of memory; None: not known
    oom: Optional[OOM]  #: whose memory it was; None unless oom_killed is True
    reaped: int  #: processes whose end was waited for
    phases: Optional[List[Phase]]  #: None without marks
    limits: List[Limit]
    unenforced: List[Unenforced]
    leftovers: Optional[List[Leftover]]  #: alive when the main process ended, 100 of them at most
    leftovers_total: Optional[int]
    error: Optional[str]  #: what went wrong on the supervisor's side


def _signal_number(name: str) -> int:
    """Return the number of SIGKILL, SIGRTMIN+1 or SIG33."""
    base, _, offset = name.partition("+")
    if base in signal.Signals.__members__:
        return int(signal.Signals[base]) + int(offset or 0)
    return int(name[3:])
