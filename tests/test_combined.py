"""The mean of verifiers: joined by id, costs summed, failures passed on."""

from collections.abc import Sequence
from typing import Any

import pytest

from swe_rm.calibrate import Calibrator
from swe_rm.errors import VerifierError
from swe_rm.trajectory import Origin, Task, Trajectory
from swe_rm.verdict import Verdict, by_id, close, spent
from swe_rm.verifiers.calibrated import Calibrated
from swe_rm.verifiers.combined import Mean

ATTEMPTS = [
    Trajectory(task=Task(instance_id="loom-1"), patch=f"+{run}", origin=Origin(source="made", policy="p", attempt=run))
    for run in "abcd"
]


class Scripted:
    """Scores by attempt, answered in reverse so that nothing can be joined by position."""

    def __init__(self, name: str, scores: dict[str, float], **fields: Any) -> None:
        self.name = name
        self._scores, self._fields = scores, fields

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        return [
            Verdict(
                **{
                    "attempt_id": t.attempt_id,
                    "score": self._scores[t.origin.attempt],
                    "raw_score": self._scores[t.origin.attempt],
                    "verifier": self.name,
                    **self._fields,
                }
            )
            for t in reversed(trajectories)
            if t.origin.attempt in self._scores
        ]


LOW = Scripted("low@1", {"a": 0.0, "b": 0.1, "c": 0.2, "d": 0.3}, prompt_tokens=100, truncated_tokens=7, seconds=0.5)
HIGH = Scripted("high@2", {"a": 1.0, "b": 0.5, "c": 1.0, "d": 0.9}, prompt_tokens=20, truncated_tokens=9, raw_score=0.4)


def test_the_score_is_the_mean_of_the_members_by_id() -> None:
    verdicts = by_id(ATTEMPTS, Mean([LOW, HIGH])(ATTEMPTS))
    assert [verdicts[t.attempt_id].score for t in ATTEMPTS] == pytest.approx([0.5, 0.3, 0.6, 0.6])
    assert [verdicts[t.attempt_id].raw_score for t in ATTEMPTS] == pytest.approx([0.2, 0.25, 0.3, 0.35])
    assert {verdict.verifier for verdict in verdicts.values()} == {"mean(low@1,high@2)"}


def test_members_weigh_what_they_are_given() -> None:
    verdicts = by_id(ATTEMPTS, Mean([LOW, HIGH], [3, 1])(ATTEMPTS))
    assert [verdicts[t.attempt_id].score for t in ATTEMPTS] == pytest.approx([0.25, 0.2, 0.4, 0.45])
    assert {verdict.verifier for verdict in verdicts.values()} == {"mean(3*low@1,high@2)"}


def test_what_one_member_is_not_sure_of_the_mean_is_not_sure_of() -> None:
    unsure = Scripted("unsure@1", {"a": 0.5}, bounds=(0.2, 0.8))
    assert Mean([unsure, HIGH], [3, 1])(ATTEMPTS[:1])[0].bounds == pytest.approx((0.25, 0.7))
    assert Mean([LOW, HIGH])(ATTEMPTS[:1])[0].bounds is None


def test_members_are_closed_and_what_they_asked_for_is_told() -> None:
    closed: list[str] = []
    paid = Scripted("paid@1", {"a": 0.5})
    paid.spent, paid.close = "7 tokens", lambda: closed.append("paid")  # type: ignore[attr-defined]
    mean = Calibrated(Mean([paid, LOW]), Calibrator(method="platt", n=9))
    assert spent(mean) == "paid@1 7 tokens"
    assert spent(Mean([LOW])) is None
    close(mean)
    assert closed == ["paid"]


def test_costs_are_summed_and_the_largest_cut_is_told() -> None:
    verdict = Mean([LOW, HIGH])(ATTEMPTS[:1])[0]
    assert (verdict.prompt_tokens, verdict.truncated_tokens, verdict.seconds) == (120, 9, 0.5)
    assert verdict.logprob_yes is None
    silent = Mean([Scripted("silent@1", {"a": 0.2})])(ATTEMPTS[:1])[0]
    assert (silent.prompt_tokens, silent.truncated_tokens, silent.seconds) == (None, None, None)


def test_scores_of_one_stay_one() -> None:
    sure = [Scripted(f"sure{i}@1", {"a": 1.0}) for i in range(7)]
    assert Mean(sure)(ATTEMPTS[:1])[0].score == 1


def test_a_mean_of_means_names_all_its_members() -> None:
    assert Mean([Mean([LOW, HIGH]), LOW]).name == "mean(mean(low@1,high@2),low@1)"


def test_a_member_without_a_verdict_is_an_error_and_no_score() -> None:
    with pytest.raises(VerifierError, match="no verdict on 1 attempts"):
        Mean([LOW, Scripted("gap@1", {"a": 0.1, "b": 0.1, "c": 0.1})])(ATTEMPTS)
    with pytest.raises(VerifierError, match="at least one"):
        Mean([])


def test_explain_names_each_member_with_its_score_and_its_reasons() -> None:
    class Talking(Scripted):
        def explain(self, trajectory: Trajectory) -> list[str]:
            return [f"saw {trajectory.patch}"]

    mean = Mean([Talking("low@1", {"b": 0.2}), Scripted("high@2", {"b": 0.8})])
    assert mean.explain(ATTEMPTS[1]) == ["low@1: 0.200", "  saw +b", "high@2: 0.800"]
