"""Running a command to its end."""

from typing import Optional, Sequence

from .completed import Completed
from .options import Argument, RunOptions, Unpack, refuse_unknown, takes
from .supervisor import Supervisor


@takes(RunOptions)
def run(argv: Optional[Sequence[Argument]] = None, *, supervisor: Optional[Supervisor] = None, **options: "Unpack[RunOptions]") -> Completed:
    """Run a command, as subprocess.run does; but when this returns, everything that the command has started is dead.

        done = supervise_api.run(["./judge", "submission"], capture_output=True, memory_max="1G", cpus=1.5, timeout=10)
        print(done.returncode, done.stdout, done.record.cause, done.record.cpu.total_s)

    supervisor: that is to do it; None: one that is started for this, which takes some milliseconds.
    input, capture_output, text, encoding, errors: as in subprocess; text is UTF-8 if encoding does not say otherwise.
    stdin, stdout, stderr: None: ours; PIPE: as capture_output does; else what Supervisor.spawn takes.
    pty: (rows, columns), or True: what is not given of stdin, stdout and stderr is a terminal. What it prints is stdout, in the end;
        input is typed there, and then the end-of-file character.
    pipeline: commands in place of argv, see Supervisor.spawn: run(pipeline=[["zcat", "a.gz"], ["sort"]], stdout="a").
    check: raise CalledProcessError, a subprocess.CalledProcessError with the record, if the command does not exit with 0, or
        leaves processes and leftovers is "fail".
    memory_max, cpus, pids_max: limits ("1G" or bytes; processors; processes and threads); limits has others, see spawn.
    timeout: seconds, after which the job ends; then TimeoutExpired is raised, a subprocess.TimeoutExpired with the record. The
        end is a kill, unless grace says for how many seconds the signal (None: SIGTERM) comes before it. 0 or less: the job
        ends as soon as it has started; None or infinity: there is no limit.
    cpu_timeout: seconds of processor time of the whole job. Its end raises nothing: the record's cause is "cpu-timeout".
    For the rest, and what else is raised, see Supervisor.spawn; SupervisorLost: it is not known how the command has ended.

    Ctrl-C (KeyboardInterrupt) sends SIGINT to every process of the job, as a terminal would have. What is left of it is killed
    after grace seconds (None: 10), or at once by another Ctrl-C; then KeyboardInterrupt is raised. Any other exception that a
    signal handler raises kills the job at once.
    """
    refuse_unknown("run", RunOptions, options)  # before a supervisor is started
    if supervisor is not None:
        return supervisor.run(argv, **options)
    with Supervisor() as own:
        return own.run(argv, **options)
