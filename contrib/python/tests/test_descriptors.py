import fcntl
import os
import socket
import sys
import tempfile
from typing import Any, Set

from supervise_api import Process, fileno, is_valid_fd, update_fds
from supervise_api.descriptors import dup_apart

from .case import DEADLINE, FOREVER, Case, descriptors, read_all

NULL = "/dev/null"
# Prints each descriptor and what it is of, but for the one by which it finds out.
LIST = [sys.executable, "-ISc", """if True:
    import os
    for fd in os.listdir("/proc/self/fd"):
        try:
            print(fd, os.readlink("/proc/self/fd/" + fd))
        except FileNotFoundError:
            pass
"""]


class TestFds(Case):
    """The parameter fds."""

    def inherited(self, **options: Any) -> Set[str]:
        """Return the descriptors of a command, as "NUMBER WHAT", but for the pipe by which it tells."""
        return {line for line in self.output(LIST, **options).splitlines() if not line.startswith("1 ")}

    def heirloom(self) -> Set[str]:
        """Return what we have inherited ourselves, and leave to everybody."""
        return {"{} {}".format(fd, of) for fd, of in descriptors().items() if os.get_inheritable(fd) and fd != 1}

    def test_nothing_leaks(self) -> None:
        """Neither our sockets and pipes, nor those of another process that runs."""
        with Process(FOREVER), open(NULL) as null, tempfile.TemporaryFile():
            given = {line for line in self.heirloom() if not line.startswith("0 ")} | {"0 " + NULL}
            self.assertEqual(self.inherited(fds={0: null}), given)

    def test_inheritable_is_inherited(self) -> None:
        with open(NULL) as null:
            os.set_inheritable(null.fileno(), True)
            self.assertIn("{} {}".format(null.fileno(), NULL), self.inherited())

    def test_given(self) -> None:
        with open(NULL) as null:
            for source in null, null.fileno():
                self.assertIn("0 " + NULL, self.inherited(fds={0: source}))

    def test_given_as_itself(self) -> None:
        with open(NULL) as null:
            self.assertIn("{} {}".format(null.fileno(), NULL), self.inherited(fds={null.fileno(): null}))

    def test_closed_for_the_command(self) -> None:
        left = {line for line in self.heirloom() if line.split()[0] not in ("0", "2")}
        self.assertEqual(self.inherited(fds={0: None, 2: None, 77: None}), left)

    def test_closed_source(self) -> None:
        with open(NULL) as null:
            number = null.fileno()
        self.assert_fails_clean(ValueError, FOREVER, fds={0: null})
        self.assert_fails_clean(ValueError, FOREVER, fds={0: number})
        with socket.socket() as closed:
            pass
        self.assert_fails_clean(ValueError, FOREVER, fds={5: 0, 0: closed})

    def test_swap(self) -> None:
        with open(NULL) as null, open("/dev/zero") as zero:
            swapped = self.inherited(fds={null.fileno(): zero, zero.fileno(): null})
            self.assertLessEqual({"{} /dev/zero".format(null.fileno()), "{} {}".format(zero.fileno(), NULL)}, swapped)

    def test_rotate_the_standard_three(self) -> None:
        """With sources that are targets in a circle."""
        with open(NULL) as a, open("/dev/zero") as b, open("/dev/full") as c:
            x, y, z = a.fileno(), b.fileno(), c.fileno()
            want = {"{} /dev/zero".format(x), "{} /dev/full".format(y), "{} {}".format(z, NULL)}
            self.assertLessEqual(want, self.inherited(fds={x: y, y: z, z: x}))

    def test_unopened_targets(self) -> None:
        """Of all numbers that our own descriptors could have come to lie on."""
        with open(NULL) as null:
            free = [fd for fd in range(3, 60) if not is_valid_fd(fd)]
            got = self.inherited(fds={fd: null for fd in free})
            self.assertEqual(got - self.heirloom(), {"{} {}".format(fd, NULL) for fd in free})

    def test_target_out_of_range(self) -> None:
        for target in -1, 1 << 30:
            self.assert_fails_clean(OSError, FOREVER, fds={target: 0})

    def test_owner_without_standard_descriptors(self) -> None:
        """What is closed for us is for the command, and does not confuse us."""
        saved = {fd: dup_apart(fd) for fd in (0, 1, 2) if is_valid_fd(fd)}
        reader, writer = os.pipe()
        try:
            for fd in 0, 1, 2:
                if is_valid_fd(fd):
                    os.close(fd)
            with Process(LIST, fds={9: writer, 1: writer}) as process:
                os.close(writer)
                text = read_all(reader)
                process.wait_tree(DEADLINE)
        finally:
            for fd, copy in saved.items():
                os.dup2(copy, fd)
                os.close(copy)
            os.close(reader)
        inherited = {line.split()[0] for line in text.splitlines()} - {line.split()[0] for line in self.heirloom()}
        self.assertEqual(inherited, {"1", "9"})
        self.assertEqual([line for line in text.splitlines() if line.startswith(("0 ", "2 "))], [])

    def test_supervisor_holds_three(self) -> None:
        """A pipe that is inheritable ends with the command's copy and ours: the supervisor has none."""
        reader, writer = os.pipe()
        os.set_inheritable(writer, True)
        with Process(["sh", "-c", "exec {}>&-; kill -STOP $$".format(writer)]) as process:
            os.close(writer)
            self.assertEqual(read_all(reader), "")
            os.close(reader)
            if os.geteuid() == 0:  # the supervisor is not dumpable, so that no other user may look
                self.assertLessEqual({0, 1, 2}, supervisor_fds(process))


def supervisor_fds(process: Process) -> Set[int]:
    return {int(name) for name in os.listdir("/proc/{}/fd".format(process.supervisor_pid))}


class TestFlags(Case):
    """The parameter flags."""

    def flags(self, **options: Any) -> "tuple[bool, bool]":
        with Process(["sleep", "100000"], **options) as process:
            descriptor = fcntl.fcntl(process.fd, fcntl.F_GETFD)
            status = fcntl.fcntl(process.fd, fcntl.F_GETFL)
            self.assertEqual(process.fd.type & ~socket.SOCK_NONBLOCK, socket.SOCK_SEQPACKET)
            return bool(descriptor & fcntl.FD_CLOEXEC), bool(status & os.O_NONBLOCK)

    def test_close_on_exec(self) -> None:
        self.assertEqual(self.flags(), (True, True))
        self.assertEqual(self.flags(flags=os.O_CLOEXEC), (True, True))
        self.assertEqual(self.flags(flags=0), (False, True))

    def test_inheritable_is_not_for_the_command(self) -> None:
        """Which would hold its own owner's end, and so never end."""
        reader, writer = os.pipe()
        process = Process(FOREVER, fds={writer: writer}, flags=0)
        os.close(writer)
        process.close()
        self.assertEqual(read_all(reader), "")
        os.close(reader)


class TestUpdateFds(Case):
    """The functions about descriptors, used in this process."""

    def test_update(self) -> None:
        a, b, c = (os.open(path, os.O_RDWR) for path in (NULL, "/dev/zero", "/dev/full"))
        free = dup_apart(a)
        os.close(free)
        update_fds({a: b, b: a, c: None, free: a, 200: None})
        now = descriptors()
        self.assertEqual([now.get(fd) for fd in (a, b, c, free)], ["/dev/zero", NULL, None, NULL])
        self.assertTrue(all(os.get_inheritable(fd) for fd in (a, b, free)))
        update_fds({a: None, b: None, free: None})

    def test_update_of_nothing_if_one_is_closed(self) -> None:
        with open(NULL) as null:
            before = descriptors()
            with self.assertRaises(ValueError):
                update_fds({null.fileno(): 0, 50: null, 51: 999})
            self.assertEqual(descriptors(), before)

    def test_fileno(self) -> None:
        class Odd:
            def fileno(self) -> str:
                return "1"

        with open(NULL) as null:
            self.assertEqual(fileno(null), null.fileno())
        self.assertEqual(fileno(7), 7)
        for wrong in "1", None, Odd():
            with self.assertRaises(TypeError):
                fileno(wrong)  # type: ignore[arg-type]

    def test_is_valid_fd(self) -> None:
        with open(NULL) as null:
            number = null.fileno()
            self.assertTrue(is_valid_fd(number))
        for fd in number, -1, 1 << 40:
            self.assertFalse(is_valid_fd(fd))
