"""Every closed form against a slow, obvious twin: all pairs, all subsets, resamples spelled out."""

import math
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from swe_rm import metrics

Attempts = list[tuple[float, bool, int]]

attempts = st.lists(
    st.tuples(st.sampled_from([0.0, 0.05, 0.3, 0.5, 0.7, 1.0]), st.booleans(), st.integers(0, 3)),
    min_size=1,
    max_size=14,
)


def arrays(rows: Attempts) -> tuple[metrics.Floats, metrics.Flags, metrics.Ids]:
    scores, resolved, groups = zip(*rows, strict=True)
    return np.array(scores, np.float64), np.array(resolved, np.bool_), np.array(groups, np.intp)


def slow_pairs(rows: Attempts) -> tuple[float, int]:
    """(pairs in the right order, pairs) over all attempts."""
    won, pairs = 0.0, 0
    for good in (score for score, resolved, _ in rows if resolved):
        for bad in (score for score, resolved, _ in rows if not resolved):
            won += 1.0 if good > bad else 0.5 if good == bad else 0.0
            pairs += 1
    return won, pairs


def slow_ece(rows: Attempts) -> float:
    error = 0.0
    for number in range(10):
        inside = [(s, y) for s, y, _ in rows if min(9, math.floor(10 * s)) == number]
        if inside:
            gap = sum(s for s, _ in inside) / len(inside) - sum(y for _, y in inside) / len(inside)
            error += len(inside) / len(rows) * abs(gap)
    return error


def slow_rm(scores: list[float], resolved: list[bool], k: int) -> float:
    """Mean over all K-subsets of the mean outcome of their best-scored members."""
    picked = []
    for subset in combinations(range(len(scores)), k):
        best = max(scores[i] for i in subset)
        tied = [resolved[i] for i in subset if scores[i] == best]
        picked.append(sum(tied) / len(tied))
    return sum(picked) / len(picked)


def slow_pass(resolved: list[bool], k: int) -> float:
    subsets = list(combinations(resolved, k))
    return sum(any(subset) for subset in subsets) / len(subsets)


@given(attempts)
def test_auc_is_that_of_all_pairs_and_of_sklearn(rows: Attempts) -> None:
    scores, resolved, _ = arrays(rows)
    won, pairs = slow_pairs(rows)
    found = metrics.auc_score(scores, resolved)
    if not pairs:
        assert found is None
    else:
        assert found == pytest.approx(won / pairs, abs=1e-12)
        assert found == pytest.approx(roc_auc_score(resolved, scores), abs=1e-12)


@given(attempts)
def test_pair_sums_are_those_of_each_group_alone(rows: Attempts) -> None:
    wins, pairs = metrics.pair_sums(*arrays(rows), 4)
    for group in range(4):
        assert (wins[group], pairs[group]) == slow_pairs([row for row in rows if row[2] == group])


@given(attempts)
def test_pair_accuracy_weighs_all_pairs_alike(rows: Attempts) -> None:
    by_group = [slow_pairs([row for row in rows if row[2] == group]) for group in range(4)]
    pairs = sum(n for _, n in by_group)
    found = metrics.pair_accuracy_score(*arrays(rows))
    assert found == (pytest.approx(sum(won for won, _ in by_group) / pairs) if pairs else None)


@given(attempts, st.data())
def test_upsets_are_the_pairs_won_by_the_weaker(rows: Attempts, data: st.DataObject) -> None:
    strengths = data.draw(st.lists(st.sampled_from([0.1, 0.4, 0.9]), min_size=len(rows), max_size=len(rows)))
    wins, pairs = metrics.upset_sums(*arrays(rows)[:2], np.array(strengths), arrays(rows)[2], 4)
    for group in range(4):
        expected, counted = 0.0, 0
        for (s, y, g), strength in zip(rows, strengths, strict=True):
            for (s2, y2, g2), strength2 in zip(rows, strengths, strict=True):
                if y and not y2 and g == g2 == group and strength < strength2:
                    expected += 1.0 if s > s2 else 0.5 if s == s2 else 0.0
                    counted += 1
        assert (wins[group], pairs[group]) == (expected, counted)


@given(
    st.integers(1, 6).flatmap(
        lambda n: st.lists(
            st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=n, max_size=n), min_size=1, max_size=4
        )
    )
)
def test_rm_and_pass_at_k_are_the_means_over_all_subsets(groups: list[list[tuple[int, bool]]]) -> None:
    scores = [[score / 2 for score, _ in group] for group in groups]
    resolved = [[outcome for _, outcome in group] for group in groups]
    rm = metrics.rm_at_k_score(np.array(scores), np.array(resolved))
    best = metrics.pass_at_k_score(np.array(resolved))
    for row, group in enumerate(groups):
        for k in range(1, len(group) + 1):
            assert rm[row, k - 1] == pytest.approx(slow_rm(scores[row], resolved[row], k), abs=1e-12)
            assert best[row, k - 1] == pytest.approx(slow_pass(resolved[row], k), abs=1e-12)


def test_curves_of_large_groups_stay_exact() -> None:
    resolved = np.zeros((1, 400), np.bool_)
    resolved[0, 0] = True
    scores = np.linspace(1, 0, 400)[None, :]
    share = np.arange(1, 401) / 400
    np.testing.assert_allclose(metrics.pass_at_k_score(resolved)[0], share, rtol=1e-10)
    np.testing.assert_allclose(metrics.rm_at_k_score(scores, resolved)[0], share, rtol=1e-10)


@given(attempts)
def test_groups_of_any_size_are_padded_where_they_have_too_few(rows: Attempts) -> None:
    rm, best = metrics.by_group(*arrays(rows), 4)
    assert rm.shape == best.shape == (4, max(sum(row[2] == group for row in rows) for group in range(4)))
    for group in range(4):
        mine = [row for row in rows if row[2] == group]
        for k in range(1, rm.shape[1] + 1):
            if k > len(mine):
                assert np.isnan(rm[group, k - 1])
                assert np.isnan(best[group, k - 1])
            else:
                assert rm[group, k - 1] == pytest.approx(slow_rm([r[0] for r in mine], [r[1] for r in mine], k))
                assert best[group, k - 1] == pytest.approx(slow_pass([r[1] for r in mine], k))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.just(0)), min_size=1, max_size=40))
def test_calibration_and_brier(rows: Attempts) -> None:
    scores, resolved, _ = arrays(rows)
    assert metrics.calibration_error(scores, resolved) == pytest.approx(slow_ece(rows), abs=1e-12)
    assert metrics.brier_loss(scores, resolved) == pytest.approx(brier_score_loss(resolved, scores, labels=[0, 1]))


def test_the_last_bin_holds_one_and_every_bin_its_lower_edge() -> None:
    edges = [0.0, 0.1, 0.3, 0.7, 0.95, 1.0]
    assert metrics.bin_of(np.array(edges)).tolist() == [min(9, math.floor(10 * edge)) for edge in edges]


def test_the_noise_floor_is_the_mean_absolute_deviation_of_a_binomial() -> None:
    n = 60
    exact = sum(math.comb(n, hits) / 2**n * abs(hits - n / 2) for hits in range(n + 1)) / n
    assert metrics.ece_noise_floor(np.full(n, 0.5), n_draws=4000) == pytest.approx(exact, rel=0.05)
    assert metrics.ece_noise_floor(np.array([0.0, 1.0, 1.0])) == 0


def test_the_noise_floor_is_the_mean_ece_of_drawn_outcomes() -> None:
    scores = np.random.default_rng(5).random(80)
    rng = np.random.default_rng(6)
    drawn = [slow_ece([(s, rng.random() < s, 0) for s in scores.tolist()]) for _ in range(3000)]
    assert metrics.ece_noise_floor(scores, n_draws=3000) == pytest.approx(np.mean(drawn), rel=0.05)


def test_without_attempts_every_figure_is_undefined_and_none_is_zero() -> None:
    none, flags, ids = np.array([]), np.array([], np.bool_), np.array([], np.intp)
    assert metrics.auc_score(none, flags) is None
    assert metrics.pair_accuracy_score(none, flags, ids) is None
    assert metrics.calibration_error(none, flags) is None
    assert metrics.brier_loss(none, flags) is None
    assert metrics.ece_noise_floor(none) is None
    assert metrics.ratio(none, none) is None
    assert metrics.by_group(none, flags, ids, 0)[0].shape == (0, 0)


# --- resampling ------------------------------------------------------------------------------------------------------


def spelled_out(rows: Attempts, drawn: npt.NDArray[np.float64]) -> Attempts:
    """The attempts of a resample: those of each task as often as it was drawn."""
    return [row for row in rows for _ in range(int(drawn[row[2]]))]


@given(attempts, st.integers(0, 99))
def test_resampled_figures_are_those_of_the_resample_spelled_out(rows: Attempts, seed: int) -> None:
    scores, resolved, tasks = arrays(rows)
    weights = metrics.resample_weights(4, 6, seed)
    sizes = metrics.sum_by(tasks, 4)
    auc = metrics.auc_resampled(scores, resolved, tasks, weights)
    ece = metrics.ece_resampled(metrics.bin_gaps(scores, resolved, tasks, 4), sizes, weights)
    rate = metrics.ratio_resampled(metrics.sum_by(tasks, 4, resolved), sizes, weights)
    for index, drawn in enumerate(weights):
        resample = spelled_out(rows, drawn)
        won, pairs = slow_pairs(resample)
        np.testing.assert_allclose(auc[index], won / pairs if pairs else np.nan, atol=1e-12)
        np.testing.assert_allclose(ece[index], slow_ece(resample) if resample else np.nan, atol=1e-12)
        expected = sum(y for _, y, _ in resample) / len(resample) if resample else np.nan
        np.testing.assert_allclose(rate[index], expected, atol=1e-12)


@given(attempts)
def test_both_ways_of_counting_wins_agree(rows: Attempts) -> None:
    scores, resolved, tasks = arrays(rows)
    weights = metrics.resample_weights(4, 50, 1)
    by_matrix = metrics._wins_by_matrix(scores, resolved, tasks, weights)
    np.testing.assert_allclose(by_matrix, metrics._wins_by_sorting(scores, resolved, tasks, weights), atol=1e-9)


def test_a_pool_of_very_many_tasks_is_resampled_without_a_matrix() -> None:
    rng = np.random.default_rng(2)
    scores, resolved, tasks = rng.random(400).round(1), rng.random(400) < 0.5, np.arange(400)
    weights = metrics.resample_weights(400, 5, 0)
    found = metrics.auc_resampled(scores, resolved, tasks, weights)
    rows = list(zip(scores.tolist(), resolved.tolist(), tasks.tolist(), strict=True))
    for index, drawn in enumerate(weights):
        won, pairs = slow_pairs(spelled_out(rows, drawn))
        assert found[index] == pytest.approx(won / pairs)


def test_weights_are_draws_with_replacement_and_seeded() -> None:
    weights = metrics.resample_weights(30, 200, 7)
    assert (weights.sum(axis=1) == 30).all()
    assert weights.mean() == 1
    assert weights.var() == pytest.approx(29 / 30, rel=0.1)
    np.testing.assert_array_equal(weights, metrics.resample_weights(30, 200, 7))
    assert (weights != metrics.resample_weights(30, 200, 8)).any()
    assert metrics.resample_weights(0, 3, 0).shape == (3, 0)


def test_weighted_means_pass_over_what_is_undefined() -> None:
    values = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    found = metrics.weighted_mean(values, np.array([[1.0, 5.0, 3.0], [1.0, 1.0, 1.0]]))
    np.testing.assert_array_equal(found, [2.5, np.nan])


def test_an_interval_needs_two_clusters_and_mostly_defined_resamples() -> None:
    resampled = np.linspace(0, 1, 101)
    assert metrics.interval(resampled, 2) == pytest.approx((0.025, 0.975))
    assert metrics.interval(resampled, 1) is None
    assert metrics.interval(np.append(resampled, np.full(100, np.nan)), 9) == pytest.approx((0.025, 0.975))
    assert metrics.interval(np.append(resampled, np.full(102, np.nan)), 9) is None
    assert metrics.interval(np.array([]), 9) is None
