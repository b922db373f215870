"""Gradient-boosted trees as flat arrays: fitted by scikit-learn, scored with numpy alone."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from swe_rm.errors import MissingExtraError, VerifierError

Floats = npt.NDArray[np.float64]


class Forest(NamedTuple):
    """Boosted regression trees as flat arrays; scoring them needs numpy only."""

    base: float
    """Log-odds before the first tree."""
    roots: npt.NDArray[np.int32]
    """Index of each tree's root."""
    column: npt.NDArray[np.int32]
    """Feature a node asks about, -1 at a leaf."""
    threshold: Floats
    """Values up to it (as float32) go left."""
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: Floats
    """What a leaf adds to the log-odds."""

    def logits(self, matrix: Floats) -> Floats:
        """Log-odds of each row, [rows]; sums the leaf each tree puts the row in."""
        rows = matrix.astype(np.float32).astype(np.float64)
        nodes = np.broadcast_to(self.roots, (len(rows), len(self.roots))).copy()
        line = np.arange(len(rows))[:, None]
        while (inner := self.column[nodes] >= 0).any():
            goes_left = rows[line, self.column[nodes]] <= self.threshold[nodes]
            nodes = np.where(inner, np.where(goes_left, self.left[nodes], self.right[nodes]), nodes)
        return np.asarray(self.base + self.value[nodes].sum(axis=1), dtype=np.float64)


def fit_forest(matrix: Floats, resolved: npt.NDArray[np.bool_], weights: Floats, seed: int = 0) -> Forest:
    """Gradient boosting (scikit-learn) on [rows, features], turned into arrays.

    Raises MissingExtraError without scikit-learn, VerifierError where only one outcome is there.
    """
    try:
        from sklearn.ensemble import GradientBoostingClassifier
    except ImportError:
        raise MissingExtraError("scikit-learn", "eval") from None
    if len(np.unique(resolved)) < 2:
        raise VerifierError("attempts of both outcomes are needed to fit the features verifier")
    model = GradientBoostingClassifier(
        n_estimators=250,
        learning_rate=0.04,
        max_depth=4,
        min_samples_leaf=12,
        subsample=0.6,
        max_features=0.3,
        random_state=seed,
    )
    model.fit(matrix, resolved, sample_weight=weights)
    return _flatten(model)


def _flatten(model: Any) -> Forest:
    trees = [stage[0].tree_ for stage in model.estimators_]
    starts = np.cumsum([0, *(tree.node_count for tree in trees)])
    shift = [np.where(t.children_left >= 0, s, 0) for t, s in zip(trees, starts, strict=False)]
    prior = model.init_.class_prior_[1]
    return Forest(
        base=float(np.log(prior / (1 - prior))),
        roots=starts[:-1].astype(np.int32),
        column=np.concatenate([np.where(t.feature >= 0, t.feature, -1) for t in trees]).astype(np.int32),
        threshold=np.concatenate([t.threshold for t in trees]),
        left=np.concatenate([t.children_left + s for t, s in zip(trees, shift, strict=True)]).astype(np.int32),
        right=np.concatenate([t.children_right + s for t, s in zip(trees, shift, strict=True)]).astype(np.int32),
        value=np.concatenate([t.value[:, 0, 0] for t in trees]) * model.learning_rate,
    )
