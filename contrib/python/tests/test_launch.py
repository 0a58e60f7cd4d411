import errno
import os
import pathlib
import resource
import shutil
import signal
import stat
import tempfile
from typing import Any, Dict, List
from unittest import mock

import supervise_api
from supervise_api import Process, dfork
from supervise_api.launch import Argument

from .case import DEADLINE, FOREVER, Case, collect, read_all


def sh() -> str:
    path = shutil.which("sh")
    assert path
    return path


class TestStart(Case):
    """What is started, and how."""

    def just_run(self, *args: Any) -> None:
        """Start a command that holds a pipe, kill it, and see that it is gone."""
        reader, writer = os.pipe()
        process = Process(args, fds={writer: writer})
        os.close(writer)
        process.kill()
        event = process.wait(DEADLINE)
        self.assertEqual((event.pid, event.killed_with()), (process.pid, signal.SIGKILL))
        process.close()
        self.assertEqual(read_all(reader), "")
        os.close(reader)

    def test_by_name(self) -> None:
        self.just_run("sh", "-c", "sleep 100000")

    def test_absolute(self) -> None:
        self.just_run(sh(), "-c", "sleep 100000")

    def test_relative(self) -> None:
        self.just_run(os.path.relpath(sh()), "-c", "sleep 100000")

    def test_pathlib(self) -> None:
        self.just_run(pathlib.Path(sh()), "-c", "sleep 100000")

    def test_bytes(self) -> None:
        self.just_run(os.fsencode(sh()), b"-c", b"sleep 100000")

    def test_arguments(self) -> None:
        args: List[Argument] = ["printf", "%s.", "", "a b", "é", b"\xff", pathlib.Path("x/y")]
        reader, writer = os.pipe()
        with Process(args, fds={1: writer}) as process:
            os.close(writer)
            self.assertEqual(os.read(reader, 100), b".a b." + "é".encode() + b".\xff.x/y.")
            self.assertTrue(process.wait(DEADLINE).clean())
        os.close(reader)

    def test_name_in_argv(self) -> None:
        self.assertEqual(self.output(["sh", "-c", "tr '\\0' ' ' </proc/$$/cmdline"]).split()[0], "sh")

    def test_env_updates(self) -> None:
        with mock.patch.dict(os.environ, {"KEPT": "1", "CHANGED": "2"}):
            text = self.output(["sh", "-c", "echo $KEPT $CHANGED $NEW"], env={"CHANGED": "3", "NEW": "é"})
        self.assertEqual(text, "1 3 é\n")

    def test_supervise_has_no_environment(self) -> None:
        with Process(FOREVER) as process:
            try:
                with open("/proc/{}/environ".format(process.supervisor_pid)) as environ:
                    self.assertEqual(environ.read(), "")
            except PermissionError:  # soon after its start the supervisor is not dumpable: only root may look
                self.assertNotEqual(os.geteuid(), 0)

    def test_supervise_has_no_arguments(self) -> None:
        with Process(FOREVER) as process, open("/proc/{}/cmdline".format(process.supervisor_pid)) as cmdline:
            self.assertEqual(cmdline.read(), "supervise\0")

    def test_env_path(self) -> None:
        """PATH of env is where args[0] is looked up, and only if there is none, our own."""
        with tempfile.TemporaryDirectory() as place:
            self.script(place, "only_here", "echo found")
            self.assertEqual(self.output(["only_here"], env={"PATH": place}), "found\n")
            self.assert_fails_clean(FileNotFoundError, ["sleep", "1"], env={"PATH": place})
            self.assert_fails_clean(FileNotFoundError, ["only_here"])

    def test_path_is_tried_in_order(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            for name, mode in ("none", 0), ("data", 0o644), ("first", 0o755), ("second", 0o755):
                os.mkdir(os.path.join(place, name))
                if mode:
                    os.chmod(self.script(os.path.join(place, name), "which_one", "echo " + name), mode)
            os.mkdir(os.path.join(place, "none", "which_one"))
            path = ":".join(os.path.join(place, name) for name in ("missing", "none", "data", "first", "second"))
            self.assertEqual(self.output(["which_one"], env={"PATH": path + ":" + os.environ["PATH"]}), "first\n")

    def test_no_path(self) -> None:
        with mock.patch.dict(os.environ), mock.patch.object(supervise_api, "supervise_utility_location", located()):
            del os.environ["PATH"]
            self.just_run("sh", "-c", "kill -STOP $$")

    def test_cwd(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            place = os.path.realpath(place)
            for cwd in place, os.fsencode(place), pathlib.Path(place):
                self.assertEqual(self.output(["pwd", "-P"], cwd=cwd), place + "\n")

    def test_relative_to_cwd(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            self.script(place, "here", "echo here")
            self.assertEqual(self.output(["./here"], cwd=place), "here\n")
            self.assertEqual(self.output(["here"], cwd=place, env={"PATH": ".:" + os.environ["PATH"]}), "here\n")
            self.assertEqual(self.output(["here"], cwd=place, env={"PATH": os.environ["PATH"] + ":"}), "here\n")

    def test_session(self) -> None:
        """Ctrl-C at our terminal does not reach the command: it is in the supervisor's session."""
        with Process(FOREVER) as process:
            self.assertEqual(os.getsid(process.pid), process.supervisor_pid)
            self.assertEqual(os.getpgid(process.pid), process.supervisor_pid)

    def test_signals_of_the_command(self) -> None:
        """What Python ignores is not ignored; a mask of ours, and what we ignore, it has."""
        before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        try:
            text = self.output(["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"])
        finally:
            signal.signal(signal.SIGUSR1, before)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        masks = {name: int(mask, 16) for name, mask in (line.split(":\t") for line in text.splitlines())}
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
            bit = 1 << number - 1
            self.assertEqual(bool(masks["SigBlk"] & bit), number == signal.SIGUSR2, number)
            self.assertEqual(bool(masks["SigIgn"] & bit), number == signal.SIGUSR1, number)

    def script(self, directory: str, name: str, text: str) -> str:
        path = os.path.join(directory, name)
        with open(path, "w") as file:
            file.write("#!/bin/sh\n" + text + "\n")
        os.chmod(path, stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP)
        return path


def located() -> bytes:
    assert supervise_api.supervise_utility_location, "supervise is not on PATH"
    return supervise_api.supervise_utility_location


class TestErrors(Case):
    """A start that fails leaves nothing."""

    def want_error(self, number: int, filename: str, args: List[str], **options: Any) -> OSError:
        error = self.assert_fails_clean(OSError, args, **options)
        assert isinstance(error, OSError)
        self.assertEqual((error.errno, error.filename), (number, filename))
        return error

    def test_not_found(self) -> None:
        name = "supervise_api_no_such_program"
        error = self.want_error(errno.ENOENT, name, [name])
        self.assertIsInstance(error, FileNotFoundError)
        self.assertEqual(error.strerror, "Executable not found in PATH")

    def test_no_such_file(self) -> None:
        for name in "/nonexistent/program", "./no_such_program":
            self.want_error(errno.ENOENT, name, [name])

    def test_not_executable(self) -> None:
        with tempfile.NamedTemporaryFile() as file:
            self.want_error(errno.EACCES, file.name, [file.name])
            self.want_error(errno.ENOENT, os.path.basename(file.name), [os.path.basename(file.name)],
                            env={"PATH": os.path.dirname(file.name)})

    def test_no_program_format(self) -> None:
        with tempfile.TemporaryDirectory() as place:
            path = os.path.join(place, "nonsense")
            with open(path, "w") as file:
                file.write("nonsense")
            os.chmod(path, 0o755)
            self.want_error(errno.ENOEXEC, path, [path])

    def test_no_such_directory(self) -> None:
        self.want_error(errno.ENOENT, "/nonexistent", ["true"], cwd="/nonexistent")
        self.want_error(errno.ENOTDIR, "/dev/null", ["true"], cwd="/dev/null")

    def test_arguments_too_long(self) -> None:
        self.want_error(errno.E2BIG, "true", ["true", "x" * (1 << 22)])

    def test_wrong_types(self) -> None:
        for args in [1], ["true", None], [["true"]], "true", b"true", pathlib.Path("true"):
            self.assert_fails_clean(TypeError, args)
        wrong: List[Dict[str, Any]] = [
            {"env": {"A": 1}}, {"env": {1: "a"}}, {"env": {b"A": "a"}}, {"cwd": 1}, {"fds": {"1": 1}}, {"fds": {1: "x"}},
        ]
        for options in wrong:
            self.assert_fails_clean(TypeError, ["true"], **options)

    def test_wrong_values(self) -> None:
        for args in [], ["true", "a\0b"]:
            self.assert_fails_clean(ValueError, args)
        for env in {"A": "\0"}, {"A=B": "1"}, {"": "1"}:
            self.assert_fails_clean(ValueError, ["true"], env=env)

    def test_supervise_not_found(self) -> None:
        with mock.patch.object(supervise_api, "supervise_utility_location", None), tempfile.TemporaryDirectory() as place:
            os.symlink(sh(), os.path.join(place, "sh"))
            with mock.patch.dict(os.environ, {"PATH": place}):
                error = self.want_error(errno.ENOENT, "supervise", ["sh"])
        self.assertEqual(error.strerror, "Executable not found in PATH")

    def test_supervise_fails_to_start(self) -> None:
        """The command, which runs already, is killed with what it has started."""
        reader, writer = os.pipe()
        with mock.patch.object(supervise_api, "supervise_utility_location", "/dev/null"):
            command = ["sh", "-c", "sleep 100000 & exec setsid sleep 100000"]
            self.want_error(errno.EACCES, "/dev/null", command, fds={writer: writer})
        os.close(writer)
        self.assertEqual(read_all(reader), "")
        os.close(reader)

    def test_too_many_descriptors(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        first_free = os.open(os.devnull, os.O_RDONLY)
        os.close(first_free)
        outcomes = set()
        for more in range(1, 25):
            collect()
            resource.setrlimit(resource.RLIMIT_NOFILE, (first_free + more, hard))
            try:
                dfork(["true"])[0].close()
                outcomes.add(0)
            except OSError as error:
                outcomes.add(error.errno)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            if 0 not in outcomes:
                self.assert_nothing_runs()
        self.assertEqual(outcomes, {errno.EMFILE, 0})
