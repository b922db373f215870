"""A test-size verifier and attempts for it to read: what the server is measured with."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swe_rm import model
from swe_rm.export import attempts_row
from swe_rm.render import LengthPolicy, rendered_text
from swe_rm.trajectory import Labelled, Message, Origin, Task, ToolCall, Trajectory
from swe_rm.vocabulary import Vocabulary

WORDS = [
    "lamp",
    "wick",
    "oil",
    "flame",
    "glass",
    "hinge",
    "burner",
    "light",
    "shade",
    "brass",
    "turn",
    "night",
    "stair",
]
POLICY = LengthPolicy(max_tokens=32_768, issue_cap=4096, patch_cap=4096)


def checkpoint(folder: Path, **shape: int) -> Path:
    """A checkpoint of random weights: hidden 256, 4 layers, 8 experts of 128 unless the shape says otherwise."""
    texts = [rendered_text(one) for one in attempts(40, 400)]
    vocabulary = Vocabulary.train(iter(texts), 600)
    sizes = {"expert_width": 128, **shape}
    model.create(model.Shape(**sizes), vocabulary, POLICY, name="bench", seed=1).save(folder)
    return folder


def attempts(count: int, tokens: int, *, tasks: int = 0, common: float = 0.2, seed: int = 0) -> list[Trajectory]:
    """Attempts of about so many tokens on the mean, log-normal; their issue is the `common` share of them.

    Each is at a task of its own unless `tasks` says how many they are at; those of one task stand together.
    """
    dice = random.Random(seed)
    lengths = [max(24, int(tokens * dice.lognormvariate(-0.2, 0.63))) for _ in range(count)]
    tasks = tasks or count
    issues = [words(dice, int(tokens * common)) for _ in range(tasks)]
    return [
        attempt(number, number * tasks // count, issues[number * tasks // count], length - int(tokens * common), dice)
        for number, length in enumerate(lengths)
    ]


def attempt(number: int, task: int, issue: str, tokens: int, dice: random.Random) -> Trajectory:
    """One attempt, its own part of about so many tokens."""
    tokens = max(16, tokens)
    messages = [Message(role="user", content=issue)]
    while tokens > 0:
        said, seen = min(40, tokens), min(60, tokens)
        call = ToolCall(name="bash", arguments=json.dumps({"command": words(dice, 6)}))
        messages.append(Message(role="assistant", content=words(dice, said), tool_calls=(call,)))
        messages.append(Message(role="tool", content=words(dice, seen)))
        tokens -= said + seen + 10
    return Trajectory(
        task=Task(instance_id=f"tinkers__lantern-{task}", repo="tinkers/lantern", statement=issue),
        messages=tuple(messages),
        patch=f"diff --git a/lamp.py b/lamp.py\n+lit = {number}\n",
        origin=Origin(source="attempts", policy="bench", attempt=str(number)),
    )


def words(dice: random.Random, count: int) -> str:
    """Words of about one token each."""
    return " ".join(dice.choices(WORDS, k=max(1, count)))


def bodies(trajectories: Sequence[Trajectory]) -> list[bytes]:
    """Each as the body of a request."""
    return [json.dumps(row(one)).encode() for one in trajectories]


def row(trajectory: Trajectory) -> dict[str, Any]:
    """One as a row of attempts."""
    return attempts_row(Labelled(trajectory=trajectory))
