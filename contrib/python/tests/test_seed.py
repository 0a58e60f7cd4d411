"""What programs for the predecessor's package use of it."""

import importlib
import os
import select
import signal
import struct
import sys
import unittest
from typing import Any
from unittest import mock

import supervise_api
from supervise_api import AsyncProcess, ChildCode, ChildEvent, ChildEventBuffer, Process, UncleanExit, dfork

from .case import DEADLINE, FOREVER, Case

try:
    importlib.import_module("cffi")
    have_cffi = True
except ImportError:
    have_cffi = False


class TestSeed(Case):
    """The names, and what they do."""

    def test_module(self) -> None:
        import supervise_api.supervise as module

        self.assertIs(module, supervise_api.supervise)
        for name in "ChildCode", "ChildEvent", "ChildEventBuffer", "Process", "UncleanExit", "dfork", "fileno", "ignore_sigchld", "is_valid_fd", "update_fds":
            self.assertIs(getattr(module, name), getattr(supervise_api, name))
        package: Any = supervise_api
        for name in "which", "O_CLOEXEC", "set_inheritable", "fspath", "lib":
            self.assertIs(getattr(module, name), getattr(package, name))
        for place in module, package:
            with self.assertRaisesRegex(AttributeError, "no_such_name"):
                getattr(place, "no_such_name")

    def test_location(self) -> None:
        """It is bytes, as for exec."""
        location = supervise_api.supervise_utility_location
        assert location is not None
        self.assertIsInstance(location, bytes)
        self.assertTrue(os.access(location, os.X_OK))
        for other in "/a/b", b"/a/b":
            with mock.patch.object(supervise_api, "supervise_utility_location", other):
                self.assertEqual(supervise_api.supervise.supervise_utility_location, other)
                with self.assertRaises(FileNotFoundError) as caught:
                    Process(["true"])
                self.assertEqual(caught.exception.filename, "/a/b")

    def test_constants(self) -> None:
        self.assertEqual({code: getattr(supervise_api.lib, "CLD_" + code.name) for code in ChildCode}, {code: code.value for code in ChildCode})
        self.assertEqual(supervise_api.lib.CLD_KILLED, os.CLD_KILLED if hasattr(os, "CLD_KILLED") else 2)

    @unittest.skipUnless(have_cffi, "cffi is not installed")
    def test_ffi(self) -> None:
        from supervise_api import ffi

        self.assertIs(ffi, supervise_api.ffi)
        sock, pid = dfork(FOREVER)
        with sock:
            message = ffi.new("struct supervise_send_signal*", {"pid": pid, "signal": signal.SIGINT})
            self.assertEqual(bytes(ffi.buffer(message)), struct.pack("=ii", pid, signal.SIGINT))
            sock.send(bytes(ffi.buffer(message)))
            info = ffi.cast("siginfo_t*", ffi.from_buffer(sock.recv(4096)))
            self.assertEqual((info.si_pid, info.si_uid, info.si_status), (pid, os.getuid(), signal.SIGINT))
            self.assertEqual((info.si_code, ffi.sizeof("siginfo_t")), (supervise_api.lib.CLD_KILLED, 128))

    def test_no_cffi(self) -> None:
        """What to use in its place is said; and nothing else needs it."""
        vars(supervise_api.supervise).pop("ffi", None)
        with mock.patch.dict(sys.modules, {"cffi": None}):
            for look in "import supervise_api; supervise_api.ffi", "from supervise_api import ffi", "from supervise_api.supervise import ffi":
                with self.assertRaisesRegex(ImportError, "cffi.*struct.pack.*ChildEvent.parse") as caught:
                    exec(look, {})
                self.assertEqual(caught.exception.name, "cffi")
            names: Any = {}
            exec("from supervise_api import *; from supervise_api.supervise import dfork", names)
            self.assertIs(names["dfork"], dfork)

    def test_returncode(self) -> None:
        for script, code in ("exit 3", 3), ("exit 0", 0), ("kill -TERM $$", -signal.SIGTERM):
            with Process(["sh", "-c", script]) as process:
                process.wait(DEADLINE)
                self.assertEqual((process.returncode, process.poll()), (code, code))
            self.assertEqual(process.returncode, code)
        process = Process(FOREVER)
        self.assertIsNone(process.returncode)
        process.close()
        self.assertEqual((process.returncode, process.poll()), (-signal.SIGKILL, -signal.SIGKILL))

    def test_poll(self) -> None:
        with Process(FOREVER) as process:
            self.assertIsNone(process.poll())
            process.send_signal(signal.SIGSTOP)
            select.select([process], [], [], DEADLINE)
            self.assertIsNone(process.poll())
            process.kill()
            while process.poll() is None:
                select.select([process], [], [], DEADLINE)
            self.assertEqual(process.returncode, -signal.SIGKILL)

    def test_check(self) -> None:
        ChildEvent(ChildCode.EXITED, 1, 0, 0, None).check()
        for event in ChildEvent(ChildCode.EXITED, 1, 0, 1, None), ChildEvent(ChildCode.KILLED, 1, 0, None, signal.SIGTERM):
            with self.assertRaises(UncleanExit) as caught:
                event.check()
            self.assertEqual(caught.exception.args, (event,))
        with self.assertRaises(UncleanExit):
            raise UncleanExit()

    def test_buffer(self) -> None:
        """Events come in whatever pieces; a pipe merges and splits them."""
        data = b"".join(struct.pack("=iiiiiIi", signal.SIGCHLD, 0, 1, 0, pid, 0, 3).ljust(128, b"\0") for pid in (10, 11, 12))
        for size in 1, 100, 128, 129, 300, 1000:
            buffer, pids = ChildEventBuffer(), []
            for start in range(0, len(data), size):
                buffer.feed(data[start : start + size])
                for event in iter(buffer.consume, None):
                    pids.append(event.pid)
            self.assertEqual(pids, [10, 11, 12])
            self.assertIsNone(buffer.consume())


class TestSeedAsync(Case):
    """Its twin has a returncode too."""

    def test_returncode(self) -> None:
        import asyncio

        async def test() -> None:
            async with AsyncProcess(["sh", "-c", "kill -STOP $$; exit 3"]) as process:
                self.assertIsNone(process.returncode)
                process.send_signal(signal.SIGCONT)
                await process.wait()
                self.assertEqual(process.returncode, 3)

        asyncio.run(test())
