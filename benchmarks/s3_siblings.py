"""S3: 32 candidates of one task that begin alike, against the same engine without sharing.

The gate of `swe_rm.prefix` decides in each row whether the beginning is read once.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import toy
from benchmarks.measure import Case, against

LENGTH = 760
SHARES = {0.7: 2.0, 0.5: 1.25, 0.1: 0.98}
"""Share of tokens that all have in common, and the least ratio asked for."""


def case(folder: Path) -> Case:
    """32 trajectories of about 760 tokens (their own parts vary by a fifth)."""
    made = toy.ours(toy.network(32_000))
    peers: dict[str, Callable[[], Any]] = {}
    own: dict[str, Callable[[], Any]] = {}
    for share in SHARES:
        inputs = _siblings(round(LENGTH * share))
        peers[_name(share)] = lambda inputs=inputs: toy.score(made, inputs)
        own[_name(share)] = lambda inputs=inputs: toy.score(made, inputs, [0] * len(inputs))
    first = next(iter(own))
    return Case(
        title="candidates that begin alike",
        amount=f"32 trajectories of about {LENGTH} tokens, vocabulary 32,000, one thread",
        ours=own.pop(first),
        peers=peers,
        own=own,
        goals={_name(share): goal for share, goal in SHARES.items()},
        gate=_gate,
    )


def _name(share: float) -> str:
    return f"ours without sharing, {share} in common"


def _siblings(common: int) -> list[toy.Ids]:
    dice = np.random.default_rng(0)
    (beginning,) = toy.sequences([common], 32_000, seed=1)
    lengths = [max(16, int((LENGTH - common) * (1 + 0.2 * draw))) for draw in dice.standard_normal(32)]
    return [np.concatenate([beginning, rest]) for rest in toy.sequences(lengths, 32_000, seed=2)]


def _gate(ours: Any, theirs: Mapping[str, Any]) -> str:
    first, *others = map(_name, SHARES)
    pairs = [(ours, theirs[first]), *((theirs[against(peer)], theirs[peer]) for peer in others)]
    return f"equal scores, largest difference {max(toy.differing(*pair) for pair in pairs):.0e}"
