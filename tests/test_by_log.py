"""Attempts with a log and patches alone are judged by two verifiers, and answered for under one name."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from swe_rm import sources
from swe_rm.errors import VerifierError
from swe_rm.trajectory import Message, Origin, Task, Trajectory
from swe_rm.verdict import Verdict, by_id, close, following, judges_together, reads_origin, spent
from swe_rm.verifiers import Member, Shipped, load_verifier
from swe_rm.verifiers.by_log import ByLog

EXAMPLES = Path(__file__).parents[1] / "examples"
ISSUE = Message(role="user", content="The lamp stays dark.")
SAID = Message(role="assistant", content="I look at the wick.")


def attempt(run: str, *messages: Message) -> Trajectory:
    origin = Origin(source="made", policy="p", attempt=run)
    return Trajectory(task=Task(instance_id="lamp-1"), messages=messages, patch=f"+{run}", origin=origin)


class Noting:
    """Gives every attempt one score, in reverse order, and keeps whom it was asked about."""

    def __init__(self, name: str, score: float, answers: bool = True, **traits: object) -> None:
        self.name, self.score, self.answers = name, score, answers
        self.asked: list[str] = []
        self.closed = 0
        self.__dict__.update(traits)

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        self.asked += [t.origin.attempt for t in trajectories]
        told = reversed(trajectories) if self.answers else ()
        return [
            Verdict(attempt_id=t.attempt_id, score=self.score, raw_score=self.score, verifier=self.name) for t in told
        ]

    def close(self) -> None:
        self.closed += 1

    def explain(self, trajectory: Trajectory) -> list[str]:
        return [f"{self.name} read {trajectory.origin.attempt}"]


PILE = [attempt("a", ISSUE, SAID), attempt("b"), attempt("c", ISSUE), attempt("d", SAID)]


def test_who_has_said_something_has_a_log() -> None:
    logs, patches = Noting("logs@1", 0.9), Noting("patches@1", 0.2)
    verdicts = ByLog(logs, patches)(PILE)
    assert [v.attempt_id for v in verdicts] == [t.attempt_id for t in PILE]
    assert [v.score for v in verdicts] == [0.9, 0.2, 0.2, 0.9]
    assert {v.verifier for v in verdicts} == {"logs@1"}
    assert (logs.asked, patches.asked) == (["a", "d"], ["b", "c"])


def test_a_demonstration_is_no_log_and_what_has_just_begun_is_no_patch() -> None:
    logs, patches = Noting("logs@1", 0.9), Noting("patches@1", 0.2)
    shown = SAID.model_copy(update={"demo": True})
    begun = attempt("f", ISSUE).model_copy(update={"patch": "", "finished": False})
    ByLog(logs, patches)([attempt("e", ISSUE, shown), begun, attempt("g", shown, SAID)])
    assert (logs.asked, patches.asked) == (["f", "g"], ["e"])
    assert ByLog(logs, patches)([]) == []


def test_who_has_nothing_to_judge_is_not_asked() -> None:
    logs, patches = Noting("logs@1", 0.9), Noting("patches@1", 0.2, answers=False)
    assert len(ByLog(logs, patches)([PILE[0], PILE[3]])) == 2
    assert patches.asked == []
    with pytest.raises(VerifierError, match="no verdict on 1 attempts"):
        ByLog(logs, patches)(PILE[:2])


def test_it_is_of_both_in_all_else() -> None:
    logs, patches = Noting("logs@1", 0.9), Noting("patches@1", 0.2)
    both = ByLog(logs, patches)
    assert (judges_together(both), reads_origin(both), spent(both)) == (False, False, None)
    assert judges_together(ByLog(logs, Noting("x@1", 0, judges_together=True)))
    assert reads_origin(ByLog(Noting("x@1", 0, reads_origin=True), patches))
    assert spent(ByLog(logs, Noting("x@1", 0, spent="3 requests"))) == "3 requests"
    assert both.explain(PILE[0]) == ["logs@1 read a"]
    assert both.explain(PILE[1]) == ["patches@1 read b"]
    assert [v.score for v in following(both)(PILE)] == [0.9, 0.2, 0.2, 0.9]
    close(both)
    assert (logs.closed, patches.closed) == (1, 1)


def test_two_verifiers_under_one_name_are_given_it() -> None:
    member = Member(folder="features")
    with pytest.raises(ValueError, match="a name that two verifiers answer under must be given"):
        Shipped(members=(member,), patches=Shipped(members=(member,)))


@pytest.mark.parametrize("name", ["default", "features"])
def test_what_ships_judges_a_patch_alone_by_what_was_learnt_from_patches(name: str) -> None:
    attempts = [item.trajectory for item in sources.open_pile([EXAMPLES]).attempts()][:3]
    bare = [t.model_copy(update={"messages": ()}) for t in attempts]
    verifier = load_verifier(name)
    found = by_id([*attempts, *bare], verifier([*attempts, *bare]))
    assert {verdict.verifier for verdict in found.values()} == {verifier.name}
    alone = load_verifier("features")  # the same two judge patches for both names
    assert [found[t.attempt_id].score for t in bare] == pytest.approx([v.score for v in alone(bare)])
    told = verifier.explain(bare[0])  # type: ignore[attr-defined]
    assert any("patches-words@" in line for line in told)
    assert not any("words-tail@" in line for line in told)
