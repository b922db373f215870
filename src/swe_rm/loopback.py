"""A small HTTP server on this machine while a block lasts: what the shipped stand-ins for models and engines are."""

import json
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class Loopback(ABC):
    """Answers JSON with JSON, each request in a thread of its own."""

    def __init__(self, port: int = 0) -> None:
        """Listens from here on, and answers from the beginning of the block; port 0 takes a free one."""
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @abstractmethod
    def respond(self, method: str, path: str, body: dict[str, Any], authorization: str) -> tuple[int, bytes]:
        """Status and JSON for one request; the body of a GET is empty."""


def _handler(server: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self._answer("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def do_GET(self) -> None:
            self._answer("GET", {})

        def _answer(self, method: str, body: dict[str, Any]) -> None:
            status, data = server.respond(method, self.path, body, self.headers.get("Authorization", ""))
            with suppress(ConnectionError):  # a client that has given up, or was killed, listens no more
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: tests read stderr."""

    return Handler
