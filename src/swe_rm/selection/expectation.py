"""What rules of selection are worth where outcomes are known: the expected resolve rate of their picks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from swe_rm.metrics import Floats
from swe_rm.resampling import Interval, interval, resample_weights
from swe_rm.selection.group import Group
from swe_rm.selection.rules import Rule
from swe_rm.trajectory import Noun, Outcome

RANDOM, ORACLE = "random", "oracle"
"""The rows every report has: a pick at random, and one that knows the outcomes."""


class Selected(Noun):
    """What one rule's picks are worth. Intervals are 95%, by bootstrap over tasks."""

    rule: str
    resolve_rate: float
    """Mean over tasks of the mean outcome of the picks: the exact expectation when a tie is broken by lot."""
    interval: Interval | None
    above_random: float
    """Resolve rate minus that of a random pick on the same tasks."""
    above_random_interval: Interval | None
    of_the_gap: float | None
    """`above_random` over what the oracle is above it: None where the oracle is not."""
    n_tied: int
    """Tasks at which the rule picks several whose outcomes differ: there a lot decides."""


class Selection(Noun):
    """One row for each rule on one pool, random pick first and oracle last."""

    n_tasks: int
    n_mixed: int
    """Tasks with both outcomes: only there can a choice matter."""
    n_unknown: int
    """Tasks left out because the outcome of a candidate is unknown."""
    mean_candidates: float
    rows: tuple[Selected, ...]

    def row(self, rule: str) -> Selected:
        """The row of that rule."""
        return next(row for row in self.rows if row.rule == rule)

    @property
    def verdict(self) -> str:
        """Which rules are shown to be above a random pick, in words."""
        better = [row.rule for row in self.rows if row.rule != ORACLE and _above(row.above_random_interval)]
        if not better:
            return "No rule is shown to be better than picking at random."
        return f"Better than picking at random: {', '.join(better)}."

    def to_json(self) -> dict[str, Any]:
        """The part `selection` of `rank --json`."""
        return self.model_dump(mode="json")


def expected(
    groups: Sequence[Group],
    rules: Sequence[Rule],
    outcomes: Mapping[str, Outcome],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Selection | None:
    """What each rule's picks are worth on the tasks whose candidates' outcomes (by attempt id) are all known.

    None where there is no such task.
    """
    known = {group.instance_id: found for group in groups if (found := _resolved(group, outcomes)) is not None}
    kept = sorted((group for group in groups if group.instance_id in known), key=lambda group: group.instance_id)
    if not kept:
        return None
    truth = [known[group.instance_id] for group in kept]
    picks = {
        RANDOM: [list(range(len(group))) for group in kept],
        **{rule.name: [rule.picks(group) for group in kept] for rule in rules},
        ORACLE: [np.flatnonzero(resolved == resolved.max()).tolist() for resolved in truth],
    }
    worth = {name: _worth(places, truth) for name, places in picks.items()}
    weights = resample_weights(len(kept), resamples, seed) / len(kept)
    return Selection(
        n_tasks=len(kept),
        n_mixed=sum(resolved.min() != resolved.max() for resolved in truth),
        n_unknown=len(groups) - len(kept),
        mean_candidates=sum(map(len, kept)) / len(kept),
        rows=tuple(_row(name, worth, _lots(picks[name], truth), weights) for name in worth),
    )


def _above(interval: Interval | None) -> bool:
    return interval is not None and interval[0] > 0


def _resolved(group: Group, outcomes: Mapping[str, Outcome]) -> Floats | None:
    """1 for each candidate that resolved and 0 for each that did not; None where one is unknown."""
    found = [outcomes[trajectory.attempt_id] for trajectory in group.trajectories]
    return None if Outcome.UNKNOWN in found else np.array([one is Outcome.RESOLVED for one in found], dtype=np.float64)


def _worth(places: Sequence[Sequence[int]], truth: Sequence[Floats]) -> Floats:
    return np.array([resolved[list(picked)].mean() for picked, resolved in zip(places, truth, strict=True)])


def _lots(places: Sequence[Sequence[int]], truth: Sequence[Floats]) -> int:
    return sum(len(set(resolved[list(picked)].tolist())) > 1 for picked, resolved in zip(places, truth, strict=True))


def _row(name: str, worth: Mapping[str, Floats], n_tied: int, weights: Floats) -> Selected:
    values = worth[name]
    above = values - worth[RANDOM]
    gap = float((worth[ORACLE] - worth[RANDOM]).mean())
    n = len(values)
    return Selected(
        rule=name,
        resolve_rate=float(values.mean()),
        interval=interval(weights @ values, n),
        above_random=float(above.mean()),
        above_random_interval=interval(weights @ above, n),
        of_the_gap=float(above.mean()) / gap if gap > 0 else None,
        n_tied=n_tied,
    )
