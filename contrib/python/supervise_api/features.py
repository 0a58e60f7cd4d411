"""What a request needs of its supervisor, and the error if that has it not: one of an older version, say."""

from typing import Any, Collection, Iterator, Mapping, Optional, Tuple

from .errors import RequestError, request_error

#: The features that methods need, and the fields that ask for more than the method alone.
_METHODS = {"input": "input", "resize": "pty", "output": "keep", "forget": "keep", "credit": "window"}
_ENTRIES = {"input": "input", "pty": "pty"}


def missing(method: str, params: Mapping[str, Any], features: Collection[str]) -> Optional[RequestError]:
    """Return the error for the first feature that a request needs and the supervisor does not list."""
    for feature, field in _needed(method, params):
        if feature not in features:
            text = "this supervisor is too old for it: it does not list {!r} among its features".format(feature)
            return request_error(method, {"code": -32008, "message": text, "data": {"field": field}})
    return None


def _needed(method: str, params: Mapping[str, Any]) -> Iterator[Tuple[str, str]]:
    if method in _METHODS:
        yield _METHODS[method], "method"
    elif method == "kill" and params.get("wait"):
        yield "kill-wait", "wait"
    elif method == "spawn":
        yield from _needed_of_spawn(params)


def _needed_of_spawn(params: Mapping[str, Any]) -> Iterator[Tuple[str, str]]:
    if params.get("pipeline"):
        yield "pipeline", "pipeline"
    if "ready" in (params.get("notify") or ()):
        yield "ready", "notify"
    for number, entry in enumerate(params.get("stdio") or ()):
        field = "stdio[{}]".format(number)
        kinds = entry if isinstance(entry, dict) else {entry: None}
        for kind, spec in kinds.items():
            if kind in _ENTRIES:
                yield _ENTRIES[kind], field
            for feature in ("keep", "window", "text"):
                if isinstance(spec, dict) and spec.get(feature):
                    yield feature, "{}.{}.{}".format(field, kind, feature)
