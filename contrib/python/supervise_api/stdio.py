"""What the descriptors of a job are: the arguments stdin, stdout and stderr."""

import os
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Any, List, NamedTuple, Union

from .descriptors import HasFileno, fileno
from .texts import Argument, text_of

__all__ = ["DEVNULL", "PIPE", "STDOUT", "Capture", "File", "Stdio", "describe"]


class Capture(NamedTuple):
    """Output that the supervisor reads and tells us; Job.output returns it. The string "capture" is Capture()."""

    limit: int = -1  #: bytes; what is beyond is dropped. -1: there is no limit
    wait: bool = True  #: the job waits in its write for us to read, if we are slow; else what we are too slow for is dropped


class File(NamedTuple):
    """A file that the supervisor opens for the job."""

    path: Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
    mode: str = "truncate"  #: read, append, create (it must not exist) or truncate


#: DEVNULL or None; PIPE; STDOUT, for stderr; our descriptor, or an object with one; "capture"; a path, written anew.
Stdio = Union[None, int, HasFileno, str, bytes, "os.PathLike[str]", "os.PathLike[bytes]", Capture, File]


def describe(stdin: Stdio, stdout: Stdio, stderr: Stdio, fds: List[int]) -> List[Any]:
    """Return the parameter "stdio"; our descriptors that are to be sent along are appended to fds."""
    return [_one(number, what, fds) for number, what in enumerate((stdin, stdout, stderr))]


def absolute(path: Argument) -> bytes:
    """Return a path as it is seen from anywhere. ".." is left to the kernel, which knows what is a link."""
    encoded = os.fsencode(path)
    return encoded if encoded.startswith(b"/") else os.path.join(os.getcwdb(), encoded)


def _one(number: int, what: Stdio, fds: List[int]) -> Any:
    if what is None or what == DEVNULL:
        return "null"
    if what == PIPE:
        return "pipe"
    if what == STDOUT:
        if number != 2:
            raise ValueError("STDOUT is for stderr")
        return {"dup": 1}
    if what == "capture":
        what = Capture()
    if isinstance(what, Capture):
        return {"capture": {"limit": what.limit, "wait": what.wait}}
    if isinstance(what, (str, bytes, os.PathLike)):
        what = File(what, "read" if number == 0 else "truncate")
    if isinstance(what, File):
        return {"file": text_of(absolute(what.path)), "mode": what.mode}
    fds.append(fileno(what))
    return {"fd": len(fds) - 1}
