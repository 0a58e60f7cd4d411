"""A plugin of pytest: each test is a job of `supervise`, of which nothing is left.

    pytest --supervise --supervise-timeout 60 --supervise-memory-max 1G

A test runs in a process of its own, which collects its file and runs it alone. A test fails that leaves processes, takes too long,
is ended for memory, or whose process dies; the others go on. The record is in the report and in the JUnit XML.

    @pytest.mark.supervise(memory_max="2G", timeout=10)
    def test_server(): ...

Its modules:

    (this)     options, and nothing more while they are not given
    runner     runs a test as a job, in the place of pytest's own protocol
    verdict    what is wrong with a job whatever its test says: leftovers, time, memory, a crash
    reports    the reports of a test whose process may have died
    order      what the process of a test is told
    child      the process of a test
"""

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest import Config, Parser


def pytest_addoption(parser: "Parser") -> None:
    """Add the options."""
    group = parser.getgroup("supervise", "each test as a job of supervise, of which nothing is left")
    add = group.addoption
    add("--supervise", action="store_true", help="run each test in a process of its own, and fail those that leave processes")
    add("--supervise-marked", action="store_true", help="the same for tests that are marked with `supervise` alone")
    add("--supervise-timeout", type=_seconds, metavar="S", help="end a test, and all that it has started, after S seconds")
    add("--supervise-memory-max", metavar="SIZE", help="memory that a test and all that it starts may have, such as 1G")
    add("--supervise-best-effort", action="store_true", help="run tests without the limits that cannot be had here")


def _seconds(text: str) -> float:
    """Read a time limit."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not value > 0:
        raise ArgumentTypeError("want a number of seconds that is more than 0, not {!r}".format(text))
    return value


def pytest_configure(config: "Config") -> None:
    """Take over the running of tests, if that was asked for."""
    config.addinivalue_line(
        "markers",
        "supervise(timeout, cpu_timeout, memory_max, cpus, pids_max, limits, best_effort): limits of the test's job, with --supervise.",
    )
    if config.option.supervise or config.option.supervise_marked:
        from .runner import Runner

        config.pluginmanager.register(Runner(config), "supervise-runner")
