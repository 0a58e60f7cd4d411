"""What the descriptors of a job are: the arguments stdin, stdout and stderr."""

import os
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

from .descriptors import HasFileno, fileno
from .texts import Argument, text_of

__all__ = ["DEVNULL", "INPUT", "PIPE", "STDOUT", "Capture", "File", "Input", "Stdio", "Terminals", "describe"]


class Capture(NamedTuple):
    """Output that the supervisor reads and tells us; Job.output returns it. The string "capture" is Capture()."""

    limit: Optional[int] = None  #: bytes that are told; what is beyond is dropped. -1: there is no limit. None: as -1, but none with keep
    wait: bool = True  #: the job waits in its write for us to read, if we are slow; else what we are too slow for is dropped
    window: Optional[int] = None  #: Job.stdout (or stderr) is a file to read it from; so many bytes at most wait here, then the job waits
    keep: Optional[int] = None  #: so many bytes, the last ones, are kept by the supervisor for Job.output, after the end too


class File(NamedTuple):
    """A file that the supervisor opens for the job."""

    path: Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
    mode: str = "truncate"  #: read, append, create (it must not exist) or truncate


class Input:
    """What INPUT is."""

    def __repr__(self) -> str:
        return "INPUT"


#: For stdin: Job.stdin writes to it, and waits until the job has room.
INPUT = Input()

#: A terminal's window in bytes.
WINDOW = 65536


class Terminals(NamedTuple):
    """The option pty: all of stdin, stdout and stderr that are None are the job's terminal."""

    size: Optional[Tuple[int, int]]  #: rows, columns; None: the usual one
    window: Optional[int] = WINDOW
    keep: Optional[int] = None

    def described(self) -> Dict[str, int]:
        """Return it as it is sent."""
        rows, cols = self.size or (None, None)
        parts = {"rows": rows, "cols": cols, "window": None if self.keep else self.window, "keep": self.keep}
        return {name: value for name, value in parts.items() if value is not None}


#: DEVNULL or None; INPUT; PIPE; STDOUT, for stderr; our descriptor, or an object with one; "capture"; a path, written anew.
Stdio = Union[None, int, Input, HasFileno, str, bytes, "os.PathLike[str]", "os.PathLike[bytes]", Capture, File]


def describe(
    stdin: Stdio, stdout: Stdio, stderr: Stdio, fds: List[int], terminal: Optional[Terminals] = None, keep: Optional[int] = None
) -> List[Any]:
    """Return the parameter "stdio"; our descriptors that are to be sent along are appended to fds.

    keep: of output that nothing is said of, and that is captured. ValueError, TypeError.
    """
    given = (stdin, stdout, stderr)
    if terminal is not None and all(what is not None for what in given):
        raise ValueError("pty is for those of stdin, stdout and stderr that are not given, and all are")
    if terminal is not None and (stdout == "capture" or isinstance(stdout, Capture)):
        raise ValueError("stdout is captured, and pty is told as stdout too")
    described = [_one(number, what, fds) for number, what in enumerate(_keeping(given, terminal, keep))]
    if terminal is not None:
        mine = [number for number, what in enumerate(given) if what is None]
        for number in mine:
            described[number] = "pty"
        described[mine[0]] = {"pty": terminal._replace(keep=keep).described()}
    return described


def _keeping(given: Tuple[Stdio, Stdio, Stdio], terminal: Optional[Terminals], keep: Optional[int]) -> List[Stdio]:
    """Return stdin, stdout and stderr; with keep what is captured is kept too, and what was not given is kept."""
    kept: List[Stdio] = list(given)
    for number, what in enumerate(given):
        if not keep or number == 0:
            continue
        if what is None and terminal is None:
            kept[number] = Capture(keep=keep)
        elif what == "capture":
            kept[number] = Capture(-1, keep=keep)
        elif isinstance(what, Capture) and what.keep is None:
            kept[number] = what._replace(limit=-1 if what.limit is None else what.limit, keep=keep)
    return kept


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
    if isinstance(what, Input):
        if number != 0:
            raise ValueError("INPUT is for stdin")
        return "input"
    if what == "capture":
        what = Capture()
    if isinstance(what, Capture):
        return {"capture": _captured(what)}
    if isinstance(what, (str, bytes, os.PathLike)):
        what = File(what, "read" if number == 0 else "truncate")
    if isinstance(what, File):
        return {"file": text_of(absolute(what.path)), "mode": what.mode}
    fds.append(fileno(what))
    return {"fd": len(fds) - 1}


def _captured(what: Capture) -> Dict[str, Any]:
    """Return a Capture as it is sent. With keep the supervisor tells nothing unless there is a limit."""
    limit = -1 if what.limit is None and (what.window or not what.keep) else what.limit
    parts = {"limit": limit, "wait": what.wait, "window": what.window, "keep": what.keep}
    return {name: value for name, value in parts.items() if value is not None}
