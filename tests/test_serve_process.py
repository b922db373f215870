"""The server as a process: signals, kills, a full disk, clients that hang up, and addresses that ask for tokens."""

import asyncio
import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.load import Reply, Server, Wire, ask, drive, receive, send, served, wires

from swe_rm.__main__ import main
from tests.serving import jsonl, lamp, row, share

pytest.importorskip("fastapi", reason="no FastAPI: pip install 'swe-rm[serve]'")

QUICK, SLOW = ("--verifier", "tests.serving:Hashed"), ("--verifier", "tests.serving:Slow", "--batch-attempts", "2")


def bodies(count: int, first: int = 0) -> list[bytes]:
    return [jsonl(row(number, said=f"try {number}")) for number in range(first, first + count)]


def right(replies: list[Reply], first: int = 0) -> None:
    """Each reply is the verdict on what was sent."""
    for number, reply in enumerate(replies, first):
        assert reply.status == 200, reply.body
        (verdict,) = reply.value["verdicts"]
        wanted = lamp(number, said=f"try {number}")
        assert (verdict["attempt_id"], verdict["score"]) == (wanted.attempt_id, share(wanted))


def get(server: Server, path: str) -> Reply:
    async def asked() -> Reply:
        async with wires(server.port) as (wire,):
            return await ask(wire, b"", path, "GET")

    return asyncio.run(asked())


async def answered(wire: Wire, started: float) -> Reply | None:
    """The reply under way; None where the server was gone before it."""
    try:
        return await receive(wire, started)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("quick"), *QUICK) as server:
        yield server


def test_many_clients_get_their_own_verdicts_and_each_request_is_logged(quick: Server) -> None:
    right(asyncio.run(drive(quick.port, bodies(200), 20)))
    requests = [line for line in quick.lines() if line["message"] == "request"]
    assert len(requests) == 200
    assert len({line["request_id"] for line in requests}) == 200
    assert {(line["path"], line["status"], line["attempts"]) for line in requests} == {("/v1/score", 200, 1)}


def test_sigterm_finishes_what_was_accepted_and_leaves_zero(tmp_path: Path) -> None:
    async def stopped(server: Server) -> list[Reply | None]:
        async with wires(server.port, 7) as (asking, *others):
            for wire, body in zip(others, bodies(6), strict=True):
                await send(wire, body)
            while (await ask(asking, b"", "/readyz", "GET")).value["waiting"] < 6:
                await asyncio.sleep(0.01)
            server.process.terminate()
            return await asyncio.gather(*(answered(wire, time.perf_counter()) for wire in others))

    with served(tmp_path, *SLOW) as server:
        replies = asyncio.run(stopped(server))
        assert server.process.wait(60) == 0
    right([reply for reply in replies if reply])
    assert None not in replies


def test_a_kill_in_the_middle_loses_no_verdict_that_was_told(tmp_path: Path) -> None:
    flags = (*SLOW, "--cache", str(tmp_path / "verdicts.sqlite"))

    async def killed(server: Server) -> list[Reply | None]:
        async with wires(server.port, 12) as opened:
            started = time.perf_counter()
            for wire, body in zip(opened, bodies(12), strict=True):
                await send(wire, body)
            waiting = [asyncio.create_task(answered(wire, started)) for wire in opened]
            while sum(one.done() for one in waiting) < 4:
                await asyncio.sleep(0.01)
            server.process.kill()
            return await asyncio.gather(*waiting)

    with served(tmp_path, *flags) as server:
        told = [number for number, reply in enumerate(asyncio.run(killed(server))) if reply]
    assert 4 <= len(told) < 12
    with served(tmp_path, *flags) as server:
        replies = asyncio.run(drive(server.port, bodies(12), 12))
    right(replies)
    assert all(replies[number].value["verdicts"][0]["cached"] for number in told)


def test_a_full_disk_costs_the_cache_and_no_answer(tmp_path: Path) -> None:
    flags = (*QUICK, "--cache", str(tmp_path / "verdicts.sqlite"))
    with served(tmp_path, *flags, limit=250_000) as server:  # the log has to find room under it too
        right(asyncio.run(drive(server.port, bodies(300), 4)))
        ready = get(server, "/readyz")
        assert (ready.status, ready.value["ready"]) == (200, True)
        assert "cannot be written" in ready.value["cache"]
        warnings = [line for line in server.lines() if line["level"] == "warning"]
        assert "verdicts are not kept" in warnings[0]["message"]
        assert server.stop() == 0


def test_who_hangs_up_leaves_the_line(tmp_path: Path) -> None:
    async def left(server: Server) -> int:
        async with wires(server.port) as (asking,):

            async def waiting() -> int:
                return int((await ask(asking, b"", "/readyz", "GET")).value["waiting"])

            async with wires(server.port, 10) as others:
                for wire, body in zip(others, bodies(10), strict=True):
                    await send(wire, body)
                while await waiting() < 8:
                    await asyncio.sleep(0.01)
            until = time.monotonic() + 30
            while (found := await waiting()) and time.monotonic() < until:
                await asyncio.sleep(0.02)
            return found

    with served(tmp_path, *SLOW) as server:
        assert asyncio.run(left(server)) == 0
        told = get(server, "/metrics").body.decode()
        asked = next(line for line in told.splitlines() if line.startswith("swe_rm_batch_attempts_sum "))
        assert float(asked.split()[1]) < 10, "attempts that nobody waited for were not judged"
        gone = [line for line in server.lines() if line.get("status") == 499]
        assert gone
        right(asyncio.run(drive(server.port, bodies(1, 20), 1)), 20)


def test_too_many_are_sent_away_with_a_time_and_come_again(tmp_path: Path) -> None:
    async def again(wire: Wire, body: bytes) -> tuple[Reply, int]:
        sent_away = 0
        while (reply := await ask(wire, body)).status == 429:
            assert int(reply.headers["retry-after"]) >= 1
            assert reply.value["error"]["type"] == "too_busy"
            sent_away += 1
            await asyncio.sleep(0.1)
        return reply, sent_away

    async def all_of_them(port: int) -> list[tuple[Reply, int]]:
        async with wires(port, 12) as opened:
            return await asyncio.gather(*map(again, opened, bodies(12)))

    with served(tmp_path, *SLOW, "--max-waiting", "4") as server:
        found = asyncio.run(all_of_them(server.port))
    right([reply for reply, _ in found])
    assert sum(sent_away for _, sent_away in found)


def test_a_deadline_is_kept(tmp_path: Path) -> None:
    async def late(port: int) -> Reply:
        async with wires(port) as (wire,):
            return await ask(wire, bodies(1)[0], headers={"X-Deadline-Seconds": "0.05"})

    with served(tmp_path, *SLOW) as server:
        reply = asyncio.run(late(server.port))
    assert (reply.status, reply.value["error"]["type"]) == (504, "deadline_exceeded")


def test_a_body_that_never_ends_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async def half(port: int) -> Reply:
        async with wires(port) as (wire,):
            wire[1].write(b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
            return await receive(wire, time.perf_counter())

    with served(tmp_path, *QUICK, "--deadline", "0.3") as server:
        reply = asyncio.run(half(server.port))
        assert (reply.status, reply.value["error"]["type"]) == (504, "deadline_exceeded")
        right(asyncio.run(drive(server.port, bodies(1), 1)))


HUNG = ("--verifier", "tests.serving:Hung")


def test_a_verifier_that_hangs_is_told_of_and_does_not_keep_the_server_from_its_end(tmp_path: Path) -> None:
    with served(tmp_path, *HUNG, "--deadline", "0.3") as server:
        (reply,) = asyncio.run(drive(server.port, bodies(1), 1))
        assert (reply.status, reply.value["error"]["type"]) == (504, "deadline_exceeded")
        until = time.monotonic() + 60
        while (health := get(server, "/healthz")).status == 200:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert (health.status, health.value) == (503, {"alive": False})
        assert get(server, "/readyz").status == 503
        assert server.stop() == 0


def test_a_second_sigint_does_not_wait(tmp_path: Path) -> None:
    async def impatient(server: Server) -> Reply | None:
        async with wires(server.port, 2) as (wire, asking):
            await send(wire, bodies(1)[0])
            while not (await ask(asking, b"", "/readyz", "GET")).value["waiting"]:
                await asyncio.sleep(0.01)
            server.process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.5)
            server.process.send_signal(signal.SIGINT)
            return await answered(wire, time.perf_counter())

    with served(tmp_path, *HUNG) as server:  # whose deadline is five minutes
        reply = asyncio.run(impatient(server))
        assert server.process.wait(60) == 130
    assert reply is None or reply.value["error"]["type"] == "deadline_exceeded"


def test_a_client_that_does_not_read_is_let_go(tmp_path: Path) -> None:
    said = json.dumps(
        {
            "responses_create_params": {"input": "The lamp hums."},
            "response": {"output": [{"type": "message", "role": "assistant", "content": "Mended."}]},
            "x": "y" * 20_000_000,
        }
    ).encode()
    head = f"POST /verify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(said)}\r\n\r\n".encode()
    with served(tmp_path, *QUICK, "--deadline", "1") as server, socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.connect(("127.0.0.1", server.port))
        wire.sendall(head + said)
        until = time.monotonic() + 60
        while "swe_rm_score_count 1" not in get(server, "/metrics").body.decode():
            assert time.monotonic() < until
        assert server.stop() == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "lamp.example"])
def test_an_address_that_others_reach_without_tokens_refuses_to_start(
    host: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SWE_RM_TOKENS", raising=False)
    assert main(["serve", "--host", host, *QUICK]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no tokens are configured" in line


def test_what_cannot_be_served_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes").write_text("no database\n" * 99)
    taken = socket.create_server(("127.0.0.1", 0))
    for flags in (
        ["--port", str(taken.getsockname()[1])],
        ["--verifier", "oracle"],
        ["--token-file", str(tmp_path / "no")],
        ["--cache", str(tmp_path / "notes")],
    ):
        assert main(["serve", *QUICK, *flags]) == 1
        assert len([line for line in capsys.readouterr().err.splitlines() if "swe-rm: " in line]) == 1
    taken.close()
