"""What judging costs: tokens, seconds and, at a price an hour, money beside what it buys."""

import numpy as np

from swe_rm import metrics
from swe_rm.errors import SweRmError
from swe_rm.figures import Pool
from swe_rm.metrics import Floats
from swe_rm.scored import Scored
from swe_rm.trajectory import Noun


class Cost(Noun):
    """What the verdicts cost together; None where no verdict says."""

    prompt_tokens: int | None
    seconds: float | None


class Money(Noun):
    """What judging costs at a price an hour of it; None where no verdict says how long it took.

    What the attempts themselves cost is not in it.
    """

    price_per_hour: float
    per_1000_attempts: float | None
    total: float | None
    """Of the measured attempts."""
    resolved_tasks: float
    """Expected number of tasks that the best-scored attempt of each resolves, ties split."""
    gained_tasks: float
    """The same less what a random pick resolves."""
    resolved_tasks_per_unit: float | None
    gained_tasks_per_unit: float | None
    """By unit of money."""


def cost_of(scored: Scored) -> Cost:
    """Sums over the verdicts that tell."""
    tokens, seconds = (column[~np.isnan(column)] for column in (scored.prompt_tokens, scored.seconds))
    return Cost(
        prompt_tokens=int(tokens.sum()) if len(tokens) else None,
        seconds=float(seconds.sum()) if len(seconds) else None,
    )


def money_of(kept: Scored, pool: Pool, scores: Floats, price_per_hour: float) -> Money:
    """The price of the verdicts on the measured attempts, and the tasks they resolve.

    An attempt whose verdict does not tell its time counts with the mean of the others. Raises SweRmError for a price
    that is not above 0.
    """
    if not price_per_hour > 0:
        raise SweRmError(f"price_per_hour is {price_per_hour}: it must be above 0")
    told = kept.seconds[~np.isnan(kept.seconds)]
    each = float(told.mean()) * price_per_hour / 3600 if len(told) else None
    total = each * len(kept) if each else None
    best = metrics.top_outcome(scores, pool.resolved, pool.tasks, pool.n_tasks).sum()
    sizes, good = (metrics.sum_by(pool.tasks, pool.n_tasks, flags) for flags in (None, pool.resolved))
    gained = best - (good / sizes).sum()
    return Money(
        price_per_hour=price_per_hour,
        per_1000_attempts=None if each is None else 1000 * each,
        total=total,
        resolved_tasks=float(best),
        gained_tasks=float(gained),
        resolved_tasks_per_unit=float(best / total) if total else None,
        gained_tasks_per_unit=float(gained / total) if total else None,
    )
