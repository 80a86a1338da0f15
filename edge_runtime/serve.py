"""edge-serve: what a board serves, for applications in other languages, on a Unix socket or on this board's loopback.

    PYTHONPATH=~/.edge-deploy/edge_runtime.pyz python3 -m edge_runtime.serve --socket /run/user/1000/edge.sock
    curl --unix-socket /run/user/1000/edge.sock http://local/v2/models/model

It speaks the Open Inference Protocol, version 2, over HTTP with JSON, which many clients know: `inference_protocol`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .errors import EdgeRuntimeError
from .inference_protocol import answer
from .model import Model, load

_MOST_BYTES = 64 << 20
# Each has a thread.
_MOST_CONNECTIONS = 64
# Of requests that are at work as the server is asked to end, and of a connection that says nothing.
_PATIENCE_S, _IDLE_S = 10.0, 30.0
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_HOSTS = ("127.0.0.1", "localhost")


class AtWork:
    """How many requests are."""

    def __init__(self) -> None:
        self._count, self._changed = 0, threading.Condition()

    @contextmanager
    def one(self) -> Iterator[None]:
        """For as long as it takes."""
        self._add(1)
        try:
            yield
        finally:
            self._add(-1)

    def wait(self) -> None:
        """Until there is none."""
        with self._changed:
            self._changed.wait_for(lambda: not self._count, _PATIENCE_S)

    def _add(self, change: int) -> None:
        with self._changed:
            self._count += change
            self._changed.notify_all()


class BoundedServer(ThreadingHTTPServer):
    """A thread for each connection, and so many connections at most: more are told to come back."""

    def __init__(self, *where: Any) -> None:
        self._free = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        super().__init__(*where)

    def process_request(self, request: Any, client_address: Any) -> None:
        """As the one of before, if there is room."""
        if self._free.acquire(blocking=False):
            try:
                super().process_request(request, client_address)
            except BaseException:  # no thread can be started
                self._free.release()
                raise
            return
        with suppress(OSError):
            request.sendall(_BUSY)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In a thread of its own."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


def make_server(model: Model, at_work: AtWork, socket_path: str | None, port: int | None) -> ThreadingHTTPServer:
    """On a Unix socket that only its owner may open, or on a port of 127.0.0.1 (0: any free one). Raises OSError."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _IDLE_S
        disable_nagle_algorithm = socket_path is None

        def address_string(self) -> str:
            return "local"

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: what is asked is the application's alone."""

        def _respond(self) -> None:
            status, data = self._refused() or (0, b"")
            if not status:
                text = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                with at_work.one():
                    status, data = answer(model, self.command, self.path, text)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                with suppress(ConnectionError):  # nobody waits for it any more
                    self.wfile.write(data)

        def _refused(self) -> tuple[int, bytes] | None:
            """What is answered before anything is read: the connection ends with it."""
            size, host = self.headers.get("Content-Length", "0"), self.headers.get("Host", "")
            refused = None
            if "Transfer-Encoding" in self.headers or not re.fullmatch("[0-9]{1,12}", size):
                refused = 411, "a request says its Content-Length"
            elif int(size) > _MOST_BYTES:
                refused = 413, f"a request has at most {_MOST_BYTES} bytes"
            elif socket_path is None and ("Origin" in self.headers or host.partition(":")[0] not in _HOSTS):
                refused = 403, "pages of a browser may not ask: a request has no Origin, and 127.0.0.1 for its Host"
            if refused is None:
                return None
            self.close_connection = True
            return refused[0], json.dumps({"error": refused[1]}).encode()

        do_GET = do_POST = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _respond

    if socket_path is None:
        return BoundedServer(("127.0.0.1", port or 0), Handler)
    _remove_stale(socket_path)

    class Server(BoundedServer):
        address_family = socket.AF_UNIX

        def server_bind(self) -> None:
            before = os.umask(0o177)
            try:
                self.socket.bind(self.server_address)
            finally:
                os.umask(before)

    return Server(socket_path, Handler)


def _remove_stale(path: str) -> None:
    """What a server that was killed left. Raises OSError where another one answers, or the path is something else's."""
    if os.path.lexists(path) and not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise OSError(f"{path} is there, and no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError(f"another server answers at {path}")


def main() -> int:
    """The command line: serve until SIGTERM or SIGINT, and answer what is at work by then, if that takes no 10 s."""
    parser = argparse.ArgumentParser(
        prog="edge-serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", help="path of a Unix socket; only this user may open it")
    where.add_argument("--http", type=int, metavar="PORT", help="a port of 127.0.0.1: any user of this board may ask")
    parser.add_argument("--root", help="the toolkit's folder ($EDGE_DEPLOY_ROOT, else ~/.edge-deploy)")
    parser.add_argument("--threads", type=int, default=1, help="of one inference (1)")
    arguments = parser.parse_args()
    at_work = AtWork()
    try:
        model = load(arguments.root, threads=arguments.threads)
        server = make_server(model, at_work, arguments.socket, arguments.http)
    except (EdgeRuntimeError, OSError, OverflowError) as error:
        print(f"edge-serve: {error}", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    place = arguments.socket or f"http://127.0.0.1:{server.server_address[1]}"
    bound = _inode(arguments.socket)
    print(f"serving release {model.info()['release'][:12]} at {place}", flush=True)
    server.serve_forever()
    at_work.wait()
    if arguments.socket and _inode(arguments.socket) == bound:
        os.unlink(arguments.socket)
    return 0


def _inode(path: str | None) -> int | None:
    with suppress(OSError):
        return os.lstat(path).st_ino if path else None
    return None


if __name__ == "__main__":
    sys.exit(main())
