"""How a policy does at tasks, by really running tests: resolve rates by split, and what it does that it should not."""

import hashlib
from collections.abc import Sequence
from typing import Any

from swe_rm.playground.world import PlaygroundTask
from swe_rm.rl.config import RLConfig
from swe_rm.rl.field import Asked, Field, Played
from swe_rm.rl.policy import Speaker
from swe_rm.rl.wording import PAD, Order, Wording
from swe_rm.trajectory import Noun, Outcome

_AT_ONCE = 32
"""Attempts, as many as a batch of training."""


class Tally(Noun):
    """Counts of some attempts; attempts = resolved + unresolved + unknown."""

    attempts: int
    resolved: int
    unknown: int
    unfinished: int
    empty: int
    """Handed in without a change."""
    edits_tests: int
    claims_falsely: int
    loops: int
    actions: float
    """Mean number."""

    @classmethod
    def of(cls, played: Sequence[Played]) -> "Tally":
        """Count them."""
        return cls(
            attempts=len(played),
            resolved=sum(one.outcome is Outcome.RESOLVED for one in played),
            unknown=sum(one.outcome is Outcome.UNKNOWN for one in played),
            unfinished=sum(not one.finished for one in played),
            empty=sum(one.finished and not one.patch.strip() for one in played),
            edits_tests=sum(one.edits_tests for one in played),
            claims_falsely=sum(one.claims_falsely for one in played),
            loops=sum(one.loops for one in played),
            actions=round(sum(len(one.answers) for one in played) / max(1, len(played)), 3),
        )

    @property
    def rate(self) -> float | None:
        """Share of resolved among those whose outcome is known; None where none is."""
        known = self.attempts - self.unknown
        return self.resolved / known if known else None


def measured(
    network: Any,
    wording: Wording,
    tasks: Sequence[PlaygroundTask],
    field: Field,
    config: RLConfig,
    attempts: int,
    recall: bool = True,
) -> dict[str, Any]:
    """A tally and rate by split. Every look has the same dice, so that two looks differ by the policy alone.

    Without `recall` every command and test is run, whatever is known of it.
    """
    asked = [
        Asked(task, Order.shuffled(field.offered(task), f"look\n{task.instance_id}\n{number}"))
        for task in tasks
        for number in range(attempts)
    ]
    played: list[Played] = []
    for start in range(0, len(asked), _AT_ONCE):
        seed = int.from_bytes(hashlib.sha256(f"look\n{config.seed}\n{start}".encode()).digest()[:6])
        speaker = Speaker(network, wording.ids[PAD], seed)
        played += field.play(asked[start : start + _AT_ONCE], wording, speaker, config.name, recall)
    splits = sorted({one.task.split for one in played})
    tallies = {split: Tally.of([one for one in played if one.task.split == split]) for split in splits}
    return {split: {"rate": tally.rate, **tally.model_dump()} for split, tally in tallies.items()}
