"""The exceptions of a start that was refused, beside subprocess's."""

import copy
import errno
import os
import pathlib
import pickle
import subprocess
import tempfile
from typing import Any, List, Tuple
from unittest import mock

import supervise_api
from supervise_api import CommandNotFound, InvalidRequest, LimitRefused, NotExecutable, RequestError, SystemCallFailed
from supervise_api.errors import request_error

from .serve_case import ServeCase


class TestErrors(ServeCase):
    """errno, strerror and filename, and the class."""

    def test_as_subprocess(self) -> None:
        supervisor = self.start()
        with tempfile.TemporaryDirectory() as place:
            plain = os.path.join(place, "plain")
            with open(plain, "w") as file:
                file.write("#!/no/such/interpreter\n")
            script = os.path.join(place, "script")
            os.symlink(plain, script)
            os.symlink(os.path.join(place, "loop"), os.path.join(place, "loop"))
            cases: List[Tuple[Any, Any]] = [
                (["supervise_api_no_such_program"], {}),
                ([b"no_such_\xff"], {}),
                (["/no/such/program"], {}),
                ([pathlib.PurePosixPath("/no/such/program")], {}),
                (["./no_such_program"], {}),
                ([plain], {}),
                ([place], {}),
                ([plain + "/program"], {}),
                ([place + "/loop"], {}),
                (["/" + "x" * 300], {}),
                (["true", "x" * 200000], {}),
                (["true"], {"cwd": "/no/such/directory"}),
                (["true"], {"cwd": b"/no/such/\xff"}),
                (["true"], {"cwd": pathlib.PurePosixPath("/no/such/directory")}),
                (["true"], {"cwd": plain}),
                (["./no_such_program"], {"cwd": place}),
            ]
            for argv, options in cases:
                self.assert_same_error(supervisor, argv, options)
            os.chmod(plain, 0o755)
            self.assert_same_error(supervisor, [plain], {})
            self.assert_same_error(supervisor, [script], {})
        self.assertEqual(supervisor.list(), [])

    def assert_same_error(self, supervisor: Any, argv: Any, options: Any) -> None:
        with self.subTest(argv=str(argv)[:60], options=options):
            with self.assertRaises(OSError) as theirs:
                subprocess.run(argv, **options)
            with self.assertRaises(OSError) as ours:
                supervisor.run(argv, **options)
            error = ours.exception
            assert isinstance(error, RequestError)
            self.assertIsInstance(error, type(theirs.exception))
            self.assertEqual((error.errno, error.strerror, error.args), (theirs.exception.errno, theirs.exception.strerror, theirs.exception.args))
            self.assertEqual(os.fspath(error.filename), os.fspath(theirs.exception.filename))
            self.assertRegex(str(error), "^spawn: .")  # the supervisor's sentence

    def test_no_program_format(self) -> None:
        """It is a script, as for a shell; what the shell cannot read either is its affair."""
        supervisor = self.start()
        with tempfile.TemporaryDirectory() as place:
            path = os.path.join(place, "script")
            with open(path, "w") as file:
                file.write("exit 3")
            os.chmod(path, 0o755)
            self.assertEqual(supervisor.run([path]).returncode, 3)

    def test_files(self) -> None:
        """As open would raise them."""
        supervisor = self.start()
        cases: List[Tuple[Any, str, Any]] = [
            (FileNotFoundError, "stdin", "/no/such/file"),
            (NotADirectoryError, "stdin", "/dev/null/file"),
            (IsADirectoryError, "stdout", pathlib.Path("/tmp")),
            (FileExistsError, "stderr", supervise_api.File(b"/dev/null", "create")),
        ]
        for kind, name, file in cases:
            with self.subTest(name=name, file=file), self.assertRaises(kind) as caught:
                supervisor.spawn(["true"], **{name: file})
            path = file.path if isinstance(file, supervise_api.File) else file
            self.assertEqual((caught.exception.filename, caught.exception.strerror), (path, os.strerror(caught.exception.errno)))

    def test_classes(self) -> None:
        """Those that are named, whatever else they are."""

        def made(code: int, name: str = "") -> RequestError:
            return request_error("spawn", {"code": code, "message": "m", "data": {"errno": name, "field": "argv"}}, {"argv": "a"})

        self.assertIs(type(made(-32005, "ENOENT")), CommandNotFound)
        self.assertIs(type(made(-32006, "EACCES")), NotExecutable)
        cases: List[Tuple[RequestError, Any, Any]] = [
            (made(-32005, "ENOTDIR"), CommandNotFound, NotADirectoryError),
            (made(-32006, "EPERM"), NotExecutable, PermissionError),
            (made(-32006, "E2BIG"), SystemCallFailed, OSError),
            (made(-32003, "EAGAIN"), SystemCallFailed, BlockingIOError),
            (made(-32010, "EACCES"), SystemCallFailed, PermissionError),
            (made(-32602), InvalidRequest, ValueError),
            (made(-32007, "ERANGE"), LimitRefused, RequestError),
            (made(-5), RequestError, Exception),
        ]
        for error, ours, builtin in cases:
            self.assertIsInstance(error, ours)
            self.assertIsInstance(error, builtin)
            self.assertEqual((type(error).__name__, str(error), error.field), (ours.__name__, "spawn: m", "argv"))
        self.assertNotIsInstance(made(-32006, "E2BIG"), PermissionError)
        self.assertNotIsInstance(made(-32007, "ERANGE"), OSError)
        self.assertIs(type(made(-32005, "ENOTDIR")), type(made(-32005, "ENOTDIR")))

    def test_pickle(self) -> None:
        """A pool of processes passes them on."""
        supervisor = self.start()
        with self.assertRaises(CommandNotFound) as caught:
            supervisor.run(["supervise_api_no_such_program"])
        for again in pickle.loads(pickle.dumps(caught.exception)), copy.copy(caught.exception):
            self.assertIs(type(again), CommandNotFound)
            self.assertEqual((again.errno, again.filename), (errno.ENOENT, "supervise_api_no_such_program"))
            self.assertEqual((str(again), again.code, again.field), (str(caught.exception), -32005, "argv"))

    def test_no_supervisor(self) -> None:
        with mock.patch.object(supervise_api, "supervise_utility_location", None), mock.patch.dict(os.environ, PATH="/nowhere"):
            with self.assertRaises(FileNotFoundError) as caught:
                supervise_api.run(["true"])
        self.assertEqual(caught.exception.filename, "supervise")


class TestErrorsSubreaper(TestErrors):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]
