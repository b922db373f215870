"""The figures of scores on a pool of outcomes, summed by task so that figure and interval come from the same sums."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from swe_rm import metrics
from swe_rm.metrics import Flags, Floats, Ids
from swe_rm.trajectory import Labelled, Noun, Outcome, policy_family
from swe_rm.verifiers.controls import PolicyName

MIN_POLICY_ATTEMPTS = 20
"""A policy with fewer attempts does not enter `auc_within_policy`."""

Interval = tuple[float, float]
Curve = dict[int, float]


class Metrics(Noun):
    """The figures of one verifier on one pool of attempts; None where undefined."""

    verifier: str | None
    """name@version; None where there is no verdict."""
    n_attempts: int
    """Attempts of known outcome with a verdict: what every figure is over."""
    n_tasks: int
    base_rate: float | None
    """Share of resolved attempts."""
    auc: float | None
    auc_within_policy: float | None
    """Size-weighted mean over policies with both outcomes and at least `MIN_POLICY_ATTEMPTS` attempts."""
    auc_within_task: float | None
    """Share of (resolved, unresolved) pairs of one task in the right order, ties half."""
    auc_same_policy_task: float | None
    """The same over pairs of one task and one policy: the headline."""
    n_pairs_same_policy_task: int
    auc_upset: float | None
    """The same over pairs of one task whose resolved attempt is by the policy with the lower mean in the pool."""
    n_pairs_upset: int
    ece: float | None
    brier: float | None
    rm_at_k: Curve
    """K -> resolve rate of the best-scored of K attempts at a task, mean over the tasks with at least K."""
    pass_at_k: Curve
    rm_at_k_same_policy: Curve
    """The same with (task, policy) as the group."""
    pass_at_k_same_policy: Curve
    n_tasks_at_k: dict[int, int]
    """K -> tasks with at least K attempts."""

    def to_json(self) -> dict[str, Any]:
        """The figures under the contract's keys; K as text, as JSON wants it."""
        return self.model_dump(mode="json")


@dataclass(frozen=True, eq=False)
class Pool:
    """The outcomes and groups of the measured attempts, as arrays of one entry an attempt."""

    resolved: Flags
    tasks: Ids
    policies: Ids
    cells: Ids
    """Which (task, policy)."""
    cell_tasks: Ids
    """The task of each cell: one entry a cell."""
    policy_names: tuple[str, ...]
    """One entry an attempt."""

    @property
    def n_tasks(self) -> int:
        """How many tasks the attempts are at."""
        return int(self.tasks.max(initial=-1)) + 1

    @property
    def strengths(self) -> Floats:
        """The mean resolve rate of each attempt's policy in the pool."""
        n_policies = int(self.policies.max(initial=-1)) + 1
        resolved, sizes = (metrics.sum_by(self.policies, n_policies, flags) for flags in (self.resolved, None))
        return np.asarray((resolved / sizes)[self.policies])


def pool_of(kept: Sequence[Labelled], policy: PolicyName) -> Pool:
    """The pool of labelled attempts whose outcomes are known; tasks and policies are numbered in sorted order."""
    by_family = policy == "family"
    names = [policy_family(p) if by_family else p for p in (item.trajectory.origin.policy for item in kept)]
    tasks = _numbered([item.trajectory.task.instance_id for item in kept])
    policies = _numbered(names)
    pairs = np.stack([tasks, policies], axis=1)
    unique, cells = np.unique(pairs, axis=0, return_inverse=True)
    return Pool(
        resolved=np.array([item.outcome is Outcome.RESOLVED for item in kept], dtype=np.bool_),
        tasks=tasks,
        policies=policies,
        cells=cells.reshape(-1),
        cell_tasks=unique[:, 0],
        policy_names=tuple(names),
    )


def _numbered(names: Sequence[str]) -> Ids:
    """Each name as a number, in sorted order, so that nothing depends on the order of the files."""
    return np.unique(np.array(names, dtype=np.str_), return_inverse=True)[1].astype(np.intp)


_Sums = tuple[Floats, Floats]
"""Numerators and denominators by task, (n_tasks,) or (n_tasks, K): they serve the figure and its interval."""


class Figures:
    """One verifier's scores on a pool, summed by task."""

    def __init__(self, pool: Pool, scores: Floats, k_max: int | None, *, ranking_only: bool = False) -> None:
        self._pool, self._scores = pool, scores
        self._ranking_only = ranking_only
        self._sizes = metrics.sum_by(pool.tasks, pool.n_tasks)
        self._ratios = self._ratio_sums()
        self._curves = self._curve_sums(k_max)

    def metrics(self, verifier: str | None) -> Metrics:
        """The figures themselves."""
        pool, scores = self._pool, self._scores
        curves = {name: _curve(sums) for name, sums in self._curves.items()}
        return Metrics(
            verifier=verifier,
            n_attempts=len(scores),
            n_tasks=pool.n_tasks,
            auc=metrics.auc_score(scores, pool.resolved),
            auc_within_policy=self._auc_within_policy(),
            n_pairs_same_policy_task=int(self._ratios["auc_same_policy_task"][1].sum()),
            n_pairs_upset=int(self._ratios["auc_upset"][1].sum()),
            ece=None if self._ranking_only else metrics.calibration_error(scores, pool.resolved),
            brier=None if self._ranking_only else metrics.brier_loss(scores, pool.resolved),
            n_tasks_at_k=self.n_groups_at_k("rm_at_k"),
            **{name: metrics.ratio(*sums) for name, sums in self._ratios.items()},
            **curves,
        )

    @property
    def n_tasks_same_policy(self) -> int:
        """Tasks with a pair of one policy."""
        return int(np.count_nonzero(self._ratios["auc_same_policy_task"][1]))

    def n_groups_at_k(self, curve: str) -> dict[int, int]:
        """K -> groups with at least K attempts."""
        return {k: int(count) for k, count in enumerate(self._curves[curve][1].sum(axis=0), 1)}

    def intervals(self, weights: Floats) -> dict[str, Interval | None]:
        """95% intervals from resamples of tasks (resamples, n_tasks).

        Which policies count in `auc_within_policy`, and which is the weaker of two in `auc_upset`, is settled once, on
        the pool.
        """
        pool, scores = self._pool, self._scores
        gaps = metrics.bin_gaps(scores, pool.resolved, pool.tasks, pool.n_tasks)
        squares = metrics.sum_by(pool.tasks, pool.n_tasks, (scores - pool.resolved) ** 2)
        resampled = {
            "auc": metrics.auc_resampled(scores, pool.resolved, pool.tasks, weights),
            "auc_within_policy": self._auc_within_policy_resampled(weights),
            "ece": metrics.ece_resampled(gaps, self._sizes, weights),
            "brier": metrics.ratio_resampled(squares, self._sizes, weights),
        }
        found = {name: metrics.interval(values, pool.n_tasks) for name, values in resampled.items()}
        for name, (over, under) in self._ratios.items():
            values = metrics.ratio_resampled(over, under, weights)
            found[name] = metrics.interval(values, int(np.count_nonzero(under)))
        for name, (over, under) in self._curves.items():
            columns = metrics.ratio_resampled(over, under, weights).T
            for k, (values, counted) in enumerate(zip(columns, under.T, strict=True), 1):
                found[f"{name}.{k}"] = metrics.interval(values, int(np.count_nonzero(counted)))
        return found

    def _ratio_sums(self) -> dict[str, _Sums]:
        pool, scores, n = self._pool, self._scores, self._pool.n_tasks
        wins, pairs = metrics.pair_sums(scores, pool.resolved, pool.cells, len(pool.cell_tasks))
        return {
            "base_rate": (metrics.sum_by(pool.tasks, n, pool.resolved), self._sizes),
            "auc_within_task": metrics.pair_sums(scores, pool.resolved, pool.tasks, n),
            "auc_same_policy_task": (
                metrics.sum_by(pool.cell_tasks, n, wins),
                metrics.sum_by(pool.cell_tasks, n, pairs),
            ),
            "auc_upset": metrics.upset_sums(scores, pool.resolved, pool.strengths, pool.tasks, n),
        }

    def _curve_sums(self, k_max: int | None) -> dict[str, _Sums]:
        pool = self._pool
        sums = {}
        for suffix, groups, group_tasks in (
            ("", pool.tasks, np.arange(pool.n_tasks)),
            ("_same_policy", pool.cells, pool.cell_tasks),
        ):
            rm, best = metrics.by_group(self._scores, pool.resolved, groups, len(group_tasks))
            sums[f"rm_at_k{suffix}"] = _summed(rm[:, :k_max], group_tasks, pool.n_tasks)
            sums[f"pass_at_k{suffix}"] = _summed(best[:, :k_max], group_tasks, pool.n_tasks)
        return sums

    def _eligible(self) -> list[Flags]:
        """The attempts of each policy that counts within policies."""
        masks = (self._pool.policies == policy for policy in np.unique(self._pool.policies))
        return [m for m in masks if m.sum() >= MIN_POLICY_ATTEMPTS and len(np.unique(self._pool.resolved[m])) == 2]

    def _auc_within_policy(self) -> float | None:
        pool, masks = self._pool, self._eligible()
        sizes = np.array([mask.sum() for mask in masks], dtype=np.float64)
        aucs = np.array([metrics.auc_score(self._scores[mask], pool.resolved[mask]) for mask in masks], np.float64)
        return metrics.ratio(aucs * sizes, sizes)

    def _auc_within_policy_resampled(self, weights: Floats) -> Floats:
        """A policy that shows one class only in a resample is left out of it."""
        pool, masks = self._pool, self._eligible()
        aucs, sizes = np.empty((len(weights), len(masks))), np.empty((len(weights), len(masks)))
        for column, mask in enumerate(masks):
            tasks = pool.tasks[mask]
            aucs[:, column] = metrics.auc_resampled(self._scores[mask], pool.resolved[mask], tasks, weights)
            sizes[:, column] = weights @ metrics.sum_by(tasks, pool.n_tasks)
        return metrics.weighted_mean(aucs, sizes)


def _summed(values: Floats, groups_tasks: Ids, n_tasks: int) -> _Sums:
    """Curves of groups (groups, K) summed by task, and the groups that have them."""
    over, under = np.zeros((n_tasks, values.shape[1])), np.zeros((n_tasks, values.shape[1]))
    np.add.at(over, groups_tasks, np.nan_to_num(values))
    np.add.at(under, groups_tasks, ~np.isnan(values))
    return over, under


def _curve(sums: _Sums) -> Curve:
    over, under = sums
    means = [metrics.ratio(a, b) for a, b in zip(over.T, under.T, strict=True)]
    return {k: mean for k, mean in enumerate(means, 1) if mean is not None}
