"""The parameters of requests, as they are sent."""

import base64
import os
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from .options import PTY, Argument, Command, LimitValue, SpawnOptions, refuse_unknown
from .stdio import File, Terminals, absolute, describe
from .texts import Text, environ_of, text_of

#: The least time that is not 0, which is none to the supervisor; and what is longer than it takes, in seconds.
_LEAST, _TOO_LONG = 1e-9, 100 * 365 * 24 * 3600.0

#: Bytes of input that may wait for a job, until the supervisor has said how many.
MAX_INPUT = 1 << 20


class Origin(NamedTuple):
    """What a supervisor was started with by us, and jobs get if nothing else is said."""

    environ: Mapping[str, str]
    variables: Any  # os.environ's own copy, of which to compare is quick; None: it has none
    directory: Optional[Tuple[int, int]]  # device and inode; None: not known

    @classmethod
    def here(cls) -> "Origin":
        """Return what a supervisor gets that is started now."""
        return cls(dict(os.environ), _variables(), _directory())


def spawn_parameters(
    argv: Optional[Sequence[Argument]], options: SpawnOptions, fds: List[int], origin: Optional[Origin]
) -> Dict[str, Any]:
    """Return the parameters of "spawn", and append the descriptors that are to be sent.

    origin: what the supervisor was started with; None: it is not known, and jobs are to have it as it is.
    """
    refuse_unknown("spawn", SpawnOptions, options)
    env, name, tags = options.get("env"), options.get("name"), options.get("tags")
    return given(
        **_commands(argv, options),
        cwd=_cwd(options.get("cwd"), origin),
        env=None if env is None else environ_of(env),
        env_update=environ_of(_env_update(options, origin)) or None,
        stdio=_stdio(options, fds),
        fds=len(fds) or None,
        limits=limits_of(options.get("limits")) or None,
        timeout=_time_limit(options.get("timeout")),
        cpu_timeout=_time_limit(options.get("cpu_timeout")),
        grace=grace_of(options.get("grace")),
        signal=signal_name(options.get("signal")),
        name=None if name is None else text_of(name),
        tags=tags and dict(tags),
        leftovers=options.get("leftovers"),
        notify=list(options.get("notify", ())) or None,
        pressure=[one._asdict() for one in options.get("pressure", ())] or None,
        sample=options.get("sample"),
        delegate=options.get("delegate") or None,
        best_effort=options.get("best_effort") or None,
    )


def _stdio(options: SpawnOptions, fds: List[int]) -> List[Any]:
    given_ones = options.get("stdin"), options.get("stdout"), options.get("stderr")
    return describe(*given_ones, fds, terminal_of(options.get("pty")), options.get("keep"))


def terminal_of(pty: PTY) -> Optional[Terminals]:
    """Return what the option pty asks for."""
    if isinstance(pty, Terminals) or pty is None or pty is False:
        return pty or None
    if pty is True:
        return Terminals(None)
    rows, cols = pty
    return Terminals((rows, cols))


def _commands(argv: Optional[Sequence[Argument]], options: SpawnOptions) -> Dict[str, Any]:
    """Return the command, or those of a pipeline."""
    pipeline = options.get("pipeline")
    if pipeline is None:
        return {"argv": _argv("argv", argv)}
    if argv is not None:
        raise ValueError("pipeline takes the place of argv")
    return {"pipeline": [_command(one if isinstance(one, Command) else Command(one)) for one in pipeline]}


def _command(one: Command) -> Dict[str, Any]:
    return given(
        argv=_argv("a command of the pipeline", one.argv),
        cwd=None if one.cwd is None else text_of(absolute(one.cwd)),
        env=None if one.env is None else environ_of(one.env),
        env_update=None if one.env_update is None else environ_of(one.env_update) or None,
    )


def _argv(name: str, argv: Optional[Sequence[Argument]]) -> List[Text]:
    if argv is None or isinstance(argv, (str, bytes, os.PathLike)):
        raise TypeError("{} is not a sequence of arguments: {!r}".format(name, argv))
    return [text_of(argument) for argument in argv]


def input_parameters(job: int, data: memoryview, eof: bool, most: int) -> Iterator[Dict[str, Any]]:
    """Yield the parameters of the requests that write bytes: half of what may wait for a job at a time, so that it reads meanwhile."""
    size = max(1, most // 2)
    for start in range(0, max(1, len(data)), size):
        piece, last = data[start : start + size], start + size >= len(data)
        yield given(job=job, data=base64.b64encode(piece).decode() or None, eof=(eof and last) or None)


def files_of(argv: Optional[Sequence[Argument]], options: SpawnOptions) -> Dict[str, Any]:
    """Return what the parameters are called that name a file, for the errors that have a filename."""
    stdio = (options.get("stdin"), options.get("stdout"), options.get("stderr"))
    files: Dict[str, Any] = {"cwd": options.get("cwd"), "argv": os.fspath(argv[0]) if argv else None}
    for number, what in enumerate(stdio):
        files["stdio[{}]".format(number)] = what.path if isinstance(what, File) else what
    return {field: name for field, name in files.items() if isinstance(name, (str, bytes, os.PathLike))}


def _cwd(cwd: Optional[Argument], origin: Optional[Origin]) -> Optional[Text]:
    """Return the working directory, if it is to be another than the supervisor's."""
    if cwd is not None:
        return text_of(absolute(cwd))
    if origin is None or _directory() == origin.directory:
        return None
    return text_of(os.getcwdb())


def _directory() -> Optional[Tuple[int, int]]:
    try:
        stat = os.stat(".")
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _env_update(options: SpawnOptions, origin: Optional[Origin]) -> Dict[bytes, Optional[bytes]]:
    update: Dict[bytes, Optional[bytes]] = {}
    if options.get("env") is None and origin is not None and (origin.variables is None or origin.variables != _variables()):
        changes: Dict[str, Optional[str]] = {name: None for name in origin.environ if name not in os.environ}
        changes.update({name: value for name, value in os.environ.items() if origin.environ.get(name) != value})
        update.update(_encoded(changes))
    update.update(_encoded(options.get("env_update") or {}))
    return update


def _variables() -> Any:
    data = getattr(os.environ, "_data", None)
    return None if data is None else dict(data)


def _encoded(variables: Mapping[Any, Any]) -> Dict[bytes, Optional[bytes]]:
    return {os.fsencode(name): None if value is None else os.fsencode(value) for name, value in variables.items()}


def _time_limit(timeout: Optional[float]) -> Optional[float]:
    """Return a time limit as subprocess has it: what is zero or less is over at once, infinity is none."""
    if timeout is None or 0.0 + timeout > _TOO_LONG:
        return None
    return max(0.0 + timeout, _LEAST)


def grace_of(grace: Optional[float]) -> Optional[float]:
    """Return a grace period: less than none is none."""
    return None if grace is None else max(0.0, min(0.0 + grace, _TOO_LONG))


def limits_of(limits: Optional[Mapping[str, LimitValue]]) -> Dict[str, LimitValue]:
    """Return limits by their names; memory_max is memory-max, so that names can be keywords."""
    return {name.replace("_", "-"): value for name, value in (limits or {}).items() if value is not None}


def signal_name(signal: Union[None, int, str]) -> Optional[str]:
    """Return a signal as text; numbers are taken too."""
    return str(int(signal)) if isinstance(signal, int) else signal


def given(**options: Any) -> Dict[str, Any]:
    """Return those parameters that were given."""
    return {name: value for name, value in options.items() if value is not None}
