"""The named arguments of spawn and run: once, for Supervisor, AsyncSupervisor and run alike.

A type checker holds calls against these classes by Unpack. Python does not, so `refuse_unknown` does.
"""

import inspect
import sys
from typing import TYPE_CHECKING, Any, Callable, Mapping, NamedTuple, Optional, Sequence, Tuple, TypedDict, TypeVar, Union

from .jobevents import Event
from .stdio import Stdio, Terminals
from .texts import Argument as Argument
from .texts import Environ, EnvironUpdate

if TYPE_CHECKING:
    from typing_extensions import Unpack as Unpack  # type checkers bring it along; it need not be installed
elif sys.version_info >= (3, 11):
    from typing import Unpack
else:

    class Unpack:
        """What Python 3.11 has: `**options: Unpack[SpawnOptions]`."""

        def __class_getitem__(cls, options):
            return options


#: "1G", 1.5 or True, as the flags of `supervise run` or systemd's properties have it.
LimitValue = Union[str, int, float, bool]


class Pressing(NamedTuple):
    """A PSI trigger: tell when processes waited for stall_s seconds within window_s."""

    resource: str  #: cpu, memory or io
    stall_s: float
    window_s: float  #: 0.5 to 10; for users without privileges a multiple of 2
    full: bool = False  #: all processes at the same time waited, not just some


class Command(NamedTuple):
    """One of a pipeline. What it does not say is that of the job."""

    argv: Sequence[Argument]
    cwd: Optional[Argument] = None
    env: Optional[Environ] = None  #: all of the environment
    env_update: Optional[EnvironUpdate] = None  #: changes to it, or to that of the job


#: A size, in rows and columns, or True for 24 and 80.
PTY = Union[None, bool, Tuple[int, int], Terminals]


class JobOptions(TypedDict, total=False):
    """What spawn and run both take; Supervisor.spawn explains it."""

    pipeline: Optional[Sequence[Union[Command, Sequence[Argument]]]]
    env: Optional[Environ]
    env_update: Optional[EnvironUpdate]
    cwd: Optional[Argument]
    stdin: Stdio
    stdout: Stdio
    stderr: Stdio
    pty: PTY
    text: bool
    encoding: Optional[str]
    errors: Optional[str]
    limits: Optional[Mapping[str, LimitValue]]
    timeout: Optional[float]
    cpu_timeout: Optional[float]
    grace: Optional[float]
    signal: Union[None, int, str]
    name: Union[None, str, bytes]
    tags: Optional[Mapping[str, str]]
    leftovers: Optional[str]
    delegate: bool
    best_effort: bool


class SpawnOptions(JobOptions, total=False):
    """What Supervisor.spawn takes, and explains."""

    keep: Optional[int]
    notify: Sequence[str]
    pressure: Sequence[Pressing]
    sample: Optional[float]
    on_event: Optional[Callable[[Event], object]]


class RunOptions(JobOptions, total=False):
    """What run takes, and explains."""

    input: Union[None, bytes, str]
    capture_output: bool
    check: bool
    memory_max: Optional[LimitValue]
    cpus: Optional[float]
    pids_max: Optional[int]


class _Unset:
    """The default of an option, as it is shown: what spawn or run does without it is said where it is explained."""

    def __repr__(self) -> str:
        return "..."


_Function = TypeVar("_Function", bound=Callable[..., Any])


def takes(options: Any) -> Callable[[_Function], _Function]:
    """Have help and inspect.signature name the options of a function one by one."""

    def decorate(function: _Function) -> _Function:
        signature = inspect.signature(function)
        given = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        named = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_Unset(), annotation=hint)
            for name, hint in options.__annotations__.items()
        ]
        function.__signature__ = signature.replace(parameters=given + named)  # type: ignore[attr-defined]
        return function

    return decorate


def refuse_unknown(function: str, options: Any, given: Mapping[str, Any]) -> None:
    """Raise TypeError, as Python does for a function that names its arguments, if one was given that is no option."""
    for name in given:
        if name not in options.__annotations__:
            raise TypeError("{}() got an unexpected keyword argument {!r}".format(function, name))
