import signal
import threading
import time
from typing import List

from supervise_api import Capture, Event, Supervisor
from supervise_api.jobevents import KEPT

from .case import DEADLINE, FOREVER
from .serve_case import ServeCase

# Requests of nearly the greatest length, more than any socket holds.
_LONG = {"LONG": "x" * 900000}


class TestFlow(ServeCase):
    """No side waits for ever, and nothing grows, whichever side does not read."""

    def test_many_jobs(self) -> None:
        supervisor = self.start()
        jobs = [supervisor.spawn(["sh", "-c", "exit {}".format(number)], stdout="capture") for number in range(200)]
        self.assertEqual([job.wait(DEADLINE).exit and job.returncode for job in jobs], list(range(200)))
        self.assertEqual(supervisor.list(), [])

    def test_many_jobs_at_the_end(self) -> None:
        with Supervisor(self.flags) as supervisor:
            jobs = [supervisor.spawn(FOREVER) for _ in range(200)]
            self.assertEqual(len(supervisor.list()), 200)
        self.assertEqual({job.wait().cause for job in jobs}, {"owner-gone"})

    def test_long_requests(self) -> None:
        """While a request is sent what comes is read: else each side would wait for the other."""
        supervisor = self.start()
        noise = supervisor.spawn(["cat", "/dev/zero"], stdout=Capture(limit=100 << 20, wait=True))
        for _ in range(5):
            supervisor.spawn(["true"], tags=_LONG).wait(DEADLINE)
        noise.kill()
        self.assertEqual(noise.wait(DEADLINE).cause, "killed")

    def test_long_requests_of_many_threads(self) -> None:
        """A thread that has no room to send wakes the one that reads, in whichever order they come and go."""
        supervisor = self.start()
        failed: List[BaseException] = []

        def spawn() -> None:
            try:
                for _ in range(3):
                    supervisor.spawn(["true"], tags=_LONG).wait(DEADLINE)
            except BaseException as e:
                failed.append(e)

        waiting = supervisor.spawn(FOREVER)
        threads = [threading.Thread(target=spawn, daemon=True) for _ in range(4)]
        threads.append(threading.Thread(target=lambda: waiting.wait(DEADLINE), daemon=True))
        for thread in threads:
            thread.start()
        for thread in threads[:-1]:
            thread.join(DEADLINE)
        waiting.kill()
        threads[-1].join(DEADLINE)
        self.assertEqual((failed, [thread for thread in threads if thread.is_alive()]), ([], []))

    def test_unread_events(self) -> None:
        """Of more events than are kept the oldest are forgotten, and counted; the last word stays."""
        supervisor = self.start()
        script = "i=0; while [ $i -lt {} ]; do (setsid true & ) ; i=$((i+1)); done".format(KEPT + 500)
        job = supervisor.spawn(["sh", "-c", script], notify=["descendants"], leftovers="wait")
        record = job.wait(2 * DEADLINE)
        kinds = [event.kind for event in job.events(DEADLINE)]
        self.assertEqual(kinds[-1], "ended")
        self.assertLessEqual(len(kinds), KEPT)
        self.assertEqual(len(kinds) + job.events_forgotten, record.reaped + 2)

    def test_caller_does_not_read(self) -> None:
        """Time limits do not wait for us; what they did is heard of later."""
        supervisor = self.start()
        job = supervisor.spawn(["sh", "-c", "exec cat /dev/zero"], stdout=Capture(wait=True, limit=-1), timeout=0.1, grace=0)
        deadline = time.monotonic() + DEADLINE
        while lives(job.pid):  # we do not read meanwhile
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        self.assertEqual(job.wait(DEADLINE).cause, "timeout")

    def test_read_by_hand(self) -> None:
        """A loop of select or poll is told by the descriptor, and reads."""
        supervisor = self.start()
        kinds: List[str] = []
        job = supervisor.spawn(["true"], on_event=lambda event: kinds.append(event.kind))
        while job.record is None:
            supervisor.read(DEADLINE)
        self.assertEqual(kinds, ["started", "exited", "ended"])
        supervisor.read()

    def test_callback_waits(self) -> None:
        """A callback that waits for another job sees to all others meanwhile."""
        supervisor = self.start()
        results: List[object] = []

        def on_event(event: Event) -> None:
            if event.kind == "started":
                results.append(supervisor.run(["sh", "-c", "exit 5"]).returncode)

        supervisor.spawn(["true"], on_event=on_event).wait(DEADLINE)
        self.assertEqual(results, [5])

    def test_idle_costs_nothing(self) -> None:
        """While we wait we sleep."""
        supervisor = self.start()
        job = supervisor.spawn(FOREVER)
        start = time.process_time()
        with self.assertRaises(TimeoutError):
            job.wait(0.3)
        self.assertLess(time.process_time() - start, 0.1)
        job.signal(signal.SIGKILL)
        job.wait(DEADLINE)


def lives(pid: int) -> bool:
    """Whether a process that is not our child is alive."""
    try:
        with open("/proc/{}/stat".format(pid)) as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class TestFlowSubreaper(TestFlow):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]
