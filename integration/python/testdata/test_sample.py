"""What pytest_test.go runs: a test for each thing that may go wrong."""

import multiprocessing
import os
import signal
import subprocess
import time

import pytest


@pytest.fixture(scope="module")
def module_fixture():
    yield os.getpid()


def test_passes(module_fixture, tmp_path):
    (tmp_path / "file").write_text("")
    assert module_fixture == os.getpid()


def test_fails():
    print("before it failed")
    assert "one" == "two"


def test_leaves():
    subprocess.Popen(["sleep", "100000"], start_new_session=True)


@pytest.mark.supervise(timeout=0.5)
def test_hangs():
    subprocess.Popen(["sleep", "100000"], start_new_session=True)
    time.sleep(100000)


def test_crashes():
    os.kill(os.getpid(), signal.SIGSEGV)


def test_exits():
    os._exit(3)


@pytest.mark.skip(reason="no reason")
def test_skipped():
    pass


@pytest.mark.xfail
def test_expected():
    assert False


@pytest.mark.parametrize("value", ["x::y", "[z]"])
def test_parameters(value):
    pass


class TestClass:
    def test_method(self, capsys):
        print("captured")
        assert capsys.readouterr().out == "captured\n"


def test_helpers():
    """The helper of multiprocessing ends a moment after the test, by itself."""
    process = multiprocessing.get_context("spawn").Process(target=print)
    process.start()
    process.join()


@pytest.mark.supervise(memory_max="200M")
def test_memory():
    b"x" * (400 << 20)


@pytest.mark.supervise(mem_max="1G")
def test_wrong_mark():
    pass


@pytest.mark.supervise(limits=5)
def test_wrong_limits():
    pass
