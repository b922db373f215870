"""What scores are worth against outcomes, in closed form: pure functions on numpy arrays, no files and no nouns.

`*_score` is better when larger, `*_error` and `*_loss` when smaller. What is undefined is None (NaN inside arrays of
resamples), never 0. Equal scores share their credit everywhere, so no figure depends on the order of the input.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.intp]

N_BINS = 10
"""Bins of the calibration errors, of equal width or equal mass."""


def sum_by(groups: Ids, n_groups: int, values: Floats | Flags | None = None) -> Floats:
    """Sum of `values` in each group, or how many members it has. Shapes (n,) -> (n_groups,)."""
    return np.bincount(groups, values, minlength=n_groups).astype(np.float64)


def ratio(numerators: Floats, denominators: Floats) -> float | None:
    """Sum over sum; None where nothing is counted. Shapes (n_tasks,)."""
    total = denominators.sum()
    return float(numerators.sum() / total) if total else None


def divide(numerators: Floats, denominators: Floats) -> Floats:
    """Element by element, NaN where nothing is counted."""
    undefined = np.full(np.broadcast_shapes(np.shape(numerators), np.shape(denominators)), np.nan)
    return np.asarray(np.divide(numerators, denominators, out=undefined, where=denominators != 0))


def starts(values: npt.NDArray[np.generic]) -> Flags:
    """True where a run of equal values begins."""
    new = np.ones(len(values), dtype=np.bool_)
    new[1:] = values[1:] != values[:-1]
    return new


def members_of(groups: Ids) -> list[tuple[int, Ids]]:
    """(group, indices of its members) of every group that has any."""
    order = np.argsort(groups, kind="stable")
    first = np.flatnonzero(starts(groups[order]))
    return [(int(groups[part[0]]), part) for part in np.split(order, first[1:]) if len(part)]


# --- ranking ---------------------------------------------------------------------------------------------------------


def auc_score(scores: Floats, resolved: Flags) -> float | None:
    """P(a resolved attempt scores above an unresolved one), ties half; None with one class only. Shapes (n,)."""
    return pair_accuracy_score(scores, resolved, np.zeros(len(scores), dtype=np.intp))


def roc_curve(scores: Floats, resolved: Flags) -> Floats:
    """(share of unresolved, share of resolved) attempts at or above each score, from (0, 0): the area below is the AUC.

    Equal scores are one step, so a tie is a slope. Shapes (n,) -> (levels + 1, 2); NaN where an outcome is missing.
    """
    distinct, ascending = np.unique(scores, return_inverse=True)
    level = len(distinct) - 1 - ascending
    counts = np.stack([np.cumsum(sum_by(level, len(distinct), flags)) for flags in (~resolved, resolved)], axis=1)
    return divide(np.vstack([np.zeros((1, 2)), counts]), np.array([(~resolved).sum(), resolved.sum()], np.float64))


def pair_accuracy_score(scores: Floats, resolved: Flags, groups: Ids) -> float | None:
    """Share of (resolved, unresolved) pairs of one group in the right order, ties half, all pairs weighing the same.

    Shapes (n,). None where no group has both outcomes.
    """
    wins, pairs = pair_sums(scores, resolved, groups, int(groups.max(initial=-1)) + 1)
    return ratio(wins, pairs)


def pair_sums(scores: Floats, resolved: Flags, groups: Ids, n_groups: int) -> tuple[Floats, Floats]:
    """For each group: pairs in the right order (ties half), and pairs. Shapes (n,) -> two of (n_groups,)."""
    positives, negatives = sum_by(groups, n_groups, resolved), sum_by(groups, n_groups, ~resolved)
    ranks = sum_by(groups, n_groups, np.where(resolved, _mid_ranks(scores, groups), 0))
    return ranks - positives * (positives + 1) / 2, positives * negatives


def _mid_ranks(scores: Floats, groups: Ids) -> Floats:
    """Rank of each score inside its group, from 1, tied scores sharing the mean of their ranks."""
    order = np.lexsort((scores, groups))
    group, score = groups[order], scores[order]
    position = np.arange(len(order))
    group_start = position[starts(group)][np.cumsum(starts(group)) - 1] if len(order) else position
    block = starts(group) | starts(score)
    first = np.flatnonzero(block)
    size = np.diff(np.append(first, len(order)))
    index = np.cumsum(block) - 1
    ranks = np.empty(len(order))
    ranks[order] = (first + (size + 1) / 2)[index] - group_start
    return ranks


def upset_sums(scores: Floats, resolved: Flags, strengths: Floats, groups: Ids, n_groups: int) -> tuple[Floats, Floats]:
    """As `pair_sums`, over the pairs whose resolved attempt has the strictly lower strength. Shapes (n,)."""
    wins, pairs = np.zeros(n_groups), np.zeros(n_groups)
    for group, members in members_of(groups):
        good, bad = members[resolved[members]], members[~resolved[members]]
        upset = strengths[good][:, None] < strengths[bad]
        above, equal = scores[good][:, None] > scores[bad], scores[good][:, None] == scores[bad]
        wins[group] = (upset & above).sum() + (upset & equal).sum() / 2
        pairs[group] = upset.sum()
    return wins, pairs


def average_precision_score(scores: Floats, resolved: Flags) -> float | None:
    """Mean, over resolved attempts, of the share resolved among those that score no lower; None with none resolved.

    scikit-learn's `average_precision_score`. Shapes (n,).
    """
    found, n_resolved = _precisions(scores, resolved), resolved.sum()
    return float(found.precision @ found.resolved / n_resolved) if n_resolved else None


def average_precision_slopes(scores: Floats, resolved: Flags) -> Floats:
    """How the average precision moves per unit of weight an attempt gains: its derivative at weight 1. Shapes (n,).

    Level l (scores descending) holds p_l resolved attempts; down to it lie N_l attempts, T_l resolved, P in all.
    AP = sum of (p_l / P)(T_l / N_l), so d AP / d w_j = y_j (T_m/N_m - AP) / P + (y_j A_m - B_m) / P at j's level m,
    A_m = sum over l >= m of p_l / N_l, B_m the same of p_l T_l / N_l^2. NaN with none resolved.
    """
    found, n_resolved = _precisions(scores, resolved), resolved.sum()
    if not n_resolved:
        return np.full(len(scores), np.nan)
    value = found.precision @ found.resolved / n_resolved
    per = found.resolved / found.attempts
    gained, lost = (np.cumsum(part[::-1])[::-1] for part in (per, per * found.precision))
    slopes = resolved * (found.precision - value + gained)[found.level] - lost[found.level]
    return np.asarray(slopes / n_resolved)


class _Precisions(NamedTuple):
    """What lies at or above each distinct score, scores descending."""

    level: Ids
    """Of each attempt."""
    resolved: Floats
    """At the level itself."""
    attempts: Floats
    """Down to the level."""
    precision: Floats
    """Share resolved among those."""


def _precisions(scores: Floats, resolved: Flags) -> _Precisions:
    distinct, ascending = np.unique(scores, return_inverse=True)
    level = len(distinct) - 1 - ascending
    good = sum_by(level, len(distinct), resolved)
    attempts = np.cumsum(sum_by(level, len(distinct)))
    return _Precisions(level, good, attempts, divide(np.cumsum(good), attempts))


def rejection_curve(scores: Floats, values: Floats) -> Floats:
    """Mean value of the m best-scored, m = 1..n: what is accepted when all others are rejected. Shapes (n,).

    Where the border falls among equal scores, all of them share the mean.
    """
    order = np.argsort(-scores, kind="stable")
    block = np.cumsum(starts(scores[order])) - 1
    sizes = np.bincount(block)
    means = np.bincount(block, values[order]) / sizes if len(order) else np.empty(0)
    return np.asarray(np.cumsum(means[block]) / np.arange(1, len(order) + 1))


# --- best of K -------------------------------------------------------------------------------------------------------


def rm_at_k_score(scores: Floats, resolved: Flags) -> Floats:
    """Expected resolve rate of the best-scored of K attempts, exact over all K-subsets, ties split.

    (groups, N) -> (groups, N), column K-1 for K. A tied block of the score order takes its mean outcome: whichever
    of its members are drawn, that is what they are worth.
    """
    n_groups, n = scores.shape
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    outcome = np.take_along_axis(resolved, order, axis=1).astype(np.float64)
    new = np.ones((n_groups, n), dtype=np.bool_)
    new[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    block = (np.cumsum(new.ravel()) - 1).reshape(n_groups, n)
    mean = np.bincount(block.ravel(), outcome.ravel()) / np.bincount(block.ravel())
    return np.asarray(mean[block] @ _top_weights(n).T)


def _top_weights(n: int) -> Floats:
    """[K-1, j] = P(the best of K drawn from n is the j-th best) = C(n-1-j, K-1) / C(n, K), by a running product."""
    k, j = np.arange(1, n + 1)[:, None], np.arange(n - 1)
    steps = np.clip((n - k - j) / (n - 1 - j), 0, None)
    return np.asarray(k / n * np.cumprod(np.hstack([np.ones((n, 1)), steps]), axis=1))


def top_outcome(scores: Floats, resolved: Flags, groups: Ids, n_groups: int) -> Floats:
    """Share resolved among each group's best-scored: RM@K at its full size, ties split. (n,) -> (n_groups,).

    NaN for a group without members.
    """
    best = np.full(n_groups, -np.inf)
    np.maximum.at(best, groups, scores)
    first = scores == best[groups]
    return divide(*(sum_by(groups[first], n_groups, values) for values in (resolved[first], None)))


def pass_at_k_score(resolved: Flags) -> Floats:
    """P(one of K attempts resolves), exact over all K-subsets: 1 - C(n-c, K) / C(n, K). (groups, N) -> (groups, N)."""
    n = resolved.shape[1]
    failures = n - resolved.sum(axis=1, keepdims=True)
    drawn = np.arange(n)
    return np.asarray(1 - np.cumprod(np.clip(failures - drawn, 0, None) / (n - drawn), axis=1))


def by_group(scores: Floats, resolved: Flags, groups: Ids, n_groups: int) -> tuple[Floats, Floats]:
    """RM@K and pass@K of groups of any size. Shapes (n,) -> two of (n_groups, largest size), NaN where K > size."""
    members = members_of(groups)
    largest = max((len(part) for _, part in members), default=0)
    rm, best = np.full((n_groups, largest), np.nan), np.full((n_groups, largest), np.nan)
    for size in sorted({len(part) for _, part in members}):
        rows = np.array([group for group, part in members if len(part) == size])
        index = np.stack([part for _, part in members if len(part) == size])
        rm[rows, :size] = rm_at_k_score(scores[index], resolved[index])
        best[rows, :size] = pass_at_k_score(resolved[index])
    return rm, best


# --- calibration -----------------------------------------------------------------------------------------------------


def bin_of(scores: Floats) -> Ids:
    """Calibration bin of each score: min(9, floor(10 * score))."""
    return np.minimum(N_BINS * scores, N_BINS - 1).astype(np.intp)


def mass_bin_of(values: Floats, n_bins: int = N_BINS) -> Ids:
    """Bin of each value when all bins hold equal numbers: floor(n_bins * share of values below), ties at mid-rank.

    Equal values share a bin, so bins are only as equal as ties allow.
    """
    ranks = _mid_ranks(values, np.zeros(len(values), dtype=np.intp))
    return np.asarray((n_bins * (ranks - 0.5) / max(1, len(values))).astype(np.intp))


def calibration_error(scores: Floats, resolved: Flags, bins: Ids | None = None) -> float | None:
    """Expected calibration error over ten bins weighted by their size: equal-width ones unless `bins` (n,) says others.

    None without attempts.
    """
    gaps = bin_gaps(scores, resolved, np.zeros(len(scores), dtype=np.intp), 1, bins)
    return float(np.abs(gaps).sum() / len(scores)) if len(scores) else None


def bin_gaps(scores: Floats, resolved: Flags, groups: Ids, n_groups: int, bins: Ids | None = None) -> Floats:
    """Sum of (score - outcome) in each group and bin: (n,) -> (n_groups, 10). ECE = sum over bins |column sum| / n."""
    cell = groups * N_BINS + (bin_of(scores) if bins is None else bins)
    return sum_by(cell, n_groups * N_BINS, scores - resolved).reshape(n_groups, N_BINS)


def brier_loss(scores: Floats, resolved: Flags) -> float | None:
    """Mean squared difference of score and outcome; None without attempts."""
    return float(np.mean((scores - resolved) ** 2)) if len(scores) else None


def brier_parts(scores: Floats, resolved: Flags) -> dict[str, float] | None:
    """Murphy's parts over the ten equal-width bins: brier = reliability - resolution + uncertainty + within_bins.

    `within_bins` is what scores that differ inside a bin add or save (Stephenson et al. 2008); 0 where none do. None
    without attempts.
    """
    n = len(scores)
    if not n:
        return None
    bins = bin_of(scores)
    sizes, sums, hits = (sum_by(bins, N_BINS, values) for values in (None, scores, resolved))
    base = hits.sum() / n
    mean, rate = divide(sums, sizes), divide(hits, sizes)
    parts = {
        "reliability": float(np.nansum(sizes * (mean - rate) ** 2) / n),
        "resolution": float(np.nansum(sizes * (rate - base) ** 2) / n),
        "uncertainty": float(base * (1 - base)),
    }
    off_mean, off_rate = scores - mean[bins], resolved - rate[bins]
    return {**parts, "within_bins": float(np.mean(off_mean**2 - 2 * off_mean * off_rate))}


def noise_floors(scores: Floats, n_draws: int = 200, seed: int = 0) -> tuple[float, float] | None:
    """The mean ECE a perfectly calibrated verifier shows with these scores, from chance alone: equal width, equal mass.

    Outcomes are drawn as Bernoulli(score), `n_draws` times: 200 leave about 2% of error. None without attempts.
    """
    if not len(scores):
        return None
    rng = np.random.default_rng(seed)
    ordered = np.sort(scores)
    bins = [np.flatnonzero(starts(bin_of(ordered))), np.flatnonzero(starts(mass_bin_of(ordered)))]
    expected = [np.add.reduceat(ordered, first) for first in bins]
    errors = np.zeros(2)
    for _ in range(n_draws):
        drawn = (rng.random(len(ordered)) < ordered).astype(np.float64)
        for kind, (first, mean) in enumerate(zip(bins, expected, strict=True)):
            errors[kind] += np.abs(np.add.reduceat(drawn, first) - mean).sum()
    width, mass = errors / (n_draws * len(scores))
    return float(width), float(mass)
