"""A kernel that runs cells of Python and shows what they print, for a machine that has no ipykernel."""

import json
import sys
import threading
from typing import Any, Dict

import zmq
from jupyter_client.session import Session


class Kernel:
    """Answers requests, one after the other."""

    def __init__(self, name: str) -> None:
        """Bind the addresses of a connection file."""
        with open(name) as file:
            self._info: Dict[str, Any] = json.load(file)
        self._session = Session(key=self._info["key"].encode(), signature_scheme=self._info["signature_scheme"])
        self._context: "zmq.Context[zmq.Socket[bytes]]" = zmq.Context()
        self._published = self._bind(zmq.PUB, "iopub")
        self._requests = [self._bind(zmq.ROUTER, "shell"), self._bind(zmq.ROUTER, "control")]
        self._parent: Any = None
        self._names: Dict[str, Any] = {}

    def _bind(self, kind: int, name: str) -> "zmq.Socket[bytes]":
        separator = "-" if self._info["transport"] == "ipc" else ":"
        socket: "zmq.Socket[bytes]" = self._context.socket(kind)
        socket.bind("{}://{}{}{}".format(self._info["transport"], self._info["ip"], separator, self._info[name + "_port"]))
        return socket

    def beat(self) -> None:
        """Be the thread that says that the kernel lives; it ends with the process."""
        socket = self._bind(zmq.REP, "hb")
        while True:
            socket.send(socket.recv())

    def write(self, text: str) -> None:
        """Show what a cell prints, in the place of sys.stdout."""
        self._publish("stream", name="stdout", text=text)

    def flush(self) -> None:
        """Do nothing: what was written was sent."""

    def run(self) -> None:
        """Answer requests until one says that it is enough."""
        kind, poller = "", zmq.Poller()
        for socket in self._requests:
            poller.register(socket, zmq.POLLIN)
        while kind != "shutdown_request":
            for socket, _ in poller.poll():
                received: Any = self._session.recv(socket, zmq.NOBLOCK)
                idents, self._parent = received
                kind = self._parent["msg_type"]
                self._publish("status", execution_state="busy")
                answer = self._execute(self._parent["content"]["code"]) if kind == "execute_request" else {"status": "ok", "protocol_version": "5.3"}
                self._session.send(socket, kind.replace("request", "reply"), answer, self._parent, idents)
                self._publish("status", execution_state="idle")

    def _execute(self, code: str) -> Dict[str, Any]:
        try:
            exec(code, self._names)
        except Exception as e:
            error = {"ename": type(e).__name__, "evalue": str(e), "traceback": [repr(e)]}
            self._publish("error", **error)
            return {"status": "error", **error}
        return {"status": "ok"}

    def _publish(self, kind: str, **content: Any) -> None:
        self._session.send(self._published, kind, content, self._parent)


if __name__ == "__main__":
    kernel: Any = Kernel(sys.argv[1])
    threading.Thread(target=kernel.beat, daemon=True).start()
    sys.stdout = kernel
    kernel.run()
