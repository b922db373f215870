"""Folders of finished runs as `rl train` writes them, made by dice."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SPLITS = {"held_out_packages": 6, "held_out_tasks": 12, "train": 10}
"""Split -> its tasks."""
HABITS = ("unfinished", "empty", "edits_tests", "claims_falsely", "loops")


def seen(rates: Mapping[str, float], habit: float, attempts: int, dice: random.Random) -> dict[str, Any]:
    """Attempts at tasks of these resolve rates, as a look counts them."""
    by_task = {task: [sum(dice.random() < rate for _ in range(attempts)), attempts] for task, rate in rates.items()}
    n, resolved = attempts * len(rates), sum(one for one, _ in by_task.values())
    habits = {name: sum(dice.random() < habit for _ in range(n)) for name in HABITS}
    return {
        "rate": resolved / n, "attempts": n, "resolved": resolved, "unknown": 0, **habits, "actions": 5.0,
        "by_task": by_task,
    }  # fmt: skip


def write_run(
    folder: Path, seed: int, curve: Sequence[float] = (0.2, 0.4, 0.6), habit: float = 0.1, **settings: Any
) -> Path:
    """A run whose resolve rate at each look lies about `curve`; 4 batches of 8 attempts lie between two looks."""
    dice = random.Random(f"{seed}{folder.parent.name}")
    folder.mkdir(parents=True)
    config = {
        "name": folder.name, "reward": "execution-free", "verifier": "features", "seed": seed, "updates": 2,
        "groups": 2, "group_size": 4, "workers": 1, "save_every": 5, "evaluation": {"every": 4, "tasks": 5}, **settings,
    }  # fmt: skip
    hard = {f"{split}-{task}": dice.uniform(-0.2, 0.2) for split, tasks in SPLITS.items() for task in range(tasks)}
    log: list[dict[str, Any]] = []
    for place, mean in enumerate(curve):
        splits = {
            split: seen(
                {f"{split}-{t}": min(1, max(0, mean + hard[f"{split}-{t}"])) for t in range(tasks)}, habit, 2, dice
            )
            for split, tasks in SPLITS.items()
        }
        log.append({"step": 8 * place, "kind": "look", "attempts": 2, "splits": splits})
        if place + 1 < len(curve):
            for batch in range(4):
                made = seen({f"{g}": mean for g in range(2)}, habit, 4, dice)
                more = {"reward": mean, "unrewarded": 0, "groups": 2, "uniform_groups": 1}
                log.append({"step": 8 * place + 2 * batch + 2, "kind": "batch", **more, **made})
                log.append({"step": 8 * place + 2 * batch + 2, "kind": "update", "loss": 0.1})
    looks = [line["splits"] for line in log if line["kind"] == "look"]
    digest = f"{folder}"
    (folder / "run.json").write_text(
        json.dumps({"digest": digest, "config": config, "verifier": settings.get("verifier", "features")})
    )
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    result = {"digest": digest, "name": folder.name, "start": looks[0], "final": looks[-1]}
    (folder / "result.json").write_text(json.dumps(result))
    return folder
