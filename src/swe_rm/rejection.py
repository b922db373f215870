"""Rejection curves: what is accepted resolves more often when the least of the scores are rejected, or it does not."""

import numpy as np

from swe_rm import metrics
from swe_rm.figures import Pool
from swe_rm.metrics import Floats
from swe_rm.trajectory import Noun

COVERAGES = tuple(range(10, 101, 10))
"""Per cent accepted."""


class Rejection(Noun):
    """Per cent accepted -> share resolved of what is accepted, best scores first, ties sharing their mean."""

    attempts: dict[int, float]
    """Of all attempts."""
    tasks: dict[int, float]
    """Of each task's best-scored attempt: what best-of-N resolves where it answers at all."""


def rejection(pool: Pool, scores: Floats) -> Rejection | None:
    """Both curves; None without attempts."""
    if not len(scores):
        return None
    best = np.full(pool.n_tasks, -np.inf)
    np.maximum.at(best, pool.tasks, scores)
    outcome = metrics.top_outcome(scores, pool.resolved, pool.tasks, pool.n_tasks)
    return Rejection(attempts=_read(scores, pool.resolved.astype(np.float64)), tasks=_read(best, outcome))


def _read(scores: Floats, values: Floats) -> dict[int, float]:
    curve = metrics.rejection_curve(scores, values)
    return {share: float(curve[-(-share * len(curve) // 100) - 1]) for share in COVERAGES}
