"""Stopping early: a rule stops where the obvious loop does, costs are counted, and nothing is chosen where measured."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from swe_rm import progress, stopping
from swe_rm.errors import SweRmError
from swe_rm.progress_report import headline, print_stopping
from swe_rm.stopping import ALLOWED, FOLDS, Followed, followed, measure, stop_points
from swe_rm.trajectory import Outcome, Task
from swe_rm.verifiers.controls import Shortest
from tests.conftest import attempt


def slow_stop(scores: Sequence[float], threshold: float, patience: int) -> int:
    for at in range(patience - 1, len(scores)):
        if all(score < threshold for score in scores[at + 1 - patience : at + 1]):
            return at
    return -1


@given(
    scores=st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.4]), max_size=9),
    thresholds=st.lists(st.sampled_from([0.0, 0.1, 0.15, 0.3, 0.4, 1.0]), min_size=1, max_size=4),
    patience=st.integers(1, 5),
)
def test_a_rule_stops_where_the_obvious_loop_does(scores: list[float], thresholds: list[float], patience: int) -> None:
    found = stop_points(np.array(scores), np.array(thresholds), patience)
    assert found.tolist() == [slow_stop(scores, threshold, patience) for threshold in thresholds]


def one(task: int, number: int, resolved: bool, scores: Sequence[float], turns: int = 11) -> Followed:
    """An attempt of 100 characters a turn; its scores are those before the last turn, from the first on."""
    name = Task(instance_id=f"acme__tool-{task}")
    points = np.arange(1, len(scores) + 1)
    left = 100.0 * (turns - points)
    return Followed(
        name.instance_id, name.fold(FOLDS), resolved, points, np.array(scores), left, 100 * turns, float(resolved)
    )


def pool(told: bool, seed: int = 0) -> list[Followed]:
    """60 tasks x 4 attempts of 11 turns; where told, failed attempts fall below 0.2 half way."""
    dice = np.random.default_rng(seed)
    attempts = []
    for task in range(60):
        for number in range(4):
            resolved = bool(dice.random() < 0.5)
            scores = dice.uniform(0.3, 0.9, 10)
            if told and not resolved:
                scores[5:] = dice.uniform(0, 0.2, 5)
            attempts.append(one(task, number, resolved, scores.tolist()))
    return attempts


def test_a_score_that_tells_saves_work_and_loses_nothing() -> None:
    found = measure(pool(told=True), "made@1", resamples=200)
    assert (found.n_attempts, found.n_tasks, found.characters) == (240, 60, 240 * 1_100)
    failed = 1 - found.resolve_rate
    assert [(row.turn, row.n_attempts, row.auc_at_end) for row in found.early] == [(n, 240, 1) for n in (1, 2, 4, 8)]
    assert [row.auc for row in found.early] == [pytest.approx(0.5, abs=0.1)] * 3 + [1]
    below = next(row for row in found.fixed if row.rules == ("< 0.2",))
    assert (below.lost, below.stopped) == (0, pytest.approx(failed))
    assert below.saved == pytest.approx(failed * 5 / 11)
    three = next(row for row in found.fixed if row.rules == ("< 0.2 x3",))
    assert three.saved == pytest.approx(failed * 3 / 11)
    chosen = [row for row in found.chosen if row.by == "score"]
    assert [row.allowed for row in chosen] == list(ALLOWED)
    assert all(row.saved > 0.9 * below.saved for row in chosen)
    assert chosen[0].lost_interval is not None
    assert chosen[0].lost_interval[1] > 0.02
    lengths = [row for row in found.chosen if row.by == "length"]
    assert all(row.saved == 0 and row.rules == ("never",) for row in lengths), "all attempts are equally long"
    assert all(row.over_length == pytest.approx(row.saved) for row in chosen)
    assert "at 4 of 4 shares" in headline(found)
    (ceiling,) = [row for row in found.chosen if row.by == "outcome"]
    assert (ceiling.saved, ceiling.lost) == (pytest.approx(failed * 10 / 11), 0)


def test_a_score_that_tells_nothing_is_not_praised() -> None:
    found = measure(pool(told=False), "made@1", resamples=200)
    for row in found.chosen:
        if row.by == "score":
            assert row.over_length_interval is not None
            assert row.allowed is not None
            assert abs(row.lost - row.allowed) < 0.1
            lot = next(other for other in found.chosen if other.by == "lot" and other.allowed == row.allowed)
            assert lot.lost == pytest.approx(row.allowed)
            assert row.saved < 4 * lot.saved + 0.02


def test_a_rule_is_measured_on_tasks_it_was_not_chosen_on() -> None:
    """One fold's resolved attempts alone look lost: its own rule would spare them, that of the others cannot."""
    attempts = []
    for task in range(80):
        strange = Task(instance_id=f"acme__tool-{task}").fold(FOLDS) == 0
        attempts += [one(task, 0, True, [0.1 if strange else 0.9] * 10), one(task, 1, False, [0.1] * 10)]
    found = measure(attempts, "made@1", resamples=50)
    row = next(row for row in found.chosen if row.by == "score" and row.allowed == ALLOWED[0])
    strange = [a for a in attempts if a.fold == 0 and a.resolved]
    assert row.lost == pytest.approx(len(strange) / 80)
    assert stopping.NEVER in row.rules, "the others cannot stop the failed ones without these"


def test_stopping_by_length_knows_long_attempts_fail() -> None:
    attempts = [one(task, 0, True, [0.5] * 4, turns=5) for task in range(40)]
    attempts += [one(task, 1, False, [0.5] * 20, turns=21) for task in range(40)]
    found = measure(attempts, "made@1", resamples=50)
    rows = {(row.by, row.allowed): row for row in found.chosen}
    length, score = rows["length", 0.01], rows["score", 0.01]
    assert (length.rules, length.lost) == (("> 5 turns",), 0)
    assert length.saved == pytest.approx(16 / 26)
    assert score.saved == 0
    assert score.over_length == pytest.approx(-length.saved)
    assert "not shown to save more" in headline(found)


def test_what_cannot_be_chosen_on_is_refused() -> None:
    some = pool(told=True)
    for attempts in ([], [a for a in some if not a.resolved], [one(n, 0, n % 2 == 0, [], turns=1) for n in range(40)]):
        with pytest.raises(SweRmError, match="four fifths"):
            measure(attempts, "made@1")


def test_order_changes_nothing() -> None:
    attempts = pool(told=True)
    assert measure(attempts, "made@1", resamples=50) == measure(attempts[::-1], "made@1", resamples=50)


def test_a_curve_becomes_points_before_the_end() -> None:
    curve = progress.curve(attempt(turns=3), Shortest())
    found = followed(curve, Outcome.RESOLVED, 2)
    assert found.turns.tolist() == [1, 2, 3]
    assert found.scores.tolist() == [score for _, score in curve.points[:-1]]
    assert found.left.tolist() == [curve.steps[-1].characters - step.characters for step in curve.steps[:-1]]
    assert (found.characters, found.resolved, found.fold) == (curve.steps[-1].characters, True, 2)
    assert found.last_score == curve.points[-1][1]
    with pytest.raises(ValueError, match="not known"):
        followed(curve, Outcome.UNKNOWN, 2)


def test_the_table_says_what_rules_were_held_to(capsys: pytest.CaptureFixture[str]) -> None:
    print_stopping(measure(pool(told=True), "made@1", n_unknown=3, resamples=50), Console(width=80))
    shown = capsys.readouterr().out
    for words in (
        "made@1",
        "3 of unknown outcome left out",
        "5%: lot 5% of all",
        "score < 0.2 x3",
        "outcome failed",
        "over length",
    ):
        assert words in shown
    assert stopping.NEVER in shown
