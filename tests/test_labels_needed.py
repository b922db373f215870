"""Each policy taken for new: what labels of it are worth, and that nothing is tested on what it was fitted on."""

import numpy as np
import pytest

from swe_rm import labels_needed as module
from swe_rm.calibrate import BORROWED, fit
from swe_rm.labels_needed import DRAWS, NoPolicy, labels_needed
from swe_rm.metrics import Flags, Floats, calibration_error


def attempts(sizes: dict[str, tuple[int, float]], seed: int = 0) -> tuple[Floats, Flags, list[str], list[str]]:
    """Policies of so many attempts, resolved at a rate of their own that no score shows; three attempts a task."""
    rng = np.random.default_rng(seed)
    scores, resolved, tasks, policies = [], [], [], []
    for policy, (n, rate) in sizes.items():
        for number in range(n):
            good = rng.random() < rate
            scores.append(float(np.clip(0.4 + 0.2 * good + rng.normal(0, 0.15), 0, 1)))
            resolved.append(good)
            tasks.append(f"kiln-{number // 3}")
            policies.append(policy)
    return np.array(scores), np.array(resolved), tasks, policies


def test_labels_of_a_policy_unlike_the_others_mend_its_calibration() -> None:
    found = labels_needed("platt", *attempts({"potter": (900, 0.3), "mason": (600, 0.3), "glazier": (450, 0.85)}))
    assert [one.policy for one in found] == ["potter", "mason", "glazier"]
    glazier = found[2]
    assert (glazier.n_attempts, glazier.n_tasks, glazier.n_tested) == (450, 150, 150)
    means = [glazier.by_labels[size].mean for size in (0, 50, 200)]  # type: ignore[union-attr]
    assert means[0] > means[1] > means[2]
    assert means[0] > 0.2
    assert means[2] < 0.5 * means[0]
    assert 0 < glazier.noise_floor < means[2]
    assert all(spread is None or spread.low <= spread.mean <= spread.high for spread in glazier.by_labels.values())


def test_where_there_are_too_few_labels_nothing_is_said() -> None:
    small, large = labels_needed("platt", *attempts({"potter": (900, 0.3), "mason": (120, 0.5)}))[::-1]
    assert (small.policy, large.policy) == ("mason", "potter")
    assert small.by_labels[200] is None
    assert small.by_labels[50] is not None
    assert large.by_labels[200] is not None


def test_one_draw_is_as_spelled_out() -> None:
    """The policy's tested tasks are in no fit, by whatever policy; labels weigh 1, all others `BORROWED` together."""
    scores, resolved, tasks, policies = attempts({"potter": (300, 0.3), "mason": (150, 0.6)})
    (mason,) = [
        one for one in labels_needed("platt", scores, resolved, tasks, policies, draws=1) if one.policy == "mason"
    ]
    rng = np.random.default_rng(0)
    mine, names = np.array(policies) == "mason", np.array(tasks)
    aside = np.isin(names, rng.permutation(np.unique(names[mine]))[:17])
    own = rng.permutation(np.flatnonzero(mine & ~aside))[:50]
    others = np.flatnonzero(~mine & ~aside)
    test = np.flatnonzero(mine & aside)
    assert not set(names[test]) & (set(names[own]) | set(names[others]))
    used = np.concatenate([others, own])
    weights = [BORROWED / len(others)] * len(others) + [1.0] * 50
    with_labels = fit("platt", scores[used], resolved[used], weights)(scores[test])
    without = fit("platt", scores[others], resolved[others])(scores[test])
    assert mason.by_labels[50].mean == pytest.approx(calibration_error(with_labels, resolved[test]))  # type: ignore[union-attr]
    assert mason.by_labels[0].mean == pytest.approx(calibration_error(without, resolved[test]))  # type: ignore[union-attr]
    assert mason.before.mean == pytest.approx(calibration_error(scores[test], resolved[test]))


def test_draws_are_seeded() -> None:
    pool = attempts({"potter": (150, 0.3), "mason": (150, 0.6)})
    assert labels_needed("platt", *pool, draws=3) == labels_needed("platt", *pool, draws=3)
    assert labels_needed("platt", *pool, draws=3) != labels_needed("platt", *pool, draws=3, seed=1)
    assert DRAWS >= 20


@pytest.mark.parametrize("sizes", [{"potter": (99, 0.3), "mason": (50, 0.5)}, {"potter": (300, 0.3)}])
def test_where_no_policy_can_be_taken_for_new_that_is_said(sizes: dict[str, tuple[int, float]]) -> None:
    with pytest.raises(NoPolicy, match=f"no policy has {module.MIN_ATTEMPTS} attempts beside"):
        labels_needed("platt", *attempts(sizes))
