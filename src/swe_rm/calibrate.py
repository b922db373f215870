"""Calibrators: temperature, Platt, beta and isotonic maps from a score to a probability, as plain numbers."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from swe_rm.errors import MissingExtraError, SweRmError
from swe_rm.trajectory import ID_LENGTH, Noun

Floats = npt.NDArray[np.float64]
Method = Literal["temperature", "platt", "beta", "isotonic"]
METHODS: tuple[Method, ...] = get_args(Method)
Per = Literal["policy", "source"]

EDGE = 1e-6
"""Scores are kept this far from 0 and 1 before their logarithm is taken; a float32 softmax saturates nearby."""


MIN_GROUP = 10
"""A policy or source with fewer attempts gets no map of its own."""

BORROWED = 5.0
"""What all attempts of the other groups weigh together in a group's own map, in attempts of its own.

Of 1 to 50 the best for 10 to 50 labels are 1 to 5, for log loss with all labels 10 to 20 (experiments/LOG.md).
"""


class Calibrator(Noun):
    """A fitted map of [0, 1] onto [0, 1] that never reverses an order. Applying it needs numpy only.

    The three parametric methods share one form, logit(q) = a ln(p) - b ln(1 - p) + c with a, b >= 0: temperature has
    a = b and c = 0, Platt has a = b, beta has all three. Isotonic interpolates between its knots.
    """

    method: Method
    a: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    b: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    c: float = Field(default=0.0, allow_inf_nan=False)
    knots: tuple[tuple[float, float], ...] = ()
    """(score, probability), both non-decreasing; only for isotonic."""
    n: int = Field(gt=0)
    """Attempts it was fitted on."""

    @model_validator(mode="after")
    def _ordered(self) -> "Calibrator":
        if (self.method == "isotonic") != bool(self.knots):
            raise ValueError("an isotonic calibrator has knots, the others have none")
        flat = np.array(self.knots, dtype=np.float64).reshape(-1, 2)
        if not np.all((flat >= 0) & (flat <= 1)) or np.any(np.diff(flat, axis=0) < 0):
            raise ValueError("knots lie in [0, 1] and never fall")
        return self

    def __call__(self, scores: npt.ArrayLike) -> Floats:
        """Calibrated probabilities of scores in [0, 1]; same shape."""
        given = np.asarray(scores, dtype=np.float64)
        if self.knots:
            x, y = np.array(self.knots, dtype=np.float64).T
            return np.asarray(np.interp(given, x, y), dtype=np.float64)
        rise, fall = _features(given)
        return _sigmoid(self.a * rise + self.b * fall + self.c)

    @property
    def digest(self) -> str:
        """Hex digest of the map: the version part of a calibrated verifier's name."""
        return _digest(self)


class PerGroup(Noun):
    """A map for each policy or source, and the pooled one for those that have none of their own."""

    per: Per
    pooled: Calibrator
    groups: dict[str, Calibrator]

    def __call__(self, scores: npt.ArrayLike, groups: Sequence[str]) -> Floats:
        """Calibrated probabilities of scores (n,) of attempts of these groups (n,)."""
        given, names = np.asarray(scores, dtype=np.float64), np.asarray(groups, dtype=np.object_)
        out = self.pooled(given)
        for name in set(names) & self.groups.keys():
            out[names == name] = self.groups[name](given[names == name])
        return out

    @property
    def method(self) -> Method:
        """Of every map."""
        return self.pooled.method

    @property
    def n(self) -> int:
        """Attempts it was fitted on."""
        return self.pooled.n

    @property
    def digest(self) -> str:
        """Hex digest of all maps."""
        return _digest(self)


def _digest(calibrator: Noun) -> str:
    return hashlib.sha256(calibrator.model_dump_json().encode()).hexdigest()[:ID_LENGTH]


def fit(
    method: Method, scores: npt.ArrayLike, resolved: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> Calibrator:
    """Fit a calibrator on scores in [0, 1] (n,) and outcomes (n,) of bool; `weights` (n,) count attempts unequally.

    The parametric fits use Platt's smoothed targets, so that separable scores do not give infinite slopes. Raises
    SweRmError on an unknown method, scores outside [0, 1], unequal lengths, or fewer than two outcomes.
    """
    if method not in METHODS:
        raise SweRmError(f"unknown calibration method {method!r}: choose from {', '.join(METHODS)}")
    x = np.asarray(scores, dtype=np.float64)
    y = np.asarray(resolved, dtype=bool)
    w = np.ones_like(x) if weights is None else np.asarray(weights, dtype=np.float64)
    if not x.shape == y.shape == w.shape or x.ndim != 1:
        raise SweRmError(
            f"calibration needs as many scores as outcomes, got {x.shape}, {y.shape} and weights {w.shape}"
        )
    if not np.all((x >= 0) & (x <= 1)):
        raise SweRmError("calibration needs scores in [0, 1]")
    if not 0 < np.count_nonzero(y) < len(y):
        raise SweRmError("calibration needs attempts of both outcomes, resolved and unresolved")
    if method == "isotonic":
        return Calibrator(method=method, knots=_isotonic(x, y, w), n=len(x))
    a, b, c = _parametric(method, x, y, w)
    return Calibrator(method=method, a=a, b=b, c=c, n=len(x))


def fit_per_group(
    method: Method, scores: npt.ArrayLike, resolved: npt.ArrayLike, groups: Sequence[str], per: Per
) -> PerGroup:
    """A map for each group of at least `MIN_GROUP` attempts, leaning on the others (`leaning`), and the pooled one.

    `groups` (n,) are names of policies or sources, as `per` says. Raises as `fit` does.
    """
    x, y, names = np.asarray(scores, dtype=np.float64), np.asarray(resolved, dtype=bool), np.asarray(groups)
    large = [str(name) for name, n in zip(*np.unique(names, return_counts=True), strict=True) if n >= MIN_GROUP]
    maps = {name: fit(method, x, y, leaning(names == name)) for name in large}
    return PerGroup(per=per, pooled=fit(method, x, y), groups=maps)


def leaning(own: npt.NDArray[np.bool_]) -> Floats:
    """Weights (n,) that shrink a map to the other groups: 1 for the own attempts, `BORROWED` for all others in all.

    A group of 10 attempts is believed by two thirds, one of 45 by nine tenths; where there are no others it is alone.
    """
    return np.where(own, 1.0, BORROWED / max(1, int(np.count_nonzero(~own))))


def cross_fitted(
    method: Method,
    scores: npt.ArrayLike,
    resolved: npt.ArrayLike,
    folds: npt.ArrayLike,
    groups: Sequence[str] | None = None,
) -> Floats:
    """Calibrated scores (n,), each from a calibrator that saw no attempt of its fold: the honest estimate.

    `folds` (n,) are numbers such as `Task.fold` gives, so that all attempts at one task share theirs. With `groups`
    (n,) each has a map of its own, as `fit_per_group` gives it. Raises SweRmError where the attempts outside a fold
    have one outcome only.
    """
    x, y, fold = np.asarray(scores, dtype=np.float64), np.asarray(resolved, dtype=bool), np.asarray(folds)
    names = None if groups is None else np.asarray(groups, dtype=np.object_)
    out = np.empty_like(x)
    for held in np.unique(fold):
        inside = fold == held
        if names is None:
            out[inside] = fit(method, x[~inside], y[~inside])(x[inside])
        else:
            fitted = fit_per_group(method, x[~inside], y[~inside], names[~inside].tolist(), "policy")
            out[inside] = fitted(x[inside], names[inside].tolist())
    return out


def _features(scores: Floats) -> tuple[Floats, Floats]:
    """(ln p, -ln(1 - p)): both rise with p."""
    p = np.clip(scores, EDGE, 1 - EDGE)
    return np.log(p), -np.log1p(-p)


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * z)), dtype=np.float64)


_DESIGNS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "temperature": lambda rise, fall: np.stack([rise + fall], axis=1),
    "platt": lambda rise, fall: np.stack([rise + fall, np.ones_like(rise)], axis=1),
    "beta": lambda rise, fall: np.stack([rise, fall, np.ones_like(rise)], axis=1),
}
"""Method -> columns of its linear predictor: slopes (kept >= 0), then the constant where it has one."""


def _parametric(method: Method, x: Floats, y: npt.NDArray[np.bool_], w: Floats) -> tuple[float, float, float]:
    optimize = _scipy_optimize()
    design = _DESIGNS[method](*_features(x))
    positive, negative = w[y].sum(), w[~y].sum()
    target = np.where(y, (positive + 1) / (positive + 2), 1 / (negative + 2))

    def loss(beta: Floats) -> tuple[float, Floats]:
        z = design @ beta
        value = np.sum(w * (np.logaddexp(0, z) - target * z))
        return float(value / w.sum()), design.T @ (w * (_sigmoid(z) - target)) / w.sum()

    slopes = {"temperature": 1, "platt": 1, "beta": 2}[method]
    bounds = [(0.0, None)] * slopes + [(None, None)] * (design.shape[1] - slopes)
    start = np.array([1.0] * slopes + [0.0] * (design.shape[1] - slopes))
    found = optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"gtol": 1e-9, "ftol": 1e-14}
    )
    values = [float(value) for value in found.x]
    return values[0], values[slopes - 1], values[slopes] if len(values) > slopes else 0.0


def _isotonic(x: Floats, y: npt.NDArray[np.bool_], w: Floats) -> tuple[tuple[float, float], ...]:
    """The ends of each pool of adjacent violators; values keep 1 / (n + 2) away from 0 and 1, which nobody can know."""
    optimize = _scipy_optimize()
    levels, place = np.unique(x, return_inverse=True)
    weight = np.bincount(place, weights=w)
    mean = np.bincount(place, weights=w * y) / weight
    pools = optimize.isotonic_regression(mean, weights=weight)
    edge = 1 / (len(x) + 2)
    values = np.clip(pools.x, edge, 1 - edge)
    ends = sorted({*pools.blocks[:-1].tolist(), *(pools.blocks[1:] - 1).tolist()})
    return tuple((float(levels[i]), float(values[i])) for i in ends)


def _scipy_optimize() -> Any:
    try:
        from scipy import optimize
    except ImportError:
        raise MissingExtraError("scipy", "eval") from None
    return optimize
