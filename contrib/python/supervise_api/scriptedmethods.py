"""The methods of a scripted server: each takes the conversation and a request, and returns the result and the descriptors with it."""

import os
from typing import Any, Dict, List, Mapping, Tuple

from . import scriptedspawn as check
from .scriptedjob import ScriptedJob
from .scriptedoutput import Input, Told
from .scriptedspawn import Refusal, unsupported, wrong
from .scriptedstart import job_of, open_descriptors
from .scriptedtalk import Method, Request, Result, ScriptedTalk

_MAX_OUTPUT, _MAX_INPUT, _MAX_CREDIT = 1 << 20, 1 << 20, 1 << 48
_FEATURES = ["base64", "input", "pty", "keep", "window", "text", "ready", "kill-wait", "pipeline"]


def _hello(talk: ScriptedTalk, request: Request) -> Result:
    versions = request.params.get("versions")
    if versions is not None and not isinstance(versions, list):
        raise wrong("versions", "want a list")
    if 1 not in (versions or []):
        raise Refusal(-32001, "versions", "version 1 is spoken here")
    talk.greeted = True
    features = _FEATURES + (["fds"] if talk.wire.rights else []) + (["cgroup", "freeze", "limit", "stat"] if talk.cgroup else [])
    return {
        "version": 1, "server": "supervise scripted", "pid": os.getpid(), "containment": talk.containment, "containment_reason": None,
        "cgroup": "/sys/fs/cgroup/scripted" if talk.cgroup else None, "controllers": ["cpu", "io", "memory", "pids"] if talk.cgroup else [],
        "features": features, "max_request": 16 << 20, "max_input": _MAX_INPUT,
    }, ()  # fmt: skip


def _spawn(talk: ScriptedTalk, request: Request) -> Result:
    params = request.params
    mine = [talk.wire.received.popleft() for _ in range(min(params.get("fds") or 0, len(talk.wire.received)))]
    theirs: List[int] = []
    try:
        if talk.shutdown is not None:
            raise Refusal(-32009, None, "shutting down: no more jobs")
        job, program = job_of(talk, params)
        limits = check.limits_of(params, talk.cgroup)
        pipes = open_descriptors(job, talk, mine, theirs)
        job.inputs.update({number: Input() for number, entry in enumerate(params["stdio"]) if entry.get("input") or "pty" in entry})
        job.record.update(limits)
        talk.jobs[job.number] = job
        result = {"job": job.number, "pid": job.pid, "cgroup": job.record["cgroup"], **limits}
        talk.answer(request.id, {**result, "pipes": pipes} if pipes else result, tuple(theirs))
    finally:
        for fd in mine + theirs:
            os.close(fd)
    if params.get("timeout"):
        talk.after(job, params["timeout"], lambda: talk.time_out(job))
    talk.start(job, program)
    return None


def _of_job(talk: ScriptedTalk, request: Request) -> ScriptedJob:
    number = request.params.get("job", 0)
    if isinstance(number, bool) or not isinstance(number, int):
        raise wrong("job", "want a number")
    if number not in talk.jobs:
        raise Refusal(-32004, "job", "no such job: {}".format(number))
    return talk.jobs[number]


def _signal(talk: ScriptedTalk, request: Request) -> Result:
    job, name = _of_job(talk, request), check.signal_of(request.params)
    talk.answer(request.id, {})
    job.take_signal(name)
    return None


def _kill(talk: ScriptedTalk, request: Request) -> Result:
    job, grace = _of_job(talk, request), check.seconds(request.params, "grace") or 0.0
    name = check.signal_of(request.params, "TERM")
    if request.params.get("wait"):
        job.kills.append(request.id)
    else:
        talk.answer(request.id, {})
    talk.stop(job, "killed", name, grace)
    return None


def _freeze(talk: ScriptedTalk, request: Request) -> Result:
    job = _of_job(talk, request)
    if not talk.cgroup:
        raise unsupported(None, "there are no cgroups")
    job.frozen = request.method == "freeze"
    return {}, ()


def _limit(talk: ScriptedTalk, request: Request) -> Result:
    _of_job(talk, request)
    return check.limits_of(request.params, talk.cgroup), ()


def _stat(talk: ScriptedTalk, request: Request) -> Result:
    return {**_of_job(talk, request).described(), "sample": None, "procs": None}, ()


def _unsupported(talk: ScriptedTalk, request: Request) -> Result:
    _of_job(talk, request)
    raise unsupported(None)


def _list(talk: ScriptedTalk, request: Request) -> Result:
    return {"jobs": [job.described() for job in talk.jobs.values()], "kept": list(talk.archive)}, ()


def _wait(talk: ScriptedTalk, request: Request) -> Result:
    job = _of_job(talk, request)
    if request.id is not None:
        job.waits.append(request.id)
    return None


def _input(talk: ScriptedTalk, request: Request) -> Result:
    job, params = _of_job(talk, request), request.params
    terminal = any("pty" in entry for entry in job.params["stdio"])
    source = job.inputs.get(params.get("fd") or 0)
    if source is None:
        raise wrong("fd", "it is no input")
    if params.get("data") is not None and params.get("text"):
        raise wrong("text", "want data or text, not both")
    name = "data" if params.get("data") else "text"
    data = check.text({"base64": params["data"]} if name == "data" else params.get("text") or "", name, zero=True)
    broken = Refusal(-32010, "fd", "the job has closed it", "EPIPE")
    if source.closed or source.over:
        raise broken
    if data and source.waiting() + len(data) > _MAX_INPUT:
        raise Refusal(-32003, "data", "too much waits already")

    def answer(taken: bool) -> None:
        if taken:
            talk.answer(request.id, {})
        elif request.id is not None:
            talk.fail(request.id, broken)

    source.put(data, bool(params.get("eof")), answer)
    if terminal and params.get("eof"):
        source.over = True
    talk.changed.notify_all()
    return None


def _resize(talk: ScriptedTalk, request: Request) -> Result:
    job, size = _of_job(talk, request), (request.params.get("rows") or 0, request.params.get("cols") or 0)
    if not any("pty" in entry for entry in job.params["stdio"]):
        raise wrong("job", "it has no terminal")
    if not all(isinstance(one, int) and 0 < one < 65536 for one in size):
        raise wrong("rows", "want rows and cols, 1 to 65535")
    job.size = size
    job.take_signal("SIGWINCH")
    return {}, ()


def _kept(talk: ScriptedTalk, params: Mapping[str, Any]) -> Tuple[ScriptedJob, Told]:
    number = params.get("job", 0)
    job = talk.jobs.get(number) or talk.archive.get(number)
    if job is None:
        raise Refusal(-32004, "job", "nothing is kept of a job {}".format(number))
    told = job.told.get(1 if params.get("fd") is None else params["fd"])
    if told is None or not told.keep:
        raise wrong("fd", "nothing is kept of this descriptor")
    return job, told


def _output(talk: ScriptedTalk, request: Request) -> Result:
    params = request.params
    wait = check.seconds(params, "wait")
    if not 0 <= (params.get("max") or 0) <= _MAX_OUTPUT:
        raise wrong("max", "want 0 to {} bytes".format(_MAX_OUTPUT))
    job, told = _kept(talk, params)
    part = told.part(params)
    if part["next"] > part["offset"] or part["eof"] or not wait or request.id is None:
        return part, ()
    reader = (request.id, told, params)
    job.readers.append(reader)

    def late() -> None:
        if reader in job.readers:
            job.readers.remove(reader)
            talk.answer(request.id, told.part(params))

    talk.after(job, wait, late)
    return None


def _credit(talk: ScriptedTalk, request: Request) -> Result:
    job, params = _of_job(talk, request), request.params
    told = job.told.get(1 if params.get("fd") is None else params["fd"])
    if told is None or not told.windowed:
        raise wrong("fd", "it has no window")
    if not 0 <= (params.get("bytes") or 0) <= _MAX_CREDIT:
        raise wrong("bytes", "want 0 or more")
    told.credit += params.get("bytes") or 0
    talk.answer(request.id, {})
    talk.pump(job, told)
    talk.changed.notify_all()
    return None


def _forget(talk: ScriptedTalk, request: Request) -> Result:
    number = request.params.get("job", 0)
    if talk.archive.pop(number, None) is None:
        raise Refusal(-32004, "job", "nothing is kept of a job {}".format(number))
    return {}, ()


def _shutdown(talk: ScriptedTalk, request: Request) -> Result:
    grace, name = check.seconds(request.params, "grace") or 0.0, check.signal_of(request.params, "TERM")
    talk.shutdown = (talk.shutdown or []) + [request.id]
    for job in list(talk.jobs.values()):
        talk.stop(job, "killed", name, grace)
    talk.end_shutdown()
    return None


METHODS: Dict[str, Method] = {
    "hello": _hello, "spawn": _spawn, "signal": _signal, "kill": _kill, "freeze": _freeze, "thaw": _freeze, "limit": _limit,
    "stat": _stat, "mark": _unsupported, "detach": _unsupported, "list": _list, "wait": _wait, "input": _input, "resize": _resize,
    "output": _output, "credit": _credit, "forget": _forget, "shutdown": _shutdown,
}  # fmt: skip
