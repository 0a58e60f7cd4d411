"""The parameters of requests, as they are sent."""

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from .options import Argument, LimitValue, SpawnOptions, refuse_unknown
from .stdio import describe

# Parameters of which 0 and {} mean something else than that they are not there.
_MEANT = ("env", "grace")


def spawn_parameters(
    argv: Sequence[Argument], options: SpawnOptions, fds: List[int], environ: Optional[Mapping[str, str]]
) -> Dict[str, Any]:
    """Return the parameters of "spawn", and append the descriptors that are to be sent.

    environ: the environment that the supervisor has; None: it is not known, and jobs are to have it as it is.
    """
    refuse_unknown("spawn", SpawnOptions, options)
    if isinstance(argv, (str, bytes, os.PathLike)):
        raise TypeError("argv is not a sequence of arguments: {!r}".format(argv))
    env, tags = options.get("env"), options.get("tags")
    stdio = describe(options.get("stdin"), options.get("stdout"), options.get("stderr"), fds)
    params = {
        "argv": [os.fspath(argument) for argument in argv],
        "cwd": os.path.abspath(options.get("cwd") or "."),
        "env": None if env is None else dict(env),
        "env_update": _env_update(options, environ),
        "stdio": stdio,
        "fds": len(fds),
        "limits": limits_of(options.get("limits")),
        "timeout": options.get("timeout"),
        "cpu_timeout": options.get("cpu_timeout"),
        "grace": options.get("grace"),
        "signal": signal_name(options.get("signal")),
        "name": options.get("name"),
        "tags": tags and dict(tags),
        "leftovers": options.get("leftovers"),
        "notify": list(options.get("notify", ())),
        "pressure": [one._asdict() for one in options.get("pressure", ())],
        "sample": options.get("sample"),
        "delegate": options.get("delegate"),
        "best_effort": options.get("best_effort"),
    }
    return {name: value for name, value in params.items() if value or name in _MEANT and value is not None}


def _env_update(options: SpawnOptions, environ: Optional[Mapping[str, str]]) -> Dict[str, Optional[str]]:
    update: Dict[str, Optional[str]] = {}
    if options.get("env") is None and environ is not None:
        update.update({name: value for name, value in os.environ.items() if environ.get(name) != value})
        update.update({name: None for name in environ if name not in os.environ})
    update.update(options.get("env_update") or {})
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
