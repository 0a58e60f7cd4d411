"""A scripted server, for the tests of programs that use this package: no process is started, and `supervise` need not be there.

    from supervise_api.testing import ScriptedJob, ScriptedServer

    def judge(job: ScriptedJob) -> int:
        assert job.argv == ["./judge", "submission"]
        job.write("wrong answer\\n")
        job.record["cpu"]["total_s"] = 1.5
        return 1

    with ScriptedServer({"./judge": judge}) as server:
        with server.supervisor() as supervisor:  # or AsyncSupervisor(address=server.address)
            done = supervisor.run(["./judge", "submission"], capture_output=True, memory_max="1G")
    assert (done.returncode, done.stdout) == (1, b"wrong answer\\n")

A program is a function that is called in a thread of its own with a ScriptedJob, by which it reads, writes, says that it is ready,
and takes signals; what it returns is the exit status. It is found by argv[0], or by all of argv, as a tuple. A command that is not
found is refused, as one that is not there (CommandNotFound). "true", "false", "sleep", "cat" and "echo" are there unless they are
given. SERVE.md says how the server answers, and protocol/testdata/conformance.jsonl holds it to that. What there is not: the master side
of a terminal, and what a terminal makes of what is typed, descendants and what is left of them, marks, samples, pressure, detach. The
programs of a pipeline run one after the other. Limits are taken (with
containment="cgroup", as it is if nothing is said), and enforce nothing. A timeout comes when its time is over, or when the program
calls ScriptedJob.time_out.
"""

import itertools
import os
import socket
import threading
from types import TracebackType
from typing import Dict, List, Mapping, Optional, Tuple, Type, Union

from .scriptedjob import Program, ScriptedJob
from .scriptedmethods import METHODS
from .scriptedtalk import ScriptedTalk
from .scriptedwire import Wire
from .supervisor import Supervisor

__all__ = ["Program", "ScriptedJob", "ScriptedServer", "serve"]


def _sleep(job: ScriptedJob) -> int:
    job.wait()


def _cat(job: ScriptedJob) -> int:
    while True:
        data = job.readline()
        if not data:
            return 0
        job.write(data)


def _echo(job: ScriptedJob) -> int:
    job.write(" ".join(job.argv[1:]) + "\n")
    return 0


_USUAL: Dict[Union[str, Tuple[str, ...]], Program] = {
    "true": lambda job: 0,
    "false": lambda job: 1,
    "sleep": _sleep,
    "cat": _cat,
    "echo": _echo,
}

Programs = Mapping[Union[str, Tuple[str, ...]], Program]


class ScriptedServer:
    """A server that listens at a socket, to which any number of supervisors connect, each with jobs of its own."""

    _numbers = itertools.count(1)

    def __init__(self, programs: Optional[Programs] = None, *, containment: str = "cgroup") -> None:
        """Listen; containment: what it is to say of itself, cgroup or subreaper."""
        self.programs: Dict[Union[str, Tuple[str, ...]], Program] = {**_USUAL, **(programs or {})}
        #: What to give to Supervisor or AsyncSupervisor. It is an abstract one: there is no file.
        self.address = "\0supervise_api.testing-{}-{}".format(os.getpid(), next(self._numbers))
        self._containment = containment
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.address)
        self._socket.listen()
        self._lock = threading.Lock()
        self._talks: List[Tuple[ScriptedTalk, threading.Thread]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._accept, name="scripted server", daemon=True)
        self._thread.start()

    def supervisor(self) -> Supervisor:
        """Return a supervisor that is connected to this."""
        return Supervisor(address=self.address)

    def find(self, argv: List[str]) -> Optional[Program]:
        """Return the program of a command; None: there is none. To be overridden for what a mapping cannot say."""
        return self.programs.get(tuple(argv)) or self.programs.get(argv[0])

    def _accept(self) -> None:
        """Be the thread that accepts. The end of the socket ends it."""
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                if self._closed:
                    connection.close()
                    return
                talk = ScriptedTalk(Wire(connection.fileno(), connection.fileno(), connection), METHODS, self.find, self._containment)
                thread = threading.Thread(target=talk.serve, name="scripted conversation", daemon=True)
                self._talks = [one for one in self._talks if one[1].is_alive()] + [(talk, thread)]
                thread.start()

    def close(self) -> None:
        """End all conversations, and all jobs with them. Programs that do not call their job any more are waited for."""
        with self._lock:
            self._closed = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept
        except OSError:
            pass
        self._thread.join()
        self._socket.close()
        for talk, thread in self._talks:
            talk.hang_up()
            thread.join()
        self._talks = []

    def __enter__(self) -> "ScriptedServer":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        self.close()


def serve(reader: int, writer: int, programs: Optional[Programs] = None, *, containment: str = "cgroup") -> None:
    """Hold one conversation over two pipes, which are closed in the end, for tests of other clients of the protocol."""
    known = {**_USUAL, **(programs or {})}
    talk = ScriptedTalk(Wire(reader, writer), METHODS, lambda argv: known.get(tuple(argv)) or known.get(argv[0]), containment)
    talk.serve()
