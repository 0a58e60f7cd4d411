"""What a scripted server takes for good parameters: the checks of SERVE.md."""

import base64
import re
import signal
from typing import Any, Dict, List, Mapping, Optional

#: Seconds of a hundred years, the longest time.
_LONGEST = 100 * 365 * 24 * 3600
_NOTIFY = ("descendants", "oom", "limit", "ready")
_KINDS = {"null": bool, "inherit": bool, "pipe": bool, "input": bool, "file": object, "fd": int, "dup": int, "capture": dict, "pty": dict}
_MODES = ("read", "append", "create", "truncate")
_MOST_DESCRIPTORS = 1024


class Refusal(Exception):
    """Why a request fails: the error of JSON-RPC."""

    def __init__(self, code: int, field: Optional[str], message: str, errno: Optional[str] = None) -> None:
        super().__init__(message)
        data = {name: value for name, value in (("field", field), ("errno", errno)) if value is not None}
        self.error: Dict[str, Any] = {"code": code, "message": message}
        if data:
            self.error["data"] = data


def wrong(field: Optional[str], message: str) -> Refusal:
    """Return the refusal of a parameter."""
    return Refusal(-32602, field, "{}: {}".format(field or "params", message))


def unsupported(field: Optional[str], message: str = "not with this server") -> Refusal:
    """Return the refusal of what is not to be had."""
    return Refusal(-32008, field, message)


#: The types of parameters of methods other than spawn; a bool is no number.
_TYPES: Dict[str, Any] = {
    "job": int, "fd": int, "max": int, "offset": int, "bytes": int, "rows": int, "cols": int, "eof": bool, "data": str,
}  # fmt: skip
_BOOLS = {("kill", "wait"), ("output", "text"), ("signal", "all")}


def types(method: str, params: Mapping[str, Any]) -> None:
    """Check the types of parameters."""
    for name, value in params.items():
        kind = bool if (method, name) in _BOOLS else _TYPES.get(name)
        if kind and method != "spawn" and value is not None and type(value) is not kind:
            raise wrong(name, "of the wrong type")


def text(value: Any, field: str, zero: bool = False) -> bytes:
    """Return the bytes of a string or {"base64": ...}."""
    if isinstance(value, Mapping) and isinstance(value.get("base64"), str):
        try:
            data = base64.b64decode(value["base64"], validate=True)
        except ValueError:
            raise wrong(field, "no base64") from None
    elif isinstance(value, str):
        try:
            data = value.encode()
        except UnicodeEncodeError:
            raise wrong(field, "half of a pair stands for no byte") from None
    else:
        raise wrong(field, "want text")
    if b"\0" in data and not zero:
        raise wrong(field, "a zero byte")
    return data


def argv(value: Any, field: str = "argv") -> List[bytes]:
    """Return a command."""
    if not isinstance(value, list) or not value:
        raise wrong(field, "want a list of at least one")
    return [text(one, "{}[{}]".format(field, number)) for number, one in enumerate(value)]


def seconds(params: Mapping[str, Any], name: str, least: float = 0) -> Optional[float]:
    """Return a time; None: it is not given."""
    value = params.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LONGEST or 0 < value < least:
        raise wrong(name, "want seconds, 0 or more")
    return float(value)


def signal_of(params: Mapping[str, Any], default: Optional[str] = None) -> str:
    """Return the name of a signal, such as SIGTERM."""
    value = params.get("signal") or default
    if not isinstance(value, str):
        raise wrong("signal", "want a signal")
    name = signal_named(value)
    if name is None:
        raise wrong("signal", "no such signal: {!r}".format(value))
    return name


def signal_named(value: str) -> Optional[str]:
    """Return the whole name of a signal, by its number, or by a name with or without SIG; None: there is none."""
    if value.isdigit():
        number = int(value)
        known = [one.name for one in signal.Signals if one == number]
        if not known and signal.SIGRTMIN < number < signal.SIGRTMAX:
            return "SIGRTMIN+{}".format(number - signal.SIGRTMIN)
        return known[0] if known else None
    name = value.upper() if value.upper().startswith("SIG") else "SIG" + value.upper()
    if re.fullmatch(r"SIGRTMIN\+([1-9]|[12][0-9]|30)", name):
        return name
    return name if name in signal.Signals.__members__ else None


def environ(value: Any, field: str, removes: bool) -> Dict[bytes, Optional[bytes]]:
    """Return variables, of an object or a list; None removes one."""
    found: Dict[bytes, Optional[bytes]] = {}
    if isinstance(value, Mapping):
        for name, one in value.items():
            key = text(name, field)
            if not key or b"=" in key or one is None and not removes:
                raise wrong(field, "no variable: {!r}".format(name))
            found[key] = None if one is None else text(one, field)
        return found
    if not isinstance(value, list):
        raise wrong(field, "want an object or a list")
    for one in value:
        key, given, rest = text(one, field).partition(b"=")
        if not key or not given and not removes:
            raise wrong(field, "no variable: {!r}".format(one))
        found[key] = rest if given else None
    return found


def stdio(entries: Any, fds: int) -> List[Dict[str, Any]]:
    """Return the descriptors, each as an object of one kind."""
    if not isinstance(entries, list) or len(entries) > _MOST_DESCRIPTORS:
        raise wrong("stdio", "want a list of at most {}".format(_MOST_DESCRIPTORS))
    found = [_entry(one, number, fds) for number, one in enumerate(entries)]
    return found + [{"null": True}] * (3 - len(found))


def _entry(given: Any, number: int, fds: int) -> Dict[str, Any]:
    field = "stdio[{}]".format(number)
    entry: Any = {"null": True} if given is None else given
    if isinstance(given, str):
        entry = {given: {} if given in ("capture", "pty") else True}
    if not isinstance(entry, dict):
        raise wrong(field, "want what the descriptor is")
    kinds = [kind for kind in _KINDS if entry.get(kind) is not None and entry.get(kind) is not False]
    for kind in kinds:
        if not isinstance(entry[kind], _KINDS[kind]) or kind in ("fd", "dup") and isinstance(entry[kind], bool):
            raise wrong("{}.{}".format(field, kind), "of the wrong type")
    if len(kinds) != 1 or "mode" in entry and (kinds != ["file"] or entry["mode"] not in _MODES):
        raise wrong(field, "want one of {}".format(", ".join(_KINDS)))
    _check_entry(entry, number, fds, field)
    return dict(entry)


def _check_entry(entry: Mapping[str, Any], number: int, fds: int, field: str) -> None:
    if "file" in entry:
        text(entry["file"], field)
    if "dup" in entry and not 0 <= entry["dup"] < number:
        raise wrong(field, "dup: want a lower descriptor")
    if "fd" in entry and not 0 <= entry["fd"] < fds:
        raise wrong(field, "there is no such descriptor with the request")
    if entry.get("inherit") and number < 2:
        raise wrong(field, "the conversation is there")
    capture = entry.get("capture")
    if capture is not None and (number == 0 or capture.get("limit", 0) < -1 or capture.get("window", 0) < 0):
        raise wrong(field, "capture: want a descriptor from 1 on, and a limit of -1 or more")
    if "pty" in entry and number > 2:
        raise wrong(field, "pty: want it for descriptors 0, 1 and 2")


def check_rest(params: Mapping[str, Any], cgroup: bool) -> None:
    """Check the parameters of spawn that need nothing but a look."""
    for name in "timeout", "cpu_timeout", "grace":
        seconds(params, name)
    seconds(params, "sample", 1e-6)
    if params.get("signal"):
        signal_of(params)
    if params.get("leftovers") not in (None, "", "kill", "wait", "fail"):
        raise wrong("leftovers", "want kill, wait or fail")
    called = text(params.get("name") or "", "name")
    if re.search(rb"[/\x00-\x1f\x7f]", called):
        raise wrong("name", "want no slash and no control characters")
    for number, one in enumerate(params.get("notify") or ()):
        if one not in _NOTIFY:
            raise wrong("notify[{}]".format(number), "want one of {}".format(", ".join(_NOTIFY)))
    for number, one in enumerate(params.get("pressure") or ()):
        if one.get("resource") not in ("cpu", "memory", "io") or not 0.5 <= one.get("window_s", 0) <= 10:
            raise wrong("pressure[{}]".format(number), "no such trigger")
    if not cgroup:
        _check_without_cgroup(params)


def _check_without_cgroup(params: Mapping[str, Any]) -> None:
    for field in "cpu_timeout", "sample", "delegate", "pressure":
        if params.get(field):
            raise unsupported(field)
    if {"oom", "limit"} & set(params.get("notify") or ()):
        raise unsupported("notify")
    if params.get("limits") and not params.get("best_effort"):
        raise unsupported("limits")


def limits_of(params: Mapping[str, Any], cgroup: bool) -> Dict[str, List[Dict[str, str]]]:
    """Return what became of the limits: all are enforced, or without cgroups none."""
    limits = params.get("limits") or {}
    if not cgroup and limits and not params.get("best_effort"):
        raise unsupported("limits")
    if not cgroup:
        return {"limits": [], "unenforced": [{"name": name, "reason": "there are no cgroups"} for name in limits]}
    return {"limits": [{"name": name, "file": name.replace("-", "."), "value": str(one)} for name, one in limits.items()], "unenforced": []}
