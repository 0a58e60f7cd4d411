"""The process of a test."""

import contextlib
import faulthandler
import json
import os
import pickle
import signal
import socket
import sys
from typing import IO, Any, List

import pytest

from .order import Order


def main(name: str) -> int:
    """Run the test of an order, and write its reports; return the exit status."""
    with open(name, "rb") as file:
        order = Order(*pickle.load(file))
    # SIGTERM comes when the time is up: then where it hangs is of interest.
    faulthandler.register(signal.SIGTERM, file=open(os.dup(2), "w"), all_threads=True, chain=True)
    config: Any = pytest.Config.fromdictargs(order.options, order.args)
    config.args = order.args
    config.workerinput = order.workerinput
    notify = os.environ.pop("NOTIFY_SOCKET", "")  # no test is to find it
    with open(order.reports, "w") as reports:
        config.pluginmanager.register(_Reporter(config, order.nodeid, reports, notify))
        return int(config.hook.pytest_cmdline_main(config=config))


class _Reporter:
    """Keeps the one test, says when it begins, and writes what is said of it."""

    def __init__(self, config: Any, nodeid: str, reports: IO[str], notify: str) -> None:
        self._config, self._nodeid, self._reports, self._notify = config, nodeid, reports, notify

    @pytest.hookimpl(trylast=True)  # type: ignore[misc]
    def pytest_collection_modifyitems(self, items: List[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid == self._nodeid][:1]

    def pytest_collection_finish(self) -> None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", self._notify.replace("@", "\0", 1))  # sd_notify(3)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write({"error": report.longreprtext})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._write({"report": self._config.hook.pytest_report_to_serializable(config=self._config, report=report)})

    def _write(self, what: Any) -> None:
        self._reports.write(json.dumps(what, default=str) + "\n")
        self._reports.flush()  # the process may not live to the end


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
