"""RL readiness: what a verifier's scores would teach a policy, read off a pool of groups before anything is trained.

A group is what group-relative algorithms normalise over: the attempts of one policy at one task, two at least. With
x' = x minus its group's mean, an attempt's advantage is A(x) = x' / sd(x), or 0 where all are equal. `docs/metrics.md`
has the formulae and what they do not show.
"""

from collections.abc import Callable

import numpy as np

from swe_rm import metrics
from swe_rm.figures import Pool
from swe_rm.metrics import Flags, Floats, Ids
from swe_rm.resampling import Interval, Resampled, Sums, interval
from swe_rm.trajectory import Noun


class Groups(Noun):
    """How many groups there are, by what tests say of their attempts."""

    mixed: int
    all_resolved: int
    all_unresolved: int


class Readiness(Noun):
    """Scores as an RL reward beside the true outcomes; None where undefined."""

    groups: Groups
    advantage_cosine: float | None
    """Mean over mixed groups of cos(A(score), A(outcome)); 1 is the tests' own signal, 0 none, below it is harm."""
    advantage_sign: float | None
    """Share of attempts in mixed groups whose A(score) has the sign of A(outcome), 0 half."""
    batch_cosine: float | None
    """cos over the advantages of all groups at once: what uniform groups add counts against the verifier."""
    hybrid_cosine: float | None
    """`advantage_cosine` of outcome + score, the reward of SWE-RM for finished attempts."""
    failed_above_resolved: float | None
    """Share of the (resolved, unresolved) pairs of a group in which the failed attempt scores strictly higher."""
    top_failed: float | None
    """Share of mixed groups whose best-scored attempt failed, ties split."""
    uniform_share: float | None
    """Share of the squared normalised advantages that lies in groups whose outcomes are all equal: tests give 0 there.
    """
    uniform_share_centred: float | None
    """The same without division by sd."""
    spread_mixed: float | None
    spread_all_resolved: float | None
    spread_all_unresolved: float | None
    """Mean standard deviation of the scores of a group."""
    score_all_resolved: float | None
    score_all_unresolved: float | None
    """Mean score of attempts in such groups."""
    calibration_slope: float | None
    """Sum of score' outcome' over sum of score'^2, all groups: 1 where differences of scores mean what they say."""
    calibration_gap: float | None
    """Mean distance of a group's mean score from its resolve rate, weighted by size."""
    intervals: dict[str, Interval | None]

    def in_words(self) -> list[str]:
        """What stands out, a sentence each; none where there is no mixed group."""
        if self.advantage_cosine is None:
            return ["No group of one policy at one task has both outcomes: nothing can be said of RL."]
        bounds = self.intervals["advantage_cosine"]
        said = f" [{bounds[0]:.2f}, {bounds[1]:.2f}]" if bounds else ""
        lines = [
            f"Advantages agree with those of the tests by a cosine of {self.advantage_cosine:.2f}{said}, "
            f"over {self.groups.mixed} groups with both outcomes."
        ]
        if self.failed_above_resolved is not None:
            lines.append(
                f"A failed attempt outranks a resolved one of its group in {self.failed_above_resolved:.0%} of pairs "
                f"and comes first in {self.top_failed or 0:.0%} of mixed groups."
            )
        if self.uniform_share is not None:
            lines.append(
                f"{self.uniform_share:.0%} of the squared advantages lie in groups that tests cannot separate."
            )
        return lines


_SHAREABLE = (
    "advantage_cosine", "advantage_sign", "hybrid_cosine", "failed_above_resolved", "top_failed", "uniform_share",
    "uniform_share_centred", "spread_mixed", "spread_all_resolved", "spread_all_unresolved", "score_all_resolved",
    "score_all_unresolved", "calibration_slope", "calibration_gap",
)  # fmt: skip
"""Figures that are a ratio of sums by task."""


class GroupFigures:
    """One verifier's scores on the groups of a pool, summed by task."""

    def __init__(self, pool: Pool, scores: Floats) -> None:
        n_cells = len(pool.cell_tasks)
        sizes = metrics.sum_by(pool.cells, n_cells)
        inside = sizes[pool.cells] >= 2
        self._pool = pool
        self._group = _Groups(scores[inside], pool.resolved[inside], pool.cells[inside], n_cells)
        self._sums = {
            name: (self._by_task(over), self._by_task(under)) for name, (over, under) in self._terms().items()
        }
        self._batch = [self._by_task(part) for part in self._group.batch()]

    def readiness(self, resampled: Resampled) -> Readiness:
        """The figures, with intervals of what `resampler` made of the draws."""
        found = {name: metrics.ratio(*self._sums[name]) for name in _SHAREABLE}
        product, mine, tests = (part.sum(keepdims=True) for part in self._batch)
        batch = float(_cosine(product, mine, tests)[0])
        group = self._group
        return Readiness(
            groups=Groups(
                mixed=int(group.mixed.sum()),
                all_resolved=int(group.all_resolved.sum()),
                all_unresolved=int(group.all_unresolved.sum()),
            ),
            batch_cosine=None if np.isnan(batch) else batch,
            intervals={name: interval(values, self._n_clusters(name)) for name, values in resampled.items()},
            **found,
        )

    def resampler(self) -> Callable[[Floats], Resampled]:
        """Every figure in every resample of tasks: it takes weights (resamples, n_tasks)."""
        sums = Sums(self._pool.n_tasks)
        terms = {name: (sums.add(over), sums.add(under)) for name, (over, under) in self._sums.items()}
        batch = [sums.add(part) for part in self._batch]

        def resampled(weights: Floats) -> Resampled:
            totals = sums.resampled(weights)
            found = {name: metrics.divide(totals[over], totals[under])[0] for name, (over, under) in terms.items()}
            return {**found, "batch_cosine": _cosine(*(totals[part][0] for part in batch))}

        return resampled

    def _n_clusters(self, name: str) -> int:
        under = self._batch[2] if name == "batch_cosine" else self._sums[name][1]
        return int(np.count_nonzero(under))

    def _by_task(self, by_cell: Floats) -> Floats:
        return metrics.sum_by(self._pool.cell_tasks, self._pool.n_tasks, by_cell)

    def _terms(self) -> dict[str, tuple[Floats, Floats]]:
        """Numerators and denominators by group."""
        g = self._group
        mixed, n, moved = g.mixed.astype(np.float64), g.sizes, g.varies.astype(np.float64)
        uniform = ~g.mixed
        return {
            "advantage_cosine": (mixed * g.cosine, mixed),
            "advantage_sign": (mixed * g.signs, mixed * n),
            "hybrid_cosine": (mixed * g.hybrid, mixed),
            "failed_above_resolved": (g.inverted, g.pairs),
            "top_failed": (mixed * g.top_failed, mixed),
            "uniform_share": (uniform * moved * n, moved * n),
            "uniform_share_centred": (uniform * g.score_squares, g.score_squares),
            "spread_mixed": (mixed * g.spread, mixed),
            "spread_all_resolved": (g.all_resolved * g.spread, g.all_resolved.astype(np.float64)),
            "spread_all_unresolved": (g.all_unresolved * g.spread, g.all_unresolved.astype(np.float64)),
            "score_all_resolved": (g.all_resolved * g.score_sums, g.all_resolved * n),
            "score_all_unresolved": (g.all_unresolved * g.score_sums, g.all_unresolved * n),
            "calibration_slope": (g.products, g.score_squares),
            "calibration_gap": (np.abs(g.score_sums - g.resolved_sums), n),
        }


_ROUNDING = 1e-12
"""A score this near its group's mean lies on it."""


class _Groups:
    """Sums over the attempts of each group: arrays of one entry a cell, 0 for cells that are no group."""

    def __init__(self, scores: Floats, resolved: Flags, cells: Ids, n_cells: int) -> None:
        def total(values: Floats | Flags | None) -> Floats:
            return metrics.sum_by(cells, n_cells, values)

        self.sizes, self.score_sums, self.resolved_sums = total(None), total(scores), total(resolved)
        self.varies = _varies(scores, cells, n_cells)
        means = metrics.divide(self.score_sums, self.sizes)
        score = np.where(self.varies[cells], scores - means[cells], 0)
        outcome = resolved - metrics.divide(self.resolved_sums, self.sizes)[cells]
        self.score_squares, self.outcome_squares = total(score**2), total(outcome**2)
        self.products = total(score * outcome)
        self.mixed = (self.resolved_sums > 0) & (self.resolved_sums < self.sizes)
        self.all_resolved = (self.sizes > 0) & (self.resolved_sums == self.sizes)
        self.all_unresolved = (self.sizes > 0) & (self.resolved_sums == 0)
        self.spread = np.sqrt(metrics.divide(self.score_squares, np.maximum(self.sizes, 1)))
        ahead = np.sign(np.where(np.abs(score) < _ROUNDING, 0, score))
        self.signs = total((1 + ahead * np.sign(outcome)) / 2)
        self.inverted, self.pairs = _inverted(scores, resolved, cells, n_cells)
        self.top_failed = 1 - np.nan_to_num(metrics.top_outcome(scores, resolved, cells, n_cells))

    @property
    def cosine(self) -> Floats:
        """Of the centred scores and outcomes; 0 where either does not vary."""
        return np.nan_to_num(_cosine(self.products, self.score_squares, self.outcome_squares))

    @property
    def hybrid(self) -> Floats:
        """The same of outcome + score."""
        squares = self.outcome_squares + 2 * self.products + self.score_squares
        return np.nan_to_num(_cosine(self.outcome_squares + self.products, squares, self.outcome_squares))

    def batch(self) -> tuple[Floats, Floats, Floats]:
        """Inner product of the normalised advantages of scores and outcomes, and their squared lengths."""
        return self.mixed * self.sizes * self.cosine, self.varies * self.sizes, self.mixed * self.sizes


def _cosine(product: Floats, mine: Floats, other: Floats) -> Floats:
    """NaN where either has no length."""
    return metrics.divide(product, np.sqrt(mine * other))


def _varies(scores: Floats, cells: Ids, n_cells: int) -> Flags:
    low, high = np.full(n_cells, np.inf), np.full(n_cells, -np.inf)
    np.minimum.at(low, cells, scores)
    np.maximum.at(high, cells, scores)
    return np.asarray(low < high)


def _inverted(scores: Floats, resolved: Flags, cells: Ids, n_cells: int) -> tuple[Floats, Floats]:
    """Pairs whose failed attempt scores strictly higher, and pairs, of each group."""
    wins, pairs = metrics.pair_sums(scores, resolved, cells, n_cells)
    _, level = np.unique(scores, return_inverse=True)
    blocks, block = np.unique(cells * (level.max(initial=0) + 1) + level, return_inverse=True)
    good, bad = (metrics.sum_by(block, len(blocks), flags) for flags in (resolved, ~resolved))
    ties = metrics.sum_by(blocks // (level.max(initial=0) + 1), n_cells, good * bad)
    return pairs - wins - ties / 2, pairs
