"""Starting a command and its supervisor.

supervise without arguments expects the processes that it is to hold as children it has at its exec. So two processes are made:

    caller ──fork──> becomes a subreaper ──posix_spawn──> the command
                          └─exec──> supervise

The first must be a fork, for no program but this one does what is to be done between it and the exec. In a program with
threads the child of a fork may only do little: another thread may have held a lock at the fork, and that thread is not in
the child to release it. So everything that can be prepared is, by the caller. The child runs nothing but this module,
imports and prints nothing, collects no garbage, and calls only what needs no lock that Python and the C library do not set
free after a fork. The command is made by posix_spawn, which copies no memory and tells of an exec that failed.
"""

import contextlib
import ctypes
import errno
import gc
import os
import signal
import socket
import struct
import warnings
from typing import Dict, List, Mapping, NamedTuple, NoReturn, Optional, Sequence, Set, Tuple

from .child import Child, collect_ended
from .descriptors import Copies, Source, close_all, dup_apart, is_valid_fd
from .location import supervise_location
from .texts import Argument as Argument

_PR_SET_CHILD_SUBREAPER = 36

# Looked up here: in the child of a fork the dynamic linker may be locked. PyDLL does not let go of the interpreter.
_prctl = ctypes.PyDLL(None, use_errno=True).prctl
_prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)

# Python ignores these, and the programs that it executes expect them not to be ignored; as in subprocess.
_RESTORED = [signal.SIGPIPE, signal.SIGXFSZ]

_ALL_SIGNALS = [int(number) for number in signal.valid_signals()]

# Python 3.12 warns of every fork in a program with threads; what it warns of is minded here.
warnings.filterwarnings("ignore", ".* is multi-threaded, use of fork", DeprecationWarning, __name__.replace(".", r"\."))

# What the child tells through the status pipe: the command's pid, or an errno and the step that failed. Nothing more follows
# once supervise is executed.
_STATUS = struct.Struct("=iii")
_SETUP, _CWD, _COMMAND, _SUPERVISE = range(4)


class _Plan(NamedTuple):
    """What the child is to do."""

    executable: bytes
    args: List[bytes]
    env: Dict[bytes, bytes]
    cwd: Optional[bytes]
    supervise: str
    handled: List[int]  # signals with a handler
    mask: Set[int]  # of blocked signals


class Started(NamedTuple):
    """A command and its supervisor."""

    socket: socket.socket  # the owner's end
    pid: int  # of the command
    supervisor: Child


def dfork(
    args: Sequence[Argument],
    env: Mapping[str, str] = {},
    fds: Mapping[int, Source] = {},
    cwd: Optional[Argument] = None,
    flags: int = os.O_CLOEXEC,
) -> Tuple[socket.socket, int]:
    """Start a command, and return the socket to its supervisor and the command's pid.

    The socket is a SOCK_SEQPACKET; it carries the events, each the bytes of a siginfo_t (see ChildEvent.parse; a stop and a
    continuation are events too: see ChildEvent.ended), and takes requests, each a pid and a signal number as two C ints. At
    the end of input everything is dead. When the last copy of the socket is closed, everything is killed.

    args: the command; without a slash args[0] is looked up in the directories of PATH, env's or else our own.
    env: updates of our environment.
    fds: updates of the descriptors that the command inherits, see update_fds. It inherits what any program that we execute
    does: what is not close-on-exec.
    cwd: the command's working directory, ours if None; a relative args[0] is relative to it.
    flags: of the socket, O_CLOEXEC and O_NONBLOCK; without O_CLOEXEC, programs that we execute inherit it.

    The command runs in a session of the supervisor, so that Ctrl-C at our terminal does not reach it. Signals that we ignore
    it ignores too, but for SIGPIPE, SIGXFSZ and SIGCHLD. The supervisor is a child of this process, to be waited for by it
    unless SIGCHLD is ignored.

    OSError: there is no such program, it cannot be executed, or there are too many processes or descriptors; TypeError;
    ValueError: a source of fds is closed, args is empty, or a string contains a null byte. Nothing is left then.
    """
    started = start(args, env, fds, cwd, flags)
    return started.socket, started.pid


def start(
    args: Sequence[Argument], env: Mapping[str, str], fds: Mapping[int, Source], cwd: Optional[Argument], flags: int
) -> Started:
    """Do as dfork does, and return the supervisor too."""
    collect_ended()
    argv = _arguments(args)
    where = _bytes(cwd) if cwd else None
    environ = _environ(env)
    with Copies(fds) as copies:
        executable = _look_up(argv[0], environ.get(b"PATH", os.fsencode(os.defpath)), where)
        plan = _Plan(executable, argv, environ, where, supervise_location(), _handled(), _mask())
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                pid, supervisor = _launch(plan, theirs, fds, copies)
            ours.setblocking(not flags & os.O_NONBLOCK)
            ours.set_inheritable(not flags & os.O_CLOEXEC)
        except BaseException:
            ours.close()
            raise
    return Started(ours, pid, supervisor)


def _arguments(args: Sequence[Argument]) -> List[bytes]:
    if isinstance(args, (str, bytes, os.PathLike)):
        raise TypeError("args is not a sequence of arguments: {!r}".format(args))
    argv = [_bytes(arg) for arg in args]
    if not argv:
        raise ValueError("args is empty")
    return argv


def _environ(updates: Mapping[str, str]) -> Dict[bytes, bytes]:
    env = dict(os.environb)
    for name, value in updates.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError("env is not of strings: {!r}: {!r}".format(name, value))
        if not name or "=" in name:
            raise ValueError("env: illegal name: {!r}".format(name))
        env[_bytes(name)] = _bytes(value)
    return env


def _bytes(text: Argument) -> bytes:
    encoded = os.fsencode(text)
    if b"\0" in encoded:
        raise ValueError("embedded null byte: {!r}".format(text))
    return encoded


def _look_up(name: bytes, path: bytes, cwd: Optional[bytes]) -> bytes:
    if b"/" in name:
        return name
    for directory in path.split(b":"):
        program = os.path.join(directory or b".", name)
        seen = os.path.join(cwd or b"", program)  # as the command's exec will see it
        if os.path.isfile(seen) and os.access(seen, os.X_OK):
            return program
    raise OSError(errno.ENOENT, "Executable not found in PATH", os.fsdecode(name))


def _handled() -> List[int]:
    dispositions = ((number, signal.getsignal(number)) for number in _ALL_SIGNALS)
    return [number for number, action in dispositions if action not in (signal.SIG_DFL, signal.SIG_IGN)]


def _mask() -> Set[int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, []))


def _launch(plan: _Plan, theirs: socket.socket, fds: Mapping[int, Source], copies: Copies) -> Tuple[int, Child]:
    """Make both processes; return the command's pid and the supervisor."""
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as status:
        with contextlib.ExitStack() as for_child:
            for_child.callback(os.close, writer)
            apart = []  # they may be targets, or among the standard three where those were closed
            for fd in (theirs.fileno(), writer):
                apart.append(dup_apart(fd, fds))
                for_child.callback(os.close, apart[-1])
            child = Child(_fork(plan, apart[0], apart[1], copies.actions()))
        try:
            return _outcome(plan, status.readall()), child
        except OSError:
            child.wait()
            raise
        except BaseException:  # KeyboardInterrupt: its end of input will end it
            child.collect_later()
            raise


def _outcome(plan: _Plan, told: bytes) -> int:
    """Return the command's pid, or raise what the child has told."""
    if not told:
        raise OSError(errno.ECHILD, "Killed while it started", plan.supervise)
    pid, error, step = _STATUS.unpack(told[-_STATUS.size :])
    if error:
        culprit = {_CWD: plan.cwd, _COMMAND: plan.args[0]}.get(step) or plan.supervise
        raise OSError(error, os.strerror(error), os.fsdecode(culprit))
    return int(pid)


def _fork(plan: _Plan, control: int, status: int, actions: List[Tuple[int, ...]]) -> int:
    """Make the child, which becomes the supervisor. No handler runs in it."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL_SIGNALS)
    try:
        child = os.fork()
        if child == 0:
            _child(plan, control, status, actions)
        return child
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _child(plan: _Plan, control: int, status: int, actions: List[Tuple[int, ...]]) -> NoReturn:
    """Start the command, and be supervise. The steps that may fail are told apart for the message of the error."""
    step = _SETUP
    try:
        gc.disable()  # finalizers are the caller's business
        _be_subreaper()
        _restore_signals(plan)
        step = _CWD
        if plan.cwd is not None:
            os.chdir(plan.cwd)
        step = _COMMAND
        pid = os.posix_spawn(plan.executable, plan.args, plan.env, file_actions=actions, setsigdef=_RESTORED)
        os.write(status, _STATUS.pack(pid, 0, step))
        step = _SUPERVISE
        _execute(plan.supervise, control, status)
    except BaseException as e:
        os.write(status, _STATUS.pack(0, getattr(e, "errno", None) or errno.EINVAL, step))
        os.close(status)  # it may take the last descriptor to find the children; the caller waits until we have ended
        _kill_children()
    finally:
        os._exit(127)


def _be_subreaper() -> None:
    os.setsid()
    if _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _restore_signals(plan: _Plan) -> None:
    """Forget signals that came for the caller's process group, and have no handlers; the mask becomes the caller's.

    With SIGCHLD ignored the kernel would forget the command's status.
    """
    for number in plan.handled:
        signal.signal(number, signal.SIG_IGN)  # what is pending is dropped
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, plan.mask)


def _execute(supervise: str, control: int, status: int) -> None:
    """Be supervise, which has three descriptors and no environment."""
    os.dup2(control, 0)
    os.dup2(control, 1)
    os.close(control)
    if not is_valid_fd(2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    close_all(but=status)  # which the exec closes, and so tells the caller
    nothing: Dict[str, str] = {}
    os.execve(supervise, ["supervise"], nothing)


def _kill_children() -> None:
    """Kill and collect until there are none. We are a subreaper: grandchildren become children."""
    while True:
        with open("/proc/thread-self/children") as children:
            for pid in children.read().split():
                os.kill(int(pid), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
