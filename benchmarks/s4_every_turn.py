"""S4: a score after each of 30 turns, against scoring every partial log anew.

After each turn the patch and the question follow the log so far. Ours reads the log once, with the suffixes as branches
of it. The second peer is transformers' own cache, grown turn by turn and cut back after each suffix.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import toy
from benchmarks.measure import Case
from swe_rm import model

ANEW = "ours, every partial log scored anew"
CACHE = "transformers, growing cache"
TURNS = 30


def case(folder: Path) -> Case:
    """Turns of 40 to 160 tokens, a suffix of 24."""
    dice = np.random.default_rng(0)
    lengths = dice.integers(40, 160, TURNS)
    ends = np.cumsum(lengths).tolist()
    log, suffix = toy.sequences([ends[-1], 24], 32_000)
    network = toy.network(32_000)
    made = toy.ours(network)
    return Case(
        title="a score after every turn",
        amount=f"{TURNS} turns, {len(log):,} tokens, a suffix of {len(suffix)} after each, one thread",
        ours=lambda: _branches(made, log, ends, suffix),
        peers={
            ANEW: lambda: toy.score(made, [np.concatenate([log[:end], suffix]) for end in ends]),
            CACHE: lambda: _cache(network, log, ends, suffix),
        },
        goals={ANEW: 5.0},
        gate=_gate,
    )


def _branches(made: model.VerdictModel, log: toy.Ids, ends: Sequence[int], suffix: toy.Ids) -> list[float]:
    toy.ours(made.network)
    return [toy.p_yes(*pair) for pair in made.turn_logprobs(log, ends, [suffix] * len(ends))]


def _cache(network: Any, log: toy.Ids, ends: Sequence[int], suffix: toy.Ids) -> list[float]:
    from transformers import DynamicCache

    made, cache, found = toy.stock(network), DynamicCache(), []
    with torch.inference_mode():
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            turn = torch.as_tensor(np.concatenate([log[start:end], suffix]))[None]
            logits = made(input_ids=turn, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, 0]
            found.append(torch.softmax(logits[[toy.YES, toy.NO]].float(), -1)[0].item())
            cache.crop(-len(suffix))
    return found


def _gate(ours: Any, theirs: Mapping[str, Any]) -> str:
    most = max(toy.differing(ours, other) for other in theirs.values())
    return f"equal scores after every turn, the last that of the whole log; largest difference {most:.0e}"
