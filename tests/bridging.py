"""A server in a thread that keeps what it is shown, and the recorded calls: for the tests of the bridges."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

from swe_rm.serve.app import build
from swe_rm.serve.bearer import Bearers
from swe_rm.serve.settings import Settings
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Verdict
from tests.serving import Hashed

TOKEN = "wick-trimmed-at-dusk"
FOLDER = Path(__file__).parent / "recorded_calls"


class Seeing(Hashed):
    """Keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Trajectory] = []

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        self.seen += trajectories
        return super().__call__(trajectories)


class Served(NamedTuple):
    url: str
    verifier: Seeing
    bodies: list[bytes]
    """Of the requests."""


@contextmanager
def running(verifier: Seeing) -> Iterator[Served]:
    app = build(verifier, Settings(), Bearers((TOKEN,)))
    bodies: list[bytes] = []

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        parts: list[bytes] = []

        async def heard() -> Any:
            message = await receive()
            parts.append(message.get("body", b""))
            if message["type"] == "http.request" and not message.get("more_body"):
                bodies.append(b"".join(parts))
            return message

        await app(scope, heard, send)

    server = uvicorn.Server(uvicorn.Config(noting, port=0, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive()
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Served(f"http://127.0.0.1:{port}", verifier, bodies)
    server.should_exit = True
    thread.join(30)


def recorded(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def shown(trajectory: Trajectory) -> dict[str, Any]:
    """What of a trajectory a recording states."""
    calls = [[[call.name, call.arguments] for call in message.tool_calls] for message in trajectory.messages]
    log = [[message.role, message.content, made] for message, made in zip(trajectory.messages, calls, strict=True)]
    task = trajectory.task
    return {
        "task": task.instance_id,
        "statement": task.statement,
        "patch": trajectory.patch,
        "finished": trajectory.finished,
        "log": log,
    }
