"""Measures what a supervised command costs: `python3 bench.py`, with supervise on PATH. Medians in milliseconds."""

import statistics
import subprocess
import time
from typing import Callable, Dict, List

import supervise_api
from supervise_api import Process, Supervisor

RUNS = 300


def supervised() -> None:
    with Process(["true"]) as process:
        process.wait()


def supervised_tree() -> None:
    with Process(["true"]) as process:
        process.wait_tree()


def unsupervised() -> None:
    subprocess.run(["true"])


def command_line() -> None:
    subprocess.run(["supervise", "run", "--", "true"])


def alone() -> None:
    supervise_api.run(["true"])


def duration(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1000


def main() -> None:
    with Supervisor() as supervisor:
        measure(supervisor)


def measure(supervisor: Supervisor) -> None:
    def one_of_many() -> None:
        supervise_api.run(["true"], supervisor=supervisor)

    subjects: Dict[str, Callable[[], None]] = {
        'subprocess.run(["true"])': unsupervised,
        'subprocess.run(["supervise", "run", "--", "true"])': command_line,
        'run(["true"], supervisor=supervisor)': one_of_many,
        'run(["true"])': alone,
        'Process(["true"]), wait': supervised,
        'Process(["true"]), wait_tree': supervised_tree,
    }
    times: Dict[str, List[float]] = {name: [] for name in subjects}
    for _ in range(RUNS):  # in turn, so that all have the same neighbours
        for name, run in subjects.items():
            times[name].append(duration(run))
    for name, values in times.items():
        print("{:6.2f} ms  {}".format(statistics.median(values), name))


if __name__ == "__main__":
    main()
