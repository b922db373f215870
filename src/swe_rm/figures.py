"""The figures of scores on a pool of outcomes, summed by task so that figure and interval come from the same sums."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from swe_rm import metrics
from swe_rm.metrics import Flags, Floats, Ids
from swe_rm.resampling import AucResampler, Interval, Resampled, Sums, interval, reflected, weighted_mean
from swe_rm.scored import Names, Scored
from swe_rm.trajectory import Noun, policy_family
from swe_rm.verifiers.controls import PolicyName

MIN_POLICY_ATTEMPTS = 20
"""A policy with fewer attempts does not enter `auc_within_policy`."""

BIASED = frozenset({"ece", "ece_mass"})
"""Figures that grow when attempts are repeated, as resamples do."""
LOWER_IS_BETTER = frozenset({"ece", "brier"})

Curve = dict[int, float]
PartialCurve = dict[int, float | None]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


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
    average_precision: float | None
    ece: float | None
    ece_mass: float | None
    """ECE over ten bins of equal mass."""
    brier: float | None
    brier_parts: dict[str, float] | None
    """brier = reliability - resolution + uncertainty + within_bins."""
    rm_at_k: Curve
    """K -> resolve rate of the best-scored of K attempts at a task, mean over the tasks with at least K."""
    pass_at_k: Curve
    rm_at_k_same_policy: Curve
    """The same with (task, policy) as the group."""
    pass_at_k_same_policy: Curve
    random_at_k: Curve
    """K -> resolve rate of a random pick, over the tasks with at least K."""
    random_at_k_same_policy: Curve
    gap_recovered: PartialCurve
    """K -> (RM@K - random@K) / (pass@K - random@K): the share recovered of what an oracle would add."""
    gap_recovered_same_policy: PartialCurve
    n_tasks_at_k: dict[int, int]
    """K -> tasks with at least K attempts."""

    @property
    def widest_k(self) -> int:
        """The largest K that half of the tasks have: beyond it a curve is about few of them. 0 without tasks."""
        return max((k for k, n in self.n_tasks_at_k.items() if 2 * n >= self.n_tasks), default=0)

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
    task_names: Names
    """By number."""
    policy_names: Names
    """By number."""

    @property
    def n_tasks(self) -> int:
        """How many tasks the attempts are at."""
        return len(self.task_names)

    @property
    def strengths(self) -> Floats:
        """The mean resolve rate of each attempt's policy in the pool."""
        n_policies = len(self.policy_names)
        resolved, sizes = (metrics.sum_by(self.policies, n_policies, flags) for flags in (self.resolved, None))
        return np.asarray((resolved / sizes)[self.policies])

    @cached_property
    def by_policy(self) -> list[Flags]:
        """The attempts of each policy that counts within policies."""
        masks = (self.policies == policy for policy in range(len(self.policy_names)))
        return [m for m in masks if m.sum() >= MIN_POLICY_ATTEMPTS and len(np.unique(self.resolved[m])) == 2]


def pool_of(kept: Scored, policy: PolicyName) -> Pool:
    """The pool of attempts whose outcomes are known; tasks and policies are numbered in sorted order, so that nothing
    depends on the order of the files."""
    names = kept.policies
    if policy == "family":
        families = {name: policy_family(name) for name in set(names)}
        names = np.array([families[name] for name in names], dtype=np.object_)
    return pool_from(kept.tasks, names, kept.resolved)


def pool_from(task_of: Names, policy_of: Names, resolved: Flags) -> Pool:
    """The pool of attempts by the names of their tasks and policies."""
    task_names, tasks = _numbered(task_of)
    policy_names, policies = _numbered(policy_of)
    unique, cells = np.unique(tasks * max(1, len(policy_names)) + policies, return_inverse=True)
    return Pool(
        resolved=resolved,
        tasks=tasks,
        policies=policies,
        cells=cells.reshape(-1),
        cell_tasks=unique // max(1, len(policy_names)),
        task_names=task_names,
        policy_names=policy_names,
    )


def _numbered(names: Names) -> tuple[Names, Ids]:
    """The distinct names in sorted order, and the number of each."""
    distinct = sorted(set(names))
    places = {name: place for place, name in enumerate(distinct)}
    return np.array(distinct, dtype=np.object_), np.fromiter((places[n] for n in names), np.intp, len(names))


class Measured(Noun):
    """The measured attempts and their scores, in the order of their ids, so that others can be compared with them."""

    policy: PolicyName
    task_names: tuple[str, ...]
    policy_names: tuple[str, ...]
    attempt_ids: tuple[str, ...]
    attempts: tuple[str, ...]
    """Which try of the policy at the task."""
    tasks: tuple[int, ...]
    policies: tuple[int, ...]
    """Places in the names."""
    resolved: tuple[bool, ...]
    scores: tuple[Score, ...]

    @model_validator(mode="after")
    def _whole(self) -> "Measured":
        columns = (self.attempts, self.tasks, self.policies, self.resolved, self.scores)
        if {len(self.attempt_ids)} != {len(column) for column in columns}:
            raise ValueError("columns differ in length")
        if len(set(self.attempt_ids)) < len(self.attempt_ids):
            raise ValueError("an attempt stands there twice")
        for places, names in ((self.tasks, self.task_names), (self.policies, self.policy_names)):
            if places and not 0 <= min(places) <= max(places) < len(names):
                raise ValueError("an attempt is of a task or policy that is not named")
        return self

    @staticmethod
    def of(kept: Scored, pool: Pool, scores: Floats, policy: PolicyName) -> "Measured":
        """What an evaluation measured."""
        return Measured(
            policy=policy,
            task_names=tuple(pool.task_names),
            policy_names=tuple(pool.policy_names),
            attempt_ids=tuple(kept.attempt_ids),
            attempts=tuple(kept.attempts),
            tasks=tuple(pool.tasks.tolist()),
            policies=tuple(pool.policies.tolist()),
            resolved=tuple(pool.resolved.tolist()),
            scores=tuple(scores.tolist()),
        )


_Pair = tuple[Floats, Floats]
"""Numerators and denominators by task, (n_tasks,) or (n_tasks, K): they serve the figure and its interval."""


class Figures:
    """One verifier's scores on a pool, summed by task."""

    def __init__(self, pool: Pool, scores: Floats, k_max: int | None, *, ranking_only: bool = False) -> None:
        self._pool, self._scores = pool, scores
        self._ranking_only = ranking_only
        self._sizes = metrics.sum_by(pool.tasks, pool.n_tasks)
        self.ratios = self._ratio_sums()
        self.curves = self._curve_sums(k_max)

    def metrics(self, verifier: str | None) -> Metrics:
        """The figures themselves."""
        pool, scores = self._pool, self._scores
        calibration = {"ece": None, "ece_mass": None, "brier": None, "brier_parts": None}
        return Metrics(
            verifier=verifier,
            n_attempts=len(scores),
            n_tasks=pool.n_tasks,
            auc=metrics.auc_score(scores, pool.resolved),
            auc_within_policy=self._auc_within_policy(),
            n_pairs_same_policy_task=int(self.ratios["auc_same_policy_task"][1].sum()),
            n_pairs_upset=int(self.ratios["auc_upset"][1].sum()),
            average_precision=metrics.average_precision_score(scores, pool.resolved),
            n_tasks_at_k=self.n_groups_at_k("rm_at_k"),
            **{name: metrics.ratio(*sums) for name, sums in self.ratios.items()},
            **{name: _curve(sums) for name, sums in self.curves.items()},
            **(calibration if self._ranking_only else self._calibration()),
        )

    def n_tasks_with(self, name: str) -> int:
        """Tasks that carry a figure."""
        return int(np.count_nonzero(self.ratios[name][1]))

    def n_groups_at_k(self, curve: str) -> dict[int, int]:
        """K -> groups with at least K attempts."""
        return {k: int(count) for k, count in enumerate(self.curves[curve][1].sum(axis=0), 1)}

    def _calibration(self) -> dict[str, Any]:
        scores, resolved = self._scores, self._pool.resolved
        return {
            "ece": metrics.calibration_error(scores, resolved),
            "ece_mass": metrics.calibration_error(scores, resolved, metrics.mass_bin_of(scores)),
            "brier": metrics.brier_loss(scores, resolved),
            "brier_parts": metrics.brier_parts(scores, resolved),
        }

    def _ratio_sums(self) -> dict[str, _Pair]:
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

    def _curve_sums(self, k_max: int | None) -> dict[str, _Pair]:
        pool, sums = self._pool, {}
        for suffix, groups, group_tasks in (
            ("", pool.tasks, np.arange(pool.n_tasks)),
            ("_same_policy", pool.cells, pool.cell_tasks),
        ):
            rm, best = metrics.by_group(self._scores, pool.resolved, groups, len(group_tasks))
            rm, best = rm[:, :k_max], best[:, :k_max]
            mean = np.where(np.isnan(rm), np.nan, rm[:, :1])
            sums[f"rm_at_k{suffix}"] = _summed(rm, group_tasks, pool.n_tasks)
            sums[f"pass_at_k{suffix}"] = _summed(best, group_tasks, pool.n_tasks)
            sums[f"random_at_k{suffix}"] = _summed(mean, group_tasks, pool.n_tasks)
            gained, left = (_summed(curve - mean, group_tasks, pool.n_tasks)[0] for curve in (rm, best))
            sums[f"gap_recovered{suffix}"] = gained, _cleared(left)
        return sums

    def _auc_within_policy(self) -> float | None:
        masks = self._pool.by_policy
        sizes = np.array([mask.sum() for mask in masks], dtype=np.float64)
        aucs = np.array([metrics.auc_score(self._scores[m], self._pool.resolved[m]) for m in masks], np.float64)
        return metrics.ratio(aucs * sizes, sizes)

    # --- in resamples of tasks ---------------------------------------------------------------------------------------

    def resampler(self) -> Callable[[Floats], Resampled]:
        """Every figure in every resample, by name, curves as `rm_at_k.4`; it takes weights (resamples, n_tasks).

        Which policies count in `auc_within_policy`, which is the weaker of two in `auc_upset`, and where the bins of
        `ece_mass` end is settled once, on the pool. `average_precision` moves along its tangent.
        """
        pool, n = self._pool, self._pool.n_tasks
        auc = AucResampler(self._scores, pool.resolved, pool.tasks)
        within = [self._within(mask, auc) for mask in pool.by_policy]
        sums = Sums(n)
        terms = {name: (sums.add(over), sums.add(under)) for name, (over, under) in self._linear()}
        bins = {name: sums.add(gaps) for name, gaps in self._gaps()}
        sizes = [sums.add(metrics.sum_by(pool.tasks[mask], n)) for mask in pool.by_policy]

        def resampled(weights: Floats) -> Resampled:
            totals = sums.resampled(weights)
            found = {"auc": auc(weights)}
            for name, (over, under) in terms.items():
                values = metrics.divide(totals[over], totals[under])
                found |= dict(zip(self._names(name, len(values)), values, strict=True))
            found["average_precision"] = np.clip(found["average_precision"], 0, 1)
            size = totals[terms["base_rate"][1]][0]
            found |= {name: metrics.divide(np.abs(totals[place]).sum(axis=0), size) for name, place in bins.items()}
            aucs = [found["auc"] if one is auc else one(weights) for one in within]
            found["auc_within_policy"] = _within_policy(aucs, [totals[place][0] for place in sizes], len(weights))
            return found

        return resampled

    def _names(self, name: str, n: int) -> list[str]:
        return [f"{name}.{k}" for k in range(1, n + 1)] if name in self.curves else [name]

    def intervals(self, resampled: Resampled) -> dict[str, Interval | None]:
        """95% intervals of the figures in all resamples; the calibration errors' are reflected and end at 0."""
        found = {name: interval(values, self.n_clusters(name)) for name, values in resampled.items()}
        for name in BIASED & found.keys():
            value = self._calibration()[name]
            bounds = None if value is None else reflected(value, found[name])
            found[name] = bounds and (max(0.0, bounds[0]), max(0.0, bounds[1]))
        return found

    def n_clusters(self, name: str) -> int:
        """Tasks that carry a figure of `resampled`: with one there is no interval."""
        stem, _, k = name.partition(".")
        if stem in self.curves:
            return int(np.count_nonzero(self.curves[stem][1][:, int(k) - 1]))
        return self.n_tasks_with(name) if name in self.ratios else self._pool.n_tasks

    def _linear(self) -> Iterator[tuple[str, _Pair]]:
        """Every figure that is a ratio of sums by task."""
        pool, scores, n = self._pool, self._scores, self._pool.n_tasks
        yield from self.ratios.items()
        yield from self.curves.items()
        yield "brier", (metrics.sum_by(pool.tasks, n, (scores - pool.resolved) ** 2), self._sizes)
        # AP along its tangent: sum of w (slope + AP / tasks) over sum of w / tasks is AP + sum of (w - 1) slope
        value = metrics.average_precision_score(scores, pool.resolved)
        slopes = metrics.average_precision_slopes(scores, pool.resolved)
        along = metrics.sum_by(pool.tasks, n, slopes) + (np.nan if value is None else value) / max(1, n)
        yield "average_precision", (along, np.full(n, 1 / max(1, n)))

    def _gaps(self) -> Iterator[tuple[str, Floats]]:
        pool, scores = self._pool, self._scores
        for name, bins in (("ece", metrics.bin_of(scores)), ("ece_mass", metrics.mass_bin_of(scores))):
            yield name, metrics.bin_gaps(scores, pool.resolved, pool.tasks, pool.n_tasks, bins)

    def _within(self, mask: Flags, whole: AucResampler) -> AucResampler:
        """The AUC of one policy, which may be the only one."""
        pool = self._pool
        return whole if mask.all() else AucResampler(self._scores[mask], pool.resolved[mask], pool.tasks[mask])


def _within_policy(aucs: list[Floats], sizes: list[Floats], resamples: int) -> Floats:
    """A policy that shows one class only in a resample is left out of it."""
    return weighted_mean(np.stack(aucs), np.stack(sizes)) if aucs else np.full(resamples, np.nan)


def _summed(values: Floats, groups_tasks: Ids, n_tasks: int) -> _Pair:
    """Curves of groups (groups, K) summed by task, and the groups that have them."""
    over, under = np.zeros((n_tasks, values.shape[1])), np.zeros((n_tasks, values.shape[1]))
    np.add.at(over, groups_tasks, np.nan_to_num(values))
    np.add.at(under, groups_tasks, ~np.isnan(values))
    return over, under


def _cleared(gaps: Floats) -> Floats:
    """Gaps without the rounding that would make a share of nothing."""
    return np.where(np.abs(gaps) < _ROUNDING, 0, gaps)


_ROUNDING = 1e-12


def _curve(sums: _Pair) -> dict[int, Any]:
    return {k: metrics.ratio(a, b) for k, (a, b) in enumerate(zip(sums[0].T, sums[1].T, strict=True), 1)}
