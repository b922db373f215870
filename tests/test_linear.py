"""A regression on ranks: ranks as counted by hand, log-odds as scikit-learn's, both outcomes needed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as fast
from hypothesis.extra.numpy import arrays
from sklearn.linear_model import LogisticRegression

from swe_rm.errors import VerifierError
from swe_rm.verifiers import linear

VALUES = arrays(np.float64, (30, 3), elements={"min_value": -3, "max_value": 3}).map(np.round)


@fast(max_examples=40, deadline=None)
@given(fitted=VALUES, asked=VALUES)
def test_a_rank_counts_what_lies_below_and_half_of_what_is_equal(fitted: np.ndarray, asked: np.ndarray) -> None:
    knots = linear.knots_of(fitted)
    found = linear.ranks(knots, asked)
    for row in range(len(asked)):
        for column in range(3):
            below = sum(knot < asked[row, column] for knot in knots[column])
            equal = sum(knot == asked[row, column] for knot in knots[column])
            assert found[row, column] == pytest.approx((below + equal / 2) / linear.KNOTS - 0.5)


def test_knots_are_values_of_the_column_from_its_least_to_its_largest() -> None:
    column = np.random.default_rng(0).exponential(size=(500, 1))
    (knots,) = linear.knots_of(column)
    assert set(knots) <= set(column[:, 0])
    assert (knots[0], knots[-1]) == (column.min(), column.max())
    assert (np.diff(knots) >= 0).all()


def test_log_odds_are_those_of_scikit_learn_and_only_order_matters() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(80, 4))
    resolved = matrix[:, 0] + rng.normal(size=80) > 0
    weights = rng.uniform(0.5, 2, size=80)
    made = linear.fit_linear(matrix, resolved, weights)
    ranked = linear.ranks(made.knots, matrix)
    twin = LogisticRegression(C=linear.STRENGTH, max_iter=2_000).fit(ranked, resolved, sample_weight=weights)
    assert made.logits(matrix) == pytest.approx(twin.decision_function(ranked), abs=1e-9)
    bent = linear.fit_linear(np.exp(matrix), resolved, weights)
    assert bent.logits(np.exp(matrix)) == pytest.approx(made.logits(matrix), abs=1e-9)


def test_one_outcome_is_refused() -> None:
    with pytest.raises(VerifierError, match="both outcomes"):
        linear.fit_linear(np.zeros((3, 2)), np.ones(3, dtype=bool), np.ones(3))
