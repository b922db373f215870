"""Every closed form against a slow, obvious twin: all pairs, all subsets, resamples spelled out."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

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


def slow_mass_bins(scores: list[float]) -> list[int]:
    """Ten bins of equal mass: each score's mid-rank among all, as a share of them."""
    n = len(scores)
    return [math.floor(10 * (sum(o < s for o in scores) + sum(o == s for o in scores) / 2) / n) for s in scores]


@given(attempts)
def test_bins_of_equal_mass_keep_ties_together(rows: Attempts) -> None:
    scores, resolved, _ = arrays(rows)
    bins = slow_mass_bins(scores.tolist())
    assert metrics.mass_bin_of(scores).tolist() == bins
    error = sum(
        abs(sum(s - y for (s, y, _), mine in zip(rows, bins, strict=True) if mine == number)) for number in range(10)
    )
    found = metrics.calibration_error(scores, resolved, metrics.mass_bin_of(scores))
    assert found == pytest.approx(error / len(rows), abs=1e-12)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.just(0)), min_size=1, max_size=40))
def test_the_parts_of_the_brier_loss_add_up_and_are_murphys(rows: Attempts) -> None:
    scores, resolved, _ = arrays(rows)
    parts = metrics.brier_parts(scores, resolved)
    assert parts
    whole = parts["reliability"] - parts["resolution"] + parts["uncertainty"] + parts["within_bins"]
    assert whole == pytest.approx(metrics.brier_loss(scores, resolved), abs=1e-12)
    base, n = sum(y for _, y, _ in rows) / len(rows), len(rows)
    reliability = resolution = 0.0
    for number in range(10):
        inside = [(s, y) for s, y, _ in rows if min(9, math.floor(10 * s)) == number]
        if inside:
            mean, rate = (sum(values) / len(inside) for values in zip(*inside, strict=True))
            reliability += len(inside) / n * (mean - rate) ** 2
            resolution += len(inside) / n * (rate - base) ** 2
    assert parts["reliability"] == pytest.approx(reliability, abs=1e-12)
    assert parts["resolution"] == pytest.approx(resolution, abs=1e-12)
    assert parts["uncertainty"] == pytest.approx(base * (1 - base), abs=1e-12)


def test_scores_that_do_not_differ_inside_a_bin_leave_nothing_within_bins() -> None:
    scores, resolved = np.repeat([0.05, 0.35, 0.95], 4), np.tile([True, False, True, True], 3)
    parts = metrics.brier_parts(scores, resolved)
    assert parts
    assert parts["within_bins"] == pytest.approx(0, abs=1e-15)


def test_the_noise_floor_is_the_mean_absolute_deviation_of_a_binomial() -> None:
    n = 60
    exact = sum(math.comb(n, hits) / 2**n * abs(hits - n / 2) for hits in range(n + 1)) / n
    assert metrics.noise_floors(np.full(n, 0.5), n_draws=4000) == pytest.approx((exact, exact), rel=0.05)
    assert metrics.noise_floors(np.array([0.0, 1.0, 1.0])) == (0, 0)


def test_the_noise_floors_are_the_mean_ece_of_drawn_outcomes() -> None:
    scores = np.random.default_rng(5).random(80)
    rng = np.random.default_rng(6)
    width = mass = 0.0
    for _ in range(3000):
        drawn = rng.random(80) < scores
        width += metrics.calibration_error(scores, drawn) or 0
        mass += metrics.calibration_error(scores, drawn, metrics.mass_bin_of(scores)) or 0
    assert metrics.noise_floors(scores, n_draws=3000) == pytest.approx((width / 3000, mass / 3000), rel=0.05)


@given(attempts)
def test_average_precision_is_that_of_sklearn(rows: Attempts) -> None:
    scores, resolved, _ = arrays(rows)
    found = metrics.average_precision_score(scores, resolved)
    expected = average_precision_score(resolved, scores) if resolved.any() else None
    assert found == (expected if expected is None else pytest.approx(expected, abs=1e-12))


@given(attempts, st.integers(0, 13))
def test_the_slopes_of_the_average_precision_are_its_derivative(rows: Attempts, place: int) -> None:
    scores, resolved, _ = arrays(rows)
    place %= len(rows)
    slopes = metrics.average_precision_slopes(scores, resolved)
    if not resolved.any():
        assert np.isnan(slopes).all()
        return
    step = 1e-6
    ends = []
    for sign in (-1, 1):
        weights = np.ones(len(rows))
        weights[place] += sign * step
        ends.append(average_precision_score(resolved, scores, sample_weight=weights))
    assert slopes[place] == pytest.approx((ends[1] - ends[0]) / (2 * step), abs=1e-6)


@given(attempts)
def test_rejection_is_the_mean_over_all_orders_of_the_tied(rows: Attempts) -> None:
    scores, resolved, _ = arrays(rows)
    found = metrics.rejection_curve(scores, resolved.astype(np.float64))
    for m in range(1, len(rows) + 1):
        border = sorted(scores, reverse=True)[m - 1]
        above, tied = resolved[scores > border], resolved[scores == border]
        expected = (above.sum() + (m - len(above)) * tied.mean()) / m
        assert found[m - 1] == pytest.approx(expected, abs=1e-12)


@given(attempts)
def test_the_top_outcome_is_rm_at_all(rows: Attempts) -> None:
    scores, resolved, groups = arrays(rows)
    found = metrics.top_outcome(scores, resolved, groups, 4)
    for group in range(4):
        mine = groups == group
        expected = slow_rm(scores[mine].tolist(), resolved[mine].tolist(), int(mine.sum())) if mine.any() else np.nan
        np.testing.assert_allclose(found[group], expected, atol=1e-12)


def test_without_attempts_every_figure_is_undefined_and_none_is_zero() -> None:
    none, flags, ids = np.array([]), np.array([], np.bool_), np.array([], np.intp)
    assert metrics.auc_score(none, flags) is None
    assert metrics.pair_accuracy_score(none, flags, ids) is None
    assert metrics.calibration_error(none, flags) is None
    assert metrics.brier_loss(none, flags) is None
    assert metrics.noise_floors(none) is None
    assert metrics.average_precision_score(none, flags) is None
    assert metrics.brier_parts(none, flags) is None
    assert metrics.mass_bin_of(none).tolist() == metrics.rejection_curve(none, none).tolist() == []
    assert metrics.ratio(none, none) is None
    assert metrics.by_group(none, flags, ids, 0)[0].shape == (0, 0)


@pytest.mark.parametrize("seed", range(5))
def test_figures_agree_with_torchmetrics(seed: int) -> None:
    """In its float32. Scores are tied but lie on no border of a bin, where its rounding decides."""
    torch, peer = pytest.importorskip("torch"), pytest.importorskip("torchmetrics.functional.classification")
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 200, 400) / 200 + 0.00137
    resolved = rng.random(400) < scores
    s, y = torch.tensor(scores), torch.tensor(resolved)
    tied = scores.round(2) + 0.00137
    ours_and_theirs = [
        (metrics.auc_score(tied, resolved), peer.binary_auroc(torch.tensor(tied), y.long())),
        (metrics.average_precision_score(scores, resolved), peer.binary_average_precision(s, y.long())),
        (metrics.calibration_error(scores, resolved), peer.binary_calibration_error(s, y.long(), n_bins=10, norm="l1")),
    ]
    for ours, theirs in ours_and_theirs:
        assert ours == pytest.approx(float(theirs), abs=1e-5)
