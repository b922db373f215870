"""Draws of tasks, and figures in every draw, against draws spelled out attempt by attempt."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm import metrics, resampling
from swe_rm.resampling import AucResampler, Sums
from tests.test_metrics import Attempts, arrays, attempts, slow_ece, slow_pairs


def spelled_out(rows: Attempts, drawn: npt.NDArray[np.float64]) -> Attempts:
    """The attempts of a resample: those of each task as often as it was drawn."""
    return [row for row in rows for _ in range(int(drawn[row[2]]))]


def slow_figures(rows: Attempts) -> tuple[float, float]:
    """(AUC, ECE) of the rows, NaN where undefined."""
    won, pairs = slow_pairs(rows)
    return won / pairs if pairs else np.nan, slow_ece(rows) if rows else np.nan


@given(attempts, st.integers(0, 99))
def test_resampled_figures_are_those_of_the_resample_spelled_out(rows: Attempts, seed: int) -> None:
    scores, resolved, tasks = arrays(rows)
    weights = resampling.resample_weights(4, 6, seed)
    sums = Sums(4)
    gaps, sizes, good = (
        sums.add(values)
        for values in (
            metrics.bin_gaps(scores, resolved, tasks, 4),
            metrics.sum_by(tasks, 4),
            metrics.sum_by(tasks, 4, resolved),
        )
    )
    totals = sums.resampled(weights)
    ece = metrics.divide(np.abs(totals[gaps]).sum(axis=0), totals[sizes][0])
    rate = metrics.divide(totals[good], totals[sizes])[0]
    auc = AucResampler(scores, resolved, tasks)(weights)
    for index, drawn in enumerate(weights):
        resample = spelled_out(rows, drawn)
        np.testing.assert_allclose((auc[index], ece[index]), slow_figures(resample), atol=1e-12)
        expected = sum(y for _, y, _ in resample) / len(resample) if resample else np.nan
        np.testing.assert_allclose(rate[index], expected, atol=1e-12)


@given(attempts)
def test_both_ways_of_counting_wins_agree(rows: Attempts) -> None:
    scores, resolved, tasks = arrays(rows)
    weights = resampling.resample_weights(4, 50, 1)
    doubled = resampling.doubled_wins(scores, resolved, tasks, 4)
    by_matrix = np.einsum("bi,ij,bj->b", weights, doubled / 2, weights)
    np.testing.assert_allclose(by_matrix, resampling.wins_by_sorting(scores, resolved, tasks, weights), atol=1e-9)
    for i, j in np.ndindex(4, 4):
        mine = [row for row in rows if row[2] == (i if row[1] else j)]
        assert doubled[i, j] == 2 * slow_pairs(mine)[0]


def test_wins_counted_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    scores, resolved, tasks = rng.random(300).round(1), rng.random(300) < 0.4, rng.integers(0, 20, 300)
    whole = resampling.doubled_wins(scores, resolved, tasks, 20)
    monkeypatch.setattr(resampling, "BLOCK", 40)
    np.testing.assert_array_equal(resampling.doubled_wins(scores, resolved, tasks, 20), whole)


def test_single_precision_is_used_only_where_it_loses_nothing() -> None:
    assert resampling.precision(2**24 - 1) is np.float32
    assert resampling.precision(2**24) is np.float64
    n = 9000  # each task has 2,250 of either outcome: 2 draws x 2 x 2,250^2 is beyond 2^24
    scores, resolved = np.linspace(0, 1, n), np.arange(n) % 3 == 0
    tasks = np.arange(n) % 2
    weights = np.array([[1.0, 1.0], [2.0, 0.0]])
    wins = resampling.wins_by_sorting(scores, resolved, tasks, weights)
    pairs = [(w @ metrics.sum_by(tasks, 2, resolved)) * (w @ metrics.sum_by(tasks, 2, ~resolved)) for w in weights]
    np.testing.assert_array_equal(AucResampler(scores, resolved, tasks)(weights), wins / pairs)


def test_a_pool_of_very_many_tasks_is_resampled_without_a_matrix() -> None:
    rng = np.random.default_rng(2)
    scores, resolved, tasks = rng.random(400).round(1), rng.random(400) < 0.5, np.arange(400)
    weights = resampling.resample_weights(400, 5, 0)
    found = AucResampler(scores, resolved, tasks)(weights)
    rows = list(zip(scores.tolist(), resolved.tolist(), tasks.tolist(), strict=True))
    for index, drawn in enumerate(weights):
        assert found[index] == pytest.approx(slow_figures(spelled_out(rows, drawn))[0])


@given(st.integers(0, 9), st.integers(0, 30), st.integers(1, 40))
def test_draws_do_not_depend_on_the_size_of_the_blocks(n_tasks: int, resamples: int, block: int) -> None:
    whole = resampling.resample_weights(n_tasks, resamples, 5)
    assert whole.shape == (resamples, n_tasks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "BLOCK", block)
        parts = list(resampling.weight_blocks(n_tasks, resamples, 5))
    assert all(part.size <= max(block, n_tasks) for part in parts)
    np.testing.assert_array_equal(np.concatenate([np.zeros((0, n_tasks)), *parts]), whole)


def test_every_resampler_sees_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "BLOCK", 12)
    first, second = resampling.resample(
        [lambda weights: {"a": weights[:, 0]}, lambda weights: {"b": weights[:, 0] * 2, "c": weights[:, 1]}], 4, 10, 7
    )
    weights = resampling.resample_weights(4, 10, 7)
    np.testing.assert_array_equal(first["a"], weights[:, 0])
    np.testing.assert_array_equal(second["b"], 2 * weights[:, 0])
    np.testing.assert_array_equal(second["c"], weights[:, 1])


def test_equal_columns_are_multiplied_once() -> None:
    sums = Sums(3)
    places = sums.add(np.array([[1.0, 2.0, 1.0]] * 3)), sums.add(np.full(3, 2.0))
    assert [place.tolist() for place in places] == [[0, 1, 0], [1]]
    np.testing.assert_array_equal(sums.resampled(np.ones((2, 3))), [[3, 3], [6, 6]])


def test_weights_are_draws_with_replacement_and_seeded() -> None:
    weights = resampling.resample_weights(30, 200, 7)
    assert (weights.sum(axis=1) == 30).all()
    assert weights.mean() == 1
    assert weights.var() == pytest.approx(29 / 30, rel=0.1)
    np.testing.assert_array_equal(weights, resampling.resample_weights(30, 200, 7))
    assert (weights != resampling.resample_weights(30, 200, 8)).any()
    assert resampling.resample_weights(0, 3, 0).shape == (3, 0)


def test_weighted_means_pass_over_what_is_undefined() -> None:
    values = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    found = resampling.weighted_mean(values.T, np.array([[1.0, 5.0, 3.0], [1.0, 1.0, 1.0]]).T)
    np.testing.assert_array_equal(found, [2.5, np.nan])


def test_an_interval_needs_two_clusters_and_mostly_defined_resamples() -> None:
    resampled = np.linspace(0, 1, 101)
    assert resampling.interval(resampled, 2) == pytest.approx((0.025, 0.975))
    assert resampling.interval(resampled, 1) is None
    assert resampling.interval(np.append(resampled, np.full(100, np.nan)), 9) == pytest.approx((0.025, 0.975))
    assert resampling.interval(np.append(resampled, np.full(102, np.nan)), 9) is None
    assert resampling.interval(np.array([]), 9) is None


def test_too_few_draws_make_no_interval() -> None:
    assert resampling.interval(np.linspace(0, 1, resampling.MIN_RESAMPLES - 1), 500) is None
    assert resampling.interval(np.linspace(0, 1, resampling.MIN_RESAMPLES), 500) is not None


def test_draws_that_agree_make_an_interval_only_where_many_clusters_carry_them() -> None:
    same = np.full(100, 0.1 + 0.2)
    same[::2] = 0.3  # equal but for rounding
    assert resampling.interval(same, resampling.MIN_CLUSTERS - 1) is None
    assert resampling.interval(same, resampling.MIN_CLUSTERS) == pytest.approx((0.3, 0.3))
    same[:50] = 0.4
    assert resampling.interval(same, 2) == pytest.approx((0.3, 0.4))
