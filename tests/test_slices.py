"""Parts of a pool hold each attempt once, and the most confident wrong verdicts are those."""

import math

import pytest

from swe_rm.trajectory import Outcome
from tests.scoring_pools import Row, drawn, measured

ROWS = [
    row._replace(cut=None if number % 3 == 0 else float(number % 2))
    for number, row in enumerate(drawn(30, 4) + drawn(30, 4, seed=1, policy="loom"))
]


def test_every_dimension_holds_each_attempt_once() -> None:
    for dimension, parts in measured(ROWS).slices.items():
        assert sum(part.n for part in parts.values()) == len(ROWS), dimension
        assert list(parts) == sorted(parts)


def test_slices_by_what_the_row_says() -> None:
    slices = measured(ROWS).slices
    assert {name: part.n for name, part in slices["cut"].items()} == {
        "cut": sum((row.cut or 0) > 0 for row in ROWS),
        "unknown": sum(row.cut is None for row in ROWS),
        "whole": sum(row.cut == 0 for row in ROWS),
    }
    rates = {t: [r.resolved for r in ROWS if r.task == t] for t in {row.task for row in ROWS}}
    never = sum(len(seen) for seen in rates.values() if not any(seen))
    always = sum(len(seen) for seen in rates.values() if all(seen))
    third = sum(len(seen) for seen in rates.values() if 0 < sum(map(bool, seen)) / len(seen) <= 1 / 3)
    assert slices["difficulty"]["1 never resolved"].n == never
    assert slices["difficulty"]["5 always resolved"].n == always
    assert slices["difficulty"]["2 up to a third"].n == third
    assert slices["difficulty"]["1 never resolved"].auc is None


def test_quarters_of_length_are_quarters_and_ordered() -> None:
    parts = measured(ROWS).slices["length"]
    assert list(parts) == ["1 shortest quarter", "2", "3", "4 longest quarter"]
    assert all(abs(part.n - len(ROWS) / 4) <= 2 for part in parts.values())
    unknown = measured([row._replace(length=math.nan) for row in ROWS], with_controls=False)
    assert list(unknown.slices["length"]) == ["unknown"]


def test_the_most_confident_mistakes_are_listed_on_either_side() -> None:
    found = measured(ROWS).mistakes
    high = sorted((r.score for r in ROWS if not r.resolved and (r.score or 0) > 0.5), reverse=True)[:10]
    low = sorted(r.score for r in ROWS if r.resolved and r.score is not None and r.score < 0.5)[:10]
    assert [one.score for one in found if one.outcome is Outcome.UNRESOLVED] == high
    assert [one.score for one in found if one.outcome is Outcome.RESOLVED] == low
    assert found[0].instance_id.startswith("pump-")


def test_who_is_never_wrong_is_listed_nowhere() -> None:
    assert measured([row._replace(score=float(bool(row.resolved))) for row in ROWS]).mistakes == ()


def test_a_slice_has_the_headline_of_its_part() -> None:
    part = measured(ROWS).slices["policy"]["loom"]
    alone = measured([row for row in ROWS if row.policy == "loom"]).metrics
    assert part.auc_same_policy_task == pytest.approx(alone.auc_same_policy_task)
    assert part.n_pairs_same_policy_task == alone.n_pairs_same_policy_task
    assert part.ece == pytest.approx(alone.ece)


def test_one_attempt_has_slices() -> None:
    assert measured([Row("pump-0", "mill", True, 0.5)]).slices["difficulty"]["5 always resolved"].n == 1
