"""Servers for the bridges' tests: the real one as a process, and one that lies; standard library only, as any
trainer's environment has it. Attempts say `try N` somewhere, and N thousandths is their score."""

import json
import math
import os
import re
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / "bin" / "python"
"""Of the environment that holds swe-rm's server: a trainer's holds the client alone."""

Rows = list[dict[str, Any]]
Lie = Callable[[dict[str, Any]], Any]


def said(number: int, task: int = 1) -> list[dict[str, Any]]:
    """The log of an attempt."""
    call = {"type": "function", "function": {"name": "bash", "arguments": '{"command": "sed -i s/lit/dim/ lamp.py"}'}}
    return [
        {"role": "system", "content": "You mend lamps."},
        {"role": "user", "content": f"The lamp of room {task} hums."},
        {"role": "assistant", "content": f"This is try {number}.", "tool_calls": [call]},
        {"role": "tool", "content": "lamp.py: dimmed"},
        {"role": "assistant", "content": "The wick is trimmed."},
    ]


def patch(number: int) -> str:
    """What an attempt changed."""
    return f"diff --git a/lamp.py b/lamp.py\n--- a/lamp.py\n+++ b/lamp.py\n@@ -1 +1 @@\n-lit = 0\n+lit = {number}\n"


def wanted(number: int) -> float:
    """The score of the attempt that says `try N`."""
    return number / 1000


class Numbered:
    """The verifier of the real server: it reads the number."""

    name = "numbered@1"

    def __call__(self, trajectories: Sequence[Any], /) -> list[Any]:
        """See `Verifier`."""
        from swe_rm.verdict import Verdict

        found = []
        for one in reversed(trajectories):
            score = wanted(_number(one.model_dump_json()))
            found.append(Verdict(attempt_id=one.attempt_id, score=score, raw_score=score, verifier=self.name))
        return found


@contextmanager
def real(port: int = 0, verifier: str = "tests.bridges.servers:Numbered") -> Iterator["Process"]:
    """The real server; it is asked to end when the block does."""
    process = Process(port or free_port(), verifier)
    try:
        process.start()
        yield process
    finally:
        process.end()


class Process:
    """A swe-rm server as a process of its own, which can be killed and begun again at the same address."""

    def __init__(self, port: int, verifier: str) -> None:
        self.port, self.verifier = port, verifier
        self.url = f"http://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin, and come back when it answers."""
        command = [str(PYTHON), "-m", "swe_rm", "serve", "--verifier", self.verifier, "--port", str(self.port)]
        path = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
        self._process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL
        )
        for _ in range(600):
            with suppress(OSError), urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
            assert self._process.poll() is None, "the server ended"
            time.sleep(0.1)
        raise AssertionError("the server does not get ready")

    def kill(self) -> None:
        """As a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Ask it to end, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)


def free_port() -> int:
    """A port nobody listens on."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return server.server_port


def honest(rows: Rows) -> dict[str, Any]:
    """What a server that does not lie answers."""
    verdicts = [{**_key(row), "score": wanted(_number(json.dumps(row)))} for row in rows]
    return {"verifier": "numbered@1", "verdicts": verdicts, "refused": [], "unscored": [], "notes": []}


LIES: dict[str, Lie] = {
    "NaN": lambda told: _with_first(told, score=math.nan),
    "infinite": lambda told: _with_first(told, score=math.inf),
    "above one": lambda told: _with_first(told, score=1.5),
    "below zero": lambda told: _with_first(told, score=-0.5),
    "a text": lambda told: _with_first(told, score="0.5"),
    "nothing": lambda told: _with_first(told, score=None),
    "yes": lambda told: _with_first(told, score=True),
    "too few": lambda told: {**told, "verdicts": told["verdicts"][1:]},
    "too many": lambda told: {**told, "verdicts": [*told["verdicts"], told["verdicts"][0]]},
    "somebody else's": lambda told: _with_first(told, attempt="another"),
    "of no kind": lambda told: [told],
    "without a list": lambda told: {**told, "verdicts": {}},
    "of lists": lambda told: {**told, "verdicts": [[] for _ in told["verdicts"]]},
    "of another verifier": lambda told: {**told, "verifier": f"numbered@{time.monotonic_ns()}"},
    "of none": lambda told: {**told, "verifier": None},
}
"""What may be wrong with an answer whose status is 200."""


class Stub:
    """A small server on a free port of this machine while its `with` block lasts."""

    def __init__(
        self,
        lie: Lie | None = None,
        *,
        statuses: Sequence[int] = (),
        retry_after: str = "",
        raw: bytes | None = None,
        seconds: float = 0.0,
    ) -> None:
        """`lie` changes an honest answer; `statuses` are those of the first requests; `raw` is sent instead of any
        HTTP; `seconds` pass before an answer."""
        self._lie, self._statuses, self._raw, self._seconds = lie, list(statuses), raw, seconds
        self._retry_after = retry_after
        self._lock = threading.Lock()
        self.requests: list[Rows] = []
        self.headers: list[dict[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.socket.listen(1024)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Stub":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def over_tls(self, keys: ssl.SSLContext) -> None:
        """Speak TLS from now on; handshakes are made in the threads of their requests."""
        self._server.socket = keys.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://localhost:{self._server.server_port}"

    def answer(self, rows: Rows, headers: dict[str, str]) -> bytes:
        """The whole reply, as it goes over the wire."""
        with self._lock:
            self.requests.append(rows)
            self.headers.append(headers)
            status = self._statuses.pop(0) if self._statuses else 200
        time.sleep(self._seconds)
        if self._raw is not None:
            return self._raw
        error = {"error": {"type": "made_to_fail", "message": "made to fail"}}
        told = honest(rows) if status == 200 else error
        body = json.dumps(self._lie(told) if self._lie and status == 200 else told).encode()
        after = f"Retry-After: {self._retry_after}\r\n" if self._retry_after and status != 200 else ""
        return f"HTTP/1.1 {status} Words\r\nContent-Length: {len(body)}\r\n{after}\r\n".encode() + body


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            with suppress(ConnectionError):  # who has given up listens no more
                self.wfile.write(stub.answer(json.loads(data)["attempts"], dict(self.headers)))

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler


def _number(text: str) -> int:
    found = re.search(r"try (\d+)", text)
    return int(found[1]) if found else 500


def _key(row: Any) -> dict[str, str]:
    return {"attempt": row["run"], "instance_id": row["instance_id"]} if isinstance(row, dict) and "run" in row else {}


def _with_first(told: dict[str, Any], **changes: Any) -> dict[str, Any]:
    first, *rest = told["verdicts"]
    return {**told, "verdicts": [{**first, **changes}, *rest]}
