"""Running a command to its end."""

from typing import Mapping, Optional, Sequence, Union

from .completed import Completed
from .parameters import Argument, LimitValue
from .stdio import Stdio
from .supervisor import Supervisor


def run(
    argv: Sequence[Argument],
    *,
    supervisor: Optional[Supervisor] = None,
    input: Union[None, bytes, str] = None,
    stdin: Stdio = None,
    stdout: Stdio = None,
    stderr: Stdio = None,
    capture_output: bool = False,
    text: bool = False,
    encoding: Optional[str] = None,
    errors: Optional[str] = None,
    check: bool = False,
    memory_max: Optional[LimitValue] = None,
    cpus: Optional[float] = None,
    pids_max: Optional[int] = None,
    limits: Optional[Mapping[str, LimitValue]] = None,
    timeout: Optional[float] = None,
    cpu_timeout: Optional[float] = None,
    grace: Optional[float] = 0,
    signal: Union[None, int, str] = None,
    env: Optional[Mapping[str, str]] = None,
    env_update: Optional[Mapping[str, Optional[str]]] = None,
    cwd: Optional[Argument] = None,
    name: Optional[str] = None,
    tags: Optional[Mapping[str, str]] = None,
    leftovers: Optional[str] = None,
    delegate: bool = False,
    best_effort: bool = False,
) -> Completed:
    """Run a command, as subprocess.run does; but when this returns, everything that the command has started is dead.

        done = supervise_api.run(["./judge", "submission"], capture_output=True, memory_max="1G", cpus=1.5, timeout=10)
        print(done.returncode, done.stdout, done.record.cause, done.record.memory.peak_bytes)

    supervisor: that is to do it; None: one that is started for this, which takes some milliseconds.
    input, capture_output, text, encoding, errors: as in subprocess; text is UTF-8 if encoding does not say otherwise.
    stdin, stdout, stderr: None: ours; PIPE: as capture_output does; else what Supervisor.spawn takes.
    check: raise CalledProcessError, a subprocess.CalledProcessError with the record, if the command does not exit with 0, or
        leaves processes and leftovers is "fail".
    memory_max, cpus, pids_max: limits ("1G" or bytes; processors; processes and threads); limits has others, see spawn.
    timeout: seconds, after which the job ends; then TimeoutExpired is raised, a subprocess.TimeoutExpired with the record. The
        end is a kill, unless grace says for how many seconds the signal (None: SIGTERM) comes before it.
    cpu_timeout: seconds of processor time of the whole job. Its end raises nothing: the record's cause is "cpu-timeout".
    For the rest, and what else is raised, see Supervisor.spawn; SupervisorLost: it is not known how the command has ended.
    """
    options = {name: value for name, value in locals().items() if name not in ("argv", "supervisor")}
    if supervisor is not None:
        return supervisor.run(argv, **options)
    with Supervisor() as own:
        return own.run(argv, **options)
