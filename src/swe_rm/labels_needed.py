"""How many labels of a new policy a calibrator needs: each policy in turn is taken for new, with 0 to 200 labels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from swe_rm.calibrate import Calibrator, Method, fit, leaning
from swe_rm.errors import SweRmError
from swe_rm.metrics import Flags, Floats, Ids, calibration_error, noise_floors
from swe_rm.trajectory import Noun

SIZES = (0, 20, 50, 200)
"""Labelled attempts of the new policy."""
DRAWS = 20
"""Splits of a policy's tasks behind each figure."""
TESTED = 1 / 3
"""Of the policy's tasks: calibration is measured on these, labels come from the others."""
MIN_ATTEMPTS = 100
"""A policy with fewer is not taken for new: on a third of them an ECE is mostly chance."""


class NoPolicy(SweRmError):  # noqa: N818  # read as "no policy can be taken for new"
    """No policy is large enough to be taken for new, or there is but one."""


class Spread(Noun):
    """A figure over the draws."""

    mean: float
    low: float
    high: float
    """A tenth of the draws lie below `low`, a tenth above `high`."""


class NewPolicy(Noun):
    """One policy taken for new."""

    policy: str
    n_attempts: int
    n_tasks: int
    base_rate: float
    n_tested: float
    """Attempts that calibration is measured on, mean over the draws."""
    before: Spread
    """ECE of the scores as they are."""
    by_labels: dict[int, Spread | None]
    """Labels -> ECE with so many; None where the policy has too few."""
    noise_floor: float
    """Mean ECE of a perfect calibration on as many attempts, from chance alone."""


class _Pool(NamedTuple):
    """Scores and outcomes with whose attempts they are, each (n,)."""

    scores: Floats
    resolved: Flags
    tasks: npt.NDArray[np.str_]
    policies: npt.NDArray[np.str_]


def labels_needed(
    method: Method,
    scores: Floats,
    resolved: Flags,
    tasks: Sequence[str],
    policies: Sequence[str],
    *,
    sizes: Sequence[int] = SIZES,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[NewPolicy, ...]:
    """Every policy with at least 100 attempts taken for new, the largest first. Columns have an entry an attempt.

    A draw puts a third of the policy's tasks aside. What is fitted sees no attempt at them, by whatever policy: the
    other policies' attempts at all other tasks, and so many of the new policy's. The map leans on the others as one
    `--per policy` does. Raises NoPolicy where none is large enough or there is but one.
    """
    pool = _Pool(scores, resolved, np.asarray(tasks), np.asarray(policies))
    names, counts = np.unique(pool.policies, return_counts=True)
    large = sorted(zip((-counts).tolist(), names.tolist(), strict=True))
    found = [name for n, name in large if -n >= MIN_ATTEMPTS]
    if not found or len(names) < 2:
        raise NoPolicy(f"no policy has {MIN_ATTEMPTS} attempts beside those of another: none can be taken for new")
    return tuple(_new_policy(method, pool, name, sizes, draws, seed) for name in found)


def _new_policy(method: Method, pool: _Pool, policy: str, sizes: Sequence[int], draws: int, seed: int) -> NewPolicy:
    rng = np.random.default_rng(seed)
    mine = pool.policies == policy
    errors: dict[int, list[float]] = {size: [] for size in sizes}
    before, floors, tested = [], [], []
    for _ in range(draws):
        test, others, own = _split(pool, mine, rng)
        scores, resolved = pool.scores[test], pool.resolved[test]
        before.append(_error(scores, resolved))
        tested.append(len(test))
        for size in sizes:
            if len(own) >= size:
                mapped = _fitted(method, pool, others, own[:size])(scores)
                errors[size].append(_error(mapped, resolved))
        floors.append((noise_floors(mapped, n_draws=50, seed=seed) or (0.0,))[0])
    return NewPolicy(
        policy=policy,
        n_attempts=int(mine.sum()),
        n_tasks=len(set(pool.tasks[mine])),
        base_rate=float(pool.resolved[mine].mean()),
        n_tested=float(np.mean(tested)),
        before=_spread(before),
        by_labels={size: _spread(found) if len(found) == draws else None for size, found in errors.items()},
        noise_floor=float(np.mean(floors)),
    )


def _split(pool: _Pool, mine: Flags, rng: np.random.Generator) -> tuple[Ids, Ids, Ids]:
    """Places of the policy's attempts to test, of the others' to fit on, and of the policy's own to label, shuffled."""
    tasks = np.unique(pool.tasks[mine])
    aside = np.isin(pool.tasks, rng.permutation(tasks)[: max(1, round(TESTED * len(tasks)))])
    own = rng.permutation(np.flatnonzero(mine & ~aside))
    return np.flatnonzero(mine & aside), np.flatnonzero(~mine & ~aside), own


def _fitted(method: Method, pool: _Pool, others: Ids, own: Ids) -> Calibrator:
    used = np.concatenate([others, own])
    weights = leaning(np.arange(len(used)) >= len(others)) if len(own) else None
    return fit(method, pool.scores[used], pool.resolved[used], weights)


def _error(scores: Floats, resolved: Flags) -> float:
    error = calibration_error(scores, resolved)
    assert error is not None, "a third of the tasks of a hundred attempts holds some"
    return error


def _spread(values: Sequence[float]) -> Spread:
    low, high = np.quantile(values, [0.1, 0.9])
    return Spread(mean=float(np.mean(values)), low=float(low), high=float(high))
