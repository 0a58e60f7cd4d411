"""Arguments, directories and environments that are no text, and long ones: as subprocess takes them."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from typing import Any, Dict, List
from unittest import mock

import supervise_api
from supervise_api import File, Supervisor

from .case import DEADLINE
from .serve_case import ServeCase

#: "café " in Latin-1, and bytes that no encoding has.
ODD = b"caf\xe9 \xff\xfe"


class TestBytes(ServeCase):
    """What a program can be given, run can give it."""

    def setUp(self) -> None:
        super().setUp()
        self.place = os.fsencode(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.place)
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        self.odd = os.path.join(self.place, b"d\xe9")
        os.mkdir(self.odd)
        self.supervisor = self.start()

    def assert_same(self, argv: List[Any], **options: Any) -> None:
        """Compare with subprocess: run with a supervisor from before, and with one of its own."""
        theirs = subprocess.run(argv, stdout=subprocess.PIPE, check=True, **options).stdout
        for supervisor in self.supervisor, None:
            ours = supervise_api.run(argv, supervisor=supervisor, stdout=subprocess.PIPE, check=True, **options).stdout
            self.assertEqual(ours, theirs)

    def test_arguments(self) -> None:
        self.assert_same([b"printf", b"%s.", ODD, os.fsdecode(ODD), pathlib.Path("p"), pathlib.Path(os.fsdecode(ODD)), "\x01\x02\x03", ""])

    def test_program(self) -> None:
        path = os.path.join(self.odd, b"x\xff.sh")
        with open(path, "w") as file:
            file.write("#!/bin/sh\necho hi $0\n")
        os.chmod(path, 0o755)
        self.assert_same([path])
        self.assertEqual(self.supervisor.spawn([path]).name, "x\udcff.sh")

    def test_environment(self) -> None:
        show = ["/bin/sh", "-c", "PATH=/usr/bin:/bin; env -0 | LC_ALL=C sort -z"]
        latin: Dict[Any, Any] = {b"LATIN": b"\xe9t\xe9", b"A": b"b"}
        self.assert_same(show, env={"PATH": os.environ["PATH"], "LATIN": "\udce9"})
        self.assert_same(show, env={b"PATH": os.environb[b"PATH"], **latin})
        self.assert_same(["/usr/bin/env"], env={b"\xff": b"b"})  # a shell would drop it
        self.assert_same(["/usr/bin/env"], env={})

    def test_our_environment(self) -> None:
        """It has such a value, or gets one when the supervisor runs already; nothing was asked of it."""
        show = ["sh", "-c", 'printf %s "$LATIN$MORE"; env | LC_ALL=C sort']
        with mock.patch.dict(os.environb, {b"LATIN": b"\xe9t\xe9", b"\xff": b"x", b"GONE": b"y"}):
            self.assert_same(show)
            self.assert_same(show, env=dict(os.environ, X="1"))
            with Supervisor(self.flags) as other:
                del os.environb[b"LATIN"]
                os.environb[b"MORE"] = b"\xfe"
                done = other.run(show, capture_output=True, env_update={"GONE": None, "\udcff": None})
                self.assertEqual(done.stdout[:1], b"\xfe")
                self.assertNotIn(b"\xff=", done.stdout)
                self.assertNotIn(b"GONE=", done.stdout)

    def test_directory(self) -> None:
        for cwd in self.odd, os.fsdecode(self.odd), pathlib.Path(os.fsdecode(self.odd)):
            self.assert_same(["pwd"], cwd=cwd)

    def test_our_directory(self) -> None:
        """Nothing was asked of it. A supervisor from before runs the job where we are now."""
        os.chdir(self.odd)
        self.assert_same(["pwd"])
        self.assert_same(["pwd"], cwd="..")
        with Supervisor(self.flags) as here:
            self.assertEqual(here.run(["pwd"], capture_output=True).stdout, self.odd + b"\n")

    def test_our_directory_is_gone(self) -> None:
        os.chdir(self.odd)
        os.rmdir(self.odd)
        done = supervise_api.run(["sh", "-c", "echo hi"], capture_output=True)
        self.assertEqual(done.stdout, b"hi\n")

    def test_through_a_link(self) -> None:
        """".." is the kernel's, not that of the path."""
        os.mkdir(os.path.join(self.odd, b"inner"))
        os.symlink(os.path.join(self.odd, b"inner"), os.path.join(self.place, b"link"))
        self.assert_same(["pwd", "-P"], cwd=os.path.join(self.place, b"link", b".."))

    def test_files(self) -> None:
        path = os.path.join(self.odd, b"out\xff")
        os.chdir(self.odd)
        self.supervisor.run(["echo", "1"], stdout=path)
        self.supervisor.run(["echo", "2"], stdout=File(b"out\xff", "append"))
        self.assertEqual(self.supervisor.run(["cat"], stdin=path, capture_output=True).stdout, b"1\n2\n")

    def test_names(self) -> None:
        job = self.supervisor.spawn(["true"], name=b"\xe9")
        record = job.wait(DEADLINE)
        self.assertEqual((job.name, record.name), ("\udce9", "\udce9"))
        self.assertEqual(self.supervisor.spawn(["sh", "-c", ":", ODD]).wait(DEADLINE).argv[3], os.fsdecode(ODD))

    def test_other_encoding(self) -> None:
        """Where Python's own encoding is not UTF-8, a string is the bytes that it would be for subprocess."""
        program = """if True:
            import supervise_api as s, subprocess, sys
            argv = ["printf", "%s", "\\xe9"]
            for run in s.run, subprocess.run:
                run(argv, stdout=1)
        """
        env = dict(os.environ, LC_ALL="de_DE.ISO-8859-1", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="utf-8")
        done = subprocess.run([sys.executable, "-c", program], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode == 0:  # else there is no such locale, and its own is ASCII
            self.assertIn(done.stdout, (b"\xe9\xe9", b"\xc3\xa9\xc3\xa9"))
        else:
            self.assertEqual(done.stderr.count(b"UnicodeEncodeError"), 1, done.stderr)

    def test_long(self) -> None:
        """1.2 MiB of arguments, and of environment, of bytes that JSON makes longest."""
        for text in "x" * 100000, '"' * 100000, "\x01" * 100000, "\udcff" * 100000:
            self.assert_same(["sh", "-c", 'printf %s "$1" | md5sum; echo $#'] + 12 * [text])
            env = {"V{}".format(number): text for number in range(12)}
            self.assert_same(["sh", "-c", 'printf %s "$V1$V11" | md5sum'], env=dict(env, PATH=os.environ["PATH"]))
        with mock.patch.dict(os.environ, {"V{}".format(number): "x" * 100000 for number in range(12)}):
            self.assert_same(["sh", "-c", "echo ${#V11}"])
            self.assert_same(["sh", "-c", "echo ${#V11}"], env=dict(os.environ))

    def test_too_long(self) -> None:
        for size in 1 << 20, 1 << 24:
            with self.assertRaises(OSError) as theirs:
                subprocess.run(["true", "x" * size])
            with self.assertRaises(OSError) as ours:
                self.supervisor.run(["true", "x" * size])
            for name in "errno", "strerror", "filename":
                self.assertEqual(getattr(ours.exception, name), getattr(theirs.exception, name))
        self.assertEqual(self.supervisor.list(), [])


class TestBytesSubreaper(TestBytes):
    """The same without cgroups."""

    flags = ["--contain=subreaper"]
