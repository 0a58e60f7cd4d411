"""Tools with which a model runs commands: it starts them, looks at their output, types input, and stops them: python3 agent.py

Nothing that a command has started outlives the turn, whatever it does; its output can be looked at in the next one too. Requests
are lines of JSON on standard input, each answered by a line on standard output:

    {"tool": "start", "command": "make test", "timeout": 600}  {"id": 1}
    {"tool": "look", "id": 1, "offset": 0, "wait": 5}          {"text": "ok\\n", "next": 3, "lost": 0, "running": true}
    {"tool": "input", "id": 1, "text": "yes\\n"}               {"taken": true}
    {"tool": "stop", "id": 1}                                  {"how": "killed", "killed": ["cc1"]}
    {"tool": "end_turn"}                                       {"ended": {"2": "killed"}}

What cannot be done is answered by {"error": "..."}.
"""

import json
import sys
import threading
from typing import Any, Dict, Optional, Union

import supervise_api
from supervise_api import INPUT, STDOUT, Job, Supervisor, SupervisorLost

KEEP = 65536  # bytes of output that are kept of each command
LOOK = 8192  # bytes that one look returns at most
PATIENCE = 5.0  # seconds that a tool may take
MOST = 20  # commands of one turn
LIMITS: Dict[str, Union[str, int]] = {"memory-max": "2G", "pids-max": 500}  # where they can be had


class ToolError(Exception):
    """What the model is told."""


class Tools:
    """The tools of one agent."""

    def __init__(self) -> None:
        self._supervisor = Supervisor()
        self._jobs: Dict[int, Job] = {}  # of this turn
        self._before: Dict[int, Job] = {}  # of the last one: their output is kept
        self._typing: Dict[int, threading.Thread] = {}
        self._last = 0

    def start(self, command: str, timeout: float = 60) -> Dict[str, Any]:
        """Start a command of the shell, which may take so many seconds. It runs on while others are started."""
        if len(self._jobs) >= MOST:
            raise ToolError("too many commands in one turn")
        job = self._supervisor.spawn(
            ["sh", "-c", command], stdin=INPUT, stderr=STDOUT, keep=KEEP, text=True, errors="replace", timeout=timeout, grace=1,
            limits=LIMITS, best_effort=True,
        )
        self._last += 1
        self._jobs[self._last] = job
        return {"id": self._last}

    def look(self, id: int, offset: int = 0, wait: float = 0) -> Dict[str, Any]:
        """Return output from an offset on; wait up to so many seconds if there is none yet."""
        text = self._job(id).output(offset=offset, max=LOOK, wait=min(wait, PATIENCE))
        return {"text": str(text), "next": text.where.next, "lost": text.where.cut, "running": not text.where.ended}

    def input(self, id: int, text: str) -> Dict[str, Any]:
        """Type. What a command does not read in time waits for it, and no more is taken."""
        job = self._job(id)
        if not isinstance(text, str):
            raise ToolError("text is not a text")
        if id not in self._typing:
            self._typing[id] = threading.Thread(target=write, args=(job, text), daemon=True)
            self._typing[id].start()
            self._typing[id].join(PATIENCE)
        if self._typing[id].is_alive():
            return {"taken": False}
        del self._typing[id]
        return {"taken": True}

    def stop(self, id: int) -> Dict[str, Any]:
        """End a command with all that it has started, by SIGTERM first; return what that did not end."""
        job = self._job(id)
        killed = job.kill(grace=1, wait=True)
        return {"how": job.wait().cause, "killed": [one.comm for one in killed.processes] if killed is not None else []}

    def end_turn(self) -> Dict[str, Any]:
        """End all that runs, and forget the output of the turn before."""
        jobs = self._jobs
        for job in jobs.values():
            job.kill()
        ended = {str(id): job.wait().cause for id, job in jobs.items()}
        for job in self._before.values():
            job.forget()
        self._jobs, self._before = {}, jobs
        self._typing.clear()
        return {"ended": ended}

    def close(self) -> None:
        self._supervisor.close()

    def call(self, line: str) -> Dict[str, Any]:
        """Do what the model asks for, which may be anything."""
        try:
            arguments = dict(json.loads(line))
            tools = {"start": self.start, "look": self.look, "input": self.input, "stop": self.stop, "end_turn": self.end_turn}
            tool: Any = tools.get(str(arguments.pop("tool", None)))
            if tool is None:
                raise ToolError("there is no such tool")
            return tool(**arguments)  # type: ignore[no-any-return]
        except SupervisorLost:
            self._begin_anew()
            return {"error": "a command has killed the supervisor: all commands have ended"}
        except (ToolError, TypeError, ValueError, ArithmeticError, RecursionError, OSError, supervise_api.RequestError) as e:
            return {"error": str(e)}

    def _begin_anew(self) -> None:
        """Take another supervisor. With the one that was killed, by a command that runs as the same user, all its jobs end."""
        self._supervisor.close()
        self._supervisor = Supervisor()
        self._jobs, self._before = {}, {}
        self._typing.clear()

    def _job(self, id: int) -> Job:
        job: Optional[Job] = self._jobs.get(id) or self._before.get(id)
        if job is None:
            raise ToolError("there is no such command")
        return job


def write(job: Job, text: str) -> None:
    """Write to a command, which may close its input, or end."""
    try:
        job.stdin.write(text)
    except (BrokenPipeError, SupervisorLost):
        pass


def main() -> int:
    tools = Tools()
    try:
        for line in sys.stdin:
            print(json.dumps(tools.call(line)), flush=True)
    finally:
        tools.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
