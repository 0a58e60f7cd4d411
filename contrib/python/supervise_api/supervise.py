"""What the module of this name had in catern/supervise, the predecessor of this package.

    import supervise_api as supervise
    message = supervise.ffi.new("struct supervise_send_signal*", {"pid": pid, "signal": signal.SIGTERM})

ffi needs the package cffi, but no compiler: ImportError without it. lib has the CLD_ constants and needs nothing.
"""

import importlib
import sys
from os import O_CLOEXEC as O_CLOEXEC
from os import fspath as fspath
from os import set_inheritable as set_inheritable
from shutil import which as which
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Optional

from .childevent import ChildCode as ChildCode
from .childevent import ChildEvent as ChildEvent
from .childevent import ChildEventBuffer as ChildEventBuffer
from .descriptors import fileno as fileno
from .descriptors import is_valid_fd as is_valid_fd
from .descriptors import update_fds as update_fds
from .errors import UncleanExit as UncleanExit
from .launch import dfork as dfork
from .process import Process as Process
from .process import ignore_sigchld as ignore_sigchld

#: What the package has by these names as well.
EXPORTED = ("O_CLOEXEC", "ffi", "fspath", "lib", "set_inheritable", "which")

#: The constants of waitid(2).
lib: Any = SimpleNamespace(**{"CLD_" + code.name: code.value for code in ChildCode})

# The layouts of 64-bit Linux.
_DECLARATIONS = """
typedef int pid_t;
typedef unsigned int uid_t;
struct supervise_send_signal { pid_t pid; int signal; };
typedef struct siginfo {
    int si_signo; int si_errno; int si_code; int padding; pid_t si_pid; uid_t si_uid; int si_status; char rest[100];
} siginfo_t;
"""


def _make_ffi() -> Any:
    try:
        cffi = importlib.import_module("cffi")
    except ImportError:
        hint = "without it struct.pack('=ii', pid, signal) is a request, and ChildEvent.parse reads an event"
        raise ImportError("supervise_api.ffi needs the package cffi; " + hint, name="cffi") from None
    made = cffi.FFI()
    made.cdef(_DECLARATIONS)
    return made


if TYPE_CHECKING:  # type checkers would take the function below for leave to use any name
    ffi: Any
    supervise_utility_location: Optional[bytes]
else:

    def __getattr__(name: str) -> Any:
        """Make what costs something, or may change, when it is asked for."""
        if name == "ffi":
            globals()[name] = _make_ffi()
            return globals()[name]
        if name == "supervise_utility_location":
            return sys.modules[__package__].supervise_utility_location
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
