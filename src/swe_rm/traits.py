"""What a policy can learn to show more or less of: facts of an attempt, as they differ from the others of its group."""

from typing import NamedTuple

import numpy as np

from swe_rm.metrics import Floats, Ids, starts, sum_by
from swe_rm.scored import Names
from swe_rm.verifiers.facts import HABITS

RIDGE = 0.1
"""Added to the variance of every direction, in units of one trait's: what hardly differs inside groups is learnt more
slowly than what does."""

_STEADY = 1e-6
"""A trait that varies less inside groups is one of the task and cannot be learnt: the length of the issue."""


class Traits(NamedTuple):
    """Attempts (n) as a policy sees them."""

    names: tuple[str, ...]
    about: tuple[str, ...]
    """What each says."""
    values: Floats
    """[n, names]: above the group's mean, in standard deviations inside groups."""
    directions: Floats
    """[n, names]: the same attempts in coordinates that do not depend on how traits are scaled or overlap."""


def traits_of(facts: Floats, groups: Ids, cut: Floats, policies: Names | None = None) -> Traits:
    """Traits of attempts from `HABITS` [n, features], the tokens a verifier did not read (n,), and whose they are.

    `groups` (n,) is ascending and leaves no number out; each group weighs the same. Facts are taken by rank over all
    attempts, for their tails are long. `policies` (n,) adds a trait for each: where a group holds attempts of several
    policies, becoming more like one of them can be learnt. NaN in `cut` is 0. What does not vary inside groups is left
    out. No outcome and no score is looked at.
    """
    columns = [(name, about, _shares(facts[:, place])) for place, (name, (about, _)) in enumerate(HABITS.items())]
    columns.append(("cut", "tokens that the verifier did not read", _shares(np.nan_to_num(cut))))
    for policy in sorted(set(policies)) if policies is not None else ():
        columns.append((f"policy {policy}", "an attempt of this policy", np.asarray(policies == policy, np.float64)))
    weights = 1 / sum_by(groups, groups[-1] + 1)[groups] / (groups[-1] + 1)
    values = _within(np.stack([column for _, _, column in columns], axis=1), groups)
    spread = np.sqrt(weights @ values**2)
    kept = np.flatnonzero(spread > _STEADY)
    values = values[:, kept] / spread[kept]
    return Traits(
        names=tuple(columns[place][0] for place in kept),
        about=tuple(columns[place][1] for place in kept),
        values=values,
        directions=_whitened(values, weights),
    )


def _shares(values: Floats) -> Floats:
    """Mid-rank of each value as a share of all: (n,) -> (n,) in (0, 1)."""
    _, level, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(((np.cumsum(counts) - counts / 2) / len(values))[level])


def _within(columns: Floats, groups: Ids) -> Floats:
    """Columns [n, k] less their means inside groups."""
    sums = np.add.reduceat(columns, np.flatnonzero(starts(groups)), axis=0)
    return np.asarray(columns - (sums / sum_by(groups, len(sums))[:, None])[groups])


def _whitened(values: Floats, weights: Floats) -> Floats:
    """The same space in uncorrelated coordinates of variance v / (v + RIDGE), v an eigenvalue of the correlations.

    A step along the gradient of a policy exp(w . directions) is then a step of natural gradient where w is 0: two
    traits that say the same are not learnt twice as fast as one.
    """
    variances, axes = np.linalg.eigh((values * weights[:, None]).T @ values)
    return np.asarray(values @ (axes / np.sqrt(np.maximum(variances, 0) + RIDGE)))
