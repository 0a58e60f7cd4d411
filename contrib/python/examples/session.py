"""A terminal session: python3 session.py bash

The program runs on a terminal of its own, as big as ours, and what it starts ends with it. Input that is no terminal is typed line by
line, and then the end-of-file character.
"""

import os
import shutil
import signal
import sys
import termios
import threading
import tty
from typing import Any

import supervise_api


def main() -> int:
    size = shutil.get_terminal_size()
    with supervise_api.Supervisor() as supervisor:
        job = supervisor.spawn(sys.argv[1:] or ["sh"], pty=(size.lines, size.columns))
        terminal = job.terminal
        assert terminal is not None
        changed = threading.Event()
        signal.signal(signal.SIGWINCH, lambda *_: changed.set())
        for work in (lambda: type_into(terminal), lambda: resize(terminal, changed)):
            threading.Thread(target=work, daemon=True).start()
        with Raw():
            for data in iter(terminal.read, b""):
                os.write(1, data)
        job.wait()
        code = job.returncode or 0
        return code if code >= 0 else 128 - code


def resize(terminal: supervise_api.Terminal, changed: threading.Event) -> None:
    """Have the terminal as big as ours. A signal handler must not: it might come while the supervisor is spoken to."""
    try:
        while changed.wait():
            changed.clear()
            size = shutil.get_terminal_size()
            terminal.resize(size.lines, size.columns)
    except (supervise_api.JobGone, supervise_api.SupervisorLost):
        pass


def type_into(terminal: supervise_api.Terminal) -> None:
    """Type what we are typed. The thread ends with our input, with the job, or with the program."""
    try:
        for data in iter(lambda: os.read(0, 4096), b""):
            terminal.write(data)
        terminal.eof()
    except (BrokenPipeError, supervise_api.SupervisorLost):
        pass


class Raw:
    """Our own terminal hands every key on, while this lasts."""

    def __enter__(self) -> None:
        self._before = None if not os.isatty(0) else termios.tcgetattr(0)
        if self._before is not None:
            tty.setraw(0)

    def __exit__(self, *_: Any) -> None:
        if self._before is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, self._before)


if __name__ == "__main__":
    sys.exit(main())
