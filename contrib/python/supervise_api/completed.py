"""What came of a command that was run to its end, and the errors that say so."""

import subprocess
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence

from .answers import CommandEnd
from .record import Record


class CalledProcessError(subprocess.CalledProcessError):
    """A command has failed, and check was asked for. It has what Completed has."""

    record: Record  #: what became of the job

    def __str__(self) -> str:
        left = self.record.leftovers_total
        if self.returncode == 0 and left:
            return "Command {!r} has left {} processes running.".format(self.cmd, left)
        return "{} ({})".format(super().__str__(), self.record.cause)


class TimeoutExpired(subprocess.TimeoutExpired):
    """The timeout of run was over, and the job was ended. It has what came of its output by then."""

    record: Record  #: what became of the job


@dataclass
class Completed:
    """What came of a command, as subprocess.CompletedProcess has it, and its record."""

    args: Sequence[Any]  #: or the pipeline
    returncode: int  #: the exit status, or -N if signal N ended it
    stdout: Any  #: bytes, or str if text was asked for; None if it was not captured
    stderr: Any
    record: Record
    commands: Optional[List[CommandEnd]] = None  #: how each of a pipeline has ended

    def check_returncode(self) -> None:
        """Raise CalledProcessError if the command did not exit with 0."""
        if self.returncode != 0:
            raise self.failure()

    def failure(self) -> CalledProcessError:
        """Return the error that says it has failed."""
        error = CalledProcessError(self.returncode, list(self.args), self.stdout, self.stderr)
        error.record = self.record
        return error
