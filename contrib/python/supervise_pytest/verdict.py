"""What is wrong with a job, whatever its test says."""

from typing import List, NamedTuple, Optional, Sequence, Tuple

from supervise_api import Record
from supervise_api.answers import KilledProcess


class Outcome(NamedTuple):
    """What became of a test's job."""

    record: Record
    left: Sequence[KilledProcess]  # what had to be killed
    output: str  # what pytest has not captured
    late: bool = False  # the test was ended because its time was up

    @property
    def cause(self) -> str:
        """Why the job has ended: supervise has not counted the test's time, and knows that it was killed."""
        return "timeout" if self.late else self.record.cause


def verdict_of(outcome: Outcome, timeout: Optional[float]) -> Optional[str]:
    """Return why the test has failed; None: nothing is wrong with its job."""
    record = outcome.record
    if outcome.late:
        return "timeout after {:g} s: the test was ended, and all that it had started".format(timeout or record.wall_s)
    if record.cause == "timeout":
        return "the test's process has not begun it within {:.0f} s, and was ended".format(record.wall_s)
    if record.cause == "cpu-timeout":
        return "the processor time of the test is used up: it was ended, and all that it had started"
    if record.cause == "oom" or record.oom_killed:
        return _memory(record)
    if outcome.left:
        return _leftovers(outcome)
    if record.exit is None:
        return "it is not known how the test's process has ended: {}".format(record.error or record.cause)
    if record.exit.signal is not None:
        return "the test's process was ended by {}".format(record.exit.signal)
    return None


def _memory(record: Record) -> str:
    limit = next((" of {} bytes".format(one.value) for one in record.limits if one.file == "memory.max"), "")
    whose = "the limit of memory" + limit if record.oom is None or record.oom.by == "job" else "memory ({})".format(record.oom.by)
    return "{} is used up: {}".format(whose, "the test was ended" if record.cause == "oom" else "a process of the test was killed")


def _leftovers(outcome: Outcome) -> str:
    known = {one.pid: one for one in outcome.record.leftovers or ()}
    lines = ["the test has left {}, now killed:".format("a process" if len(outcome.left) == 1 else "processes")]
    for process in outcome.left:
        leftover = known.get(process.pid)
        argv = "" if leftover is None or not leftover.argv else ": " + " ".join(leftover.argv)
        lines.append("  {} {}{}".format(process.pid, process.comm, argv))
    return "\n".join(lines)


def summary(outcome: Outcome) -> str:
    """Return the record in a line."""
    record = outcome.record
    parts = [outcome.cause, "{:.2f} s".format(record.wall_s)]
    if record.cpu.total_s is not None:
        parts.append("{:.2f} s of processor time".format(record.cpu.total_s))
    if record.memory.peak_bytes is not None:
        parts.append("up to {} bytes of memory".format(record.memory.peak_bytes))
    elif record.main.max_rss_bytes is not None:
        parts.append("its process up to {} bytes of memory".format(record.main.max_rss_bytes))
    parts.append("held by " + str(record.containment))
    return ", ".join(parts + ["without {}: {}".format(one.name, one.reason) for one in record.unenforced])


def properties(outcome: Outcome) -> List[Tuple[str, object]]:
    """Return what goes to the JUnit XML: what is known."""
    record = outcome.record
    known = {
        "cause": outcome.cause,
        "containment": record.containment,
        "wall_s": record.wall_s,
        "cpu_s": record.cpu.total_s,
        "memory_peak_bytes": record.memory.peak_bytes,
        "main_max_rss_bytes": record.main.max_rss_bytes,
        "leftovers": record.leftovers_total,
    }
    return [("supervise." + name, value) for name, value in known.items() if value is not None]
