"""Calibration: monotone maps in [0, 1], against obvious twins, and an honest cross-fitted estimate."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from swe_rm.calibrate import (
    BORROWED,
    EDGE,
    METHODS,
    MIN_GROUP,
    Calibrator,
    Method,
    PerGroup,
    cross_fitted,
    fit,
    fit_per_group,
)
from swe_rm.errors import SweRmError


def logit(p: float) -> float:
    return math.log(p) - math.log1p(-p)


def sample(n: int, slope: float, shift: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores and outcomes of which the true calibration is sigmoid(slope * logit(score) + shift)."""
    chance = np.random.default_rng(seed)
    scores = chance.uniform(0.02, 0.98, n)
    truth = 1 / (1 + np.exp(-(slope * np.log(scores / (1 - scores)) + shift)))
    return scores, chance.uniform(size=n) < truth


def obvious(calibrator: Calibrator, score: float) -> float:
    """The twin of applying: one score, the formula as written."""
    if calibrator.method == "isotonic":
        below = [knot for knot in calibrator.knots if knot[0] <= score]
        above = [knot for knot in calibrator.knots if knot[0] >= score]
        if not below or not above:
            return (below[-1] if below else above[0])[1]
        (x0, y0), (x1, y1) = below[-1], above[0]
        return y0 if x0 == x1 else y0 + (y1 - y0) * (score - x0) / (x1 - x0)
    p = min(max(score, EDGE), 1 - EDGE)
    z = calibrator.a * math.log(p) - calibrator.b * math.log(1 - p) + calibrator.c
    return 1 / (1 + math.exp(-z))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_map_stays_in_the_unit_interval_never_falls_and_agrees_with_its_twin(
    method: Method, data: st.DataObject
) -> None:
    unit = st.floats(0, 1)
    scores = data.draw(st.lists(unit, min_size=2, max_size=30))
    resolved = [True, False, *data.draw(st.lists(st.booleans(), min_size=len(scores) - 2, max_size=len(scores) - 2))]
    calibrator = fit(method, scores, resolved)
    asked = np.array(sorted([*scores, 0.0, 1.0, *data.draw(st.lists(unit, max_size=5))]))
    answer = calibrator(asked)
    assert np.all((answer >= 0) & (answer <= 1))
    assert np.all(np.diff(answer) >= -1e-12)
    assert answer == pytest.approx([obvious(calibrator, float(score)) for score in asked], abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_json_keeps_every_bit(method: Method) -> None:
    calibrator = fit(method, *sample(200, 0.5, -0.7))
    again = Calibrator.model_validate_json(calibrator.model_dump_json())
    asked = np.linspace(0, 1, 1001)
    assert again == calibrator
    assert again.digest == calibrator.digest
    assert np.array_equal(again(asked), calibrator(asked))


@pytest.mark.parametrize("method", METHODS)
def test_what_the_truth_bent_is_bent_back(method: Method) -> None:
    scores, resolved = sample(40_000, 0.5, 0.0 if method == "temperature" else -0.8)
    calibrator = fit(method, scores, resolved)
    asked = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    truth = 1 / (1 + np.exp(-(0.5 * np.log(asked / (1 - asked)) + (0.0 if method == "temperature" else -0.8))))
    assert calibrator(asked) == pytest.approx(truth, abs=0.03)


def loss(z: np.ndarray, resolved: np.ndarray) -> float:
    """Cross-entropy with Platt's smoothed targets."""
    ones, zeros = resolved.sum(), (~resolved).sum()
    target = np.where(resolved, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    return float(np.mean(np.logaddexp(0, z) - target * z))


def test_the_temperature_is_the_best_on_a_grid() -> None:
    scores, resolved = sample(300, 0.6, 0.0)
    z = np.array([logit(float(score)) for score in scores])
    grid = np.linspace(0, 3, 3001)
    best = min(grid, key=lambda slope: loss(slope * z, resolved))
    found = fit("temperature", scores, resolved)
    assert (found.a, found.c) == (pytest.approx(best, abs=1e-3), 0.0)
    assert found.a == found.b


def test_platt_is_the_best_on_a_grid() -> None:
    scores, resolved = sample(300, 0.6, -0.4)
    z = np.array([logit(float(score)) for score in scores])
    found = fit("platt", scores, resolved)
    assert found.a == found.b
    best = min(
        loss(slope * z + shift, resolved)
        for slope in found.a + np.linspace(-0.1, 0.1, 21)
        for shift in found.c + np.linspace(-0.1, 0.1, 21)
    )
    assert loss(found.a * z + found.c, resolved) == pytest.approx(best, abs=1e-12)


def test_beta_is_no_worse_than_platt_where_it_was_fitted() -> None:
    scores, resolved = sample(300, 0.6, -0.4)
    platt, beta = fit("platt", scores, resolved), fit("beta", scores, resolved)
    rise, fall = np.log(scores), -np.log1p(-scores)
    assert (
        loss(beta.a * rise + beta.b * fall + beta.c, resolved)
        <= loss(platt.a * (rise + fall) + platt.c, resolved) + 1e-12
    )


def test_isotonic_agrees_with_scikit_learn() -> None:
    isotonic = pytest.importorskip("sklearn.isotonic")
    scores, resolved = sample(400, 0.7, -0.3)
    scores = np.round(scores, 2)
    edge = 1 / (len(scores) + 2)
    peer = isotonic.IsotonicRegression(out_of_bounds="clip", y_min=edge, y_max=1 - edge).fit(scores, resolved)
    asked = np.linspace(0, 1, 301)
    assert fit("isotonic", scores, resolved)(asked) == pytest.approx(peer.predict(asked), abs=1e-9)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_weight_of_two_is_the_attempt_twice(method: Method) -> None:
    scores, resolved = sample(60, 0.7, -0.3)
    weights = np.where(np.arange(60) % 3 == 0, 2.0, 1.0)
    twice = np.concatenate([scores, scores[::3]]), np.concatenate([resolved, resolved[::3]])
    asked = np.linspace(0.1, 0.9, 9)
    assert fit(method, scores, resolved, weights)(asked) == pytest.approx(fit(method, *twice)(asked), abs=1e-3)


def test_scores_that_know_nothing_become_the_base_rate() -> None:
    chance = np.random.default_rng(3)
    scores, resolved = chance.uniform(size=5000), chance.uniform(size=5000) < 0.3
    assert fit("platt", scores, resolved)(np.array([0.05, 0.5, 0.95])) == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_scores_that_lie_are_flattened_never_reversed(method: Method) -> None:
    scores, resolved = sample(500, -2.0, 0.0)
    answer = fit(method, scores, resolved)(np.array([0.1, 0.9]))
    assert answer[0] <= answer[1]
    assert answer[1] - answer[0] < 0.1


@pytest.mark.parametrize("method", METHODS)
def test_separable_scores_stay_away_from_certainty(method: Method) -> None:
    answer = fit(method, [0.1, 0.2, 0.8, 0.9], [False, False, True, True])(np.array([0.1, 0.9]))
    assert answer[0] > 0.01
    assert answer[1] < 0.99


def test_cross_fitting_never_shows_a_task_to_its_own_calibrator() -> None:
    """Scores are pure noise but each task has one outcome: fitted inside, isotonic finds it; cross-fitted it cannot."""
    chance = np.random.default_rng(5)
    folds = np.repeat(np.arange(100) % 5, 4)
    resolved = np.repeat(chance.uniform(size=100) < 0.5, 4)
    scores = np.repeat(chance.uniform(size=100), 4)
    inside = fit("isotonic", scores, resolved)(scores)
    outside = cross_fitted("isotonic", scores, resolved, folds)
    assert np.mean((inside - resolved) ** 2) < 0.25 < np.mean((outside - resolved) ** 2)


@settings(max_examples=20, deadline=None)
@given(folds=st.lists(st.integers(0, 4), min_size=40, max_size=40).filter(lambda folds: len(set(folds)) > 1))
def test_cross_fitting_agrees_with_fitting_each_attempt_by_hand(folds: list[int]) -> None:
    scores, resolved = sample(40, 0.6, -0.2)
    for held in set(folds):
        outside = {bool(r) for r, fold in zip(resolved, folds, strict=True) if fold != held}
        if len(outside) < 2:
            with pytest.raises(SweRmError, match="both outcomes"):
                cross_fitted("platt", scores, resolved, folds)
            return
    answer = cross_fitted("platt", scores, resolved, folds)
    for i in range(0, 40, 7):
        others = [j for j in range(40) if folds[j] != folds[i]]
        assert answer[i] == fit("platt", scores[others], resolved[others])(scores[i])


@pytest.mark.parametrize(
    ("scores", "resolved", "reason"),
    [
        ([0.1, 0.2], [True, True], "both outcomes"),
        ([], [], "both outcomes"),
        ([0.1, 1.2], [True, False], r"\[0, 1\]"),
        ([0.1, float("nan")], [True, False], r"\[0, 1\]"),
        ([0.1, 0.2, 0.3], [True, False], "as many"),
    ],
)
def test_bad_input_is_refused(scores: list[float], resolved: list[bool], reason: str) -> None:
    with pytest.raises(SweRmError, match=reason):
        fit("platt", scores, resolved)


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SweRmError, match="temperature, platt, beta, isotonic"):
        fit("magic", [0.1, 0.9], [False, True])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"a": -1.0},
        {"c": math.inf},
        {"method": "isotonic"},
        {"knots": [[0.1, 0.2]]},
        {"method": "isotonic", "knots": [[0.1, 0.9], [0.2, 0.1]]},
        {"method": "isotonic", "knots": [[0.1, 0.9], [0.2, 1.1]]},
        {"extra": 1},
    ],
)
def test_a_damaged_calibrator_is_not_loaded(change: dict[str, object]) -> None:
    whole = json.loads(Calibrator(method="platt", a=1, b=1, c=0, n=3).model_dump_json())
    with pytest.raises(ValidationError):
        Calibrator.model_validate_json(json.dumps(whole | change))


# --- a map for each group --------------------------------------------------------------------------------------------


def grouped(sizes: dict[str, tuple[int, float]], seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Groups of so many attempts whose true calibration is shifted by so much."""
    parts = [sample(n, 1.0, shift, number) for number, (n, shift) in enumerate(sizes.values(), seed)]
    names = [name for name, (n, _) in sizes.items() for _ in range(n)]
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts]), names


def test_each_group_of_enough_attempts_has_a_map_that_leans_on_the_others() -> None:
    scores, resolved, names = grouped(
        {"potter": (500, 1.5), "mason": (MIN_GROUP, -1.5), "glazier": (MIN_GROUP - 1, 0.0)}
    )
    found = fit_per_group("platt", scores, resolved, names, "policy")
    assert found.groups.keys() == {"potter", "mason"}
    assert found.pooled == fit("platt", scores, resolved)
    own = np.array(names) == "mason"
    weights = [1.0 if mine else BORROWED / np.sum(~own) for mine in own]
    assert found.groups["mason"] == fit("platt", scores, resolved, weights)
    assert (found.method, found.n) == ("platt", len(scores))


def test_a_group_is_believed_the_more_the_larger_it_is() -> None:
    shifts = []
    for n in (MIN_GROUP, 100, 2000):
        fits = []
        for seed in range(0, 40, 2):
            scores, resolved, names = grouped({"potter": (500, 0.0), "mason": (n, 2.0)}, seed)
            fits.append(fit_per_group("platt", scores, resolved, names, "policy").groups["mason"].c)
        shifts.append(np.mean(fits))
    assert 0 < shifts[0] < shifts[1] < shifts[2]
    assert shifts[2] == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize("method", METHODS)
def test_a_group_that_was_not_seen_takes_the_map_of_all(method: Method) -> None:
    scores, resolved, names = grouped({"potter": (200, 1.0), "mason": (200, -1.0)})
    found = fit_per_group(method, scores, resolved, names, "source")
    asked = np.array([0.2, 0.5, 0.8])
    mixed = found(np.repeat(asked, 3), ["potter", "mason", "weaver"] * 3).reshape(3, 3)
    assert np.array_equal(mixed[:, 0], found.groups["potter"](asked))
    assert np.array_equal(mixed[:, 1], found.groups["mason"](asked))
    assert np.array_equal(mixed[:, 2], found.pooled(asked))
    assert not np.array_equal(mixed[:, 0], mixed[:, 1])
    again = PerGroup.model_validate_json(found.model_dump_json())
    assert (again, again.digest) == (found, found.digest)


def test_a_group_alone_leans_on_nobody() -> None:
    scores, resolved, names = grouped({"potter": (200, 1.0)})
    found = fit_per_group("platt", scores, resolved, names, "policy")
    assert found.groups["potter"] == found.pooled


def test_cross_fitting_by_group_agrees_with_fitting_by_hand() -> None:
    scores, resolved, names = grouped({"potter": (120, 1.0), "mason": (120, -1.0)})
    folds = np.arange(240) % 3
    out = cross_fitted("platt", scores, resolved, folds, names)
    for held in range(3):
        seen = folds != held
        kept = [name for name, s in zip(names, seen, strict=True) if s]
        fitted = fit_per_group("platt", scores[seen], resolved[seen], kept, "policy")
        expected = fitted(scores[~seen], [name for name, s in zip(names, seen, strict=True) if not s])
        assert np.array_equal(out[~seen], expected)
