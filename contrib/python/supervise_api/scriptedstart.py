"""How a scripted server starts a job: its program, and its descriptors."""

import errno
import fcntl
import os
from typing import Any, Dict, List, Mapping, Optional, Tuple

from . import scriptedspawn as check
from .scriptedjob import Program, ScriptedJob
from .scriptedoutput import Told, open_file
from .scriptedpipeline import joined, pipeline
from .scriptedspawn import Refusal, unsupported, wrong
from .scriptedtalk import ScriptedTalk

_MAX_KEPT, _MAX_KEPT_IN_ALL, _MAX_COMMANDS = 64 << 20, 256 << 20, 64


def job_of(talk: ScriptedTalk, params: Dict[str, Any]) -> Tuple[ScriptedJob, Any]:
    """Check the parameters, and return the job and what it runs."""
    piped = params.get("pipeline") is not None
    commands = _pipeline(params) if piped else [(check.argv(params.get("argv")), "argv")]
    for name in "path", "cwd":
        check.text(params.get(name) or "", name)
    env = check.environ(_given(params, "env", {}), "env", removes=False)
    env.update(check.environ(_given(params, "env_update", {}), "env_update", removes=True))
    check.check_rest(params, talk.cgroup)
    fds = params.get("fds") or 0
    if fds and not talk.wire.rights:
        raise unsupported("fds", "descriptors travel over a stream socket alone")
    params["stdio"] = check.stdio(_given(params, "stdio", []), fds)
    programs = [_program(talk, command, field) for command, field in commands]
    argv, program = programs[0]
    if piped:
        argv, program = joined([one for one, _ in programs]), pipeline(programs)
    job = ScriptedJob(talk, talk.next_number(), argv, params)
    job.env = {os.fsdecode(name): os.fsdecode(value) for name, value in env.items() if value is not None}
    job.cwd = os.fsdecode(check.text(params["cwd"], "cwd")) if params.get("cwd") else None
    return job, program


def _given(params: Mapping[str, Any], name: str, default: Any) -> Any:
    return default if params.get(name) is None else params[name]


def _pipeline(params: Mapping[str, Any]) -> List[Tuple[List[bytes], str]]:
    """Return the commands, and what the parameters are called that have them."""
    given = params["pipeline"]
    if not isinstance(given, list) or not 0 < len(given) <= _MAX_COMMANDS:
        raise wrong("pipeline", "want 1 to {} commands".format(_MAX_COMMANDS))
    if params.get("argv") or params.get("path"):
        raise wrong("pipeline", "want a command or a pipeline, not both")
    fields = ["pipeline[{}].argv".format(number) for number in range(len(given))]
    return [(check.argv(one.get("argv") if isinstance(one, dict) else None, field), field) for one, field in zip(given, fields)]


def _program(talk: ScriptedTalk, command: List[bytes], field: str) -> Tuple[List[str], Program]:
    """Find the program of a command."""
    argv = [os.fsdecode(one) for one in command]
    program = talk.find(argv)
    if program is None:
        raise Refusal(-32005, field, "{}: no such program in the script".format(argv[0]), "ENOENT")
    return argv, program


def open_descriptors(job: ScriptedJob, talk: ScriptedTalk, mine: List[int], theirs: List[int]) -> List[int]:
    """Open the job's descriptors; return the numbers of those whose other ends are sent."""
    pipes: List[int] = []
    terminal: Optional[Told] = None
    try:
        for number, entry in enumerate(job.params["stdio"]):
            field = "stdio[{}]".format(number)
            if "capture" in entry:
                job.told[number] = _told(job, talk, number, entry["capture"], field)
            elif "pty" in entry:
                if terminal is None:
                    terminal = _told(job, talk, 1, entry["pty"], field, True)
                    job.size = entry["pty"].get("rows") or 24, entry["pty"].get("cols") or 80
                job.told[number] = terminal
            elif "dup" in entry and entry["dup"] in job.told:
                job.told[number] = job.told[entry["dup"]]
            elif entry.get("pipe"):
                if not talk.wire.rights:
                    raise unsupported(field, "descriptors travel over a stream socket alone")
                ends = os.pipe2(os.O_CLOEXEC)
                theirs.append(ends[1 if number == 0 else 0])
                job.files[number] = ends[0 if number == 0 else 1]
                pipes.append(number)
            else:
                _file(job, number, entry, mine, field)
    except BaseException:
        for fd in set(job.files.values()):
            os.close(fd)
        raise
    if terminal is not None:
        job.told = {1: terminal, 2: terminal, **{number: told for number, told in job.told.items() if told is not terminal}}
    return pipes


def _file(job: ScriptedJob, number: int, entry: Mapping[str, Any], mine: List[int], field: str) -> None:
    if "dup" in entry and entry["dup"] in job.files:
        job.files[number] = fcntl.fcntl(job.files[entry["dup"]], fcntl.F_DUPFD_CLOEXEC, 3)
    elif "fd" in entry and entry["fd"] < len(mine):
        job.files[number] = fcntl.fcntl(mine[entry["fd"]], fcntl.F_DUPFD_CLOEXEC, 3)
    elif entry.get("inherit"):
        job.files[number] = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)
    elif "file" in entry:
        path = os.path.join(os.fsencode(job.cwd or "."), check.text(entry["file"], field))
        try:
            job.files[number] = open_file(path, entry.get("mode") or ("read" if number == 0 else "append"))
        except OSError as e:
            code = -32005 if e.errno == errno.ENOENT else -32010
            raise Refusal(code, field, str(e), errno.errorcode[e.errno or errno.EIO]) from e


def _told(job: ScriptedJob, talk: ScriptedTalk, number: int, spec: Mapping[str, Any], field: str, terminal: bool = False) -> Told:
    if terminal and spec.get("master"):
        raise unsupported(field, "there is no terminal in a scripted server")
    keep = spec.get("keep") or 0
    if isinstance(keep, bool) or not isinstance(keep, int):
        raise wrong("{}.{}.keep".format(field, "pty" if terminal else "capture"), "want bytes")
    if not 0 <= keep <= _MAX_KEPT:
        raise wrong(field, "keep: want at most 64 MiB")
    if keep and keep + sum(told.keep for one in [job, *talk.jobs.values()] for told in one.outputs()) > _MAX_KEPT_IN_ALL:
        raise Refusal(-32003, field, "of the running jobs {} bytes of output are kept at most".format(_MAX_KEPT_IN_ALL))
    return Told(number, spec, terminal)
