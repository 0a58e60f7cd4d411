"""Runs each test as a job."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from typing import Any, Dict, List, Optional, Tuple

import pytest
from supervise_api import DEVNULL, STDOUT, Job, Record, RequestError, Supervisor, SupervisorLost
from supervise_api.answers import KilledProcess
from supervise_api.deadline import Deadline
from supervise_api.options import SpawnOptions

from .order import job_name, order_for
from .reports import not_run, reports_of
from .verdict import Outcome

#: Seconds in which what a test has told to end may do so when its process has ended: multiprocessing's helpers, for example.
#: On a busy machine that takes them some time, and only a test that leaves something waits for all of it.
PATIENCE = 3.0

#: Seconds beyond the test's own in which its process has to begin it: by then it has imported what it needs.
START = 60.0

#: Seconds between SIGTERM, at which the test's process writes where it hangs, and the kill.
GRACE = 2.0

_LIMITS = {"memory_max", "cpus", "pids_max"}
_OPTIONS = {"timeout", "cpu_timeout", "limits", "best_effort"}

#: The modules of the test's process are found where ours are.
_PROGRAM = "import json, sys; sys.path[:] = json.load(open(sys.argv[1])); from supervise_pytest.child import main; sys.exit(main(sys.argv[2]))"


class Runner:
    """Runs tests in the place of pytest's own protocol, with one supervisor for all, which is started with the first."""

    def __init__(self, config: pytest.Config) -> None:
        """Check the options. UsageError: they contradict each other."""
        if config.getoption("usepdb", False):
            raise pytest.UsageError("--pdb: a test has no terminal with --supervise")
        self._config = config
        self._supervisor: Optional[Supervisor] = None
        self._directory = ""
        self._count = 0

    @pytest.hookimpl(tryfirst=True)  # type: ignore[misc]
    def pytest_runtest_protocol(self, item: pytest.Item) -> Optional[bool]:
        """Run a test; None: it is to be run as without us."""
        if not self._config.option.supervise and item.get_closest_marker("supervise") is None:
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in self._reports(item):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def pytest_unconfigure(self) -> None:
        """End the supervisor."""
        self._forget()
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _reports(self, item: pytest.Item) -> List[pytest.TestReport]:
        supervisor = self._start()
        self._count += 1
        basetemp = self._config._tmp_path_factory.getbasetemp() / "supervise-{}".format(self._count)  # type: ignore[attr-defined]
        reports = os.path.join(self._directory, "reports")
        with open(os.path.join(self._directory, "order"), "wb") as file:
            pickle.dump(tuple(order_for(item, str(basetemp), reports)), file)
        try:
            given = self._given(item)
            timeout = _timeout(given)
            outcome = _run(supervisor, self._argv(), self._options(item, given, timeout), timeout)
        except (RequestError, TypeError, ValueError) as e:  # a limit that cannot be had, say
            return not_run(item, str(e))
        except SupervisorLost:  # any process of the same user can
            self._forget()
            _take(reports)
            return not_run(item, "the test has killed the supervisor, and has ended with it")
        return reports_of(item, _take(reports), outcome, timeout)

    def _start(self) -> Supervisor:
        if self._supervisor is None:
            try:
                self._supervisor = Supervisor()
            except OSError as e:
                pytest.exit("--supervise: {}".format(e), returncode=pytest.ExitCode.USAGE_ERROR)
        if not self._directory:
            self._directory = tempfile.mkdtemp(prefix="supervise-pytest-")
            with open(os.path.join(self._directory, "path"), "w") as file:
                json.dump(sys.path, file)
        return self._supervisor

    def _forget(self) -> None:
        """End the supervisor, or what is left of it: the next test starts another one."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.close()

    def _argv(self) -> List[str]:
        flags: List[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        path, order = (os.path.join(self._directory, name) for name in ("path", "order"))
        return [sys.executable, *flags, "-c", _PROGRAM, path, order]

    def _options(self, item: pytest.Item, given: Dict[str, Any], timeout: Optional[float]) -> SpawnOptions:
        """Return the options of a test's job. ValueError: a mark has one that there is not."""
        for name in given:
            if name not in _LIMITS | _OPTIONS:
                raise ValueError("the mark supervise has no argument {!r}".format(name))
        limits = {name: given[name] for name in _LIMITS if given.get(name) is not None}
        captured = self._config.getoption("capture") != "no"
        options: SpawnOptions = {
            "stdin": DEVNULL,
            "stdout": "capture" if captured else 1,
            "stderr": STDOUT if captured else 2,
            "limits": {**limits, **given.get("limits", {})},
            "timeout": None if timeout is None else timeout + START,
            "cpu_timeout": given.get("cpu_timeout"),
            "best_effort": given.get("best_effort", False),
            "grace": GRACE,
            "leftovers": "wait",
            "notify": ["ready"],
            "name": job_name(item.nodeid),
        }
        return options

    def _given(self, item: pytest.Item) -> Dict[str, Any]:
        option = self._config.option
        given: Dict[str, Any] = {
            "timeout": option.supervise_timeout,
            "memory_max": option.supervise_memory_max,
            "best_effort": option.supervise_best_effort,
        }
        for mark in reversed(list(item.iter_markers("supervise"))):  # the closest is the last
            given.update(mark.kwargs)
        return given


def _timeout(given: Dict[str, Any]) -> Optional[float]:
    """Return the seconds that a test has; None: any number. ValueError: it is none."""
    timeout = given.get("timeout")
    if timeout is None or isinstance(timeout, (int, float)) and timeout > 0:
        return timeout
    raise ValueError("timeout: want a number of seconds that is more than 0, not {!r}".format(timeout))


def _run(supervisor: Supervisor, argv: List[str], options: SpawnOptions, timeout: Optional[float]) -> Outcome:
    with supervisor.spawn(argv, **options) as job:
        late = not _ends(job, timeout)
        if late:
            killed = job.kill(GRACE, wait=True)
            record, left = killed.record, killed.processes
        else:
            record, left = _rest(job)
        return Outcome(record, left, job.captured().decode(errors="replace"), late)


def _ends(job: Job, timeout: Optional[float]) -> bool:
    """Wait for the end of a test's process. False: it goes on, and so many seconds have passed since it has begun the test."""
    begun, deadline = False, Deadline(None)
    while not deadline.passed():
        try:
            event = next(job.events(deadline.left()), None)
        except TimeoutError:
            continue
        if event is None or event.kind == "exited" and event.data["main"]:
            return True
        if event.kind == "ready" and not begun:  # the test may say so once more
            begun, deadline = True, Deadline(timeout)
    return False


def _rest(job: Job) -> Tuple[Record, List[KilledProcess]]:
    """Wait for what outlives the main process, and kill what does so for long."""
    try:
        return job.wait(PATIENCE), []
    except TimeoutError:
        killed = job.kill(wait=True)
        return killed.record, killed.processes


def _take(name: str) -> List[str]:
    """Return the lines of a file, and remove it. A test, which may do anything, can have removed or replaced it."""
    try:
        with open(name, errors="replace") as file:
            lines = file.readlines()
        os.remove(name)
    except OSError:
        shutil.rmtree(name, ignore_errors=True)
        return []
    return lines
