"""Replays protocol/testdata/conformance.jsonl, the conversations that every supervise serve has to hold."""

import json
import os
import select
import subprocess
import tempfile
import time
import unittest
from typing import IO, Any, Dict, Iterator, List, Set

from supervise_api import Supervisor
from supervise_api.location import supervise_location

from .case import DEADLINE, Case

_SCRIPT = os.environ.get("SUPERVISE_CONFORMANCE") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "protocol", "testdata", "conformance.jsonl"
)

Step = Dict[str, Any]


def conversations(containment: str) -> Iterator[List[Step]]:
    """Yield the conversations for a containment, each with the line that names it first."""
    with open(_SCRIPT) as script:
        steps = [json.loads(line) for line in script]
    starts = [number for number, step in enumerate(steps) if "conversation" in step]
    for start, end in zip(starts, starts[1:] + [len(steps)]):
        if steps[start].get("only") in (None, containment):
            yield [step for step in steps[start:end] if step.get("only") in (None, containment)]


class Server:
    """The program, over two pipes."""

    def __init__(self, containment: str, directory: str) -> None:
        self._process = subprocess.Popen(
            [supervise_location(), "serve", "--contain=" + containment],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=directory, bufsize=0,
        )  # fmt: skip
        assert self._process.stdin and self._process.stdout
        self.stdin: IO[bytes] = self._process.stdin
        self.stdout: IO[bytes] = self._process.stdout

    def wait(self) -> int:
        """Return the exit status."""
        return self._process.wait(DEADLINE)


class Replay:
    """A server, and what was said."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._in, self._out = server.stdin, server.stdout
        self._deadline = time.monotonic() + DEADLINE
        self._buffer = b""
        self._bound: Dict[str, Any] = {}
        self._skipped: Set[str] = set()

    def do(self, step: Step) -> None:
        if "send" in step:
            self._write(json.dumps(self._replace(step["send"])) + "\n")
        elif "raw" in step:
            self._write(step["raw"])
        elif "repeat" in step:
            self._write(step["repeat"][0] * step["repeat"][1])
        elif "skip" in step:
            self._skipped.add(step["skip"])
        elif "expect" in step:
            said = self._said()
            assert said is not None, "the end of output"
            wrong = self._match(step["expect"], said)
            assert not wrong, "{}\nwant {}\nhave {}".format(wrong, step["expect"], said)
        elif "close" in step:
            self._in.close()
        elif "end" in step:
            said = self._said()
            assert said is None, said
            assert self._server.wait() == step["end"]

    def close(self) -> None:
        """Whatever has happened, end it."""
        self._in.close()
        self._out.close()
        self._server.wait()

    def _write(self, text: str) -> None:
        """Write, and take what the server has to say before it reads on."""
        rest = memoryview(text.encode())
        while rest:
            poll = select.poll()
            poll.register(self._in, select.POLLOUT)
            poll.register(self._out, select.POLLIN)
            for fd, _ in self._wait(poll):
                if fd == self._in.fileno():
                    rest = rest[os.write(fd, rest[:4096]) :]
                else:
                    self._buffer += os.read(fd, 65536)

    def _said(self) -> Any:
        while True:
            while b"\n" not in self._buffer:
                poll = select.poll()
                poll.register(self._out, select.POLLIN)
                self._wait(poll)
                data = os.read(self._out.fileno(), 65536)
                if not data:
                    assert not self._buffer
                    return None
                self._buffer += data
            line, self._buffer = self._buffer.split(b"\n", 1)
            said = json.loads(line)
            if said.get("method") not in self._skipped:
                return said

    def _wait(self, poll: Any) -> Any:
        ready = poll.poll(max(0.0, self._deadline - time.monotonic()) * 1000)
        assert ready, "the server is silent"
        return ready

    def _replace(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._replace(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self._replace(element) for element in value]
        return self._bound.get(value, value) if isinstance(value, str) else value

    def _match(self, want: Any, have: Any) -> str:
        """Say what is missing."""
        if isinstance(want, dict):
            if not isinstance(have, dict):
                return "no object: {}".format(have)
            found = ((name, self._match(member, have.get(name))) for name, member in want.items())
            return next(("{}: {}".format(name, wrong) for name, wrong in found if wrong), "")
        if isinstance(want, list):
            if not isinstance(have, list) or len(have) != len(want):
                return "not as long: {}".format(have)
            return next(filter(None, map(self._match, want, have)), "")
        if isinstance(want, str) and want.startswith("$"):
            if have is None:
                return "there is no " + want
            if want == "$" or self._bound.setdefault(want, have) == have:
                return ""
            return "{} is {}, not {}".format(want, self._bound[want], have)
        return "" if want == have and isinstance(want, bool) == isinstance(have, bool) else "have {}".format(have)


@unittest.skipUnless(os.path.exists(_SCRIPT), "SUPERVISE_CONFORMANCE does not say where conformance.jsonl is")
class TestConformance(Case):
    def replay(self, containment: str) -> None:
        for steps in conversations(containment):
            with self.subTest(steps[0]["conversation"]), tempfile.TemporaryDirectory() as directory:
                replay = Replay(Server(containment, directory))
                try:
                    for step in steps:
                        replay.do(step)
                finally:
                    replay.close()

    def test_subreaper(self) -> None:
        self.replay("subreaper")

    def test_cgroup(self) -> None:
        with Supervisor() as supervisor:
            if supervisor.containment != "cgroup":
                self.skipTest("jobs have no cgroup here: {}".format(supervisor.containment_reason))
        self.replay("cgroup")
