"""S1: trajectories scored, against a forward of transformers with `logits_to_keep=1`, one by one.

The peer pads and masks nothing and keeps no cache. Ours packs them as `score` does; in the last two rows it reads one
by one as well.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import toy
from benchmarks.measure import Case, against

KEEP = "forward logits_to_keep=1, vocabulary 151,936"
SMALL = "forward logits_to_keep=1, vocabulary 32,000"
ONE = "forward logits_to_keep=1, vocabulary 32,000, 512 to 4,096 tokens; ours one by one"
SHORT = "forward logits_to_keep=1, vocabulary 32,000; ours one by one"


def case(folder: Path) -> Case:
    """16 trajectories of 128 tokens and a log-normal rest (median 300, sigma 0.6, at most 1,024)."""
    lengths = [128 + length for length in toy.log_normal(16, 300, 0.6, 1_024)]
    large, small = toy.network(151_936), toy.network(32_000)
    inputs, others = toy.sequences(lengths, 151_936), toy.sequences(lengths, 32_000)
    four = toy.sequences([512, 1_024, 2_048, 4_096], 32_000)
    return Case(
        title="scoring one by one",
        amount=f"16 trajectories, {sum(lengths):,} tokens, longest {max(lengths):,}, one thread",
        ours=lambda: toy.score(toy.ours(large), inputs),
        peers={
            KEEP: lambda: toy.keep_one(large, inputs),
            SMALL: lambda: toy.keep_one(small, others),
            ONE: lambda: toy.keep_one(small, four),
            SHORT: lambda: toy.keep_one(small, others),
        },
        own={
            SMALL: lambda: toy.score(toy.ours(small), others),
            ONE: lambda: toy.alone(toy.ours(small), four),
            SHORT: lambda: toy.alone(toy.ours(small), others),
        },
        goals={KEEP: 1.25, SMALL: 1.25, ONE: 1.25},
        gate=_gate,
    )


def _gate(ours: Any, theirs: Mapping[str, Any]) -> str:
    pairs = [(ours, theirs[KEEP]), *((theirs[against(peer)], theirs[peer]) for peer in (SMALL, ONE, SHORT))]
    return f"equal scores, largest difference {max(toy.differing(*pair) for pair in pairs):.0e}"
