"""Rewards: the published formula to the letter, what never happens, and what is refused in place of a number."""

import json
import math
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.reward import Kind, Reward, group_rewards, is_finished
from swe_rm.trajectory import Outcome

SCORES = st.floats(0, 1)
GAMMAS = st.floats(0.51, 1)
KINDS: list[Kind] = ["hybrid", "mix", "execution-free", "execution-based"]


def published(score: float, resolved: bool, finished: bool) -> float:
    """Equation 1 of SWE-RM, written out again."""
    if resolved:
        return 1 + score
    return 0 + score if finished else -0.5 + score


@given(SCORES, st.booleans(), st.booleans())
def test_hybrid_is_the_published_formula(score: float, resolved: bool, finished: bool) -> None:
    assert Reward()(score, resolved, finished=finished) == published(score, resolved, finished)
    based = Reward("execution-based")(None, resolved, finished=finished)
    assert Reward()(score, resolved, finished=finished) == based + Reward("execution-free")(score)


@pytest.mark.parametrize(
    ("resolved", "finished", "wanted"),
    [(True, True, 1.25), (True, False, 1.25), (False, True, 0.25), (False, False, -0.25), (None, False, -0.25)],
)
def test_hybrid_by_hand(resolved: bool | None, finished: bool, wanted: float) -> None:
    assert Reward()(0.25, resolved, finished=finished) == wanted


@given(SCORES, SCORES, GAMMAS, st.tuples(SCORES, SCORES).map(sorted), SCORES, st.booleans())
def test_no_mix_puts_a_failed_attempt_above_a_resolved_one(
    failed: float, resolved: float, gamma: float, clip: list[float], centre: float, finished: bool
) -> None:
    mix = Reward("mix", gamma=gamma, clip=(clip[0], clip[1]), centre=centre)
    assert mix(failed, False, finished=finished) < mix(resolved, True)


def test_a_smaller_gamma_would_do_so() -> None:
    def mixed(gamma: float, score: float, resolved: bool) -> float:
        return gamma * resolved + (1 - gamma) * score

    assert mixed(0.4, 1.0, False) > mixed(0.4, 0.0, True)
    with pytest.raises(ValueError, match="gamma"):
        Reward("mix", gamma=0.4)
    with pytest.raises(ValueError, match="gamma"):
        Reward("mix", gamma=0.5)


@given(SCORES, SCORES, st.sampled_from(KINDS), st.booleans(), st.booleans())
def test_of_two_attempts_alike_but_for_the_score_the_better_gets_no_less(
    one: float, other: float, kind: Kind, resolved: bool, finished: bool
) -> None:
    low, high = (Reward(kind)(score, resolved, finished=finished) for score in sorted((one, other)))
    assert low <= high


@pytest.mark.parametrize("kind", ["hybrid", "mix", "execution-based"])
@pytest.mark.parametrize("tested", [None, "unknown", Outcome.UNKNOWN])
def test_finished_and_untested_is_no_failure_but_an_error(kind: Kind, tested: str | None) -> None:
    with pytest.raises(ValueError, match="not tested"):
        Reward(kind)(0.5, tested)
    assert math.isfinite(Reward(kind)(0.5, tested, finished=False))
    assert Reward("execution-free")(0.5, tested) == 0.5


@pytest.mark.parametrize("score", [None, math.nan, -0.01, 1.01, math.inf])
def test_what_is_no_score_never_becomes_a_reward(score: float | None) -> None:
    for kind in ("hybrid", "mix", "execution-free"):
        with pytest.raises(ValueError, match="no score"):
            Reward(kind)(score, True)  # type: ignore[arg-type]
    assert Reward("execution-based")(score, True) == 1


@pytest.mark.parametrize(("said", "wanted"), [(Outcome.RESOLVED, 1), (Outcome.UNRESOLVED, 0), (True, 1), (False, 0)])
def test_outcomes_in_words_are_those_of_the_package(said: Outcome | bool, wanted: float) -> None:
    assert Reward("execution-based")(None, said) == wanted


@pytest.mark.parametrize("said", ["passed", 0.5, 2])
def test_what_is_no_outcome_is_refused(said: object) -> None:
    with pytest.raises(ValueError, match="no outcome"):
        Reward()(0.5, said)  # type: ignore[arg-type]


def test_clip_and_centre_act_on_the_score_alone() -> None:
    shaped = Reward(clip=(0.2, 0.8), centre=0.5)
    assert shaped(0.0, False) == pytest.approx(-0.3)
    assert shaped(0.9, False) == pytest.approx(0.3)
    assert shaped(0.5, True) == 1
    assert shaped(0.5, False, finished=False) == -0.5


@pytest.mark.parametrize("wrong", [{"clip": (0.8, 0.2)}, {"clip": (-1, 1)}, {"centre": 2}, {"kind": "gated"}])
def test_an_impossible_reward_is_refused_when_it_is_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"clip|kind"):
        Reward(**wrong)  # type: ignore[arg-type]


def test_groups_of_one_outcome_are_told_apart() -> None:
    found = group_rewards([0.1, 0.9], [False, True], [True, True])
    assert found == ([0.1, 1.9], False)
    assert group_rewards([0.1, 0.2], [False, "unresolved"], [True, True]).is_uniform
    assert group_rewards([0.1, 0.2], [False, False], [True, False]) == ([0.1, -0.3], False)
    assert group_rewards([0.1, 0.2], [False, None], [True, False], Reward("mix")).is_uniform, "both got nothing"
    assert not group_rewards([0.1, 0.2], [False, None], [True, False]).is_uniform
    with pytest.raises(ValueError, match="zip"):
        group_rewards([0.1], [True, False], [True, True])


@given(st.floats(1e-3, 1))
def test_why_they_are(gamma_left: float) -> None:
    """Divided by the group's spread, a thousandth of a score makes an advantage as large as a whole one."""
    rewards = group_rewards([0.2, 0.4], [False, False], [True, True], Reward("mix", gamma=1 - 0.4 * gamma_left)).rewards
    mean = sum(rewards) / 2
    spread = math.sqrt(sum((one - mean) ** 2 for one in rewards) / 2)
    assert [(one - mean) / spread for one in rewards] == pytest.approx([-1, 1])


def test_a_reward_travels_to_other_processes() -> None:
    made = Reward("mix", gamma=0.9)
    assert pickle.loads(pickle.dumps(made)) == made


def test_it_loads_nothing_but_the_standard_library() -> None:
    code = "import sys, json, swe_rm.reward; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"pydantic", "numpy", "orjson"} & set(json.loads(loaded))


@pytest.mark.parametrize(
    ("told", "finished"),
    [
        ({}, False),
        ({"model_patch": ""}, False),
        ({"model_patch": "+x"}, True),
        ({"model_patch": "+x", "finished": None}, True),
        ({"model_patch": "+x", "finished": False}, False),
        ({"finished": True}, True),
    ],
)
def test_one_rule_says_what_is_finished(told: dict[str, object], finished: bool) -> None:
    assert is_finished(told) is finished
