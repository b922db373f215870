"""What scores are worth against outcomes, in closed form: pure functions on numpy arrays, no files and no nouns.

`*_score` is better when larger, `*_error` and `*_loss` when smaller. What is undefined is None (NaN inside arrays of
resamples), never 0. Equal scores share their credit everywhere, so no figure depends on the order of the input.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.intp]

N_BINS = 10
"""Equal-width bins of the calibration error."""


def sum_by(groups: Ids, n_groups: int, values: Floats | Flags | None = None) -> Floats:
    """Sum of `values` in each group, or how many members it has. Shapes (n,) -> (n_groups,)."""
    return np.bincount(groups, values, minlength=n_groups).astype(np.float64)


# --- ranking ---------------------------------------------------------------------------------------------------------


def auc_score(scores: Floats, resolved: Flags) -> float | None:
    """P(a resolved attempt scores above an unresolved one), ties half; None with one class only. Shapes (n,)."""
    return pair_accuracy_score(scores, resolved, np.zeros(len(scores), dtype=np.intp))


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
    group_start = position[_starts(group)][np.cumsum(_starts(group)) - 1] if len(order) else position
    block = _starts(group) | _starts(score)
    first = np.flatnonzero(block)
    size = np.diff(np.append(first, len(order)))
    index = np.cumsum(block) - 1
    ranks = np.empty(len(order))
    ranks[order] = (first + (size + 1) / 2)[index] - group_start
    return ranks


def _starts(values: npt.NDArray[np.generic]) -> Flags:
    """True where a run of equal values begins."""
    new = np.ones(len(values), dtype=np.bool_)
    new[1:] = values[1:] != values[:-1]
    return new


def upset_sums(scores: Floats, resolved: Flags, strengths: Floats, groups: Ids, n_groups: int) -> tuple[Floats, Floats]:
    """As `pair_sums`, over the pairs whose resolved attempt has the strictly lower strength. Shapes (n,)."""
    wins, pairs = np.zeros(n_groups), np.zeros(n_groups)
    for group, members in _members(groups):
        good, bad = members[resolved[members]], members[~resolved[members]]
        upset = strengths[good][:, None] < strengths[bad]
        above, equal = scores[good][:, None] > scores[bad], scores[good][:, None] == scores[bad]
        wins[group] = (upset & above).sum() + (upset & equal).sum() / 2
        pairs[group] = upset.sum()
    return wins, pairs


def _members(groups: Ids) -> list[tuple[int, Ids]]:
    """(group, indices of its members) of every group that has any."""
    order = np.argsort(groups, kind="stable")
    first = np.flatnonzero(_starts(groups[order]))
    return [(int(groups[part[0]]), part) for part in np.split(order, first[1:]) if len(part)]


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


def pass_at_k_score(resolved: Flags) -> Floats:
    """P(one of K attempts resolves), exact over all K-subsets: 1 - C(n-c, K) / C(n, K). (groups, N) -> (groups, N)."""
    n = resolved.shape[1]
    failures = n - resolved.sum(axis=1, keepdims=True)
    drawn = np.arange(n)
    return np.asarray(1 - np.cumprod(np.clip(failures - drawn, 0, None) / (n - drawn), axis=1))


def by_group(scores: Floats, resolved: Flags, groups: Ids, n_groups: int) -> tuple[Floats, Floats]:
    """RM@K and pass@K of groups of any size. Shapes (n,) -> two of (n_groups, largest size), NaN where K > size."""
    members = _members(groups)
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


def calibration_error(scores: Floats, resolved: Flags) -> float | None:
    """Expected calibration error over ten equal-width bins, weighted by their size; None without attempts."""
    gaps = bin_gaps(scores, resolved, np.zeros(len(scores), dtype=np.intp), 1)
    return float(np.abs(gaps).sum() / len(scores)) if len(scores) else None


def bin_gaps(scores: Floats, resolved: Flags, groups: Ids, n_groups: int) -> Floats:
    """Sum of (score - outcome) in each group and bin: (n,) -> (n_groups, 10). ECE = sum over bins |column sum| / n."""
    cell = groups * N_BINS + bin_of(scores)
    return sum_by(cell, n_groups * N_BINS, scores - resolved).reshape(n_groups, N_BINS)


def brier_loss(scores: Floats, resolved: Flags) -> float | None:
    """Mean squared difference of score and outcome; None without attempts."""
    return float(np.mean((scores - resolved) ** 2)) if len(scores) else None


def ece_noise_floor(scores: Floats, n_draws: int = 1000, seed: int = 0) -> float | None:
    """The mean ECE a perfectly calibrated verifier shows with these scores, from chance alone.

    Outcomes are drawn as Bernoulli(score), `n_draws` times. None without attempts.
    """
    if not len(scores):
        return None
    rng = np.random.default_rng(seed)
    ordered = np.sort(scores)
    first = np.flatnonzero(_starts(bin_of(ordered)))
    expected = np.add.reduceat(ordered, first)
    errors = [
        np.abs(np.add.reduceat((rng.random(len(ordered)) < ordered).astype(np.float64), first) - expected).sum()
        for _ in range(n_draws)
    ]
    return float(np.mean(errors) / len(scores))


# --- resampling by task ----------------------------------------------------------------------------------------------


def resample_weights(n_tasks: int, resamples: int, seed: int) -> Floats:
    """How often each task is drawn in each bootstrap resample: (resamples, n_tasks), rows summing to n_tasks.

    Draw once and share between metrics and verifiers: their differences are then paired.
    """
    if not n_tasks:
        return np.zeros((resamples, 0))
    drawn = np.random.default_rng(seed).integers(0, n_tasks, (resamples, n_tasks))
    cell = drawn + np.arange(resamples)[:, None] * n_tasks
    return sum_by(cell.ravel(), resamples * n_tasks).reshape(resamples, n_tasks)


def ratio(numerators: Floats, denominators: Floats) -> float | None:
    """Sum over sum; None where nothing is counted. Shapes (n_tasks,)."""
    total = denominators.sum()
    return float(numerators.sum() / total) if total else None


def ratio_resampled(numerators: Floats, denominators: Floats, weights: Floats) -> Floats:
    """`ratio` in every resample: (n_tasks, ...) and (resamples, n_tasks) -> (resamples, ...), NaN where undefined."""
    return _divide(weights @ numerators, weights @ denominators)


def ece_resampled(gaps: Floats, sizes: Floats, weights: Floats) -> Floats:
    """ECE in every resample, from `bin_gaps` by task and the tasks' sizes: -> (resamples,)."""
    return _divide(np.abs(weights @ gaps).sum(axis=1), weights @ sizes)


def auc_resampled(scores: Floats, resolved: Flags, tasks: Ids, weights: Floats) -> Floats:
    """AUC in every resample of tasks: (n,) and (resamples, n_tasks) -> (resamples,), NaN with one class only."""
    present, local = np.unique(tasks, return_inverse=True)
    drawn = weights[:, present]
    positives, negatives = (drawn @ sum_by(local, len(present), flags) for flags in (resolved, ~resolved))
    # Measured at 500 x 32: the matrix is 30 times faster; above this it costs more than it saves, and memory
    quadratic = len(present) ** 2 <= 100 * len(scores)
    wins = (_wins_by_matrix if quadratic else _wins_by_sorting)(scores, resolved, local, drawn)
    return _divide(wins, positives * negatives)


def _wins_by_matrix(scores: Floats, resolved: Flags, tasks: Ids, weights: Floats) -> Floats:
    """w'Uw, where U[i, j] counts the wins of task i's resolved attempts over task j's unresolved ones."""
    n_tasks = weights.shape[1]
    wins, below = np.zeros((n_tasks, n_tasks)), np.zeros(n_tasks)
    order = np.argsort(scores, kind="stable")
    for block in np.split(order, np.flatnonzero(_starts(scores[order]))[1:]):
        tied = sum_by(tasks[block], n_tasks, ~resolved[block])
        for index in block[resolved[block]]:
            wins[tasks[index]] += below + tied / 2
        below += tied
    return np.asarray(np.einsum("bi,bi->b", weights @ wins, weights))


def _wins_by_sorting(scores: Floats, resolved: Flags, tasks: Ids, weights: Floats) -> Floats:
    """The same without the matrix: running weight of the unresolved attempts below, tied ones half."""
    order = np.argsort(scores, kind="stable")
    ordered, task, good = scores[order], tasks[order], resolved[order]
    bad = ordered[~good]
    low, high = np.searchsorted(bad, ordered[good], "left"), np.searchsorted(bad, ordered[good], "right")
    wins = np.empty(len(weights))
    chunk = max(1, 4_000_000 // max(1, len(scores)))
    for start in range(0, len(weights), chunk):
        part = weights[start : start + chunk]
        running = np.zeros((len(part), len(bad) + 1))
        np.cumsum(part[:, task[~good]], axis=1, out=running[:, 1:])
        wins[start : start + chunk] = (part[:, task[good]] * (running[:, low] + running[:, high]) / 2).sum(axis=1)
    return wins


def weighted_mean(values: Floats, weights: Floats) -> Floats:
    """Mean over the last axis where values are not NaN; NaN where no weight is left."""
    weights = np.where(np.isnan(values), 0, weights)
    return _divide((np.nan_to_num(values) * weights).sum(axis=-1), weights.sum(axis=-1))


def interval(resampled: Floats, n_clusters: int) -> tuple[float, float] | None:
    """95% percentile interval of the resamples in which the figure is defined.

    None where fewer than two clusters carry the figure, or half of the resamples have none: nothing varies there.
    """
    defined = resampled[~np.isnan(resampled)]
    if n_clusters < 2 or 2 * len(defined) < len(resampled) or not len(defined):
        return None
    low, high = np.quantile(defined, [0.025, 0.975])
    return float(low), float(high)


def _divide(numerators: Floats, denominators: Floats) -> Floats:
    undefined = np.full(np.shape(numerators), np.nan)
    return np.asarray(np.divide(numerators, denominators, out=undefined, where=denominators != 0))
