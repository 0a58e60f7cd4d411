"""Why a kernel has ended, for the person who reads the notebook."""

from typing import NamedTuple, Optional

from supervise_api import Record


class Reason(NamedTuple):
    """A name, as that of an exception, and sentences."""

    name: str
    text: str


def reason_of(record: Record) -> Reason:
    """Return why a kernel has ended that nobody has told to."""
    name, text = _cause(record)
    return Reason(name, "The kernel was ended: {}.{}".format(text, _leftovers(record)))


def _cause(record: Record) -> Reason:
    if record.cause == "oom":
        return Reason("MemoryLimit", _memory(record))
    if record.cause == "timeout":
        return Reason("TimeLimit", "its time (timeout) is over after {:.0f} s".format(record.wall_s))
    if record.cause == "cpu-timeout":
        return Reason("ProcessorTimeLimit", "its processor time (cpu_timeout) is used up")
    if record.exit is None:
        return Reason("KernelEnded", record.error or record.cause)
    if record.exit.signal is not None:
        killed = " for want of memory" if record.oom_killed else ""
        return Reason("KernelEnded", "by signal {}{}".format(record.exit.signal, killed))
    return Reason("KernelEnded", "it has exited with status {}".format(record.exit.code))


def _memory(record: Record) -> str:
    peak = record.memory.peak_bytes
    held = "" if peak is None else "; it held up to {}".format(size(peak))
    by = record.oom.by if record.oom is not None else "job"
    if by == "job":
        limit = _limit(record)
        return "it has reached its limit of memory{}{}".format("" if limit is None else ", memory_max = " + limit, held)
    if by == "ancestor" and record.oom is not None and record.oom.cgroup:
        return "the limit of memory of {}, in which it ran, was reached{}".format(record.oom.cgroup, held)
    if by == "systemd-oomd":
        return "systemd-oomd has found memory to be too short{}".format(held)
    return "this machine had no memory left{}".format(held)


def _limit(record: Record) -> Optional[str]:
    for limit in record.limits:
        if limit.file == "memory.max":
            return size(int(limit.value)) if limit.value.isdigit() else limit.value
    return None


def size(count: int) -> str:
    """Return a number of bytes as limits are written: 2G, 1.5M."""
    number, unit = float(count), ""
    for larger in "KMGT":
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return "{:.4g}{}".format(number, unit)


def _leftovers(record: Record) -> str:
    if not record.leftovers_total:
        return ""
    names = ", ".join("{} ({})".format(one.comm, one.pid) for one in (record.leftovers or [])[:5])
    return " With it ended {} that it had started: {}.".format(
        "a process" if record.leftovers_total == 1 else "{} processes".format(record.leftovers_total), names
    )
