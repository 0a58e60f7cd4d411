"""What the plugin of pytest says of records that a scripted server tells; integration/python has the rest, with pytest."""

import unittest
from typing import Any, Optional

from supervise_api.answers import KilledProcess
from supervise_api.testing import ScriptedJob, ScriptedServer
from supervise_pytest.verdict import Outcome, properties, summary, verdict_of

_LIMIT = {"name": "memory-max", "file": "memory.max", "value": "1048576"}


class TestVerdict(unittest.TestCase):
    def outcome(self, signal: Optional[str] = None, **changes: Any) -> Outcome:
        def program(job: ScriptedJob) -> int:
            job.record.update(changes)
            return job.die(signal) if signal else 0

        with ScriptedServer({"test": program}) as server, server.supervisor() as supervisor:
            return Outcome(supervisor.spawn(["test"]).wait(), [], "")

    def verdict(self, signal: Optional[str] = None, **changes: Any) -> Optional[str]:
        return verdict_of(self.outcome(signal, **changes), 10)

    def test_nothing(self) -> None:
        self.assertIsNone(self.verdict())

    def test_memory(self) -> None:
        by_job = {"by": "job", "cgroup": None, "kills": 1}
        text = self.verdict("KILL", cause="oom", oom_killed=True, oom=by_job, limits=[_LIMIT])
        self.assertEqual(text, "the limit of memory of 1048576 bytes is used up: the test was ended")
        text = self.verdict(oom_killed=True, oom=by_job, limits=[_LIMIT])
        self.assertEqual(text, "the limit of memory of 1048576 bytes is used up: a process of the test was killed")
        text = self.verdict("KILL", cause="oom", oom_killed=True, oom={**by_job, "by": "machine"}, limits=[_LIMIT])
        self.assertEqual(text, "memory (machine) is used up: the test was ended")

    def test_time(self) -> None:
        late = self.outcome("TERM", cause="killed")._replace(late=True)
        self.assertRegex(str(verdict_of(late, 10)), "^timeout after 10 s: ")
        self.assertIn(("supervise.cause", "timeout"), properties(late))
        self.assertRegex(summary(late), "^timeout, ")
        self.assertRegex(str(self.verdict("KILL", cause="timeout")), "has not begun it within 0 s")
        self.assertRegex(str(self.verdict("KILL", cause="cpu-timeout")), "^the processor time of the test is used up")

    def test_signal(self) -> None:
        self.assertEqual(self.verdict("SEGV"), "the test's process was ended by SIGSEGV")

    def test_leftovers(self) -> None:
        sleep = {"pid": 7, "comm": "sleep", "argv": ["sleep", "9"], "argv_cut": False, "age_s": 1, "rss_bytes": None}
        outcome = self.outcome(leftovers=[sleep], leftovers_total=1)
        self.assertIsNone(verdict_of(outcome, None))  # it has ended by itself
        outcome = outcome._replace(left=[KilledProcess(7, "sleep"), KilledProcess(8, "other")])
        text = "the test has left processes, now killed:\n  7 sleep: sleep 9\n  8 other"
        self.assertEqual(verdict_of(outcome, None), text)

    def test_record(self) -> None:
        outcome = self.outcome()
        self.assertIn(("supervise.cause", "exited"), properties(outcome))
        self.assertNotIn("supervise.memory_peak_bytes", dict(properties(outcome)))  # it is not known
        self.assertRegex(summary(outcome), "^exited, .* held by cgroup$")
