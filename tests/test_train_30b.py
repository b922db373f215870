"""What docs/train-30b-a3b.md shows runs, from `ingest` to `serve`, on a tiny checkpoint of the same architecture."""

import json
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from benchmarks.h200 import mixed_lengths
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

from swe_rm.vocabulary import Vocabulary

pytest.importorskip("fastapi", reason="no FastAPI: pip install 'swe-rm[serve]'")
pytest.importorskip("rensa", reason="no rensa: pip install 'swe-rm[data]'")

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "train-30b-a3b.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
BIN = Path(sys.executable).parent
SIZES = {
    "policy": "{max_tokens: 160, issue_cap: 32, patch_cap: 48, observation_cap: 32}", "tokens_per_row": "640",
    "tokens_per_step": "2560", "stop": "{metric: auc, every: 2, patience: 4}",
}  # fmt: skip
"""What a tiny run has in place of a config's sizes."""
WORDS = [f"{a}{b}{c}" for a in "bdglmt" for b in "aeiou" for c in ("nd", "rk", "st", "lm")]
LOOKED_AT = 1_000
"""Attempts that a look at dev reads, `dev_rows` of the configs."""
LIMIT, REACHED = 790e12, 0.4
"""Products of an H200 in a second, and the share of it that hours are planned with."""


def row(number: int, said: str) -> dict[str, object]:
    """What all sets have of an attempt: it says how it went, at one of forty repositories."""
    words = random.Random(number % 80).sample(WORDS, 12)  # tasks whose issues are alike are not trained and watched
    issue = f"Reading the almanac fails: {' '.join(words)}."
    return {
        "instance_id": f"acme{number % 40}__almanac-{number % 80}",
        "messages": [
            {"role": "user", "content": issue},
            {"role": "assistant", "content": f"I turn to page {number} and mend it. {said}"},
            {"role": "user", "content": f"ran {number} tests"},
            {"role": "assistant", "content": said},
        ],
    }


def patch(number: int) -> str:
    return f"--- a/tide.py\n+++ b/tide.py\n@@ -1 +1 @@\n-tide = {number}\n+tide = {number + 1}\n"


def write(file: Path, rows: list[dict[str, object]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))


def raw(folder: Path) -> None:
    """The three sets in the columns they are published in, rows of the tasks, and attempts to be measured on."""
    sets: dict[str, list[dict[str, object]]] = {"rebench": [], "gym": [], "smith": []}
    for number in range(240):
        resolved = (number + number // 80) % 2 == 0
        one = row(number, "It works and is verified." if resolved else "It is strange and fails.")
        messages = one.pop("messages")
        if number < 80:
            more = {"trajectory_id": f"t{number}", "trajectory": messages, "model_patch": patch(number)}
            sets["rebench"].append({**one, **more, "resolved": int(resolved), "gen_tests_correct": None})
        elif number < 160:
            result = {"git_patch": patch(number), "report": {"resolved": resolved}}
            sets["gym"].append({**one, "run_id": "gpt-t08-run_1", "messages": messages, "test_result": result})
        else:
            more = {"messages": json.dumps(messages), "model": "m", "traj_id": f"s{number}", "patch": patch(number)}
            sets["smith"].append({**one, **more, "resolved": resolved})
    for name, rows in sets.items():
        write(folder / "raw" / name / "train.jsonl", rows)
    tasks = [{"instance_id": row(n, "")["instance_id"], "repo": f"acme{n % 40}/almanac"} for n in range(80)]
    for number, name in enumerate(("rebench", "gym", "smith")):
        write(folder / "tasks" / name / "data" / "train.jsonl", tasks[number::3])
    write(folder / "tasks" / "verified" / "test.jsonl", [{"instance_id": f"kept__tide-{n}"} for n in range(8)])
    pool = [
        {**row(n, "Fine." if n % 2 else "Odd."), "instance_id": f"kept__tide-{n % 8}", "policy": "mine",
         "attempt": str(n // 8), "patch": patch(1000 + n), "resolved": bool(n % 2)}
        for n in range(32)
    ]  # fmt: skip
    for number, one in enumerate(pool):
        one["resolved"] = number // 8 % 2 == 0
    write(folder / "attempts" / "attempts.jsonl", pool)


def pretrained(folder: Path, vocabulary: Vocabulary) -> None:
    """A folder like the published one, of another size."""
    config = Qwen3MoeConfig(
        vocab_size=vocabulary.tokenizer.get_vocab_size() + 64, hidden_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=16, num_experts=4, num_experts_per_tok=2,
        moe_intermediate_size=16, norm_topk_prob=True, tie_word_embeddings=False,
    )  # fmt: skip
    Qwen3MoeForCausalLM(config).save_pretrained(folder)
    vocabulary.save(folder)


def at_hand(command: str, port: int) -> list[str]:
    """A command of the page for two processes without a GPU: other sizes, port, and folder of what is trained twice."""
    small = command.replace("--nproc_per_node 8", "--nproc_per_node 2").replace("8000", str(port))
    words = [word for word in shlex.split(small, comments=True) if "=" not in word or not word.split("=")[0].isupper()]
    if "train" in words:
        words += [word for key, value in SIZES.items() for word in ("--set", f"{key}={value}")]
    if "configs/30b_lora_256k.yaml" in words:
        words += ["--set", "sequence_parallel=2"]
    if words[:2] == ["accelerate", "launch"]:
        words[2:2] = ["--cpu"] if "configs/launch/one_gpu.yaml" in words else ["--num_processes", "2"]
    if "configs/30b_full.yaml" in words and words[0] == "torchrun":
        words += ["--set", "out=runs/30b-torchrun"]  # what accelerate trained is finished
    return [str(BIN / words[0]), *words[1:]]


def environment(command: str) -> dict[str, str]:
    """The variables that a command begins with, and one thread."""
    given = dict(word.split("=", 1) for word in shlex.split(command, comments=True) if re.match(r"[A-Z_0-9]+=", word))
    return {**os.environ, **given, "OMP_NUM_THREADS": "1"}


def run(command: str, port: int, folder: Path) -> str:
    done = subprocess.run(
        at_hand(command, port), cwd=folder, env=environment(command), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@contextmanager
def served(command: str, port: int, folder: Path) -> Iterator[None]:
    process = subprocess.Popen(at_hand(command, port), cwd=folder, env=environment(command), stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < until
                assert process.poll() is None
                time.sleep(0.2)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_every_command_runs_from_ingest_to_serve(vocabulary: Vocabulary, tmp_path: Path) -> None:
    raw(tmp_path)
    pretrained(tmp_path / "models" / "Qwen3-30B-A3B", vocabulary)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (place,) = [n for n, command in enumerate(COMMANDS) if command.startswith("swe-rm serve")]
    for command in COMMANDS[:place]:
        run(command, port, tmp_path)
    mix = json.loads((tmp_path / "data" / "mix" / "mix.json").read_text())
    assert mix["config"]["sample"]["positives_per_negative"] == 2
    cards = {name: json.loads((tmp_path / "runs" / name / "swe_rm.json").read_text()) for name in
             ("30b", "30b-torchrun", "30b-lora", "30b-lora-256k")}  # fmt: skip
    assert cards["30b-lora-256k"]["training"]["config"]["sequence_parallel"] == 2
    ran = {name: (card["training"]["processes"], card["training"]["sharded"]) for name, card in cards.items()}
    sharded = (2, True)
    assert ran == {"30b": sharded, "30b-torchrun": sharded, "30b-lora": (1, False), "30b-lora-256k": sharded}
    measured = json.loads((tmp_path / "mine.json").read_text())
    assert measured["n_attempts"] == 32
    with served(COMMANDS[place], port, tmp_path):
        told = [run(command, port, tmp_path) for command in COMMANDS[place + 1 :]]
    assert "32 of 32 attempts compared" in told[0]
    assert told[1].count("kept__tide-") == 8


def test_the_hours_are_what_is_computed() -> None:
    lengths = np.array(mixed_lengths(100_000), dtype=np.float64)
    rows = []
    for context, step in ((32_768, 524_288), (65_536, 524_288), (262_144, 1_048_576)):
        read = np.minimum(lengths, context)
        products, attention = 2 * 2_730_491_904 * read, 393_216 * read**2
        look = float((products + attention).mean()) * LOOKED_AT / LIMIT / REACHED / 3600
        hours = [float((times * products + 4.5 * attention).sum()) / LIMIT / 3600 for times in (3, 4)]
        cells = [
            f"{context:,}", f"{read.sum() / 1e9:.2f} billion", f"{(lengths <= context).mean():.0%}", f"{hours[0]:.0f}",
            f"{hours[0] / REACHED:.0f}", f"{hours[1] / REACHED:.0f}", f"{hours[1] / REACHED / 8:.0f}",
            f"{np.ceil(read.sum() / step / 100) * look:.1f}",
        ]  # fmt: skip
        rows.append(f"| {' | '.join(cells)} |")
    (table,) = re.findall(r"<!-- table: tests/test_train_30b.py -->\n(.*?)\n<!-- end", PAGE, re.DOTALL)
    assert table.splitlines()[2:] == rows
