"""The reports of a test whose process may have died."""

import json
from typing import Any, List, Optional, Tuple

from pytest import Item, TestReport

from .verdict import Outcome, properties, summary, verdict_of

_PHASES = ("setup", "call", "teardown")


def reports_of(item: Item, lines: List[str], outcome: Outcome, timeout: Optional[float]) -> List[TestReport]:
    """Return what pytest is to hear: what the test's process has reported, and what is wrong with its job."""
    reports, errors = _read(item, lines)
    verdict = verdict_of(outcome, timeout)
    if not reports or reports[-1].when != "teardown":
        reports.append(_failed(item, _phase(reports), verdict or _unfinished(outcome, errors)))
        if reports[-1].when != "teardown":
            reports.append(_report(item, "teardown", "passed", None))  # which closes the entry of the JUnit XML
    elif verdict is not None:
        _fail(reports, verdict)
    _tell(reports, outcome)
    return reports


def not_run(item: Item, text: str) -> List[TestReport]:
    """Return the reports of a test of which no job is known, and why."""
    return [_failed(item, "setup", text), _report(item, "teardown", "passed", None)]


def _read(item: Item, lines: List[str]) -> Tuple[List[TestReport], List[str]]:
    reports: List[TestReport] = []
    errors: List[str] = []
    for line in lines:
        try:
            said = json.loads(line)
            if "error" in said:
                errors.append(str(said["error"]))
            else:
                reports.append(_report_from(item, said["report"]))
        except Exception:  # it was ended while it wrote, or the test has written what it likes
            continue
    return reports, errors


def _report_from(item: Item, data: Any) -> TestReport:
    hook: Any = item.config.hook
    report: TestReport = hook.pytest_report_from_serializable(config=item.config, data=data)
    report.location = item.location
    if isinstance(report.longrepr, list):  # where it was skipped, and why: JSON has no tuples
        report.longrepr = tuple(report.longrepr)
    return report


def _phase(reports: List[TestReport]) -> Any:
    """Return the phase in which the process has died."""
    if not reports:
        return "setup"
    last = reports[-1]
    return "call" if last.when == "setup" and last.passed else "teardown"


def _unfinished(outcome: Outcome, errors: List[str]) -> str:
    code = None if outcome.record.exit is None else outcome.record.exit.code
    text = "the test's process has exited with status {} before the test was over".format(code)
    return "\n".join([text, *errors])


def _report(item: Item, when: Any, result: Any, text: Optional[str]) -> TestReport:
    keywords = {name: 1 for name in item.keywords}
    return TestReport(item.nodeid, item.location, keywords, result, text, when, start=0, stop=0)


def _failed(item: Item, when: Any, text: str) -> TestReport:
    return _report(item, when, "failed", text)


def _fail(reports: List[TestReport], verdict: str) -> None:
    """Have a test fail that has run to its end: in its call, or where it was skipped or has failed already, beside that."""
    call = next((report for report in reports if report.when == "call" and report.passed), None)
    failed = next((report for report in reports if report.failed), None)
    if failed is not None:
        failed.sections.append(("supervise: failed too", verdict))
        return
    report = call or reports[-1]
    report.outcome, report.longrepr = "failed", verdict


def _tell(reports: List[TestReport], outcome: Outcome) -> None:
    """Put the record into the reports: a section that is shown with a failure, and properties."""
    call = next((report for report in reports if report.when == "call"), reports[-1])
    shown = next((report for report in reports if report.failed), call)
    if outcome.output:
        shown.sections.append(("Captured by supervise", outcome.output))
    shown.sections.append(("supervise", summary(outcome)))
    for report in reports:
        report.user_properties = [*report.user_properties, *properties(outcome)]
