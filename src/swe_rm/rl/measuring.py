"""How a policy does at tasks, by really running tests: resolve rates by split, and what it does that it should not."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from swe_rm.playground.world import PlaygroundTask
from swe_rm.rl.config import RLConfig
from swe_rm.rl.field import AT_ONCE, Asked, Field, Played
from swe_rm.rl.policy import Speaker
from swe_rm.rl.wording import PAD, Order, Wording
from swe_rm.trajectory import Noun, Outcome


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
            empty=sum(one.is_empty for one in played),
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


class Look(NamedTuple):
    """How a policy does."""

    splits: dict[str, Any]
    """Rate and tally by split; `by_task` (resolved, known) of each task is what an interval over tasks needs."""
    anew: int
    """Attempts that were also made with nothing recalled."""
    differ: int
    """Of those, how many then went otherwise."""


def measured(
    network: Any,
    wording: Wording,
    tasks: Sequence[PlaygroundTask],
    field: Field,
    config: RLConfig,
    attempts: int,
    anew: int = 0,
) -> Look:
    """So many attempts at each task. Every look has the same dice, so that two looks differ by the policy alone.

    The first `anew` attempts, and the rest of their batch, are made a second time with every command and test run.
    """
    asked = [
        Asked(task, Order.shuffled(field.offered(task), f"look\n{task.instance_id}\n{number}"))
        for number in range(attempts)
        for task in _mixed(tasks)
    ]

    def played(start: int, recall: bool) -> list[Played]:
        seed = int.from_bytes(hashlib.sha256(f"look\n{config.seed}\n{start}".encode()).digest()[:6])
        speaker = Speaker(network, wording.ids[PAD], seed)
        return field.play(asked[start : start + AT_ONCE], wording, speaker, config.name, recall)

    made = [one for start in range(0, len(asked), AT_ONCE) for one in played(start, recall=True)]
    again = [one for start in range(0, min(anew, len(asked)), AT_ONCE) for one in played(start, recall=False)]
    splits: dict[str, Any] = {}
    for split in sorted({one.task.split for one in made}):
        mine = [one for one in made if one.task.split == split]
        tally = Tally.of(mine)
        splits[split] = {"rate": tally.rate, **tally.model_dump(), "by_task": _by_task(mine)}
    return Look(
        splits,
        len(again),
        sum(one != other for one, other in zip(again, made, strict=False)),
    )


def _by_task(played: Sequence[Played]) -> dict[str, tuple[int, int]]:
    """Task -> attempts that were resolved, and attempts whose outcome is known."""
    names = dict.fromkeys(one.task.instance_id for one in played)
    tallies = {name: Tally.of([one for one in played if one.task.instance_id == name]) for name in names}
    return {name: (tally.resolved, tally.attempts - tally.unknown) for name, tally in tallies.items()}


def _mixed(tasks: Sequence[PlaygroundTask]) -> list[PlaygroundTask]:
    """In an order that says nothing of them, so that the first ones are of every package."""
    return sorted(tasks, key=lambda task: hashlib.sha256(task.instance_id.encode()).digest())


def percent(rate: float | None) -> str:
    """A share, with one decimal; a dash where it is unknown."""
    return "-" if rate is None else f"{100 * rate:.1f}%"
