"""A tiny language model as a server has it, for the tests of engines and verifier files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from swe_rm.verifiers.remote.asking import Asker, Carry, Patience, Reply, UnreachableError
from swe_rm.verifiers.remote.question import Question
from swe_rm.verifiers.remote.stand_in import Language

QUICK = Patience(tries=3, seconds=5, deadline=5, pause=0.0)


def language(folder: Path) -> Language:
    """The causal model and tokenizer of a folder, read in the plainest way: one prompt, all logits."""
    transformers = pytest.importorskip("transformers")
    import tokenizers
    import torch

    network = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))

    def logprobs(ids: Sequence[int]) -> list[float]:
        with torch.inference_mode():
            found = network(torch.tensor([list(ids)])).logits[0, -1]
        return found.float().log_softmax(-1).tolist()

    return Language(
        logprobs,
        lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
        lambda id_: tokenizer.decode([id_], skip_special_tokens=False) or f"<{id_}>",
    )


def scripted(*replies: Reply | str) -> tuple[Carry, list[tuple[str, str, Any]]]:
    """A carrier that brings these replies in their order, a text being a way not to arrive; and what it was given."""
    carried: list[tuple[str, str, Any]] = []
    rest = list(replies)

    def carry(method: str, path: str, body: bytes | None, seconds: float) -> Reply:
        carried.append((method, path, body))
        reply = rest.pop(0)
        if isinstance(reply, str):
            raise UnreachableError(reply)
        return reply

    return carry, carried


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def asking(*replies: Reply | str, patience: Patience = QUICK) -> tuple[Asker, Clock, list[tuple[str, str, Any]]]:
    """An asker of scripted replies, with its clock."""
    carry, carried = scripted(*replies)
    clock = Clock()
    return Asker(carry, "http://engine", patience, sleep=clock.sleep, clock=clock), clock, carried


def question(*ids: int, task: str = "t", id_: str = "a") -> Question:
    """A question of these token ids."""
    return Question(id_, task, ids)
