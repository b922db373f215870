"""A server whose engine is gone for a minute, or hangs: typed errors meanwhile, verdicts before and after."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.load import Reply, Server, ask, served, wires

from tests.serving import jsonl, lamp, row, share

pytest.importorskip("fastapi", reason="no FastAPI: pip install 'swe-rm[serve]'")
pytest.importorskip("httpx2", reason="no httpx2: pip install 'swe-rm[remote]'")
pytestmark = pytest.mark.slow

MINUTE = 60.0
CLIENTS = 20
DEADLINE = {"X-Deadline-Seconds": "5"}
TYPED = {(503, "verifier_failed"), (504, "deadline_exceeded"), (429, "too_busy")}


async def rush(port: int, seconds: float, first: int) -> list[tuple[int, Reply]]:
    """What clients that never stop asking get, each about attempts of its own, by the attempt's number."""
    until = time.monotonic() + seconds
    numbers = iter(range(first, first + 1_000_000))
    found: list[tuple[int, Reply]] = []

    async def client() -> None:
        async with wires(port) as (wire,):
            while time.monotonic() < until:
                number = next(numbers)
                reply = await ask(wire, jsonl(row(number, said=f"try {number}")), headers=DEADLINE)
                found.append((number, reply))
                if reply.status != 200:
                    await asyncio.sleep(0.2)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return found


def check(found: list[tuple[int, Reply]]) -> Counter[int]:
    """How often each status came; a verdict is the right one, and what is none has a type."""
    for number, reply in found:
        if reply.status == 200:
            (verdict,) = reply.value["verdicts"]
            wanted = lamp(number, said=f"try {number}")
            assert (verdict["attempt_id"], verdict["score"]) == (wanted.attempt_id, share(wanted))
        else:
            assert (reply.status, reply.value["error"]["type"]) in TYPED, reply.body
            assert reply.seconds < 10
    return Counter(reply.status for _, reply in found)


def through(tmp_path: Path, stop: Callable[[Server], None], mend: Callable[[Server], None]) -> None:
    """Before, during and after an outage of a minute."""
    with served(tmp_path, "--verifier", "tests.serving:Hashed") as engine:
        cache = ("--cache", str(tmp_path / "verdicts.db"))
        with served(tmp_path, "--verifier", f"http://127.0.0.1:{engine.port}", *cache) as front:
            assert set(check(asyncio.run(rush(front.port, 3, 0)))) == {200}
            memory = front.memory()
            stop(engine)
            during = asyncio.run(rush(front.port, MINUTE, 100_000))
            assert check(during)[200] == 0
            known = asyncio.run(_again(front.port))
            assert (known.status, known.value["verdicts"][0]["cached"]) == (200, True), "what was answered is kept"
            mend(engine)
            until = time.monotonic() + 30
            while check(asyncio.run(rush(front.port, 1, 200_000)))[200] == 0:
                assert time.monotonic() < until, "the engine is back and the server does not see it"
            assert set(check(asyncio.run(rush(front.port, 3, 300_000)))) == {200}
            assert front.memory() < memory + 50
            assert front.stop() == 0


async def _again(port: int) -> Reply:
    async with wires(port) as (wire,):
        return await ask(wire, jsonl(row(0, said="try 0")), headers=DEADLINE)


def test_an_engine_that_hangs_for_a_minute(tmp_path: Path) -> None:
    through(
        tmp_path,
        lambda engine: engine.process.send_signal(signal.SIGSTOP),
        lambda engine: engine.process.send_signal(signal.SIGCONT),
    )


def test_an_engine_that_is_down_for_a_minute(tmp_path: Path) -> None:
    started: list[object] = []

    def kill(engine: Server) -> None:
        engine.process.kill()
        engine.process.wait()

    def begin(engine: Server) -> None:
        again = served(tmp_path, "--verifier", "tests.serving:Hashed", "--port", str(engine.port))
        again.__enter__()
        started.append(again)

    try:
        through(tmp_path, kill, begin)
    finally:
        for again in started:
            again.__exit__(None, None, None)  # type: ignore[attr-defined]
