"""A server of ours in a process of its own, and many clients that ask it at once over plain sockets."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

READY = 120.0
"""Seconds a server may take to load its verifier."""


OURS = ("swe_rm", "serve", "--port", "0")


class Server(NamedTuple):
    """A server that answers."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def memory(self) -> float:
        """MB it holds now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]

    def cpu(self) -> float:
        """Seconds of processor time it has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal and wait for its exit code."""
        self.process.send_signal(number)
        return self.process.wait(READY)


@contextmanager
def served(
    folder: Path,
    *flags: str,
    environment: Mapping[str, str] | None = None,
    limit: int | None = None,
    module: Sequence[str] = OURS,
) -> Iterator[Server]:
    """`swe-rm serve` (or another module) on a free port, killed at the end where it still runs.

    `limit` is the most bytes any of its files may have.
    """
    log = folder / f"server-{time.monotonic_ns()}.log"
    command = [sys.executable, "-m", *module, *flags]
    if limit is not None:
        command = [sys.executable, "-c", _LIMITED.format(limit=limit), *command[3:]]
    given = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
    with log.open("wb") as file, subprocess.Popen(command, stderr=file, stdout=file, env=given) as process:
        try:
            yield Server(process, _port(process, log), log)
        finally:
            if process.poll() is None:
                process.kill()


_LIMITED = (
    "import resource, sys; from swe_rm.__main__ import main; "
    "resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); sys.exit(main(sys.argv[1:]))"
)


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    until = time.monotonic() + READY
    while time.monotonic() < until:
        if found := re.search(r"running on http://[^:]+:(\d+)", log.read_text()):
            return int(found[1])
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the server did not begin: {log.read_text()}")


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def value(self) -> Any:
        """The body's JSON."""
        return json.loads(self.body)


Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def wires(port: int, count: int = 1) -> AsyncIterator[list[Wire]]:
    """Connections that stay, closed at the end."""
    opened = [await asyncio.open_connection("127.0.0.1", port, limit=1 << 24) for _ in range(count)]
    try:
        yield opened
    finally:
        for _, writer in opened:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in opened), return_exceptions=True)


async def ask(
    wire: Wire, body: bytes, path: str = "/v1/score", method: str = "POST", headers: Mapping[str, str] | None = None
) -> Reply:
    """One request and its reply."""
    started = time.perf_counter()
    await send(wire, body, path, method, headers)
    return await receive(wire, started)


async def send(
    wire: Wire, body: bytes, path: str = "/v1/score", method: str = "POST", headers: Mapping[str, str] | None = None
) -> None:
    """One request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    wire[1].write("\r\n".join([*lines, "", ""]).encode() + body)
    await wire[1].drain()


async def receive(wire: Wire, started: float) -> Reply:
    """The reply to the request under way."""
    head = (await wire[0].readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in head[1:] if line)
    headers = {name.lower(): value for name, value in pairs}
    body = await wire[0].readexactly(int(headers.get("content-length", "0")))
    return Reply(int(head[0].split()[1]), headers, body, time.perf_counter() - started)


async def drive(port: int, bodies: Sequence[bytes], clients: int, path: str = "/v1/score") -> list[Reply]:
    """The reply to each body, in their order; so many clients take the next one each."""
    replies: dict[int, Reply] = {}
    left = iter(range(len(bodies)))

    async def client(wire: Wire) -> None:
        for at in left:
            replies[at] = await ask(wire, bodies[at], path)

    async with wires(port, clients) as opened:
        await asyncio.gather(*map(client, opened))
    return [replies[at] for at in range(len(bodies))]


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
