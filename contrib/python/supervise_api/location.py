"""Where the program `supervise` is."""

import errno
import os
import shutil
import sys


def supervise_location() -> str:
    """Return the path of the program; OSError: it is not on PATH."""
    # Looked up at each call, for callers may set it; by name, for the package imports this module and not the other way round.
    package = sys.modules.get(__name__.rpartition(".")[0])
    location = getattr(package, "supervise_utility_location", None) or shutil.which("supervise")
    if not location:
        raise OSError(errno.ENOENT, "Executable not found in PATH", "supervise")
    return os.fsdecode(location)
