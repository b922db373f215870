"""Ray Serve gives the verdicts of one process and stops as it does; a server whose engine is a server survives it."""

import asyncio
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benchmarks.load import Reply, ask, drive, served, wires

from tests.serving import jsonl, lamp, row, share

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="no Ray: pip install 'swe-rm[ray]'"),
]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until_ready(port: int, seconds: float = 180.0) -> None:
    async def ready() -> bool:
        try:
            async with wires(port) as (wire,):
                return (await ask(wire, b"", "/readyz", "GET")).status == 200
        except (OSError, asyncio.IncompleteReadError, ValueError):
            return False

    until = time.monotonic() + seconds
    while not asyncio.run(ready()):
        assert time.monotonic() < until, "the server does not begin"
        time.sleep(0.5)


def right(replies: list[Reply]) -> None:
    for number, reply in enumerate(replies):
        assert reply.status == 200, reply.body
        (verdict,) = reply.value["verdicts"]
        wanted = lamp(number, said=f"try {number}")
        assert (verdict["attempt_id"], verdict["score"]) == (wanted.attempt_id, share(wanted))


BODIES = [jsonl(row(number, said=f"try {number}")) for number in range(100)]


def test_two_replicas_on_ray_answer_as_one_process_and_stop_on_sigterm(tmp_path: Path) -> None:
    pytest.importorskip("ray.serve")
    port = free_port()
    command = [sys.executable, "-m", "swe_rm", "serve", "--engine", "ray", "--workers", "2", "--port", str(port)]
    given = {**os.environ, "PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(Path.cwd())])}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--verifier", "tests.serving:Hashed"], env=given, stdout=log, stderr=log)
        try:
            until_ready(port)
            right(asyncio.run(drive(port, BODIES, 10)))
            (broken,) = asyncio.run(drive(port, [b"{"], 1))
            assert (broken.status, broken.value["error"]["type"]) == (422, "unreadable")
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0, (tmp_path / "log").read_text()
        finally:
            process.kill()
            process.wait()


def test_a_server_whose_engine_is_a_server_gives_its_verdicts_and_survives_its_absence(tmp_path: Path) -> None:
    """The engine is killed and begun anew on its port: meanwhile there are typed errors, afterwards verdicts."""
    pytest.importorskip("swe_rm.verifiers.remote")
    pytest.importorskip("httpx2")
    port = free_port()
    engine = ("--verifier", "tests.serving:Hashed", "--port", str(port))
    with served(tmp_path, *engine) as first, served(tmp_path, "--verifier", f"http://127.0.0.1:{port}") as front:
        right(asyncio.run(drive(front.port, BODIES[:20], 4)))
        first.process.kill()
        first.process.wait()

        async def meanwhile() -> Reply:
            async with wires(front.port) as (wire,):
                return await ask(wire, BODIES[50], headers={"X-Deadline-Seconds": "3"})

        reply = asyncio.run(meanwhile())
        assert (reply.status, reply.value["error"]["type"]) in ((504, "deadline_exceeded"), (503, "verifier_failed"))
        with served(tmp_path, *engine):
            right(asyncio.run(drive(front.port, BODIES[:20], 4)))
        assert front.process.poll() is None
