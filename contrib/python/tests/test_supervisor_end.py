import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from typing import Callable, List

import supervise_api
from supervise_api import PIPE, Job, Supervisor, SupervisorLost
from supervise_api.location import supervise_location

from .case import DEADLINE, FOREVER, collect, read_until
from .serve_case import ServeCase


class TestEnd(ServeCase):
    """How supervisors and their jobs end, and what is heard of it."""

    def daemon(self, supervisor: Supervisor) -> "tuple[Job, int]":
        """Start a daemon; return its job, and the read end of a pipe that only the daemon holds open."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        try:
            job = supervisor.spawn(["sh", "-c", "(setsid sh -c 'echo; exec sleep 100000' &) & sleep 100000"], stdout=writer)
        finally:
            os.close(writer)
        self.assertEqual(read_until(reader, 1), "\n")
        return job, reader

    def assert_dead(self, reader: int) -> None:
        self.assertEqual(read_until(reader, 1), "")

    def test_end_of_with(self) -> None:
        with Supervisor(self.flags) as supervisor:
            job, reader = self.daemon(supervisor)
            pid = supervisor.pid
        os.set_blocking(reader, False)
        self.assert_dead(reader)
        self.assertEqual(job.wait().cause, "owner-gone")
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)
        for _ in range(2):
            supervisor.close()
        with self.assertRaisesRegex(SupervisorLost, "closed"):
            supervisor.spawn(FOREVER)
        self.assertEqual(supervisor.fileno(), -1)
        job.kill()

    def test_closed_while_others_wait(self) -> None:
        """Threads that wait get the records, whichever thread was reading meanwhile."""
        supervisor = self.start()
        jobs = [supervisor.spawn(FOREVER) for _ in range(5)]
        causes: List[str] = []
        threads = [threading.Thread(target=lambda job=job: causes.append(job.wait(DEADLINE).cause), daemon=True) for job in jobs]
        for thread in threads:
            thread.start()
        supervisor.close()
        for thread in threads:
            thread.join(DEADLINE)
        self.assertEqual(causes, ["owner-gone"] * 5)

    def test_shutdown(self) -> None:
        supervisor = self.start()
        job = supervisor.spawn(["sh", "-c", "trap 'exit 7' TERM; echo; while :; do sleep 0.01; done"], stdout=PIPE)
        assert job.stdout
        job.stdout.readline()
        supervisor.shutdown(grace=DEADLINE)
        self.assertEqual((job.wait().cause, job.returncode), ("killed", 7))
        job.close_pipes()

    def test_supervisor_killed(self) -> None:
        """Threads that wait are told, and the tree goes, by the guardian or because its supervisors' owner has gone."""
        supervisor = self.start()
        job, reader = self.daemon(supervisor)
        errors: List[BaseException] = []

        def wait() -> None:
            try:
                job.wait(DEADLINE)
            except SupervisorLost as e:
                errors.append(e)

        threads = [threading.Thread(target=wait, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        os.kill(supervisor.pid, signal.SIGKILL)
        for thread in threads:
            thread.join(DEADLINE)
        self.assertEqual(len(errors), 3)
        self.assertIsNone(job.record)
        self.assert_dead(reader)
        failures: List[Callable[[], object]] = [supervisor.list, lambda: supervisor.spawn(FOREVER), lambda: list(job.events())]
        for fails in failures:
            with self.assertRaises(SupervisorLost):
                fails()
        supervisor.close()

    def test_we_are_killed(self) -> None:
        """kill -9 on the program that uses the package: nothing is left."""
        reader, writer = os.pipe()
        program = (
            "import sys, supervise_api as s; v = s.Supervisor(sys.argv[1:]);"
            "job = v.spawn(['sh', '-c', '(setsid sh -c \"echo; exec sleep 100000\" &) & sleep 100000'], stdout=1); job.wait()"
        )
        try:
            client = subprocess.Popen([sys.executable, "-c", program, *self.flags], stdout=writer)
            os.close(writer)
            self.assertEqual(read_until(reader, 1), "\n")
            client.kill()
            client.wait()
            self.assertEqual(read_until(reader, 1), "")
        finally:
            os.close(reader)
        collect()  # the supervisor became ours

    def test_forgotten(self) -> None:
        """Without close, the end of the object is the end of the jobs."""
        supervisor = Supervisor(self.flags)
        _, reader = self.daemon(supervisor)
        with self.assertWarns(ResourceWarning):
            del supervisor, _
            import gc

            gc.collect()
        self.assert_dead(reader)
        collect()

    def test_fork(self) -> None:
        """A fork of ours that lives on neither holds up the end nor can ask for anything."""
        reader, writer = os.pipe()
        supervisor = self.start()
        child = os.fork()
        if child == 0:
            try:
                os.close(writer)
                try:
                    supervisor.list()
                except SupervisorLost:
                    supervisor.close()
                    os.read(reader, 1)
                    os._exit(0)
            finally:
                os._exit(1)
        job, daemon = self.daemon(supervisor)
        supervisor.close()
        self.assert_dead(daemon)
        os.close(writer)
        os.close(reader)
        self.assertEqual(os.waitpid(child, 0)[1], 0)

    def test_sigchld_ignored(self) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        with Supervisor(self.flags) as supervisor:
            self.assertEqual(supervisor.run(["sh", "-c", "exit 3"]).returncode, 3)

    def test_interrupted(self) -> None:
        """Ctrl-C while the job is spawned, or waited for: run ends it first, and the supervisor goes on to work."""
        supervisor = self.start()

        def interrupt(number: int, frame: object) -> None:
            os.kill(supervisor.pid, signal.SIGCONT)
            raise KeyboardInterrupt

        handler = signal.signal(signal.SIGALRM, interrupt)
        try:
            for stopped in False, True:
                if stopped:
                    os.kill(supervisor.pid, signal.SIGSTOP)
                signal.setitimer(signal.ITIMER_REAL, 0.3)
                with self.assertRaises(KeyboardInterrupt):
                    supervisor.run(FOREVER)
                self.assertEqual(supervisor.list(), [])
        finally:
            signal.signal(signal.SIGALRM, handler)

    def test_address(self) -> None:
        """A supervisor that another process has started."""
        with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
            address = os.path.join(directory, "socket")
            listener.bind(address)
            listener.listen(1)
            servers = []

            def serve() -> None:
                with listener.accept()[0] as accepted:
                    argv = [supervise_location(), "serve", *self.flags]
                    servers.append(subprocess.Popen(argv, stdin=accepted.fileno(), stdout=subprocess.DEVNULL))

            thread = threading.Thread(target=serve)
            thread.start()
            with Supervisor(address=address) as supervisor:
                thread.join(DEADLINE)
                self.assertEqual(supervisor.pid, servers[0].pid)
                done = supervisor.run(["cat"], input="text", text=True, capture_output=True)
                self.assertEqual(done.stdout, "text")
                job, reader = self.daemon(supervisor)
            self.assert_dead(reader)
            self.assertEqual(servers[0].wait(DEADLINE), 0)

    def test_does_not_start(self) -> None:
        before = supervise_api.supervise_utility_location
        with self.assertRaises(SupervisorLost):
            Supervisor(["--contain=subreaper", "surplus"])
        with self.assertRaises(FileNotFoundError):
            Supervisor(address="/no/such/socket")
        try:
            supervise_api.supervise_utility_location = b"/no/such/program"
            with self.assertRaises(FileNotFoundError):
                Supervisor(self.flags)
        finally:
            supervise_api.supervise_utility_location = before
        self.assert_nothing_runs()


class TestEndSubreaper(TestEnd):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]
