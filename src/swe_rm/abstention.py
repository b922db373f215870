"""Abstaining: a threshold on the pick's score below which no pick is given, with a guarantee on P(wrong | accepted).

The share wrong among the accepted is a ratio that may rise or fall with the threshold, so conformal risk control, which
needs a monotone risk, does not cover it. Each of a few thresholds is a hypothesis "more than `max_wrong` of what it
accepts is wrong", tested by an exact binomial tail, and the family-wise error is bounded: Learn then Test (Angelopoulos
et al. 2021), with the thresholds of SGR (Geifman and El-Yaniv 2017). The units are tasks.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from swe_rm.errors import SweRmError
from swe_rm.metrics import Flags, Floats
from swe_rm.selection import Group, Rule
from swe_rm.trajectory import Noun, Outcome

Testing = Literal["bonferroni", "fixed-sequence"]

COVERAGES = tuple(tenth / 10 for tenth in range(1, 11))
"""`bonferroni` tries the most confident tenth of the known tasks, two tenths, ... all; each has an equal share of the
error. Whatever the scale of the scores, some accept enough tasks to be shown good."""

GRID = tuple(step / 100 for step in range(100, -1, -1))
"""`fixed-sequence` tries these from the strictest on. They are fixed beforehand: a sequence of thresholds taken from
the scores at hand would void it."""

STARTS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
"""Where the sequence may begin, each with an equal share of the error: a strict threshold may accept too few to be
shown good, and a sequence that had to begin there would end there."""


class _Level(NamedTuple):
    """A threshold and what it does with the known tasks."""

    threshold: float
    accepted: int
    wrong: int


class Threshold(Noun):
    """A threshold and what it is guaranteed for."""

    threshold: float
    """Accept where the pick's score is at least this."""
    max_wrong: float
    assurance: float
    """With at least this probability over the choice of the known tasks, P(wrong | accepted) <= max_wrong."""
    testing: Testing
    n_tasks: int
    n_accepted: int
    n_wrong: int
    """Among the accepted ones of the tasks it was chosen on."""

    def to_json(self) -> dict[str, float | int]:
        """What `rank --json` has under `abstention`."""
        return {
            "threshold": self.threshold,
            "max_wrong": self.max_wrong,
            "assurance": self.assurance,
            "n_known": self.n_tasks,
            "n_accepted": self.n_accepted,
            "n_wrong": self.n_wrong,
        }

    def __str__(self) -> str:
        return (
            f"threshold {self.threshold:.3g}: at most {self.max_wrong:.0%} of accepted picks are wrong, with assurance "
            f"{self.assurance:.0%} ({self.n_wrong} of {self.n_accepted} were, of {self.n_tasks} known tasks)"
        )


class Picks(NamedTuple):
    """One pick for each task of known outcome, shapes (tasks,)."""

    confidences: Floats
    """The least score among the tied picks: what is compared with the threshold."""
    wrong: Flags


def known_picks(groups: Sequence[Group], rule: Rule, outcomes: Mapping[str, Outcome], seed: int = 0) -> Picks:
    """The picks on the tasks where the outcomes of all picks are known, tasks in the order of their names.

    A tie is broken by a seeded lot, so that a pick is right or wrong and the binomial tail is exact.
    """
    rng = np.random.default_rng(seed)
    confidences, wrong = [], []
    for group in sorted(groups, key=lambda group: group.instance_id):
        places = rule.picks(group)
        found = sorted(outcomes[group.trajectories[place].attempt_id] for place in places)
        if Outcome.UNKNOWN not in found:
            confidences.append(min(group.scores[place] for place in places))
            wrong.append(found[rng.integers(len(found))] is Outcome.UNRESOLVED)
    return Picks(np.array(confidences, dtype=np.float64), np.array(wrong, dtype=np.bool_))


def choose_threshold(
    picks: Picks, max_wrong: float, assurance: float = 0.9, testing: Testing = "bonferroni"
) -> Threshold:
    """The lowest threshold that is shown to keep P(wrong | accepted) at `max_wrong`.

    It holds for tasks, policies and a verifier drawn as the known ones were, and for no others. Raises SweRmError where
    the known tasks are too few to show it whatever they said, and where no threshold is shown to keep it.
    """
    if not (0 < max_wrong < 1 and 0 < assurance < 1):
        raise SweRmError("the share wrong and the assurance lie between 0 and 1")
    n = len(picks.wrong)
    least = least_tasks(max_wrong, assurance, testing)
    what = f"at most {max_wrong:.0%} of accepted picks wrong with assurance {assurance:.0%}"
    if n < least:
        raise SweRmError(f"{n} tasks of known outcome are too few: {what} needs {least} even if no pick were wrong")
    levels = _by_coverage(picks) if testing == "bonferroni" else _by_grid(picks)
    p_values = [binomial_tail(level.wrong, level.accepted, max_wrong) for level in levels]
    shares = _shares(p_values, 1 - assurance, testing)
    passed = [level for level, p, share in zip(levels, p_values, shares, strict=True) if p <= share]
    if not passed:
        nearest = levels[int(np.argmin(p_values))]
        raise SweRmError(
            f"no threshold is shown to leave {what}: nearest is {nearest.threshold:.3g}, where {nearest.wrong} of "
            f"{nearest.accepted} accepted picks are wrong, of {n} known tasks"
        )
    lowest = passed[-1]
    return Threshold(
        threshold=lowest.threshold, max_wrong=max_wrong, assurance=assurance, testing=testing,
        n_tasks=n, n_accepted=lowest.accepted, n_wrong=lowest.wrong,
    )  # fmt: skip


def least_tasks(max_wrong: float, assurance: float, testing: Testing = "bonferroni") -> int:
    """The fewest tasks that could show it, all accepted and right: (1 - max_wrong)^n <= one share of the error."""
    error = (1 - assurance) / len(COVERAGES if testing == "bonferroni" else STARTS)
    return math.ceil(round(math.log(error) / math.log(1 - max_wrong), 9))


def binomial_tail(k: int, n: int, p: float) -> float:
    """P(Binomial(n, p) <= k), 0 < p < 1: the p-value of "the share wrong exceeds p" when k of n are. 1 for n = 0."""
    if k >= n:
        return 1.0
    i = np.arange(k + 1)
    logs = _log_factorials(n.bit_length())
    terms = logs[n] - logs[i] - logs[n - i] + i * math.log(p) + (n - i) * math.log1p(-p)
    return min(1.0, float(np.exp(terms).sum()))


@cache
def _log_factorials(bits: int) -> npt.NDArray[np.float64]:
    """ln n! of every n of so many bits: a few tables serve every n."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, 1 << bits)))])


def _by_coverage(picks: Picks) -> list[_Level]:
    """One threshold for each coverage, strictest first: just above the first score that is left out.

    Given that score, the picks above it are independent draws from all there are above it, so that the binomial tail is
    exact although the threshold is taken from the data; equal scores stay on one side.
    """
    n, ordered = len(picks.confidences), np.sort(picks.confidences)[::-1]
    cuts = [math.ceil(round(n * coverage, 9)) for coverage in COVERAGES]
    return [_level(picks, float(np.nextafter(ordered[cut], np.inf)) if cut < n else 0.0) for cut in cuts]


def _by_grid(picks: Picks) -> list[_Level]:
    return [_level(picks, threshold) for threshold in GRID]


def _level(picks: Picks, threshold: float) -> _Level:
    accepted = picks.confidences >= threshold
    return _Level(threshold, int(accepted.sum()), int((accepted & picks.wrong).sum()))


def _shares(p_values: Sequence[float], error: float, testing: Testing) -> list[float]:
    """The share of the error at which each threshold is tested; that of wrongly passing any is at most their sum.

    In the sequence a threshold that passes hands its share on to the next and one that fails loses it (the fallback
    procedure, Wiens 2003); each start brings a share of its own.
    """
    if testing == "bonferroni":
        return [error / len(COVERAGES)] * len(p_values)
    shares: list[float] = []
    share = 0.0
    for threshold, p_value in zip(GRID, p_values, strict=True):
        share += error / len(STARTS) if threshold in STARTS else 0.0
        shares.append(share)
        share = share if p_value <= share else 0.0
    return shares
