"""The drift test against obvious twins and simulation, and the comparison of scores without outcomes."""

import math
import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swe_rm.drift import KS_ERROR, MARKS, PSI_MOVED, Inputs, Reference, Watch
from swe_rm.errors import SweRmError
from swe_rm.metrics import Flags, Floats, auc_score


def pool(n: int, signal: float, seed: int, base_rate: float = 0.4) -> tuple[Floats, Flags]:
    """Scores that know something of the outcome; signal 0.3 gives an AUC of about 0.80."""
    rng = np.random.default_rng(seed)
    resolved = rng.random(n) < base_rate
    return np.clip(np.round(0.35 + signal * resolved + rng.normal(0, 0.25, n), 2), 0, 1), resolved


def reference(n: int = 600, seed: int = 0) -> Reference:
    return Reference(*pool(n, 0.3, seed))


def placed(known: Reference, score: float, resolved: bool) -> float:
    """The twin of a placement: every attempt of the other outcome, one by one, ties half."""
    others = [s for s, r in zip(known.scores, known.resolved, strict=True) if bool(r) != resolved]
    right = [(score > o) if resolved else (score < o) for o in others]
    return (sum(right) + sum(score == o for o in others) / 2) / len(others)


@given(score=st.integers(0, 100), resolved=st.booleans())
def test_a_shortfall_is_the_reference_auc_less_the_placement(score: int, resolved: bool) -> None:
    known = reference(80)
    share = known.resolved.mean() if resolved else 1 - known.resolved.mean()
    expected = (known.auc - placed(known, score / 100, resolved)) / (2 * share)
    assert known.shortfall(score / 100, resolved) == pytest.approx(expected, abs=1e-12)


def test_shortfalls_of_the_reference_itself_sum_to_nothing() -> None:
    known = reference()
    found = [known.shortfall(float(s), bool(r)) for s, r in zip(known.scores, known.resolved, strict=True)]
    assert sum(found) == pytest.approx(0, abs=1e-9)
    for outcome in (True, False):
        mine = [x for x, r in zip(found, known.resolved, strict=True) if bool(r) is outcome]
        assert sum(mine) == pytest.approx(0, abs=1e-9)


@settings(max_examples=15)
@example(seed=435, n=115)  # an alarm at the first outcome that the later limit holds for
@given(seed=st.integers(0, 1000), n=st.integers(1, 120))
def test_the_statistic_is_the_worst_of_all_last_stretches(seed: int, n: int) -> None:
    watch = Watch(reference(), within=40, draws=20)
    found: list[float] = []
    for score, resolved in zip(*pool(n, 0.1, seed), strict=True):
        found.append(watch.reference.shortfall(float(score), bool(resolved)))
        sums = [sum(found[-length:]) for length in range(1, min(40, len(found)) + 1)]
        limit = watch.limits.first if len(found) <= 40 else watch.limits.later
        alarm = watch.add(float(score), bool(resolved))
        assert alarm is (max(sums) > limit)
        assert watch.stretch == sums.index(max(sums)) + 1 or max(sums) == pytest.approx(sums[watch.stretch - 1])
        if alarm:
            found.clear()
        else:
            assert watch.statistic == pytest.approx(max(sums))


def test_the_limit_of_the_first_outcomes_is_lower_than_that_of_the_later_ones() -> None:
    watch = Watch(reference(), within=50, draws=500)
    assert watch.limits.first < watch.limits.later
    limits = []
    for score, resolved in zip(*pool(60, 0.3, 3), strict=True):
        watch.restart() if watch.add(float(score), bool(resolved)) else None
        limits.append(watch.limit)
    assert set(limits) <= {watch.limits.first, watch.limits.later}
    assert limits[0] == watch.limits.first


def share_of_alarms(within: int, signal: float, streams: int) -> float:
    """Streams with an alarm in their first outcomes, each against a reference of its own."""
    alarms = 0
    for seed in range(streams):
        watch = Watch(reference(400, seed), within=within, draws=300, seed=seed)
        stream = zip(*pool(within, signal, 10_000 + seed), strict=True)
        alarms += any(watch.add(float(score), bool(resolved)) for score, resolved in stream)
    return alarms / streams


def test_false_alarms_are_few_and_a_fall_is_found() -> None:
    assert share_of_alarms(100, 0.3, 60) <= 0.15  # 5% are promised; 3 standard errors of 60 streams are 8%
    assert share_of_alarms(100, 0.0, 20) >= 0.9


def test_the_power_told_is_that_of_streams_blurred_so() -> None:
    """Scores that become another attempt's with probability q lower the AUC from A to (1 - q) A + q / 2."""
    scores, resolved = pool(4000, 0.3, 5)
    known = Reference(scores, resolved)
    share = 0.1 / (known.auc - 0.5)
    rng = np.random.default_rng(1)
    shown = np.where(rng.random(200_000) < share, rng.integers(0, 4000, 200_000), who := rng.integers(0, 4000, 200_000))
    assert auc_score(scores[shown], resolved[who]) == pytest.approx(known.auc - 0.1, abs=0.005)
    watch = Watch(known, draws=400)
    power = watch.power(0.1)
    assert 0.5 < power.later < power.at_start <= 1
    assert watch.power(0.2).later > power.later > watch.power(0.02).later


def test_limits_are_seeded() -> None:
    assert Watch(reference(), draws=50).limits == Watch(reference(), draws=50).limits


def test_a_reference_by_task_has_wider_limits_than_one_of_single_attempts() -> None:
    """Where attempts at a task are alike, the reference's own AUC is known less well than their number says."""
    scores, resolved = pool(60, 0.3, 2)
    tasks = np.repeat(np.arange(60), 10)
    alike = Reference(np.repeat(scores, 10), np.repeat(resolved, 10), tasks)
    apart = Reference(np.repeat(scores, 10), np.repeat(resolved, 10))
    assert Watch(alike, draws=300).limits.later > Watch(apart, draws=300).limits.later


def test_a_small_reference_and_options_out_of_range_are_refused() -> None:
    scores, resolved = pool(200, 0.3, 0)
    resolved[:] = False
    resolved[:29] = True
    with pytest.raises(SweRmError, match="30 attempts of either outcome: it has 29 resolved and 171"):
        Reference(scores, resolved)
    for options in ({"within": 1}, {"false_alarms": 0.0}, {"false_alarms": 1.0}):
        with pytest.raises(SweRmError, match="stretch is at least 2"):
            Watch(reference(), draws=2, **options)  # type: ignore[arg-type]


# --- without outcomes ------------------------------------------------------------------------------------------------


def psi(reference: list[float], found: list[float]) -> float:
    """The twin: tenths of the reference, half a score more in each."""
    ordered = sorted(reference)
    ends = sorted({ordered[part * (len(ordered) - 1) // 10] for part in range(1, 11)})

    def shares(scores: list[float]) -> list[float]:
        counts = [0.5] * len(ends)
        for score in scores:
            counts[next((i for i, end in enumerate(ends) if score <= end), len(ends) - 1)] += 1
        return [count / sum(counts) for count in counts]

    return sum((a - e) * math.log(a / e) for a, e in zip(shares(found), shares(reference), strict=True))


@settings(max_examples=30)
@example(seed=3097, decimals=2)  # a score that is so rare that no mark falls on it
@given(seed=st.integers(0, 10_000), decimals=st.integers(1, 3))
def test_a_block_is_compared_as_spelled_out(seed: int, decimals: int) -> None:
    rng = random.Random(seed)
    known = [round(rng.random(), decimals) for _ in range(rng.randint(50, 400))]
    scores = [round(rng.random() ** 2, decimals) for _ in range(100)]
    inputs = Inputs(np.array(known), block=100)
    blocks = [inputs.add(score) for score in scores]
    assert blocks[:-1] == [None] * 99
    block = blocks[-1]
    assert block is not None
    assert (block.until, block.n) == (100, 100)
    assert block.mean_score == pytest.approx(sum(scores) / 100)
    assert block.psi == pytest.approx(psi(known, scores))
    ordered = sorted(known)
    marks = {ordered[part * (len(known) - 1) // MARKS] for part in range(1, MARKS + 1)}
    apart = [abs(sum(s <= mark for s in scores) / 100 - sum(s <= mark for s in known) / len(known)) for mark in marks]
    assert block.ks == pytest.approx(max(apart))
    assert inputs.end() is None


def test_scores_of_the_reference_have_not_moved_and_shifted_ones_have() -> None:
    rng = np.random.default_rng(0)
    known = rng.beta(2, 3, 2000)
    same, moved = Inputs(known, 500), Inputs(known, 500)
    blocks = [block for score in rng.beta(2, 3, 20_000).tolist() if (block := same.add(score))]
    assert len(blocks) == 40
    assert not any(block.has_moved for block in blocks)
    assert sum(block.ks > block.ks_limit for block in blocks) <= 1  # 40 x 0.001 are expected
    assert KS_ERROR == 0.001
    blocks = [block for score in rng.beta(3, 2, 5000).tolist() if (block := moved.add(score))]
    assert all(block.has_moved and block.psi > PSI_MOVED for block in blocks)
    assert moved.add(0.5) is None
    last = moved.end()
    assert last is not None
    assert (last.until, last.n) == (5001, 1)
