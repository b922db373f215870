"""What each control knows, and that it knows nothing else."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.errors import VerifierError
from swe_rm.render import rendered_length
from swe_rm.trajectory import Labelled, Message, Origin, Outcome, Task, Trajectory
from swe_rm.verdict import by_id
from swe_rm.verifiers.controls import Constant, Oracle, PolicyPrior, Shortest, TaskPrior, controls


def attempt(task: str, policy: str, run: int, outcome: Outcome) -> Labelled:
    origin = Origin(source="made", policy=policy, attempt=str(run))
    return Labelled(trajectory=Trajectory(task=Task(instance_id=task), patch="+x", origin=origin), outcome=outcome)


GOOD, BAD, UNTESTED = Outcome.RESOLVED, Outcome.UNRESOLVED, Outcome.UNKNOWN
POOL = [
    attempt("kiln-1", "strong", 0, GOOD),
    attempt("kiln-1", "strong", 1, BAD),
    attempt("kiln-1", "weak", 0, BAD),
    attempt("kiln-2", "strong", 0, GOOD),
    attempt("kiln-2", "weak", 0, GOOD),
    attempt("kiln-2", "weak", 1, UNTESTED),
    attempt("kiln-3", "weak", 0, BAD),
    attempt("kiln-4", "once [slow]", 0, GOOD),
    attempt("kiln-5", "once [fast]", 0, BAD),
]
TRAJECTORIES = [item.trajectory for item in POOL]


def test_every_control_answers_every_attempt_once_under_its_name() -> None:
    known = [item.trajectory for item in POOL if item.outcome is not UNTESTED]
    for key, control in controls(POOL).items():
        verdicts = by_id(known, control(known))
        assert {verdict.verifier for verdict in verdicts.values()} == {control.name} == {f"{key}@1"}


def test_the_constant_is_a_half() -> None:
    assert {verdict.score for verdict in Constant()(TRAJECTORIES)} == {0.5}


def test_the_oracle_says_the_outcome_and_nothing_where_there_is_none() -> None:
    oracle = Oracle(POOL)
    assert [oracle.score(item.trajectory) for item in POOL[:5]] == [1, 0, 0, 1, 1]
    with pytest.raises(VerifierError, match="does not know the outcome"):
        oracle(TRAJECTORIES)


@given(st.lists(st.text(max_size=40), min_size=2, max_size=5))
def test_the_shortest_rendering_scores_best(texts: Sequence[str]) -> None:
    attempts = [
        Trajectory(
            task=Task(instance_id="kiln-1", statement="It smokes."),
            messages=(Message(role="assistant", content=text),),
            patch="+x",
            origin=Origin(source="made", policy="p", attempt=str(run)),
        )
        for run, text in enumerate(texts)
    ]
    scores = {id_: verdict.score for id_, verdict in by_id(attempts, Shortest()(attempts)).items()}
    by_score = sorted(attempts, key=lambda t: (-scores[t.attempt_id], t.attempt_id))
    assert by_score == sorted(attempts, key=lambda t: (rendered_length(t), t.attempt_id))


def test_lengths_that_differ_by_one_character_differ_in_score() -> None:
    assert 1 / (1 + 200_000_000) != 1 / (1 + 200_000_001)


def slow_policy_prior(item: Labelled) -> float:
    policy, task = item.trajectory.origin.policy, item.trajectory.task.instance_id
    elsewhere = [other for other in POOL if other.trajectory.task.instance_id != task and other.outcome is not UNTESTED]
    mine = [other.outcome is GOOD for other in elsewhere if other.trajectory.origin.policy == policy]
    seen = mine or [other.outcome is GOOD for other in elsewhere]
    return sum(seen) / len(seen)


def slow_task_prior(item: Labelled) -> float:
    policy, task = item.trajectory.origin.policy, item.trajectory.task.instance_id
    known = [other for other in POOL if other.outcome is not UNTESTED]
    here = [other for other in known if other.trajectory.task.instance_id == task]
    others = [other.outcome is GOOD for other in here if other.trajectory.origin.policy != policy]
    seen = others or [other.outcome is GOOD for other in known if other not in here]
    return sum(seen) / len(seen)


def test_the_policy_prior_is_the_policys_rate_on_other_tasks() -> None:
    prior = PolicyPrior(POOL)
    for item in POOL:
        assert prior.score(item.trajectory) == pytest.approx(slow_policy_prior(item))
    assert prior.score(POOL[0].trajectory) == 1
    assert prior.score(POOL[7].trajectory) == pytest.approx(3 / 7)


def test_the_task_prior_is_the_other_policies_rate_on_the_task() -> None:
    prior = TaskPrior(POOL)
    for item in POOL:
        assert prior.score(item.trajectory) == pytest.approx(slow_task_prior(item))
    assert prior.score(POOL[2].trajectory) == 0.5
    assert prior.score(POOL[6].trajectory) == pytest.approx(4 / 7)


def test_a_family_is_known_by_its_other_configurations() -> None:
    assert PolicyPrior(POOL, "family").score(POOL[7].trajectory) == 0
    assert PolicyPrior(POOL, "family").score(POOL[8].trajectory) == 1
    pair = [attempt("kiln-1", "a [x]", 0, GOOD), attempt("kiln-1", "a [y]", 0, BAD), attempt("kiln-2", "b", 0, GOOD)]
    assert TaskPrior(pair).score(pair[1].trajectory) == 1
    assert TaskPrior(pair, "family").score(pair[0].trajectory) == 1
    assert TaskPrior(pair, "exact").score(pair[0].trajectory) == 0


@pytest.mark.parametrize("kind", [PolicyPrior, TaskPrior])
def test_where_nothing_else_is_known_a_prior_is_a_half(kind: type[PolicyPrior] | type[TaskPrior]) -> None:
    assert kind(POOL[:1]).score(TRAJECTORIES[0]) == 0.5
    assert kind([]).score(TRAJECTORIES[0]) == 0.5


@pytest.mark.parametrize("kind", [PolicyPrior, TaskPrior])
def test_a_prior_never_sees_the_outcome_it_is_asked_about(kind: type[PolicyPrior] | type[TaskPrior]) -> None:
    for index, item in enumerate(POOL):
        flipped = list(POOL)
        flipped[index] = item.model_copy(update={"outcome": BAD if item.outcome is GOOD else GOOD})
        assert kind(POOL).score(item.trajectory) == kind(flipped).score(item.trajectory)
