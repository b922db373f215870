"""Memory of whole commands on inputs larger than it: a process of its own each, its peak as the system counts it."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

PROGRAM = """
import resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "swe_rm", *sys.argv[1:]], capture_output=True)
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""
"""The exit code of a command and its peak, in MiB."""

OBSERVATION = "".join(f"tests/test_lamp.py::test_{n} PASSED\n" for n in range(120))
TASKS = 500


def row(number: int) -> bytes:
    """About 200 kB: 45 turns of an attempt like no other."""
    log = [{"role": "user", "content": "The lamp hums."}]
    for turn in range(45):
        log.append({"role": "assistant", "content": f"Try {number}.{turn}", "tool_calls": [call(turn)]})
        log.append({"role": "tool", "content": OBSERVATION})
    patch = f"diff --git a/lamp.py b/lamp.py\n--- a/lamp.py\n+++ b/lamp.py\n@@ -1 +1 @@\n-lit = True\n+lit = {number}\n"
    named = {"instance_id": f"lamps__lamp-{number % TASKS}", "policy": f"policy-{number % 7}", "run": f"run-{number}"}
    return json.dumps({**named, "messages": log, "patch": patch, "resolved": number % 3 == 0}).encode()


def call(turn: int) -> dict[str, object]:
    return {"name": "bash", "arguments": {"command": f"python -m pytest tests/test_lamp.py -k {turn}"}}


def write(path: Path, size: int) -> int:
    """A file of `size` bytes and a few more, which compress to next to nothing; gives the number of its rows."""
    is_list = ".jsonl" not in path.name
    with path.open("wb") as file, zstandard.ZstdCompressor(level=1).stream_writer(file) as packed:
        number = 0
        for number, text in enumerate(_rows(size), 1):
            packed.write((b"[" if number == 1 else b",") * is_list + text + b"\n" * (not is_list))
        packed.write(b"]" * is_list)
    return number


def _rows(size: int) -> Iterator[bytes]:
    number = written = 0
    while written < size:
        text = row(number)
        yield text
        number, written = number + 1, written + len(text)


def peak(command: str, path: Path, out: Path) -> int:
    """MiB of a command that must succeed."""
    arguments = {"ingest": ["--out", str(out)], "inspect": ["--json", str(out)]}[command]
    run = [sys.executable, "-c", PROGRAM, command, str(path), *arguments]
    code, found = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    assert code == "0"
    return int(found)


def write_verdicts(folder: Path, n: int, runs: int = 32) -> tuple[Path, Path]:
    """A table of `n` outcomes at n / runs tasks, and a file of verdicts on them as `score` writes it."""
    table, verdicts = folder / "outcomes.jsonl", folder / "verdicts.jsonl"
    rng = random.Random(0)
    with table.open("w") as outcomes, verdicts.open("w") as scores:
        for number in range(n):
            resolved = rng.random() < 0.4
            score = min(1.0, max(0.0, rng.gauss(0.3 + 0.3 * resolved, 0.2)))
            named = (
                f'"attempt_id": "{number:020x}", "instance_id": "lamps__lamp-{number // runs}", '
                f'"policy": "policy-{number % 4}", "attempt": "run-{number % runs}"'
            )
            outcomes.write(f'{{{named}, "resolved": {str(resolved).lower()}, "provenance": "report.json"}}\n')
            scores.write(f'{{{named}, "score": {score:.6f}, "prompt_tokens": 9000, "verifier": "made@1"}}\n')
    return table, verdicts


@pytest.mark.slow
def test_a_million_verdicts_are_evaluated_in_little_more_than_a_gigabyte(tmp_path: Path) -> None:
    """Measured: a peak of 1,217 MiB and 74 seconds of CPU; 31,250 tasks, 200 draws."""
    table, verdicts = write_verdicts(tmp_path, 1_000_000)
    arguments = [str(table), "--verdicts", str(verdicts), "--json", str(tmp_path / "e.json"), "--resamples", "200"]
    run = [sys.executable, "-c", PROGRAM, "evaluate", *arguments]
    code, found = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    assert code == "0"
    assert int(found) < 1500
    assert b'"n_attempts": 1000000' in (tmp_path / "e.json").read_bytes()[:100]


@pytest.mark.parametrize("name", ["runs.jsonl.zst", "runs.json.zst"])
def test_memory_does_not_grow_with_the_input(name: str, tmp_path: Path) -> None:
    """100 MB of rows, which parsed and held would take several times that."""
    n_rows = write(tmp_path / name, 100_000_000)
    assert peak("ingest", tmp_path / name, tmp_path / "store") < 150
    assert json.loads((tmp_path / "store" / "manifest.json").read_text())["n_attempts"] == n_rows


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "name"), [("ingest", "runs.jsonl.zst"), ("ingest", "runs.json.zst"), ("inspect", "runs.jsonl.zst")]
)
def test_5_gigabytes_take_less_than_one_of_memory(command: str, name: str, tmp_path: Path) -> None:
    write(tmp_path / name, 5_000_000_000)
    assert peak(command, tmp_path / name, tmp_path / "out") < 1000
