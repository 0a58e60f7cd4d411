"""What is known of a job of `supervise serve`."""

import base64
from typing import Any, Dict, Mapping, Optional

from .codec import Codec
from .decoder import make
from .errors import SupervisorLost
from .inflow import inflows
from .jobevents import Event, Events
from .latch import Latch
from .record import Record

#: Seconds between a signal and the kill, if nothing is said.
GRACE = 10.0


class JobHistory:
    """What is known of a job."""

    def __init__(self, result: Mapping[str, Any], params: Mapping[str, Any], pipes: Dict[int, int]) -> None:
        self.spawned = result
        self.params = params
        self.grace: float = params.get("grace", GRACE)  # before the kill, if the caller is interrupted
        self.number: int = result["job"]
        self.pipes = pipes  # our ends, by the job's descriptor; the job that takes them closes them
        self.events = Events()
        self.ended = Latch()
        self.readied = Latch()  # it is ready, or has ended
        self.status: Optional[str] = None  # that it has told when it was ready
        self.codec: Optional[Codec] = None  # of what it writes and reads; None: bytes
        self.inflows = inflows(params.get("stdio") or ())  # output that comes by a window, by descriptor
        self.output: Dict[int, bytearray] = {}  # what was captured, by descriptor
        self.news = Latch()  # more was captured, or the job has ended; whoever waits makes a new one
        self.exit: Optional[Mapping[str, Any]] = None  # of the main process
        self.last: Optional[Mapping[str, Any]] = None  # the parameters of ended
        self.lost: Optional[Exception] = None  # nothing more will be heard, and why
        self._record: Optional[Record] = None

    def record(self) -> Optional[Record]:
        """Return the record, if it came."""
        if self._record is None and self.last is not None:
            self._record = make(Record, self.last["record"])
        return self._record

    def final(self) -> Record:
        """Return the record, or raise why there will be none."""
        record = self.record()
        if record is None:
            raise self.lost or SupervisorLost("the job has not ended")
        return record

    def lose(self, error: Exception) -> None:
        """There will be no record."""
        self.lost = error
        self._over()

    def tell(self, method: str, params: Dict[str, Any]) -> None:
        """Take a notification."""
        if method == "output":
            self._output(params["fd"], base64.b64decode(params.get("data") or "") or (params.get("text") or "").encode())
            return
        if method == "exited" and params.get("main"):
            self.exit = params
        if method == "ready":
            self.status = params.get("status") or ""
            self.readied.set()
        if method == "ended":
            self.last = params
        self.events.put(Event(method, params))
        if method == "ended":
            self._over()

    def _output(self, fd: int, data: bytes) -> None:
        if fd in self.inflows:
            self.inflows[fd].put(data)
        else:
            self.output.setdefault(fd, bytearray()).extend(data)
            self.news.set()

    def _over(self) -> None:
        self.events.close()
        for inflow in self.inflows.values():
            inflow.end()
        self.ended.set()
        self.readied.set()
        self.news.set()
