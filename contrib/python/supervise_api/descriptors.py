"""File descriptors, and updates of which is what."""

import fcntl
import os
from typing import Collection, Dict, List, Mapping, Optional, Protocol, Tuple, Union


class HasFileno(Protocol):
    """An object with a descriptor, such as a file or a socket."""

    def fileno(self) -> int:
        """Return the descriptor."""


#: What a descriptor is to be a copy of; None: it is to be closed.
Source = Union[int, HasFileno, None]


def fileno(file: Union[int, HasFileno]) -> int:
    """Return the descriptor of an object with fileno(), or the descriptor itself; TypeError for anything else."""
    if isinstance(file, int):
        return file
    if not hasattr(file, "fileno"):
        raise TypeError("expected int or an object with a fileno() method, not " + type(file).__name__)
    number = file.fileno()
    if not isinstance(number, int):
        raise TypeError("expected fileno() to return an int, not " + type(number).__name__)
    return number


def is_valid_fd(fd: int) -> bool:
    """Whether this descriptor is open."""
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
    except (OSError, OverflowError, ValueError):
        return False
    return True


def update_fds(fds: Mapping[int, Source]) -> None:
    """Make each descriptor that is a key a copy of its value, or close it where that is None, in this process.

    All updates are done at once: {1: 2, 2: 1} swaps. Keys may be closed before, and are inherited by programs that are
    executed. Other descriptors stay as they are. ValueError: a value is a closed descriptor; OSError: see dup(2).
    """
    with Copies(fds) as copies:
        for target, copy in copies.kept.items():
            os.dup2(copy, target)
        for target in copies.closed:
            if is_valid_fd(target):
                os.close(target)


class Copies:
    """The sources of an update, each as a copy that no step of the update overwrites. They are not inherited."""

    def __init__(self, fds: Mapping[int, Source]) -> None:
        """Copy all sources; for errors see update_fds."""
        self.kept: Dict[int, int] = {}  #: target to copy
        self.closed: List[int] = []
        try:
            for target, source in fds.items():
                self._add(target, source, fds)
        except BaseException:
            self.close()
            raise

    def _add(self, target: int, source: Source, targets: Collection[int]) -> None:
        if not isinstance(target, int):
            raise TypeError("fds key is not an int: {!r}".format(target))
        if source is None:
            self.closed.append(target)
            return
        number = fileno(source)
        if not is_valid_fd(number):
            raise ValueError("fds[{}] is closed: {!r}".format(target, source))
        self.kept[target] = dup_apart(number, targets)

    def actions(self) -> List[Tuple[int, ...]]:
        """Return the update as file actions of os.posix_spawn."""
        copy: List[Tuple[int, ...]] = [(os.POSIX_SPAWN_DUP2, copy, target) for target, copy in self.kept.items()]
        return copy + [(os.POSIX_SPAWN_CLOSE, target) for target in self.closed]

    def close(self) -> None:
        """Close the copies."""
        while self.kept:
            os.close(self.kept.popitem()[1])

    def __enter__(self) -> "Copies":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def dup_apart(fd: int, taken: Collection[int] = ()) -> int:
    """Return a copy that is neither one of the standard three nor taken, and that programs do not inherit."""
    unfit = []
    try:
        while True:
            copy = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
            if copy not in taken:
                return copy
            unfit.append(copy)
    finally:
        for copy in unfit:
            os.close(copy)


def close_all(but: Optional[int] = None) -> None:
    """Close every descriptor except the standard three and one more."""
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd != but and is_valid_fd(fd):
            os.close(fd)
