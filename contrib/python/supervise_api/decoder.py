"""The dataclasses of record and answers, made of what came as JSON."""

import base64
import os
import typing
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Mapping, Type, TypeVar, Union

_T = TypeVar("_T")
_Maker = Callable[[Any], Any]
_makers: Dict[Type[Any], Dict[str, _Maker]] = {}


def make(kind: Type[_T], data: Mapping[str, Any]) -> _T:
    """Make a dataclass of an object of JSON. What is unknown is ignored, what is missing is None."""
    makers = _makers.get(kind)
    if makers is None:
        makers = _makers[kind] = {name: _maker(hint) for name, hint in typing.get_type_hints(kind).items()}
    return kind(**{name: maker(field(data, name)) for name, maker in makers.items()})


def field(data: Mapping[str, Any], name: str) -> Any:
    """Return a field of an object; None: it is not there. Text that is no UTF-8 is as in sys.argv: os.fsencode has its bytes."""
    encoded = data.get(name + "_base64")
    if encoded is None:
        return data.get(name)
    return [_decoded(one) for one in encoded] if isinstance(encoded, list) else _decoded(encoded)


def _decoded(text: str) -> str:
    return os.fsdecode(base64.b64decode(text))


def _maker(hint: Any) -> _Maker:
    """Return what makes a field of its JSON."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Union:
        inner = _maker(arguments[0])
        return lambda value: None if value is None else inner(value)
    if origin is list:
        element = _maker(arguments[0])
        return lambda value: [element(one) for one in value or []]
    if hint is datetime:
        return _time
    if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__"):
        return lambda value: make(hint, value or {})
    return lambda value: value


def _time(text: str) -> datetime:
    """Read RFC 3339 in UTC, which has nine digits, or none, after the second."""
    return datetime.fromisoformat(text.rstrip("Z")[:26]).replace(tzinfo=timezone.utc)
