"""Resolve rates of looks, by seed and in draws of tasks, and the height of a learning curve."""

from collections.abc import Sequence

import numpy as np

from swe_rm.metrics import Floats, divide
from swe_rm.resampling import resample_weights
from swe_rm.rl.runs import Seen
from swe_rm.spread import RESAMPLES, Draws


def rates(looks: Sequence[Sequence[Seen]]) -> Draws:
    """Resolved of known at each look of each seed: [seeds][looks] -> (seeds, looks) and (resamples, seeds, looks).

    Tasks are drawn where every look tells its tasks and all tell the same; the draws depend on their number alone, so
    that arms that were looked at the same tasks are drawn alike. NaN where nothing is known.
    """
    resolved, known = (np.array([[getattr(seen, n) for seen in row] for row in looks]) for n in ("resolved", "known"))
    plain = np.asarray(divide(resolved, known))
    names = task_names(looks)
    if len(names) < 2:
        return Draws(plain, None)
    counts = np.array([[[seen.by_task[name] for name in names] for seen in row] for row in looks if row])  # type: ignore[index]
    weights = resample_weights(len(names), RESAMPLES, seed=0)
    drawn = [np.einsum("dt,slt->dsl", weights, counts[..., which], optimize=True) for which in (0, 1)]
    return Draws(plain, np.asarray(divide(*drawn)), len(names))


def task_names(looks: Sequence[Sequence[Seen]]) -> tuple[str, ...]:
    """The tasks that all looks are at, sorted; empty where a look does not tell, or where they differ."""
    told = {None if seen.by_task is None else tuple(sorted(seen.by_task)) for row in looks for seen in row}
    (only,) = told if len(told) == 1 else (None,)
    return only or ()


def area(xs: Sequence[int], values: Floats) -> Floats:
    """Mean height of the curve through (..., looks) at xs: trapezoids over the whole width."""
    widths = np.diff(np.asarray(xs, dtype=np.float64))
    if not widths.size:
        return np.asarray(values[..., -1])
    return np.asarray(((values[..., 1:] + values[..., :-1]) / 2 * widths).sum(axis=-1) / widths.sum())
