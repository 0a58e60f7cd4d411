"""The dataclasses of record and answers, made of what came as JSON."""

import base64
import os
import typing
from datetime import datetime, timezone
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Type, TypeVar, Union

_T = TypeVar("_T")
_Maker = Callable[[Any], Any]
#: Of each dataclass the fields: the name, what its bytes are called, and what makes its value of JSON; None: it is that.
_makers: Dict[Type[Any], List[Tuple[str, str, Optional[_Maker]]]] = {}


def make(kind: Type[_T], data: Mapping[str, Any]) -> _T:
    """Make a dataclass of an object of JSON. What is unknown is ignored, what is missing is None."""
    makers = _makers.get(kind)
    if makers is None:
        makers = _makers[kind] = [(name, name + "_base64", _maker(hint)) for name, hint in typing.get_type_hints(kind).items()]
    made = object.__new__(kind)
    values = made.__dict__  # that of a frozen one is ten times as fast to fill in as its __init__ is
    for name, encoded, maker in makers:
        value = field(data, name) if encoded in data else data.get(name)
        values[name] = value if maker is None else maker(value)
    return made


def field(data: Mapping[str, Any], name: str) -> Any:
    """Return a field of an object; None: it is not there. Text that is no UTF-8 is as in sys.argv: os.fsencode has its bytes."""
    encoded = data.get(name + "_base64")
    if encoded is None:
        return data.get(name)
    return [_decoded(one) for one in encoded] if isinstance(encoded, list) else _decoded(encoded)


def _decoded(text: str) -> str:
    return os.fsdecode(base64.b64decode(text))


def _maker(hint: Any) -> Optional[_Maker]:
    """Return what makes a field of its JSON; None: it is that."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Union:
        inner = _maker(arguments[0])
        return inner and (lambda value: None if value is None else inner(value))  # type: ignore[misc]
    if origin is list:
        element = _maker(arguments[0])
        return lambda value: list(map(element, value or ())) if element is not None else list(value or ())
    if hint is datetime:
        return _time
    if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__"):
        return lambda value: make(hint, value or {})
    return None


def _time(text: str) -> datetime:
    """Read RFC 3339 in UTC, which has nine digits, or none, after the second."""
    return datetime.fromisoformat(text.rstrip("Z")[:26]).replace(tzinfo=timezone.utc)
