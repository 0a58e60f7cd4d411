"""Arguments, paths, names and environments as the protocol has them: any bytes."""

import base64
import os
from typing import Dict, List, Mapping, Optional, Tuple, Union

#: What is given to a program: an argument, a path, a name.
Argument = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
#: A string; for what is no UTF-8 {"base64": ...}.
Text = Union[str, Dict[str, str]]
#: The names and values of variables.
Environ = Union[Mapping[str, str], Mapping[bytes, bytes]]
#: None removes a variable.
EnvironUpdate = Union[Mapping[str, Optional[str]], Mapping[bytes, Optional[bytes]]]

# The characters of which JSON makes six.
_CONTROLS = bytes(set(range(32)) - set(b"\b\t\n\f\r"))


def text_of(argument: Argument) -> Text:
    """Return what is sent for the bytes that a program gets."""
    return _text(os.fsencode(argument))


def argument_of(text: Text) -> str:
    """Return what was sent as a string, with surrogates for bytes that are no text (os.fsdecode)."""
    return os.fsdecode(text.encode() if isinstance(text, str) else base64.b64decode(text["base64"]))


def environ_of(variables: Union[Environ, EnvironUpdate]) -> Union[Dict[str, Optional[str]], List[Text]]:
    """Return what is sent for variables: an object or, as that has no names that are no UTF-8, a list. ValueError."""
    encoded = [_variable(name, value) for name, value in variables.items()]
    if all(_is_plain(name) and _is_plain(value or b"") for name, value in encoded):
        return {name.decode(): None if value is None else value.decode() for name, value in encoded}
    return [_text(name if value is None else name + b"=" + value) for name, value in encoded]


def _variable(name: Union[str, bytes], value: Union[None, str, bytes]) -> Tuple[bytes, Optional[bytes]]:
    key = os.fsencode(name)
    if not key or b"=" in key:
        raise ValueError("illegal environment variable name: {!r}".format(name))
    return key, None if value is None else os.fsencode(value)


def _text(data: bytes) -> Text:
    if _is_plain(data):
        return data.decode()
    return {"base64": base64.b64encode(data).decode()}


def _is_plain(data: bytes) -> bool:
    """Whether a string says it, and not at many times its length: what a program can be given is never too long to be sent."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return len(data) - len(data.translate(None, _CONTROLS)) <= len(data) // 8 + 1
