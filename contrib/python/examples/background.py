"""Starts a server in the background, waits until it is ready, uses it, and shows its log if it fails.

The server is this program with "serve". It says READY=1 as sd_notify(3) does, and as many servers do by themselves.
"""

import os
import socket
import sys

import supervise_api


def main() -> int:
    with supervise_api.Supervisor() as supervisor:
        server = supervisor.spawn([sys.executable, __file__, "serve"], notify=["ready"], keep=65536, text=True)
        try:
            status = server.ready(timeout=30)
        except supervise_api.NotReady as e:
            sys.exit("{}\n{}".format(e, server.output(2)))
        address = status.rpartition(" ")[2]
        print("it is", status.replace(address, "a socket"))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("\0" + address)
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            print("it answers", client.makefile().read())
        killed = server.kill(grace=5, wait=True)  # SIGTERM, and the kill if that is not enough
        assert killed is not None
        print("it has ended:", killed.record.cause)
        print("its log:", server.output(2, offset=-1000), end="")
    return 0


def serve() -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0background-example-{}".format(os.getpid()))
        listener.listen()
        notify("READY=1\nSTATUS=serving at {}".format(str(listener.getsockname(), "ascii")[1:]))
        while True:
            connection, _ = listener.accept()
            with connection:
                data = b"".join(iter(lambda: connection.recv(4096), b""))
                print("was told", data.decode(), file=sys.stderr)
                connection.sendall(data.upper())


def notify(state: str) -> None:
    """Do as sd_notify(3) does."""
    address = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.send(state.encode())


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    sys.exit(main())
