"""Measures what a supervised command costs: `python3 bench.py`, with supervise on PATH.

Medians in milliseconds, and how many times that of subprocess.run it is; then how many commands a second, several at a time.
"""

import asyncio
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Dict, List

import supervise_api
from supervise_api import AsyncSupervisor, Process, Supervisor

RUNS = 300
AT_A_TIME = 8


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


def duration(run: Callable[[], object]) -> float:
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
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print("{:6.2f} ms  {:5.2f} x  {}".format(median, median / next(iter(medians.values())), name))
    for name, throughput in {
        'subprocess.run(["true"])': in_threads(unsupervised),
        'run(["true"], supervisor=supervisor)': in_threads(one_of_many),
        'AsyncSupervisor.run(["true"])': asyncio.run(in_tasks()),
    }.items():
        print("{:6.0f} /s, {} at a time  {}".format(throughput, AT_A_TIME, name))


def in_threads(run: Callable[[], None]) -> float:
    """Return how many a second there are with so many threads."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return RUNS * 1000 / duration(lambda: list(pool.map(lambda _: run(), range(RUNS))))


async def in_tasks() -> float:
    """Return the same for tasks."""
    free = asyncio.Semaphore(AT_A_TIME)

    async def one(supervisor: AsyncSupervisor) -> None:
        async with free:
            await supervisor.run(["true"])

    async with AsyncSupervisor() as supervisor:
        start = time.perf_counter()
        await asyncio.gather(*[one(supervisor) for _ in range(RUNS)])
        return RUNS / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
