"""The exceptions of supervisors: one that is lost, and one that refuses a request."""

import errno
from typing import Any, Dict, Mapping, Optional, Type


class SupervisorLost(Exception):
    """The connection to the supervisor ended, and no final status of the command was heard before."""


class RequestError(Exception):
    """The supervisor refused a request; a subclass says why, or the code does (protocol/SERVE.md has them all)."""

    #: Of the request, such as "spawn".
    method: str
    #: Such as -32003: too much is in flight.
    code: int
    #: The parameter that is wrong, such as "stdio[1].mode"; None if it is none.
    field: Optional[str]
    #: Of the system call that failed, such as "ENOENT"; None if none did.
    errno_name: Optional[str]

    def __init__(self, method: str, error: Mapping[str, Any]) -> None:
        """Be what the supervisor's error says."""
        text = "{}: {}".format(method, error.get("message"))
        data = error.get("data") or {}
        self.errno_name = data.get("errno")
        number = getattr(errno, str(self.errno_name), None)
        super().__init__(*([text] if number is None else [number, text]))
        self.method = method
        self.code = error.get("code", 0)
        self.field = data.get("field")
        self._text = text

    def __str__(self) -> str:
        return self._text


class CommandNotFound(RequestError, FileNotFoundError):
    """There is no such program, interpreter, directory or file; field says which of the parameters it is."""


class NotExecutable(RequestError, PermissionError):
    """The program cannot be executed."""


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


def request_error(method: str, error: Mapping[str, Any]) -> RequestError:
    """Make the exception for an error object of JSON-RPC."""
    other = SystemCallFailed if (error.get("data") or {}).get("errno") else RequestError
    return _CLASSES.get(error.get("code", 0), other)(method, error)
