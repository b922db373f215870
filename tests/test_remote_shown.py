"""Answers read from the likeliest tokens that a server shows: exact, bounded, or an error, and never a guess."""

import math
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.verifiers.remote.asking import EngineAnswerError
from swe_rm.verifiers.remote.judge import Scale
from swe_rm.verifiers.remote.question import of_logprobs, probability, share, total
from swe_rm.verifiers.remote.shown import WIDEST, ends_of, read_shown

LN = math.log
MASSES = st.lists(st.floats(0.001, 1), min_size=6, max_size=30)


def test_an_answer_that_is_not_shown_is_an_error_or_has_bounds() -> None:
    shown = {"YES": LN(0.97), "maybe": LN(0.02)}
    with pytest.raises(EngineAnswerError, match="NO is not among the 2 likeliest tokens"):
        read_shown(shown, ["YES"], ["NO"])
    answer = read_shown(shown, ["YES"], ["NO"], "bound")
    assert answer.bounds == (pytest.approx(0.97 / 0.98), 1.0)
    assert answer.score == pytest.approx(0.97 / 0.98)
    assert (answer.logprob_yes, answer.logprob_no) == (None, None)
    flipped = read_shown({"NO": LN(0.97), "maybe": LN(0.02)}, ["YES"], ["NO"], "bound")
    assert (flipped.score, flipped.bounds) == (pytest.approx(0.01 / 0.98), (0.0, pytest.approx(0.01 / 0.98)))


@pytest.mark.parametrize("missing", ["error", "bound"])
def test_neither_answer_is_always_an_error(missing: Any) -> None:
    with pytest.raises(EngineAnswerError, match="neither answer is among the 1 likeliest"):
        read_shown({"maybe": -0.1}, ["YES"], ["NO"], missing)


def test_bounds_too_wide_are_an_error() -> None:
    with pytest.raises(EngineAnswerError, match="too wide"):
        read_shown({"YES": LN(0.4), "maybe": LN(0.3)}, ["YES"], ["NO"], "bound")


def test_what_several_unseen_spellings_may_have_together_is_bounded() -> None:
    """Nineteen others at 0.02: one unseen token has at most 0.02, three of them 0.06."""
    shown = {"YES": LN(0.45), **{f"w{number}": LN(0.02) for number in range(19)}}
    assert read_shown(shown, ["YES"], ["NO"], "bound").bounds == (pytest.approx(0.45 / 0.47), 1.0)
    with pytest.raises(EngineAnswerError, match=r"between 0\.882 and 1\.000: too wide"):
        read_shown(shown, ["YES"], ["NO", "No", " NO"], "bound")


@pytest.mark.parametrize("missing", ["error", "bound"])
def test_an_unseen_spelling_of_an_answer_that_is_shown_is_no_zero(missing: Any) -> None:
    shown = {"YES": LN(0.6), "NO": LN(0.2), "x": LN(0.19)}
    answer = read_shown(shown, ["YES", " YES"], ["NO", " NO"], missing)
    assert answer.bounds == (pytest.approx(0.6 / 0.81), pytest.approx(0.61 / 0.81))
    assert answer.score == pytest.approx(0.6 / 0.81), "the less certain end"
    with pytest.raises(EngineAnswerError, match="a spelling is not among the 2 likeliest tokens, and the score lies"):
        read_shown({"YES": LN(0.6), "NO": LN(0.2)}, ["YES", " YES"], ["NO"], missing)


@given(MASSES, st.integers(1, 20), st.integers(1, 3), st.integers(1, 3), st.data())
def test_the_true_score_lies_within_the_bounds(
    masses: list[float], count: int, yeses: int, noes: int, data: st.DataObject
) -> None:
    whole = math.fsum(masses)
    logprobs = {place: math.log(mass / whole) for place, mass in enumerate(masses)}
    drawn = data.draw(st.permutations(range(len(masses))))
    yes, no = drawn[:yeses], drawn[yeses : yeses + noes]
    shown = dict(sorted(logprobs.items(), key=lambda item: -item[1])[:count])
    truth = share(total([logprobs[key] for key in yes]), total([logprobs[key] for key in no]))
    try:
        answer = read_shown(shown, yes, no, "bound")
    except EngineAnswerError:
        assert not shown.keys() >= {*yes, *no}
        return
    low, high = answer.bounds or (truth, truth)
    assert low - 1e-9 <= truth <= high + 1e-9
    assert high - low <= WIDEST
    assert low <= answer.score <= high or answer.score == pytest.approx(truth)


def slow_ends(shown: Mapping[Any, float], yes: Sequence[Any], no: Sequence[Any]) -> tuple[float, float]:
    """The ends among all completions that give the unseen spellings, in some order, as much as each may have."""
    left, each = 1 - sum(shown.values()), min(shown.values())
    found = []
    for order in permutations([*(key for key in (*yes, *no) if key not in shown), "all others"]):
        given, rest = dict(shown), left
        for key in order:
            given[key] = rest if key == "all others" else min(each, rest)
            rest -= given[key]
        ours, theirs = (sum(given[key] for key in answer) for answer in (yes, no))
        found.append(ours / (ours + theirs))
    return min(found), max(found)


@given(MASSES, st.floats(0, 0.5), st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))
def test_the_bounds_are_what_admissible_completions_reach(
    masses: list[float], left: float, yeses: int, noes: int, unseen_yes: int, unseen_no: int
) -> None:
    whole = math.fsum(masses)
    shown = {place: mass / whole * (1 - left) for place, mass in enumerate(masses)}
    yes = [*range(yeses), *(f"yes {number}" for number in range(unseen_yes))]
    no = [*range(yeses, yeses + noes), *(f"no {number}" for number in range(unseen_no))]
    if not yeses + noes:
        return
    logprobs = [math.log(mass) for mass in shown.values()]
    seen_yes, seen_no = (sum(shown.get(key, 0.0) for key in answer) for answer in (yes, no))
    found = ends_of(seen_yes, seen_no, (unseen_yes, unseen_no), logprobs)
    assert found == pytest.approx(slow_ends(shown, yes, no), abs=1e-9)


def test_several_spellings_of_an_answer_add_up() -> None:
    shown = {"YES": LN(0.3), " YES": LN(0.3), "NO": LN(0.2), "x": LN(0.1)}
    assert read_shown(shown, ["YES", " YES"], ["NO"]).score == pytest.approx(0.75)
    assert total([LN(0.3), LN(0.3)]) == pytest.approx(LN(0.6))
    assert total([-math.inf, -math.inf]) == -math.inf


@pytest.mark.parametrize(
    "pair",
    [
        (math.nan, -1.0), (-1.0, math.inf), (-math.inf, -math.inf), (0.5, -1.0), (1_000.0, -1.0), (0.0, 0.0),
        (LN(0.9), LN(0.9)), (-9_999.0, -9_999.0), (-300.0, -300.0), (LN(5e-324), LN(5e-324)),
    ],
)  # fmt: skip
def test_two_log_probabilities_that_say_nothing_are_an_error(pair: tuple[float, float]) -> None:
    with pytest.raises(EngineAnswerError):
        of_logprobs(*pair)


def test_one_answer_that_is_as_good_as_impossible_is_no() -> None:
    assert of_logprobs(-9_999.0, -0.01).score == pytest.approx(0.0)
    assert of_logprobs(-0.5, -9_999.0).score == pytest.approx(1.0)


@pytest.mark.parametrize(
    "shown", [{"YES": LN(0.9), "NO": LN(0.9)}, {"YES": -700.0, "x": -0.01}, {"YES": LN(0.9), "x": LN(0.9)}]
)
def test_a_list_that_cannot_be_or_says_nothing_is_an_error(shown: dict[str, float]) -> None:
    with pytest.raises(EngineAnswerError, match=r"add up to 1\.800|as good as impossible"):
        read_shown(shown, ["YES"], ["NO"], "bound")


def test_letters_whose_probabilities_cannot_be_are_an_error() -> None:
    top = [{"token": letter, "logprob": LN(0.7)} for letter in "AB"]
    place = {"token": "A", "logprob": LN(0.7), "top_logprobs": top}
    with pytest.raises(EngineAnswerError, match=r"add up to 1\.400"):
        Scale({"A": 1.0, "B": 0.0}, "")({"choices": [{"logprobs": {"content": [place]}}]})


@pytest.mark.parametrize("value", [True, False, None, "0.5", -0.1, 1.1, math.nan])
def test_a_truth_value_is_no_probability(value: Any) -> None:
    with pytest.raises(EngineAnswerError, match="no probability"):
        probability(value, "score")
