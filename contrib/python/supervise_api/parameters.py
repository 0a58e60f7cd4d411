"""The parameters of the request "spawn"."""

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Union

from .stdio import Stdio, describe

#: An argument of a command. What is no UTF-8 cannot be said to the supervisor: UnicodeEncodeError, a ValueError.
Argument = Union[str, "os.PathLike[str]"]
#: "1G", 1.5 or True, as the flags of `supervise run` or systemd's properties have it.
LimitValue = Union[str, int, float, bool]


# Parameters of which 0 and {} mean something else than that they are not there.
_MEANT = ("env", "grace")


class Pressing(NamedTuple):
    """A PSI trigger: tell when processes waited for stall_s seconds within window_s."""

    resource: str  #: cpu, memory or io
    stall_s: float
    window_s: float  #: 0.5 to 10; for users without privileges a multiple of 2
    full: bool = False  #: all processes at the same time waited, not just some


class Command(NamedTuple):
    """What is to be spawned; Supervisor.spawn explains it."""

    argv: Sequence[Argument]
    env: Optional[Mapping[str, str]]
    env_update: Optional[Mapping[str, Optional[str]]]
    cwd: Optional[Argument]
    stdin: Stdio
    stdout: Stdio
    stderr: Stdio
    limits: Optional[Mapping[str, LimitValue]]
    timeout: Optional[float]
    cpu_timeout: Optional[float]
    grace: Optional[float]
    signal: Union[None, int, str]
    name: Optional[str]
    tags: Optional[Mapping[str, str]]
    leftovers: Optional[str]
    notify: Sequence[str]
    pressure: Sequence[Pressing]
    sample: Optional[float]
    delegate: bool
    best_effort: bool

    def request(self, fds: List[int], environ: Optional[Mapping[str, str]]) -> Dict[str, Any]:
        """Return the parameters, and append the descriptors that are to be sent.

        environ: the environment that the supervisor has; None: it is not known, and jobs are to have it as it is.
        """
        if isinstance(self.argv, (str, bytes, os.PathLike)):
            raise TypeError("argv is not a sequence of arguments: {!r}".format(self.argv))
        stdio = describe(self.stdin, self.stdout, self.stderr, fds)
        params = {
            "argv": [os.fspath(argument) for argument in self.argv],
            "cwd": os.path.abspath(self.cwd or "."),
            "env": None if self.env is None else dict(self.env),
            "env_update": self._env_update(environ),
            "stdio": stdio,
            "fds": len(fds),
            "limits": limits_of(self.limits),
            "timeout": self.timeout,
            "cpu_timeout": self.cpu_timeout,
            "grace": self.grace,
            "signal": signal_name(self.signal),
            "name": self.name,
            "tags": self.tags and dict(self.tags),
            "leftovers": self.leftovers,
            "notify": list(self.notify),
            "pressure": [one._asdict() for one in self.pressure],
            "sample": self.sample,
            "delegate": self.delegate,
            "best_effort": self.best_effort,
        }
        return {name: value for name, value in params.items() if value or name in _MEANT and value is not None}

    def _env_update(self, environ: Optional[Mapping[str, str]]) -> Dict[str, Optional[str]]:
        update: Dict[str, Optional[str]] = {}
        if self.env is None and environ is not None:
            update.update({name: value for name, value in os.environ.items() if environ.get(name) != value})
            update.update({name: None for name in environ if name not in os.environ})
        update.update(self.env_update or {})
        return update


def limits_of(limits: Optional[Mapping[str, LimitValue]]) -> Dict[str, LimitValue]:
    """Return limits by their names; memory_max is memory-max, so that names can be keywords."""
    return {name.replace("_", "-"): value for name, value in (limits or {}).items() if value is not None}


def signal_name(signal: Union[None, int, str]) -> Optional[str]:
    """Return a signal as text; numbers are taken too."""
    return str(int(signal)) if isinstance(signal, int) else signal


def given(**options: Any) -> Dict[str, Any]:
    """Return those parameters that were given."""
    return {name: value for name, value in options.items() if value is not None}
