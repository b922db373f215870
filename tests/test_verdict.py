"""A verdict is finite, joined by id, and ranked the same whatever the order of the files."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from swe_rm.errors import VerifierError
from swe_rm.verdict import Verdict, by_id, rank
from tests.conftest import attempt

POOL = [attempt(f"acme__tool-{task}", policy, number) for task in (1, 2) for policy in ("a", "b") for number in (1, 2)]


def verdict(attempt_id: str, score: float = 0.5, **changes: object) -> Verdict:
    return Verdict.model_validate(
        {"attempt_id": attempt_id, "score": score, "raw_score": score, "verifier": "x@1", **changes}
    )


@pytest.mark.parametrize("score", [math.nan, math.inf, -0.1, 1.1])
def test_no_score_outside_the_unit_interval(score: float) -> None:
    with pytest.raises(ValidationError):
        verdict("a", score)


def test_log_probabilities_come_together_and_give_the_mass() -> None:
    with pytest.raises(ValidationError, match="come together"):
        verdict("a", logprob_yes=-1.0)
    assert verdict("a").verdict_mass is None
    assert verdict("a", logprob_yes=math.log(0.3), logprob_no=math.log(0.5)).verdict_mass == pytest.approx(0.8)


def test_joining_refuses_what_is_missing_doubled_or_stray() -> None:
    ids = [t.attempt_id for t in POOL]
    assert list(by_id(POOL, [verdict(i) for i in ids[::-1]])) == ids[::-1]
    for given_ids in (ids[1:], [*ids, ids[0]], [*ids, "nobody"]):
        with pytest.raises(VerifierError):
            by_id(POOL, [verdict(i) for i in given_ids])


@given(scores=st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=8, max_size=8), order=st.permutations(range(8)))
def test_ranks_do_not_depend_on_order_and_ties_share_theirs(scores: list[float], order: list[int]) -> None:
    verdicts = {t.attempt_id: verdict(t.attempt_id, s) for t, s in zip(POOL, scores, strict=True)}
    rankings = {r.instance_id: r for r in rank(POOL, verdicts)}
    assert {r.instance_id: r for r in rank([POOL[i] for i in order], verdicts)} == rankings
    for ranking in rankings.values():
        found = [candidate.score for candidate in ranking.candidates]
        assert found == sorted(found, reverse=True)
        for candidate in ranking.candidates:
            assert candidate.rank == 1 + sum(other > candidate.score for other in found)
