"""Runs the programs of examples/."""

import json
import os
import pty
import subprocess
import sys
import tempfile
import unittest
from typing import Any, Dict

import supervise_api

from .case import DEADLINE, Case

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "examples")


@unittest.skipUnless(os.path.isdir(EXAMPLES), "the examples are not here")
class TestExamples(Case):
    def run_example(self, name: str, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-W", "error::ResourceWarning", os.path.join(EXAMPLES, name + ".py"), *arguments]
        env = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(supervise_api.__file__))}
        streams: Dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        if "input" not in options:
            streams.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(command, universal_newlines=True, env=env, timeout=DEADLINE, **streams)

    def test_all_are_run(self) -> None:
        names = {name[:-3] for name in os.listdir(EXAMPLES) if name.endswith(".py")}
        self.assertEqual(names, {name[5:] for name in dir(self) if name.startswith("test_") and name != "test_all_are_run"})

    def test_limits(self) -> None:
        done = self.run_example("limits", "sh", "-c", "echo out; exit 3")
        self.assertEqual((done.returncode, done.stdout), (3, "out\n"), done.stderr)
        self.assertIn("limits: exited: ", done.stderr)
        self.assertIn("no such file", self.run_example("limits", "no-such-command-here").stderr)

    def test_farm(self) -> None:
        done = self.run_example("farm", "2", input="echo one\nexit 3\necho two >&2\n\n")
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        lines = done.stdout.splitlines()
        self.assertEqual({line for line in lines if not line.startswith("---")}, {"one", "two"})
        self.assertEqual(sum("failed (3)" in line for line in lines), 1)
        self.assertEqual(self.run_example("farm", input="true\n").returncode, 0)

    def test_background(self) -> None:
        done = self.run_example("background")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        expected = ["it is serving at a socket", "it answers HELLO", "it has ended: killed", "its log: was told hello"]
        self.assertEqual(done.stdout.splitlines(), expected)

    def test_agent(self) -> None:
        requests = [
            {"tool": "start", "command": "echo one; setsid -f sleep 100000; read x; echo got $x", "timeout": 20},
            {"tool": "look", "id": 1, "wait": 5},
            {"tool": "input", "id": 1, "text": "two\n"},
            {"tool": "start", "command": "trap '' TERM; sleep 100000 & wait; wait"},
            {"tool": "stop", "id": 2},
            {"tool": "start", "command": "no-such-command-here"},
            {"tool": "look", "id": 9},
            {"tool": "end_turn"},
            {"tool": "look", "id": 1, "offset": 4},
            {"tool": "end_turn"},
            {"tool": "look", "id": 1},
            {"tool": "fly"},
        ]
        done = self.run_example("agent", input="".join(json.dumps(one) + "\n" for one in requests))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(answers[:4], [{"id": 1}, {"text": "one\n", "next": 4, "lost": 0, "running": True}, {"taken": True}, {"id": 2}])
        self.assertEqual((answers[4]["how"], set(answers[7]["ended"])), ("killed", {"1", "2", "3"}))
        self.assertFalse(answers[8]["running"])
        self.assertEqual([answers[n]["error"] for n in (6, 10)], ["there is no such command"] * 2)
        self.assertEqual(answers[11], {"error": "there is no such tool"})

    def test_session(self) -> None:
        done = self.run_example("session", "sh", "-c", "read x; echo got $x; cat; exit 3", input="line\n")
        self.assertEqual((done.returncode, done.stderr), (3, ""))
        self.assertIn("got line\n", done.stdout)
        master, slave = pty.openpty()  # where it has a terminal, keys go through
        os.write(master, b"key\r")
        done = self.run_example("session", "sh", "-c", "tty -s && read x && echo got $x", stdin=slave)
        os.close(master)
        os.close(slave)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("got key", done.stdout)

    def test_judge(self) -> None:
        solutions = {
            "accepted": "tr a-z A-Z",
            "wrong answer": "cat",
            "runtime error (7)": "exit 7",
            "time limit exceeded": "sleep 1000",
        }
        with tempfile.TemporaryDirectory() as directory:
            test = os.path.join(directory, "test")
            for suffix, text in (".in", "text\n"), (".out", "TEXT\n"):
                with open(test + suffix, "w") as file:
                    file.write(text)
            for verdict, script in solutions.items():
                solution = os.path.join(directory, "solution-" + str(len(script)))
                with open(solution, "w") as file:
                    file.write("#!/bin/sh\n" + script + "\n")
                os.chmod(solution, 0o755)
                done = self.run_example("judge", solution, test)
                self.assertEqual((done.stdout, done.stderr), ("{}: {}\n".format(test, verdict), ""))
                self.assertEqual(done.returncode, 0 if verdict == "accepted" else 1)
