"""RL readiness against its formulae spelled out group by group, and at its extremes."""

import math
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.figures import pool_of
from swe_rm.readiness import GroupFigures, Readiness
from swe_rm.resampling import resample, resample_weights
from tests.scoring_pools import Row, drawn, measured, scored

POOLS = st.lists(
    st.builds(
        Row,
        task=st.sampled_from(["pump-0", "pump-1", "valve-2"]),
        policy=st.sampled_from(["mill", "loom"]),
        resolved=st.booleans(),
        score=st.sampled_from([0.0, 0.2, 0.3, 0.5, 0.8, 1.0]),
    ),
    min_size=1,
    max_size=16,
)


def readiness(rows: list[Row], resamples: int = 20) -> Readiness:
    kept = scored(rows).measurable()
    pool = pool_of(kept, "exact")
    groups = GroupFigures(pool, kept.scores)
    return groups.readiness(resample([groups.resampler()], pool.n_tasks, resamples, 0)[0])


Group = list[tuple[float, bool]]


def groups_of(rows: list[Row]) -> list[Group]:
    found: dict[tuple[str, str], Group] = defaultdict(list)
    for row in rows:
        found[row.task, row.policy].append((row.score or 0.0, bool(row.resolved)))
    return [group for group in found.values() if len(group) > 1]


def advantages(values: list[float]) -> list[float]:
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
    return [0.0] * len(values) if len(set(values)) == 1 else [(v - mean) / deviation for v in values]


def cosine(a: list[float], b: list[float]) -> float:
    lengths = math.sqrt(sum(x * x for x in a) * sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


def mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def spread(group: Group) -> float:
    return float(np.std([s for s, _ in group]))


def twin(rows: list[Row]) -> dict[str, float | None]:
    """Every figure by its definition."""
    groups = groups_of(rows)
    mixed = [g for g in groups if len({y for _, y in g}) == 2]
    good = [g for g in groups if all(y for _, y in g)]
    bad = [g for g in groups if not any(y for _, y in g)]
    scores: Callable[[Group], list[float]] = lambda g: advantages([s for s, _ in g])  # noqa: E731
    tests: Callable[[Group], list[float]] = lambda g: advantages([float(y) for _, y in g])  # noqa: E731
    signs = [
        (1 + np.sign(round(a, 9)) * np.sign(b)) / 2 for g in mixed for a, b in zip(scores(g), tests(g), strict=True)
    ]
    pairs = [(s, t) for g in mixed for s, y in g if y for t, z in g if not z]
    tops = [[y for s, y in g if s == max(s for s, _ in g)] for g in mixed]
    every, uniform = [[a for g in some for a in scores(g)] for some in (groups, good + bad)]
    centred = [[(s - sum(t for t, _ in g) / len(g)) for g in some for s, _ in g] for some in (groups, good + bad)]
    products = sum(
        (s - sum(t for t, _ in g) / len(g)) * (y - sum(z for _, z in g) / len(g)) for g in groups for s, y in g
    )
    squares = [sum(a * a for a in part) for part in (every, uniform, *centred)]
    n = sum(map(len, groups))
    return {
        "advantage_cosine": mean([cosine(scores(g), tests(g)) for g in mixed]),
        "advantage_sign": mean(signs),
        "batch_cosine": cosine(every, [b for g in groups for b in tests(g)]) if mixed and squares[0] else None,
        "hybrid_cosine": mean([cosine(advantages([s + y for s, y in g]), tests(g)) for g in mixed]),
        "failed_above_resolved": mean([float(t > s) for s, t in pairs]),
        "top_failed": mean([1 - sum(top) / len(top) for top in tops]),
        "uniform_share": squares[1] / squares[0] if squares[0] else None,
        "uniform_share_centred": squares[3] / squares[2] if squares[2] > 1e-20 else None,
        "spread_mixed": mean([spread(g) for g in mixed]),
        "spread_all_resolved": mean([spread(g) for g in good]),
        "spread_all_unresolved": mean([spread(g) for g in bad]),
        "score_all_resolved": mean([s for g in good for s, _ in g]),
        "score_all_unresolved": mean([s for g in bad for s, _ in g]),
        "calibration_slope": products / squares[2] if squares[2] > 1e-20 else None,
        "calibration_gap": sum(abs(sum(s - y for s, y in g)) for g in groups) / n if n else None,
    }


def assert_is(found: Readiness, expected: dict[str, float | None]) -> None:
    for name, value in expected.items():
        mine = getattr(found, name)
        assert mine == (value if value is None else pytest.approx(value, abs=1e-9)), name


@given(POOLS)
def test_every_figure_is_its_definition(rows: list[Row]) -> None:
    assert_is(readiness(rows), twin(rows))


def test_every_figure_is_its_definition_on_a_larger_pool() -> None:
    rows = drawn(20, 6) + drawn(20, 6, seed=1, policy="loom")
    assert_is(readiness(rows), twin(rows))


def test_intervals_are_quantiles_of_resamples_spelled_out() -> None:
    rows = drawn(12, 5, seed=3)
    names = sorted({row.task for row in rows})
    found: dict[str, list[float]] = defaultdict(list)
    for weights in resample_weights(len(names), 40, 0):
        copies = [
            row._replace(task=f"{row.task}#{copy}")
            for row in rows
            for copy in range(int(weights[names.index(row.task)]))
        ]
        for name, value in twin(copies).items():
            if value is not None:
                found[name].append(value)
    intervals = readiness(rows, resamples=40).intervals
    for name, values in found.items():
        if intervals[name] is not None:
            assert intervals[name] == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=1e-9), name
    assert sum(bounds is not None for bounds in intervals.values()) >= 10


def test_the_outcome_itself_is_ready_but_for_nothing() -> None:
    rows = [row._replace(score=float(bool(row.resolved))) for row in drawn()]
    found = readiness(rows)
    for name in ("advantage_cosine", "advantage_sign", "batch_cosine", "hybrid_cosine", "calibration_slope"):
        assert getattr(found, name) == pytest.approx(1)
    for name in ("failed_above_resolved", "top_failed", "uniform_share", "calibration_gap", "spread_all_resolved"):
        assert getattr(found, name) == pytest.approx(0)


def test_the_opposite_of_the_outcome_is_harm() -> None:
    found = readiness([row._replace(score=1 - float(bool(row.resolved))) for row in drawn()])
    assert found.advantage_cosine == pytest.approx(-1)
    assert found.failed_above_resolved == found.top_failed == 1


def test_a_constant_moves_nothing() -> None:
    found = readiness([row._replace(score=0.7) for row in drawn()])
    assert (found.advantage_cosine, found.advantage_sign) == (0, 0.5)
    assert found.batch_cosine is found.uniform_share is found.calibration_slope is None


def test_small_noise_in_groups_that_tests_cannot_separate_weighs_as_much_as_a_signal() -> None:
    mixed = [Row("pump-0", "mill", y, 0.9 if y else 0.1) for y in (True, False)]
    uniform = [Row("pump-1", "mill", False, score) for score in (0.1, 0.1001)]
    found = readiness(mixed + uniform)
    assert found.advantage_cosine == pytest.approx(1)
    assert found.uniform_share == pytest.approx(0.5)
    assert found.uniform_share_centred == pytest.approx(0, abs=1e-6)
    assert found.batch_cosine == pytest.approx(math.sqrt(0.5))


def test_groups_are_counted_and_said() -> None:
    rows = [*drawn(6, 3), Row("one-0", "mill", True, 0.5)]
    found = readiness(rows)
    kinds = [{y for _, y in group} for group in groups_of(rows)]
    assert found.groups.mixed == sum(len(kind) == 2 for kind in kinds)
    assert found.groups.all_resolved == kinds.count({True})
    assert found.groups.all_unresolved == kinds.count({False})
    lines = found.in_words()
    assert f"{found.advantage_cosine:.2f}" in lines[0]
    assert f"{found.failed_above_resolved:.0%}" in lines[1]


def test_without_a_mixed_group_nothing_is_said_of_rl() -> None:
    found = measured([Row(f"pump-{n}", "mill", n % 2 == 0, 0.5) for n in range(6)]).readiness
    assert found.advantage_cosine is None
    assert found.in_words() == ["No group of one policy at one task has both outcomes: nothing can be said of RL."]
