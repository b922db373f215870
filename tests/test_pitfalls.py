"""Every detector speaks where it should and is silent where it should be."""

import random
from typing import Any

import pytest

from swe_rm.figures import pool_of
from swe_rm.pitfalls import MIN_MIXED, Explained, Seen, pitfalls
from tests.scoring_pools import Row, drawn, measured, scored


def said(rows: list[Row], **options: object) -> dict[str, str]:
    return {pitfall.name: pitfall.text for pitfall in measured(rows, **options).pitfalls}


GOOD = drawn(MIN_MIXED + 30, 8, signal=0.4)


def seen_of(rows: list[Row], **changes: Any) -> Seen:
    """What the detectors see of the rows, with nothing beside the figures unless given."""
    kept, found = scored(rows).in_order(), measured(rows)
    seen = Seen(kept, pool_of(kept, "exact"), kept.scores, found.metrics, {}, {}, found.explained, frozenset(), ())
    return seen._replace(**changes)


def test_a_good_verifier_on_a_good_pool_meets_none() -> None:
    fair = {name: text for name, text in said(GOOD).items() if name != "task difficulty"}
    assert fair == {}


def test_every_score_the_same() -> None:
    found = said([row._replace(score=0.25) for row in GOOD])
    assert found["constant scores"] == "every score is 0.250: the verifier says nothing"


def test_most_scores_the_same() -> None:
    rows = [row._replace(score=0.25) if number % 4 else row for number, row in enumerate(GOOD)]
    assert "75% of the attempts share the score 0.250" in said(rows)["constant scores"]


def test_picking_by_score_is_worse_than_at_random() -> None:
    rows = [row._replace(score=1 - (row.score or 0)) for row in GOOD]
    found = measured(rows)
    text = said(rows)["below a random pick"]
    assert f"picking from 8 attempts of one policy at a task resolves {found.metrics.rm_at_k[8]:.3f}" in text
    assert f"a random pick {found.metrics.random_at_k[8]:.3f}" in text
    assert "chance does not explain it" in text
    assert sum(pitfall.name == "below a random pick" for pitfall in found.pitfalls) == 2


def test_where_every_attempt_is_resolved_no_pick_is_below_a_random_one() -> None:
    rows = [
        Row(f"pump-{task}", "abc"[run % 3], True, (1 + (7 * run + task) % 5) / 7)
        for task in range(12)
        for run in range(7)
    ]
    found = measured(rows)
    assert "below a random pick" not in {pitfall.name for pitfall in found.pitfalls}


def test_a_difference_of_rounding_alone_is_not_below_a_random_pick() -> None:
    rounding = {f"rm_at_k.{k}": (-1e-15, -1e-16) for k in range(1, 9)}
    seen = seen_of(GOOD, against_random=rounding)
    assert [one for one in pitfalls(seen) if one.name == "below a random pick"] == []
    low = {**rounding, "rm_at_k.2": (-0.2, -0.1)}
    assert [p.name for p in pitfalls(seen._replace(against_random=low))].count("below a random pick") == 1


def test_a_control_that_does_as_well_is_told_and_the_auc_that_is_left_is_not_run_down() -> None:
    rng = random.Random(4)
    rows = []
    for task in range(60):
        ease = rng.choice([0.05, 0.95])
        for policy in "abcd":
            resolved = rng.random() < ease
            rows.append(Row(f"pump-{task}", policy, resolved, 0.4 + 0.2 * resolved + rng.gauss(0, 0.2)))
    rows = [row._replace(score=min(1.0, max(0.0, row.score or 0))) for row in rows]
    found = measured(rows)
    text = {p.name: p.text for p in found.pitfalls}["task difficulty"]
    prior, auc = found.controls["task_prior"].auc or 0, found.metrics.auc or 0
    assert text.startswith(f"knowing only which task it is reaches {prior:.3f} (task_prior); the verifier's pooled AUC")
    assert f"pooled AUC is {auc:.3f}; among attempts at one task {found.metrics.auc_within_task:.3f} is left" in text
    assert "says little" not in text


def test_an_auc_near_chance_has_nothing_to_lose() -> None:
    figures = measured(GOOD).metrics.model_copy(update={"auc": 0.502})
    left = {name: Explained(auc_left=0.5, n_pairs=99, share=1.0) for name in ("policy", "task", "length")}
    low = {name: figures.model_copy(update={"auc": 0.329}) for name in ("policy_prior", "task_prior")}
    seen = seen_of(GOOD, figures=figures, explained=left, controls=low)
    assert pitfalls(seen) == ()
    left = {name: one.model_copy(update={"auc_left": 0.45}) for name, one in left.items()}
    assert [one.name for one in pitfalls(seen._replace(explained=left))] == [
        "policy identity", "task difficulty", "length",
    ]  # fmt: skip
    assert "0.329" not in str(pitfalls(seen._replace(explained=left))), "below chance a control says nothing"


def test_a_score_that_is_the_length() -> None:
    rng = random.Random(1)
    rows = [row._replace(length=1000.0 * bool(row.resolved) + rng.randint(1, 2000)) for row in GOOD]
    rows = [row._replace(score=row.length / 3001) for row in rows]
    assert "of like length" in said(rows)["length"]


def test_a_score_that_is_the_policy() -> None:
    rng = random.Random(2)
    rates = {"strong": 0.8, "weak": 0.2}
    rows = [
        Row(f"pump-{task}", policy, rng.random() < rate, rate + rng.gauss(0, 0.01))
        for task in range(60)
        for policy, rate in rates.items()
        for _ in range(3)
    ]
    found = said(rows)["policy identity"]
    assert "(policy_prior)" in found
    assert "among attempts of one policy 0.5" in found or "among attempts of one policy 0.4" in found


def test_a_score_that_is_the_difficulty() -> None:
    rng = random.Random(3)
    rows = []
    for task in range(60):
        ease = rng.choice([0.15, 0.85])
        rows += [Row(f"pump-{task}", p, rng.random() < ease, ease + rng.gauss(0, 0.02)) for p in "abc" for _ in "xy"]
    assert "(task_prior)" in said(rows)["task difficulty"]


@pytest.mark.parametrize(("masses", "speaks"), [((0.99,), False), ((0.5,), True), ((0.99, 0.99, 0.99, 0.2), True)])
def test_a_model_that_answers_something_else(masses: tuple[float, ...], speaks: bool) -> None:
    rows = [row._replace(mass=masses[number % len(masses)]) for number, row in enumerate(GOOD)]
    assert ("verdict mass" in said(rows)) == speaks


def test_too_few_tasks_have_both_outcomes() -> None:
    assert "of 10 tasks have both outcomes" in said(drawn(10, 8))["few mixed tasks"]


def test_tasks_seen_in_training_come_first() -> None:
    found = measured(GOOD, trained_on=frozenset({"pump-3", "pump-4", "elsewhere-1"})).pitfalls
    assert found[0].name == "seen in training"
    assert found[0].text.startswith("2 of 60 tasks (16 attempts) were in the training data, first pump-3")
    assert str(found[0]).startswith("seen in training: 2 of")


def test_what_is_left_within_groups_is_the_auc_of_their_pairs() -> None:
    rows = drawn(12, 4) + drawn(12, 4, seed=5, policy="loom")
    found = measured(rows)
    left = found.explained
    assert left["policy_and_task"].auc_left == found.metrics.auc_same_policy_task
    assert left["policy_and_task"].n_pairs == found.metrics.n_pairs_same_policy_task
    assert left["task"].auc_left == found.metrics.auc_within_task
    auc = found.metrics.auc or 0
    assert left["task"].share == pytest.approx((auc - (found.metrics.auc_within_task or 0)) / (auc - 0.5))


def test_below_chance_nothing_is_explained() -> None:
    found = measured([row._replace(score=1 - (row.score or 0)) for row in GOOD])
    assert {one.share for one in found.explained.values()} == {None}
    assert {"policy identity", "task difficulty", "length"}.isdisjoint(p.name for p in found.pitfalls)


def test_lengths_nobody_knows_are_no_stratum() -> None:
    assert "length" not in measured([row._replace(length=float("nan")) for row in GOOD], with_controls=False).explained
