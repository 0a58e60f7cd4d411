import gc
import os
import resource
import select
import signal
import struct
import threading
import warnings
from typing import List

from supervise_api import ChildCode, ChildEvent, Process, dfork

from .case import DEADLINE, FOREVER, Case, collect, read_until


class TestProcess(Case):
    """The methods of a Process."""

    def next_event(self, process: Process) -> ChildEvent:
        ready, _, _ = select.select([process], [], [], DEADLINE)
        self.assertEqual(ready, [process])
        event = process.get_event()
        assert event
        return event

    def test_exit_status(self) -> None:
        for status in 0, 1, 255:
            with Process(["sh", "-c", "exit {}".format(status)]) as process:
                event = process.wait(DEADLINE)
                self.assertEqual(event, ChildEvent(ChildCode.EXITED, process.pid, os.getuid(), status, None))
                self.assertEqual(event.clean(), status == 0)
                self.assertIs(process.final_event, event)
                self.assertIs(process.wait(), event)

    def test_events(self) -> None:
        """Of stops and continuations too, in order; None when there is none."""
        with Process(FOREVER) as process:
            self.assertIsNone(process.get_event())
            for number, code in (signal.SIGSTOP, ChildCode.STOPPED), (signal.SIGCONT, ChildCode.CONTINUED):
                process.send_signal(number)
                event = self.next_event(process)
                self.assertEqual((event.code, event.pid, event.signal), (code, process.pid, number))
                self.assertFalse(event.ended)
            self.assertIsNone(process.final_event)
            process.terminate()
            self.assertEqual(self.next_event(process).killed_with(), signal.SIGTERM)
            self.assertEqual(process.wait(DEADLINE).code, ChildCode.KILLED)

    def test_events_of_orphans(self) -> None:
        with Process(["sh", "-c", "(sh -c 'kill -KILL $$' &) & wait; exec sleep 100000"]) as process:
            event = self.next_event(process)
            self.assertNotEqual(event.pid, process.pid)
            self.assertIsNone(process.final_event)

    def test_end_of_events(self) -> None:
        with Process(["true"]) as process:
            self.assertEqual(process.wait_tree(DEADLINE).pid, process.pid)
            self.assertTrue(process.closed())
            self.assertTrue(process.childfree)
            self.assertEqual(process.fileno(), -1)
            self.assertIsNone(process.get_event())
            self.assertEqual(list(process.new_events()), [])
            process.flush_events()

    def test_new_events(self) -> None:
        with Process(["sh", "-c", "sleep 100000 & exit 1"]) as process:
            self.next_event(process)
            process.kill_tree()
            self.assertEqual(list(process.new_events()), [])

    def test_fileno_and_poll(self) -> None:
        with Process(FOREVER) as process:
            self.assertEqual(process.fileno(), process.fd.fileno())
            poll = select.poll()
            poll.register(process, select.POLLIN)
            self.assertEqual(poll.poll(0), [])
            process.kill()
            self.assertEqual([fd for fd, _ in poll.poll(DEADLINE * 1000)], [process.fileno()])

    def test_close(self) -> None:
        process = Process(FOREVER)
        self.assertFalse(process.closed())
        process.close()
        process.close()
        self.assertTrue(process.closed())
        self.assertEqual(process.fileno(), -1)
        self.assertIsNone(process.final_event)
        for number in signal.SIGKILL, 0:
            with self.assertRaises(Exception):
                process.send_signal(number)
        with self.assertRaises(Exception):
            process.wait()

    def test_send_signal(self) -> None:
        reader, writer = os.pipe()
        with Process(["sh", "-c", "trap 'exit 6' USR1; echo; while :; do sleep 0.01; done"], fds={1: writer}) as process:
            os.close(writer)
            read_until(reader, 1)
            process.send_signal(0)
            process.send_signal(signal.SIGUSR1)
            self.assertEqual(process.wait(DEADLINE).exit_status, 6)
            process.send_signal(signal.SIGUSR1)  # it has ended
        os.close(reader)

    def test_send_signal_to_what_has_ended(self) -> None:
        """Also before we have read that."""
        process = Process(["true"])
        os.waitid(os.P_PID, process.supervisor_pid, os.WEXITED | os.WNOWAIT)
        process.kill()
        self.assertEqual(process.wait(DEADLINE).exit_status, 0)

    def test_send_no_signal(self) -> None:
        with Process(FOREVER) as process:
            for wrong in -1, 65, 1 << 40:
                with self.assertRaises(ValueError):
                    process.send_signal(wrong)
            for wrong_type in "9", None, 9.0:
                with self.assertRaises(TypeError):
                    process.send_signal(wrong_type)  # type: ignore[arg-type]

    def test_timeout(self) -> None:
        with Process(FOREVER) as process:
            with self.assertRaises(TimeoutError):
                process.wait(0.01)
            process.kill()
            process.wait(DEADLINE)

    def test_communicate(self) -> None:
        with Process(["true"]) as process:
            self.assertEqual(process.communicate(None), (None, None))
            assert process.final_event

    def test_high_descriptor(self) -> None:
        """select could not wait for it."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < 1200:
            self.skipTest("the hard limit of descriptors is {}".format(hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
        many = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
        try:
            with Process(["true"]) as process:
                self.assertGreater(process.fileno(), 1023)
                self.assertTrue(process.wait(DEADLINE).clean())
        finally:
            for fd in many:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_dfork(self) -> None:
        sock, pid = dfork(["sh", "-c", "kill -TERM $$"])
        with sock:
            event = ChildEvent.parse(sock.recv(4096))
            self.assertEqual((event.pid, event.killed_with()), (pid, signal.SIGTERM))
            self.assertEqual(sock.recv(4096), b"")

    def test_dfork_request(self) -> None:
        sock, pid = dfork(FOREVER)
        with sock:
            sock.send(struct.pack("=ii", pid, signal.SIGINT))
            self.assertEqual(ChildEvent.parse(sock.recv(4096)).killed_with(), signal.SIGINT)

    def test_dfork_nonblocking(self) -> None:
        sock, _ = dfork(FOREVER, flags=os.O_CLOEXEC | os.O_NONBLOCK)
        with sock, self.assertRaises(BlockingIOError):
            sock.recv(4096)


class TestChildEvent(Case):
    """Events as bytes."""

    def parse(self, code: int, status: int) -> ChildEvent:
        head = struct.pack("=iiiiiIi", signal.SIGCHLD, 0, code, 0, 123, 0xFFFFFFFE, status)
        return ChildEvent.parse(head.ljust(128, b"\0"))

    def test_parse(self) -> None:
        self.assertEqual(self.parse(1, 9), ChildEvent(ChildCode.EXITED, 123, 0xFFFFFFFE, 9, None))
        for number, code in enumerate(ChildCode, 1):
            self.assertEqual(code.value, number)
        for number in range(2, 7):
            event = self.parse(number, 9)
            self.assertEqual((event.exit_status, event.signal), (None, signal.SIGKILL))
            self.assertIsInstance(event.signal, signal.Signals)
            self.assertEqual((event.ended, event.died()), (number < 4, number < 4))
            self.assertFalse(event.clean())

    def test_killed_with(self) -> None:
        for code in 2, 3:
            self.assertEqual(self.parse(code, 15).killed_with(), signal.SIGTERM)
        for code in 1, 4, 5, 6:
            with self.assertRaises(Exception):
                self.parse(code, 15).killed_with()

    def test_real_time_signal(self) -> None:
        self.assertEqual(self.parse(2, 40).killed_with(), 40)

    def test_nonsense(self) -> None:
        for buf in b"", b"short", bytes(128):
            with self.assertRaises(ValueError):
                ChildEvent.parse(buf)


class TestThreads(Case):
    """Starting from several threads of a program that has locks and garbage."""

    def test_many_at_once(self) -> None:
        failures: List[BaseException] = []

        def work() -> None:
            try:
                for number in range(8):
                    with Process(["sh", "-c", "exit {}".format(number)]) as process:
                        if process.wait(DEADLINE).exit_status != number:
                            raise AssertionError(process.final_event)
            except BaseException as e:
                failures.append(e)

        threads = [threading.Thread(target=work) for _ in range(8)]
        busy = threading.Thread(target=allocate, args=(threads,))
        for thread in [*threads, busy]:
            thread.start()
        for thread in [*threads, busy]:
            thread.join()
        self.assertEqual(failures, [])

    def test_no_warning(self) -> None:
        """Python warns of forks with threads, of which this one knows."""
        with warnings.catch_warnings(record=True) as caught:
            thread = threading.Thread(target=collect)
            with Process(FOREVER):
                thread.start()  # it waits for the supervisor
                Process(["true"]).wait(DEADLINE)
            thread.join()
        self.assertEqual([w for w in caught if issubclass(w.category, DeprecationWarning)], [])

    def test_finalizers_run_here_only(self) -> None:
        pids: List[int] = []

        class Garbage:
            def __init__(self) -> None:
                self.me = self

            def __del__(self) -> None:
                pids.append(os.getpid())
                os.write(writer, b"x")

        reader, writer = os.pipe()
        for _ in range(50):
            Garbage()
        with Process(["true"]) as process:
            process.wait_tree(DEADLINE)
        gc.collect()
        os.close(writer)
        self.assertEqual(read_until(reader, 1000), 50 * "x")
        os.close(reader)
        self.assertEqual(pids, 50 * [os.getpid()])


def allocate(while_alive: "list[threading.Thread]") -> None:
    """Keep the locks of the allocator, of imports and of buffers busy."""
    while any(thread.is_alive() for thread in while_alive):
        garbage = [bytearray(1 << 10) for _ in range(1000)]
        garbage.append(bytearray(repr(len(garbage)), "ascii"))
        __import__("json").dumps(list(range(100)))
