"""S2: a batch of trajectories of mixed lengths, against `generate(max_new_tokens=1)` in padded batches of 8.

The batches are in file order, which is how the recipe is used; the last row sorts them by length for it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import toy
from benchmarks.measure import Case, against

MIXED = "generate, padded 8, vocabulary 151,936"
SMALL = "generate, padded 8, vocabulary 32,000"
TAIL = "generate, padded 8, vocabulary 32,000, long tail"
SORTED = "generate, padded 8, sorted by length, vocabulary 151,936"


def case(folder: Path) -> Case:
    """As S1, and 8 trajectories of 360 to 4,700 tokens (log-normal, median 1,700, sigma 0.9)."""
    lengths = [128 + length for length in toy.log_normal(16, 300, 0.6, 1_024)]
    tail = toy.log_normal(8, 1_700, 0.9, 4_700, seed=7)
    large, small = toy.network(151_936), toy.network(32_000)
    inputs, others = toy.sequences(lengths, 151_936), toy.sequences(lengths, 32_000)
    ordered = sorted(inputs, key=len)
    long = toy.sequences(tail, 32_000)
    return Case(
        title="scoring a mixed batch",
        amount=f"16 trajectories, {sum(lengths):,} tokens, longest {max(lengths):,}; long tail: 8 trajectories, "
        f"{sum(tail):,} tokens, longest {max(tail):,}; one thread",
        ours=lambda: toy.score(toy.ours(large), inputs),
        peers={
            MIXED: lambda: toy.generate(large, inputs, 8),
            SMALL: lambda: toy.generate(small, others, 8),
            TAIL: lambda: toy.generate(small, long, 8),
            SORTED: lambda: toy.generate(large, ordered, 8),
        },
        own={
            SMALL: lambda: toy.score(toy.ours(small), others),
            TAIL: lambda: toy.score(toy.ours(small), long),
            SORTED: lambda: toy.score(toy.ours(large), ordered),
        },
        goals={MIXED: 2.5, SMALL: 2.5, TAIL: 8.0},
        gate=_gate,
        memory_goals={MIXED: 2.5, TAIL: 9.0},
    )


def _gate(ours: Any, theirs: Mapping[str, Any]) -> str:
    pairs = [(ours, theirs[MIXED]), *((theirs[against(peer)], theirs[peer]) for peer in (SMALL, TAIL, SORTED))]
    most = max(toy.differing(*pair) for pair in pairs)
    return f"equal scores, largest difference {most:.0e}"
