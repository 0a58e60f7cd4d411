"""What the process of a test is told."""

import pickle
from typing import Any, Dict, List, NamedTuple

from pytest import Config, Item

#: Options that would have the process of a test do what pytest itself does for all: choose tests, draw, debug, keep, or start more.
_OURS: Dict[str, Any] = {
    "supervise": False, "supervise_marked": False, "keyword": "", "markexpr": "", "deselect": None, "maxfail": 0, "lf": False,
    "failedfirst": False, "newfirst": False, "stepwise": False, "stepwise_skip": False, "cacheclear": False, "usepdb": False,
    "dist": "no", "distload": False, "numprocesses": None, "maxprocesses": None, "looponfail": False, "tx": [],
    "file_or_dir": [], "pyargs": False, "ignore": None, "ignore_glob": None, "durations": None,
}  # fmt: skip


class Order(NamedTuple):
    """Which test to run, and how."""

    nodeid: str
    args: List[str]  # the file, and the test in it
    options: Dict[str, Any]
    workerinput: Dict[str, Any]
    reports: str  # the file where the reports go


def job_name(nodeid: str) -> str:
    """Return the name of a test's job: that of the test, without what no job may have in its name; of a long one the end."""
    plain = nodeid.translate({ord("/"): ".", ord("\n"): " ", 0: " "})
    return plain.encode(errors="replace")[-255:].decode(errors="ignore")


def order_for(item: Item, basetemp: str, reports: str) -> Order:
    """Return the order for a test."""
    config = item.config
    _, separator, inside = item.nodeid.partition("::")
    return Order(item.nodeid, [str(item.path) + separator + inside], _options(config, basetemp), _workerinput(config), reports)


def _options(config: Config, basetemp: str) -> Dict[str, Any]:
    options = {name: value for name, value in vars(config.option).items() if _picklable(value)}
    options.update({name: value for name, value in _OURS.items() if name in options})
    options["plugins"] = [*config.option.plugins, "no:terminal"]
    options["rootdir"], options["basetemp"] = str(config.rootpath), basetemp
    options["inifilename"] = None if config.inipath is None else str(config.inipath)
    return options


def _workerinput(config: Config) -> Dict[str, Any]:
    """Return what xdist gives its workers: plugins take it for the sign that somebody else does what is done once."""
    ours = {"workerid": "master", "workercount": 1, "testrunuid": "supervise", "mainargv": ["pytest"]}
    given = getattr(config, "workerinput", {})
    return {**ours, **{name: value for name, value in given.items() if _picklable(value)}}


def _picklable(value: Any) -> bool:
    try:
        pickle.dumps(value)
    except Exception:
        return False
    return True
