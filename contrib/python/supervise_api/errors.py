"""The exceptions of supervisors: one that is lost, and one that refuses a request."""

import errno
import os
from typing import Any, Dict, Mapping, Optional, Tuple, Type


class SupervisorLost(Exception):
    """The connection to the supervisor ended, and no final status of the command was heard before."""


class UncleanExit(Exception):
    """A process did not exit with status 0; the argument is the ChildEvent that says how it ended, if that is known."""


class NotReady(Exception):
    """The job has ended, and did not say that it is ready."""


class RequestError(Exception):
    """The supervisor refused a request; a subclass says why, or the code does (protocol/SERVE.md has them all).

    Those that are an OSError have what subprocess's would have: errno, strerror, and as filename the program, directory or file
    that was asked for; and they are of the class that Python has for the errno, such as NotADirectoryError. The text is the
    supervisor's.
    """

    #: Of the request, such as "spawn".
    method: str
    #: Such as -32003: too much is in flight.
    code: int
    #: The parameter that is wrong, such as "stdio[1].mode"; None if it is none.
    field: Optional[str]
    #: Of the system call that failed, such as "ENOENT"; None if none did.
    errno_name: Optional[str]

    def __init__(self, method: str, error: Mapping[str, Any], files: Mapping[str, Any] = {}) -> None:
        """Be what the supervisor's error says; files are those that were asked for, by field."""
        data = error.get("data") or {}
        self.method = method
        self.code = error.get("code", 0)
        self.field = data.get("field")
        self.errno_name = data.get("errno")
        self._text = "{}: {}".format(method, error.get("message"))
        self._made_of = method, error, files
        number = _number(error)
        if isinstance(self, OSError) and number is not None:
            file = files.get(str(self.field))
            super().__init__(number, os.strerror(number), *([] if file is None else [file]))
        else:
            super().__init__(self._text)

    def __str__(self) -> str:
        return self._text

    def __reduce__(self) -> Tuple[Any, ...]:
        return request_error, self._made_of


class CommandNotFound(RequestError, FileNotFoundError):
    """There is no such program, interpreter, directory or file; field says which of the parameters it is."""


class NotExecutable(RequestError, PermissionError):
    """The program may not be executed."""


class InvalidRequest(RequestError, ValueError):
    """A parameter is wrong: see field."""


class LimitRefused(RequestError):
    """A limit cannot be had here; the message has the reason and the fix."""


class Unsupported(RequestError):
    """It is not to be had with this containment, kernel or connection; Supervisor.features lists what is."""


class JobGone(RequestError, ProcessLookupError):
    """The job, or its main process, has ended."""


class SystemCallFailed(RequestError, OSError):
    """A system call failed, which errno says more of: a file exists, descriptors or processes are used up."""


_CLASSES: Dict[int, Type[RequestError]] = {
    -32602: InvalidRequest,
    -32004: JobGone,
    -32005: CommandNotFound,
    -32006: NotExecutable,
    -32007: LimitRefused,
    -32008: Unsupported,
}


def request_error(method: str, error: Mapping[str, Any], files: Mapping[str, Any] = {}) -> RequestError:
    """Make the exception for an error object of JSON-RPC; for files see RequestError."""
    number = _number(error)
    kind = _CLASSES.get(error.get("code", 0), RequestError)
    if kind is RequestError and number is not None or kind is NotExecutable and number not in (errno.EACCES, errno.EPERM):
        kind = SystemCallFailed
    if number is not None and issubclass(kind, OSError):
        kind = _as_python_has_it(kind, type(OSError(number, "")))
    return kind(method, error, files)


def _number(error: Mapping[str, Any]) -> Optional[int]:
    number: Optional[int] = getattr(errno, str((error.get("data") or {}).get("errno")), None)
    return number


_MADE: Dict[Tuple[Type[Any], Type[Any]], Type[RequestError]] = {}


def _as_python_has_it(kind: Type[RequestError], builtin: Type[OSError]) -> Type[RequestError]:
    """Return a class of that name that is also Python's own for an errno."""
    if issubclass(kind, builtin):
        return kind
    made = _MADE.get((kind, builtin))
    if made is None:
        made = _MADE[kind, builtin] = type(kind.__name__, (kind, builtin), {"__doc__": kind.__doc__, "__module__": __name__})
    return made
