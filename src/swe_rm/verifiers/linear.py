"""Logistic regression on ranks as flat arrays: fitted by scikit-learn, scored with numpy alone."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from swe_rm.errors import MissingExtraError, VerifierError

Floats = npt.NDArray[np.float64]

KNOTS = 201
"""Values of a column that its ranks are told by."""
STRENGTH = 0.03
"""scikit-learn's C, the inverse of the penalty. 0.01 and 0.1 differ by 0.002 within policy (experiments/LOG.md)."""


class Linear(NamedTuple):
    """A weight for the rank of each column: no fact can do more than its weight, and none acts through another.

    Trees find a policy out by what goes together; this cannot.
    """

    knots: Floats
    """[columns, KNOTS], ascending: values of each column in what it was fitted on, evenly spaced by rank."""
    weights: Floats
    """[columns]: log-odds from the lowest value of a column to the highest."""
    intercept: float

    def logits(self, matrix: Floats) -> Floats:
        """Log-odds of each row, [rows]."""
        return np.asarray(ranks(self.knots, matrix) @ self.weights + self.intercept, dtype=np.float64)


def knots_of(matrix: Floats) -> Floats:
    """[rows, columns] -> [columns, KNOTS]."""
    return np.asarray(np.quantile(matrix, np.linspace(0, 1, KNOTS), axis=0, method="nearest").T)


def ranks(knots: Floats, matrix: Floats) -> Floats:
    """Mid-rank of each value among its column's knots as a share less a half: [rows, columns], each in [-0.5, 0.5]."""
    found = np.empty(matrix.shape)
    for column, own in enumerate(knots):
        values = matrix[:, column]
        found[:, column] = np.searchsorted(own, values, "left") + np.searchsorted(own, values, "right")
    return np.asarray(found / (2 * knots.shape[1]) - 0.5)


def fit_linear(matrix: Floats, resolved: npt.NDArray[np.bool_], weights: Floats) -> Linear:
    """Logistic regression (scikit-learn) on the ranks of [rows, columns].

    Raises MissingExtraError without scikit-learn, VerifierError where only one outcome is there.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise MissingExtraError("scikit-learn", "eval") from None
    if len(np.unique(resolved)) < 2:
        raise VerifierError("attempts of both outcomes are needed to fit a verifier of facts")
    knots = knots_of(matrix)
    model = LogisticRegression(C=STRENGTH, max_iter=2_000).fit(ranks(knots, matrix), resolved, sample_weight=weights)
    return Linear(knots=knots, weights=model.coef_[0].astype(np.float64), intercept=float(model.intercept_[0]))
