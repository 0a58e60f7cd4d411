"""A judge: python3 judge.py SOLUTION NAME...

For each NAME the solution reads NAME.in, and is to print what NAME.out holds. It may take two seconds by the clock, one of processor
time and 256 MiB, and print 1 MiB.
"""

import sys
from typing import Dict, List, Union

from supervise_api import Capture, Completed, Supervisor, TimeoutExpired


def judge(supervisor: Supervisor, solution: str, name: str) -> str:
    """Return the verdict."""
    limits: Dict[str, Union[str, int]] = {"memory-max": "256M", "swap-max": "0", "pids-max": 64}
    cpu = 1.0 if supervisor.containment == "cgroup" else None
    try:
        with open(name + ".in", "rb") as given:
            done = supervisor.run(
                [solution], stdin=given, stdout=Capture(limit=1 << 20), timeout=2, cpu_timeout=cpu, limits=limits, best_effort=True
            )
    except TimeoutExpired:
        return "time limit exceeded"
    return verdict(done, name)


def verdict(done: Completed, name: str) -> str:
    if done.record.oom_killed:
        return "memory limit exceeded"
    if done.record.cause == "cpu-timeout":
        return "time limit exceeded"
    if done.returncode != 0:
        return "runtime error ({})".format(done.returncode)
    with open(name + ".out", "rb") as wanted:
        return "accepted" if done.stdout.split() == wanted.read().split() else "wrong answer"


def main(solution: str, names: List[str]) -> int:
    accepted = 0
    with Supervisor() as supervisor:  # one for all: it costs little more than a process for each
        for name in names:
            found = judge(supervisor, solution, name)
            accepted += found == "accepted"
            print("{}: {}".format(name, found))
    return 0 if accepted == len(names) else 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: judge.py SOLUTION NAME...")
    sys.exit(main(sys.argv[1], sys.argv[2:]))
