"""The server under load, each figure beside its peer in the same run: `python -m benchmarks.server_load [PART...]`.

load: 200 clients, 10,000 attempts of mixed length, a very small model, every verdict checked by id.
throughput: the same with fewer attempts and a larger model, against the engine in this process.
pools: candidates of one task, against servers that score one request at a time: the usual one, and ours told to.
long: one attempt of 16k tokens among short ones that arrive with it, against first come, first served.
overhead: what HTTP adds to a verifier that answers from a file.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks import server_pools as pools
from benchmarks.load import OURS, Reply, Wire, ask, drive, quantile, served, wires
from swe_rm.scoring import score, verdict_row
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Verdict
from swe_rm.verifiers import load_verifier

TOLERANCE = 1e-4
"""Of a score: attempts stand in other rows, so products are summed in another order."""
SMALL = {"hidden": 64, "layers": 2, "heads": 4, "kv_heads": 1, "head_dim": 16}


def wrong(replies: Sequence[Reply], sent: Sequence[Trajectory], wanted: dict[str, Verdict]) -> int:
    """How many replies are not the one verdict on what was sent."""
    return sum(not _right(reply, one, wanted) for reply, one in zip(replies, sent, strict=True))


def _right(reply: Reply, sent: Trajectory, wanted: dict[str, Verdict]) -> bool:
    if reply.status != 200:
        return False
    verdicts = reply.value["verdicts"]
    return [one["attempt_id"] for one in verdicts] == [sent.attempt_id] and abs(
        verdicts[0]["score"] - wanted[sent.attempt_id].score
    ) < TOLERANCE


def timed(replies: Sequence[Reply], seconds: float) -> dict[str, float]:
    """What clients saw."""
    found = [1e3 * reply.seconds for reply in replies]
    shown = {"per_second": len(replies) / seconds, "p50_ms": quantile(found, 0.5), "p99_ms": quantile(found, 0.99)}
    return {key: float(f"{value:.4g}") for key, value in shown.items()}


class Alone(NamedTuple):
    """The engine in this process, on one thread."""

    verdicts: dict[str, Verdict]
    per_second: float
    cpu_ms: float
    """Of processor time for each."""


def in_process(folder: Path, sent: Sequence[Trajectory]) -> Alone:
    """The engine's own verdicts, and what they take."""
    import torch

    torch.set_num_threads(1)
    verifier = load_verifier(str(folder))
    score(sent[:8], verifier)
    wall, cpu = time.perf_counter(), time.process_time()
    found = score(sent, verifier)
    taken = 1e3 * (time.process_time() - cpu) / len(sent)
    return Alone(found, round(len(sent) / (time.perf_counter() - wall), 1), round(taken, 2))


class Seen(NamedTuple):
    """A server's replies and what they took."""

    replies: list[Reply]
    figures: dict[str, Any]


def asked(
    folder: Path, sent: Sequence[Trajectory], clients: int, alone: Alone, *flags: str, module: Sequence[str] = OURS
) -> Seen:
    """What a server of its own answers, warmed up."""
    verifier = ("--verifier", str(folder / "model")) if module == OURS else (str(folder / "model"),)
    with served(folder, *verifier, *flags, module=module) as server:
        asyncio.run(drive(server.port, pools.bodies(pools.attempts(64, 200, seed=99)), 16))
        memory, cpu, started = server.memory(), server.cpu(), time.perf_counter()
        replies = asyncio.run(drive(server.port, pools.bodies(sent), clients))
        found: dict[str, Any] = timed(replies, time.perf_counter() - started)
        found["cpu_ms"] = round(1e3 * (server.cpu() - cpu) / len(sent), 2)
        found["memory_mb"] = [round(memory), round(server.memory())]
        if server.stop() != 0 and module == OURS:
            raise RuntimeError("the server did not leave 0")
    return Seen(replies, {"wrong": wrong(replies, sent, alone.verdicts), **found})


def mean_tokens(alone: Alone) -> int:
    """Of what was read."""
    return round(statistics.mean(verdict.prompt_tokens or 0 for verdict in alone.verdicts.values()))


def load(folder: Path, requests: int, clients: int, **shape: int) -> dict[str, Any]:
    """Attempts of mixed length, each at a task of its own."""
    pools.checkpoint(folder / "model", **shape)
    sent = pools.attempts(requests, 430)
    alone = in_process(folder / "model", sent)
    found = asked(folder, sent, clients, alone).figures
    ratios = {
        "ratio": round(found["per_second"] / alone.per_second, 3),
        "cpu_ratio": round(alone.cpu_ms / found["cpu_ms"], 3),
    }
    own = {"per_second": alone.per_second, "cpu_ms": alone.cpu_ms}
    sizes = {"requests": requests, "clients": clients, "mean_tokens": mean_tokens(alone)}
    return {**sizes, **found, "in_process": own, **ratios}


ORDERS: dict[str, tuple[str, ...]] = {"aged": (), "first_come": ("--ageing", "0")}
USUAL = ("benchmarks.usual_server",)


def in_pools(folder: Path, requests: int, clients: int) -> dict[str, Any]:
    """Candidates of tasks, 32 each, with 45 % of their tokens in common.

    Against two servers that judge one request at a time: the usual one, and ours told to.
    """
    pools.checkpoint(folder / "model")
    sent = pools.attempts(requests, 430, tasks=requests // 32, common=0.45)
    alone = in_process(folder / "model", sent)
    ours = asked(folder, sent, clients, alone).figures
    peers = {
        "usual": asked(folder, sent, clients, alone, module=USUAL).figures,
        "ours_one_at_a_time": asked(folder, sent, clients, alone, "--batch-attempts", "1").figures,
    }
    found = {"requests": requests, "clients": clients, "in_process": alone.per_second, "ours": ours, **peers}
    for name, peer in peers.items():
        found[f"ratio_to_{name}"] = round(ours["per_second"] / peer["per_second"], 3)
        found[f"cpu_ratio_to_{name}"] = round(peer["cpu_ms"] / ours["cpu_ms"], 3)
    return found


def long(folder: Path, requests: int, clients: int) -> dict[str, Any]:
    """One attempt of 16k tokens that waits, and short ones that all come right after it."""
    pools.checkpoint(folder / "model", **SMALL)
    (first,) = pools.bodies(pools.attempts(1, 8_000, common=0.01, seed=5))
    sent = [*pools.attempts(1, 12_000, common=0.01, seed=5), *pools.attempts(requests, 150, seed=6)]
    alone = in_process(folder / "model", sent)
    longest = max(verdict.prompt_tokens or 0 for verdict in alone.verdicts.values())
    found: dict[str, Any] = {"requests": len(sent), "longest": longest}
    for name, flags in ORDERS.items():
        with served(folder, "--verifier", str(folder / "model"), *flags) as server:
            asyncio.run(drive(server.port, pools.bodies(pools.attempts(64, 200, seed=99)), 16))
            started = time.perf_counter()
            replies = asyncio.run(_behind(server.port, first, pools.bodies(sent)))
            told = timed(replies, time.perf_counter() - started)
        found[name] = {
            **told,
            "long_ms": round(1e3 * replies[0].seconds),
            "wrong": wrong(replies, sent, alone.verdicts),
        }
    for key in ("p50_ms", "p99_ms", "long_ms"):
        found[f"{key[:-3]}_ratio"] = round(found["aged"][key] / found["first_come"][key], 3)
    return found


async def _behind(port: int, first: bytes, sent: Sequence[bytes]) -> list[Reply]:
    """The replies to what is sent while the server is at work on `first`: one to wait, then all others at once."""
    async with wires(port, 2) as (asking, busy), wires(port, len(sent)) as opened:
        starting = asyncio.create_task(ask(busy, first))
        while not (await ask(asking, b"", "/readyz", "GET")).value["waiting"] or await _waiting_tokens(asking):
            await asyncio.sleep(0.001)
        replies = [asyncio.create_task(ask(opened[0], sent[0]))]
        while not await _waiting_tokens(asking):
            await asyncio.sleep(0.001)
        replies += [asyncio.create_task(ask(wire, body)) for wire, body in zip(opened[1:], sent[1:], strict=True)]
        await starting
        return await asyncio.gather(*replies)


async def _waiting_tokens(wire: Wire) -> float:
    told = (await ask(wire, b"", "/metrics", "GET")).body.decode()
    return float(next(line for line in told.splitlines() if line.startswith("swe_rm_waiting_tokens ")).split()[1])


def overhead(folder: Path, requests: int, clients: int) -> dict[str, Any]:
    """One client after the other, and the same verifier called in this process."""
    sent = pools.attempts(requests, 430)
    verdicts = (Verdict(attempt_id=t.attempt_id, score=0.5, raw_score=0.5, verifier="recorded@1") for t in sent)
    rows = [verdict_row(t, verdict) for t, verdict in zip(sent, verdicts, strict=True)]
    file = folder / "verdicts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    verifier = load_verifier(f"recorded:{file}")
    calls = []
    for one in sent:
        started = time.perf_counter()
        verifier([one])
        calls.append(1e3 * (time.perf_counter() - started))
    with served(folder, "--verifier", f"recorded:{file}") as server:
        asyncio.run(drive(server.port, pools.bodies(sent[:50]), 1))
        started = time.perf_counter()
        replies = asyncio.run(drive(server.port, pools.bodies(sent), 1))
        seconds = time.perf_counter() - started
    told = timed(replies, seconds)
    bare = quantile(calls, 0.5)
    return {
        "requests": requests,
        **told,
        "call_p50_ms": round(bare, 3),
        "added_p50_ms": round(told["p50_ms"] - bare, 3),
    }


PARTS: dict[str, tuple[Callable[[Path, int, int], dict[str, Any]], int, int]] = {
    "load": (partial(load, **SMALL), 10_000, 200),
    "throughput": (load, 1_000, 200),
    "pools": (in_pools, 256, 32),
    "long": (long, 199, 200),
    "overhead": (overhead, 500, 1),
}
"""What runs it, and how many requests of how many clients."""


def main(argv: Sequence[str]) -> int:
    """Run the parts named, or all; a line of JSON each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    parser.add_argument("--requests", type=int)
    arguments = parser.parse_args(argv)
    for name in arguments.parts or PARTS:
        run, requests, clients = PARTS[name]
        with TemporaryDirectory() as folder:
            found = run(Path(folder), arguments.requests or requests, clients)
        print(json.dumps({"part": name, **found}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
