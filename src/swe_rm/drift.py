"""Drift of a verifier in use: a sequential test for a fall of its AUC, and its scores against those of the reference.

The test looks at one outcome at a time. Its score is placed among the reference's scores of the other outcome: the
share it stands on the right side of is the AUC on average, and the shortfall below that is 0 on average until the AUC
falls (a two-sample U-statistic in sequence; DeLong et al. 1988 for placements). Shortfalls are added up over the last
stretch of outcomes, whichever is worst, as a CUSUM does. Limits come from a bootstrap of the reference, so they allow
for its own sampling error.
"""

import math
from collections import deque
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from swe_rm.errors import SweRmError
from swe_rm.metrics import Flags, Floats, Ids, auc_score, starts
from swe_rm.trajectory import Noun

Names = npt.NDArray[np.str_] | Ids
"""Of tasks: equal ones are one."""

MIN_CLASS = 30
"""Attempts of either outcome a reference needs: with fewer its own AUC moves by 0.09 from chance."""
DRAWS = 2000
"""Bootstrap draws behind a limit: 100 of them lie beyond one that is passed 5 times in 100."""

BINS = 10
"""Of the population stability index, by tenths of the reference."""
PSI_MOVED = 0.2
"""From here on the index is commonly read as a shift to act on."""
KS_ERROR = 0.001
"""Chance that the Kolmogorov-Smirnov distance of one block passes its limit where nothing moved."""
MARKS = 256
"""Scores of the reference at which distributions are compared."""


class Reference:
    """Scores and outcomes from the time the verifier was measured; attempts at one task were drawn together.

    Shapes (n,); where `tasks` is not given each attempt is taken as a task of its own. Raises SweRmError for fewer than
    30 attempts of either outcome.
    """

    def __init__(self, scores: Floats, resolved: Flags, tasks: Names | None = None) -> None:
        if min(resolved.sum(), (~resolved).sum()) < MIN_CLASS:
            raise SweRmError(
                f"a reference needs {MIN_CLASS} attempts of either outcome: it has {resolved.sum()} resolved and "
                f"{(~resolved).sum()} unresolved"
            )
        self.scores, self.resolved = scores, resolved
        self.tasks = np.arange(len(scores)) if tasks is None else np.unique(tasks, return_inverse=True)[1]
        self.auc = float(auc_score(scores, resolved) or 0.0)
        self.base_rate = float(resolved.mean())
        self._sorted = {flag: np.sort(scores[resolved == flag]) for flag in (False, True)}
        self._places = _Places.of(scores, resolved)

    def shortfall(self, score: float, resolved: bool) -> float:
        """How far below the AUC one more attempt is placed; weighed so that n of them sum to n times the AUC's fall."""
        placed = _placement(self._sorted[not resolved], score, resolved)
        return (self.auc - placed) / self._share(resolved)

    def _share(self, resolved: bool) -> float:
        """Twice the share of the outcome: both classes weigh the same in an AUC however rare one is."""
        return 2 * (self.base_rate if resolved else 1 - self.base_rate)

    def simulated(self, rng: np.random.Generator, blurred: npt.NDArray[np.float64]) -> Floats:
        """Shortfalls of a stream of outcomes against a resampled reference, (outcomes,).

        The reference is drawn anew by task, the stream attempt by attempt. At place t of the stream the share
        `blurred[t]` of the scores is that of another attempt, whatever its outcome.
        """
        n = len(self.scores)
        weights = np.bincount(rng.integers(0, n_tasks := int(self.tasks.max()) + 1, n_tasks), minlength=n_tasks)
        sums = self._places.sums(weights[self.tasks].astype(np.float64))
        who = rng.integers(0, n, len(blurred))
        shown = np.where(rng.random(len(blurred)) < blurred, rng.integers(0, n, len(blurred)), who)
        good = self.resolved[who]
        placed = self._places.placed(sums, shown, good)
        shares = np.where(good, self._share(True), self._share(False))
        return np.asarray((sums.auc - placed) / shares)


class _Sums(NamedTuple):
    """Of a resampled reference: running weights by score, of the unresolved and of the resolved, and its AUC."""

    bad: Floats
    good: Floats
    auc: float


class _Places(NamedTuple):
    """Where each score of the reference stands among its distinct scores."""

    level: Ids
    n_levels: int
    resolved: Flags

    @staticmethod
    def of(scores: Floats, resolved: Flags) -> "_Places":
        distinct, level = np.unique(scores, return_inverse=True)
        return _Places(level, len(distinct), resolved)

    def sums(self, weights: Floats) -> _Sums:
        """Weight below each level and at it: the mean of both ends is what a tie is worth."""
        halves = []
        for flags in (~self.resolved, self.resolved):
            at = np.bincount(self.level, weights * flags, minlength=self.n_levels)
            below = np.cumsum(at) - at
            halves.append((below + at / 2) / max(at.sum(), 1e-12))
        bad, good = halves
        mine = weights * self.resolved
        return _Sums(bad, good, float((bad[self.level] * mine).sum() / max(mine.sum(), 1e-12)))

    def placed(self, sums: _Sums, shown: Ids, good: Flags) -> Floats:
        """Share of the other class on the right side of each score shown, ties half."""
        level = self.level[shown]
        return np.where(good, sums.bad[level], 1 - sums.good[level])


def _placement(others: Floats, score: float, resolved: bool) -> float:
    below, upto = np.searchsorted(others, score, "left"), np.searchsorted(others, score, "right")
    share = float(below + upto) / (2 * len(others))
    return share if resolved else 1 - share


def check_options(within: int, false_alarms: float) -> None:
    """Raise SweRmError for options of a `Watch` that are out of range."""
    if within < 2 or not 0 < false_alarms < 1:
        raise SweRmError("the length of a stretch is at least 2 and the share of false alarms between 0 and 1")


class Limits(Noun):
    """How large a sum of shortfalls is an alarm."""

    first: float
    """Over the first `within` outcomes since the start or the last alarm."""
    later: float
    """After them, when a stretch may begin at any of them; given that none of them was an alarm."""


class Power(Noun):
    """How often a fall of the AUC by `drop` is found within so many outcomes, by simulation on the reference."""

    drop: float
    at_start: float
    """When it has fallen before the first outcome."""
    later: float
    """When it falls after `within` outcomes without a fall or an alarm."""


class Watch:
    """Looks for a fall of the AUC, outcome by outcome; holds the last `within` shortfalls.

    The statistic is the largest sum of shortfalls over the last 1, 2, ... `within` outcomes. Limits are such that any
    stretch of `within` outcomes without a fall raises an alarm with a chance of `false_alarms`.
    """

    def __init__(
        self, reference: Reference, *, within: int = 200, false_alarms: float = 0.05, draws: int = DRAWS, seed: int = 0
    ) -> None:
        check_options(within, false_alarms)
        self.reference, self.within, self.false_alarms = reference, within, false_alarms
        self._draws, self._seed = draws, seed
        self._since = 0
        self._recent: deque[float] = deque(maxlen=within)
        self.statistic = 0.0
        self.stretch = 0
        """Outcomes over which the sum is largest; after an alarm, was."""
        before, after = self._worst(0.0, 0.0)
        first = float(np.quantile(before, 1 - false_alarms))
        self.limits = Limits(first=first, later=float(np.quantile(after[before <= first], 1 - false_alarms)))

    @property
    def limit(self) -> float:
        """The one that holds now."""
        return self.limits.first if self._since <= self.within else self.limits.later

    def add(self, score: float, resolved: bool) -> bool:
        """Take one outcome in; True is an alarm, after which the test starts anew."""
        self._recent.append(self.reference.shortfall(score, resolved))
        self._since += 1
        sums = np.cumsum(np.array(self._recent)[::-1])
        self.stretch = int(sums.argmax()) + 1
        self.statistic = float(sums[self.stretch - 1])
        if self.statistic <= self.limit:
            return False
        self.restart()
        return True

    def restart(self) -> None:
        """Forget the outcomes so far."""
        self._recent.clear()
        self._since, self.statistic = 0, 0.0

    def power(self, drop: float) -> Power:
        """How often a fall by `drop` would be found: scores that become another attempt's with a chance that does it.

        A share q of such scores takes the AUC from A to (1 - q) A + q / 2, whatever the base rate; below 1/2 it cannot
        go.
        """
        share = min(1.0, drop / (self.reference.auc - 0.5)) if self.reference.auc > 0.5 else 1.0
        fallen, _ = self._worst(share, share)
        before, after = self._worst(0.0, share)
        later = after[before <= self.limits.first] > self.limits.later
        return Power(drop=drop, at_start=float(np.mean(fallen > self.limits.first)), later=float(later.mean()))

    def _worst(self, before: float, after: float) -> tuple[Floats, Floats]:
        """The largest statistic over the first `within` outcomes and over the next, each (draws,)."""
        rng = np.random.default_rng(self._seed)
        blurred = np.repeat([before, after], self.within)
        sums = np.zeros((self._draws, 2 * self.within + 1))
        for draw in sums:
            np.cumsum(self.reference.simulated(rng, blurred), out=draw[1:])
        found = np.stack(
            [sums[:, t] - sums[:, max(0, t - self.within) : t].min(axis=1) for t in range(1, sums.shape[1])]
        )
        return found[: self.within].max(axis=0), found[self.within :].max(axis=0)


# --- without outcomes ------------------------------------------------------------------------------------------------


class Block(Noun):
    """Scores of some verdicts in a row beside the reference's."""

    until: int
    """Verdicts up to its end."""
    n: int
    mean_score: float
    psi: float
    """Population stability index over tenths of the reference: sum of (a - e) ln(a / e)."""
    ks: float
    """Kolmogorov-Smirnov distance at the reference's marks."""
    ks_limit: float
    """Passed once in a thousand blocks where nothing moved."""

    @property
    def has_moved(self) -> bool:
        """Beyond chance, and by enough to matter."""
        return self.ks > self.ks_limit and self.psi >= PSI_MOVED


class Inputs:
    """Compares the scores of verdicts with the reference's, block by block, without outcomes; holds counts only."""

    def __init__(self, reference: Floats, block: int = 1000) -> None:
        ordered = np.sort(reference)
        self._n, self._block = len(ordered), block
        self._marks = _quantiles(ordered, MARKS)
        self._expected = np.searchsorted(ordered, self._marks, "right") / self._n
        self._tenths = _quantiles(ordered, BINS)
        self._shares = _smoothed(_counts(ordered, self._tenths))
        self._scores: list[float] = []
        self._until = 0

    def add(self, score: float) -> Block | None:
        """Take one score in; a block where it fills one."""
        self._scores.append(score)
        self._until += 1
        return self.end() if len(self._scores) == self._block else None

    def end(self) -> Block | None:
        """The block so far; None where it holds nothing."""
        if not self._scores:
            return None
        ordered = np.sort(self._scores)
        self._scores.clear()
        shares = _smoothed(_counts(ordered, self._tenths))
        found = np.searchsorted(ordered, self._marks, "right") / len(ordered)
        return Block(
            until=self._until,
            n=len(ordered),
            mean_score=float(ordered.mean()),
            psi=float(np.sum((shares - self._shares) * np.log(shares / self._shares))),
            ks=float(np.abs(found - self._expected).max()),
            ks_limit=math.sqrt(-math.log(KS_ERROR / 2) / 2 * (1 / self._n + 1 / len(ordered))),
        )


def _quantiles(ordered: Floats, parts: int) -> Floats:
    """Distinct scores that end the parts of equal number."""
    ends = ordered[np.arange(1, parts + 1) * (len(ordered) - 1) // parts]
    return np.asarray(ends[starts(ends)])


def _counts(ordered: Floats, ends: Floats) -> Floats:
    """How many scores lie in each part; those above the last end belong to the last."""
    upto = np.searchsorted(ordered, ends, "right")
    upto[-1] = len(ordered)
    return np.diff(upto, prepend=0).astype(np.float64)


def _smoothed(counts: Floats) -> Floats:
    """Shares, half a score more in each part: an empty one has no logarithm."""
    return np.asarray((counts + 0.5) / (counts + 0.5).sum())
