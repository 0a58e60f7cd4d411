import os
import signal
import subprocess
from typing import List

from supervise_api import Process, ignore_sigchld

from .case import DEADLINE, FOREVER, Case, collect, read_all


class TestSigchld(Case):
    """Whatever SIGCHLD's disposition, the command's end is heard of."""

    def just_run(self) -> None:
        """Kill one command, have one exit, and see that both have gone."""
        reader, writer = os.pipe()
        with Process(FOREVER, fds={writer: writer}) as killed, Process(["sh", "-c", "exit 7"], fds={writer: writer}) as exited:
            os.close(writer)
            killed.kill()
            self.assertEqual(killed.wait(DEADLINE).killed_with(), signal.SIGKILL)
            self.assertEqual(exited.wait(DEADLINE).exit_status, 7)
        self.assertEqual(read_all(reader), "")
        os.close(reader)

    def test_ignored(self) -> None:
        """Nothing is there to be collected: supervisors that have ended are no zombies."""
        ignore_sigchld()
        self.just_run()
        self.assertEqual(collect(), 0)

    def test_ignored_and_failed(self) -> None:
        ignore_sigchld()
        self.assert_fails_clean(FileNotFoundError, ["/nonexistent/program"])

    def test_default(self) -> None:
        """The supervisors are the caller's to collect."""
        self.just_run()
        self.assertEqual(collect(), 2)

    def test_handler(self) -> None:
        called: List[int] = []
        signal.signal(signal.SIGCHLD, lambda number, frame: called.append(number))
        self.just_run()
        self.assertEqual(collect(), 2)
        self.assertTrue(called)

    def test_handler_that_collects(self) -> None:
        """As servers have it: a child that has ended is waited for at once, also where a start fails."""
        collected: List[int] = []

        def reap(number: int, frame: object) -> None:
            try:
                while True:
                    pid = os.waitpid(-1, os.WNOHANG)[0]
                    if pid == 0:
                        return
                    collected.append(pid)
            except ChildProcessError:
                pass

        signal.signal(signal.SIGCHLD, reap)
        self.just_run()
        with self.assertRaises(FileNotFoundError):
            Process(["/nonexistent/program"])
        while len(collected) < 2:
            signal.sigtimedwait([], 0.01)  # each wait for a signal has handlers run
            reap(0, None)

    def test_handler_does_not_run_in_the_child(self) -> None:
        """Nor does another: the pid that it is called in is ours."""
        pids: List[int] = []
        handler = signal.signal(signal.SIGUSR1, lambda number, frame: pids.append(os.getpid()))
        try:
            for _ in range(20):
                os.kill(os.getpid(), signal.SIGUSR1)
                self.just_run()
        finally:
            signal.signal(signal.SIGUSR1, handler)
        self.assertEqual(pids, 20 * [os.getpid()])

    def test_the_command_has_it_default(self) -> None:
        """A shell could not wait for its children else."""
        ignore_sigchld()
        self.assertEqual(self.output(["sh", "-c", "(exit 5); echo $?"]), "5\n")

    def test_zombies_do_not_pile_up(self) -> None:
        """A caller that never collects has one or two supervisors to collect, of those that have ended."""
        for _ in range(20):
            with Process(["true"]) as process:
                process.wait_tree(DEADLINE)
                os.waitid(os.P_PID, process.supervisor_pid, os.WEXITED | os.WNOWAIT)
        self.assertEqual(collect(), 1)

    def test_others_are_not_collected(self) -> None:
        """Another child that got the pid of a supervisor is not waited for; nor is any other."""
        with subprocess.Popen(["sh", "-c", "exit 9"]) as other:
            os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
            for _ in range(3):
                process = Process(["true"])
                process.wait_tree(DEADLINE)
                os.waitpid(process.supervisor_pid, 0)
                process._supervisor.pid, process._supervisor._born = other.pid, b"1"  # as if it were reused
            Process(["true"]).wait_tree(DEADLINE)
            self.assertEqual(other.wait(), 9)
