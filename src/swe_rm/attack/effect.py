"""What one way of rewriting does to scores: failed attempts flipped, resolved ones pushed down, AUC lost."""

from typing import NamedTuple

import numpy as np

from swe_rm.metrics import Flags, Floats, Ids, auc_score, divide, sum_by
from swe_rm.resampling import AucResampler, Interval, interval
from swe_rm.trajectory import Noun

EDGE = 0.025
"""Probability left out at either end of an interval."""


class Scores(NamedTuple):
    """Scores of the same attempts before and after, shapes (n,)."""

    before: Floats
    up: Floats
    """After a rewriting meant to raise the score."""
    down: Floats
    """After one meant to lower it; of a single family the same."""
    resolved: Flags
    tasks: Ids


class Effect(Noun):
    """What one way of rewriting does. Intervals are 95%, by bootstrap over tasks; None where undefined."""

    about: str
    n_rejected: int
    """Failed attempts that were below the threshold before."""
    flipped: float | None
    """Share of these that it lifts over the threshold."""
    flipped_interval: Interval | None
    n_accepted: int
    """Resolved attempts that were not below the threshold before."""
    pushed_down: float | None
    """Share of these that it pushes below."""
    pushed_down_interval: Interval | None
    auc_lost: float | None
    """AUC before minus AUC when the failed attempts are rewritten and the resolved ones are not: the worst case."""
    auc_lost_interval: Interval | None
    auc_lost_by_all: float | None
    """AUC before minus AUC when every attempt is rewritten so: what is left when all policies learn it."""
    mean_shift: float
    """Mean change of a failed attempt's score; 0 where there is none."""


def effect(about: str, scores: Scores, threshold: float, weights: Floats) -> Effect:
    """The effect of one way of rewriting; `weights` (resamples, tasks) says how often each task is drawn."""
    before, up, down, resolved, tasks = scores
    rejected, accepted = ~resolved & (before < threshold), resolved & (before >= threshold)
    flipped, flipped_interval = _share(rejected, up >= threshold, tasks, weights)
    pushed, pushed_interval = _share(accepted, down < threshold, tasks, weights)
    failed_rewritten = np.where(resolved, before, up)
    lost = AucResampler(before, resolved, tasks)(weights) - AucResampler(failed_rewritten, resolved, tasks)(weights)
    return Effect(
        about=about,
        n_rejected=int(rejected.sum()),
        flipped=flipped,
        flipped_interval=flipped_interval,
        n_accepted=int(accepted.sum()),
        pushed_down=pushed,
        pushed_down_interval=pushed_interval,
        auc_lost=_lost(before, failed_rewritten, resolved),
        auc_lost_interval=interval(lost, weights.shape[1]),
        auc_lost_by_all=_lost(before, up, resolved),
        mean_shift=float((up - before)[~resolved].mean()) if (~resolved).any() else 0.0,
    )


def _lost(before: Floats, after: Floats, resolved: Flags) -> float | None:
    first, second = auc_score(before, resolved), auc_score(after, resolved)
    return None if first is None or second is None else first - second


def _share(among: Flags, moved: Flags, tasks: Ids, weights: Floats) -> tuple[float | None, Interval | None]:
    """The share moved of those among whom it is counted, and its interval.

    Where none or all moved, a bootstrap sees no variation at all: there the far end is the exact bound for as many
    independent tasks, 1 - 0.025^(1 / tasks).
    """
    n_tasks = weights.shape[1]
    over, under = sum_by(tasks, n_tasks, among & moved), sum_by(tasks, n_tasks, among)
    if not under.any():
        return None, None
    share, carrying = float(over.sum() / under.sum()), int(np.count_nonzero(under))
    bound = float(1 - EDGE ** (1 / carrying))
    if share in (0.0, 1.0):
        return share, (0.0, bound) if share == 0.0 else (1 - bound, 1.0)
    return share, interval(divide(weights @ over, weights @ under), carrying)
