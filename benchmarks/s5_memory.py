"""S5: memory that one score needs beside the weights, against all logits and against `generate`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import toy
from benchmarks.measure import Case, against

FULL = "forward, all logits of 4,096 tokens"
GENERATE = "generate(max_new_tokens=1), one trajectory of 4,096 tokens"
PADDED = "generate(max_new_tokens=1), 8 trajectories of 400 to 3,200 tokens padded"


def case(folder: Path) -> Case:
    """A vocabulary of 151,936."""
    network = toy.network(151_936)
    one = toy.sequences([4_096], 151_936)
    eight = toy.sequences([400 * n for n in (3, 8, 1, 6, 2, 7, 4, 5)], 151_936)
    return Case(
        title="memory of a score",
        amount="one trajectory of 4,096 tokens, vocabulary 151,936, one thread",
        ours=lambda: toy.alone(toy.ours(network), one),
        peers={
            FULL: lambda: toy.full_logits(network, one),
            GENERATE: lambda: toy.generate(network, one, 1),
            PADDED: lambda: toy.generate(network, eight, 8),
        },
        own={PADDED: lambda: toy.score(toy.ours(network), eight)},
        goals={},
        gate=_gate,
        memory_goals={FULL: 50.0, GENERATE: 2.0, PADDED: 2.0},
    )


def _gate(ours: Any, theirs: Mapping[str, Any]) -> str:
    pairs = [(ours, theirs[FULL]), (ours, theirs[GENERATE]), (theirs[against(PADDED)], theirs[PADDED])]
    return f"equal scores, largest difference {max(toy.differing(*pair) for pair in pairs):.0e}"
