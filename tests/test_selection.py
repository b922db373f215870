"""Rules of selection: what each picks, ties and single candidates, and that nothing hangs on the order of the input."""

import itertools
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm.errors import SweRmError, VerifierError
from swe_rm.selection import Executed, Group, applicable, expected, groups, parse_rule, read_tests
from swe_rm.selection.execution import Counts
from swe_rm.selection.expectation import ORACLE, RANDOM
from swe_rm.selection.rules import NAMED, QUANTITIES
from swe_rm.selection.tournament import Tournament
from swe_rm.sources import open_pile
from swe_rm.trajectory import Outcome, Trajectory
from swe_rm.verdict import Verdict
from tests.conftest import attempt

PATCH = "--- a/tool.py\n+++ b/tool.py\n@@ -1 +1 @@\n-x = 0\n+x = {}\n"

One = tuple[float, str, tuple[int, int] | None, tuple[int, int] | None, bool]
"""score, what the patch sets x to ("" for no patch), regression and generated tests (passed, failed), resolved."""


def pool(*tasks: Sequence[One]) -> tuple[list[Group], dict[str, Outcome]]:
    trajectories, verdicts, executed, outcomes = [], {}, {}, {}
    for task, candidates in enumerate(tasks):
        for number, (score, value, regression, generated, resolved) in enumerate(candidates):
            made = attempt(f"acme__tool-{task}", number=number, turns=1)
            made = made.model_copy(update={"patch": PATCH.format(value) if value else ""})
            id_ = made.attempt_id
            trajectories.append(made)
            verdicts[id_] = Verdict(attempt_id=id_, score=score, raw_score=score, verifier="v@1")
            executed[id_] = Executed(regression=counts(regression), generated=counts(generated))
            outcomes[id_] = Outcome.RESOLVED if resolved else Outcome.UNRESOLVED
    return groups(trajectories, verdicts, executed), outcomes


def counts(given: tuple[int, int] | None) -> Counts:
    return Counts(passed=given[0], failed=given[1]) if given else Counts()


def picked(rule: str, *candidates: One) -> list[int]:
    ((group,), _) = pool(candidates)
    return sorted(int(group.trajectories[place].origin.attempt) for place in parse_rule(rule).picks(group))


def plain(score: float, value: str = "1") -> One:
    return score, value, None, None, False


def ran(score: float, regression: tuple[int, int] | None, generated: tuple[int, int] | None, value: str = "1") -> One:
    return score, value, regression, generated, False


# --- what each rule picks --------------------------------------------------------------------------------------------


def test_by_score_the_best_and_all_that_tie_with_it() -> None:
    assert picked("score", plain(0.2), plain(0.9), plain(0.9)) == [1, 2]


def test_tests_decide_by_the_projects_own_first() -> None:
    assert picked("tests", ran(0, (9, 1), (5, 0)), ran(0, (10, 0), (1, 4)), ran(0, (10, 0), (2, 3))) == [2]


def test_the_hybrid_asks_the_tests_about_the_better_half_alone() -> None:
    """Eight candidates, four kept: the one with the best tests is the fifth by score."""
    scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
    passed = [0, 1, 1, 0, 5, 5, 5, 5]
    candidates = [ran(score, None, (n, 5 - n)) for score, n in zip(scores, passed, strict=True)]
    assert picked("hybrid", *candidates) == [1]
    assert picked("tests", *candidates) == [4, 5, 6, 7]


def test_the_hybrids_differ_where_there_are_few() -> None:
    """Of four candidates R2E-Gym's keeps three, DeepSWE's two."""
    candidates = [ran(s, None, (n, 5 - n)) for s, n in ((0.9, 0), (0.8, 1), (0.7, 5), (0.6, 5))]
    assert picked("hybrid", *candidates) == [2]
    assert picked("hybrid-half", *candidates) == [1]


def test_who_ties_with_the_last_kept_is_kept() -> None:
    candidates = [ran(s, None, (n, 5 - n)) for s, n in ((0.9, 0), (0.8, 1), (0.8, 5), (0.6, 5))]
    assert picked("hybrid-half", *candidates) == [2]


@pytest.mark.parametrize("rule", [*NAMED, "weighted:score=1", "votes,score"])
def test_one_candidate_is_the_pick(rule: str) -> None:
    assert picked(rule, plain(0.1, "")) == [0]


def test_not_tested_is_neither_passed_nor_failed() -> None:
    below, above = ran(0, None, (1, 3)), ran(0, None, (3, 1))
    assert picked("generated", below, plain(0), above) == [2]
    (group,), _ = pool([below, plain(0), above])
    assert group.passed("generated") == (0.25, 0.5, 0.75)
    assert picked("generated", plain(0), below, below) == [0, 1, 2], "the mean of equals is equal, to the last bit"


def test_the_vote_goes_to_the_change_most_candidates_make() -> None:
    candidates = [plain(0.9, "2"), plain(0.1, "1"), plain(0.1, " 1"), plain(0.1, "1  # one"), plain(0.5, "2")]
    assert picked("vote", *candidates) == [1, 2, 3]
    assert picked("soft-vote", *candidates) == [0, 4]
    assert picked("votes,score", *candidates[1:], plain(0.2, "1")) == [4]


def test_no_patch_has_no_vote() -> None:
    assert picked("vote", plain(0.1, ""), plain(0.1, ""), plain(0.1, "3")) == [2]


def test_the_majority_is_counted_among_those_the_tests_leave() -> None:
    candidates = [ran(0, (3, 0), (1, 1), "2"), ran(0, (3, 0), (1, 1), "1"), ran(0, (3, 0), (1, 1), "1")]
    assert picked("majority", *candidates) == [1, 2]
    assert picked("majority", *candidates, ran(0, (3, 0), (2, 0), "4")) == [3]


def test_the_tournament_is_won_by_who_leads_on_more_aspects() -> None:
    """The first leads by score alone, the second by both kinds of tests."""
    candidates = [ran(0.9, (1, 1), (0, 2), "1"), ran(0.1, (2, 0), (2, 0), "2"), ran(0.0, (0, 2), (1, 1), "3")]
    assert picked("tournament", *candidates) == [1]
    assert picked("tournament", plain(0.1, "1"), plain(0.9, "2")) == [1]


def test_a_weight_on_one_side_equals_that_side() -> None:
    candidates = [ran(0.9, None, (1, 4)), ran(0.5, None, (4, 1)), ran(0.7, None, (3, 2))]
    for weights, side in (("score=1,generated=0", "score"), ("score=0,generated=0.3", "generated")):
        assert picked(f"weighted:{weights}", *candidates) == picked(side, *candidates)


def test_weights_trade_one_side_for_the_other() -> None:
    candidates = [ran(0.9, None, (1, 4)), ran(0.5, None, (4, 1))]
    assert picked("weighted:score=0.8,generated=0.2", *candidates) == [0]
    assert picked("weighted:score=0.2,generated=0.8", *candidates) == [1]


@pytest.mark.parametrize(
    "rule", ["", "best", "weighted:", "weighted:score", "weighted:score=x", "weighted:score=-1", "weighted:score=0",
             "weighted:luck=1", "weighted:score=nan", "weighted:score=inf", "score,luck", "score:"],
)  # fmt: skip
def test_an_unknown_rule_is_one_line_that_names_the_known(rule: str) -> None:
    with pytest.raises(SweRmError) as caught:
        parse_rule(rule)
    assert "score" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_rules_with_something_to_look_at_apply() -> None:
    assert [rule.name for rule in applicable(pool([plain(0.1)])[0])] == ["score", "vote", "soft-vote", "tournament"]
    assert {rule.name for rule in applicable(pool([ran(0.1, None, (1, 1))])[0])} == set(NAMED)


# --- the judge of the user's own -------------------------------------------------------------------------------------


class Longer:
    """Prefers the longer patch, and whoever stands first a little."""

    name = "longer@1"

    def __call__(self, first: Trajectory, second: Trajectory) -> float:
        return 0.8 if len(first.patch) >= len(second.patch) else 0.3


class Confused:
    name = "confused@1"

    def __call__(self, first: Trajectory, second: Trajectory) -> float:
        return float("nan")


def test_a_judge_is_asked_in_both_orders() -> None:
    a, b = attempt(number=1), attempt(number=1, patch="+" * 900)
    shares = Tournament(Longer()).shares([a, b])
    assert shares == pytest.approx([0.25, 0.75])
    assert picked(f"tournament:{__name__}:Longer", plain(0.9, "1"), plain(0.1, "22"), plain(0.5, "3")) == [1]


def test_a_tournament_is_a_verifier_of_whole_groups() -> None:
    pool_ = [attempt(f"acme__tool-{task}", number=n, patch="+" * n) for task in (1, 2) for n in (1, 2, 3)]
    verdicts = {verdict.attempt_id: verdict.score for verdict in Tournament(Longer())(pool_)}
    assert [verdicts[t.attempt_id] for t in pool_] == pytest.approx([0.25, 0.5, 0.75] * 2)


def test_a_judge_without_an_answer_is_an_error() -> None:
    with pytest.raises(VerifierError, match=r"confused@1: nan is no probability"):
        Tournament(Confused()).shares([attempt(number=1), attempt(number=2)])
    with pytest.raises(VerifierError, match="does not take two attempts"):
        parse_rule("tournament:tests.test_cli:Claims")


# --- what picks are worth --------------------------------------------------------------------------------------------

TASKS: list[list[One]] = [
    [(0.9, "1", None, (1, 1), True), (0.9, "2", None, (2, 0), False), (0.1, "2", None, (0, 2), False)],
    [(0.3, "1", None, (1, 1), True), (0.2, "2", None, (2, 0), True)],
    [(0.8, "1", None, None, False), (0.7, "1", None, None, True)],
]


def test_ties_are_split_and_random_and_oracle_are_rows() -> None:
    grouped, outcomes = pool(*TASKS)
    found = expected(grouped, [parse_rule("score"), parse_rule("generated")], outcomes)
    assert found
    assert [row.rule for row in found.rows] == [RANDOM, "score", "generated", ORACLE]
    assert [row.resolve_rate for row in found.rows] == pytest.approx([11 / 18, 1.5 / 3, 1.5 / 3, 1])
    assert (found.n_tasks, found.n_mixed, found.row("score").n_tied) == (3, 2, 1)
    assert found.row("score").of_the_gap == pytest.approx((0.5 - 11 / 18) / (1 - 11 / 18))
    assert found.row(RANDOM).above_random_interval is None, "three tasks that agree are no certainty"


def test_a_task_of_unknown_outcome_is_left_out_and_counted() -> None:
    grouped, outcomes = pool(*TASKS)
    outcomes[grouped[0].trajectories[0].attempt_id] = Outcome.UNKNOWN
    found = expected(grouped, [NAMED["score"]], outcomes)
    assert found
    assert (found.n_tasks, found.n_unknown) == (2, 1)
    assert expected(grouped[:1], [NAMED["score"]], outcomes) is None


def test_every_rule_and_quantity_is_documented() -> None:
    page = (Path(__file__).parents[1] / "docs" / "selection.md").read_text(encoding="utf-8")
    for name in (*NAMED, *QUANTITIES):
        assert f"| `{name}` |" in page, name


@pytest.mark.shared_data
def test_real_candidates_with_real_test_results(shared_data: Path) -> None:
    """Eleven systems at 50 tasks; a verifier that knows nothing is worth a random pick."""
    pile = open_pile([shared_data / "dev_patches.jsonl.zst"]).attempts()
    items = [item for item in pile if item.trajectory.origin.source == "verified_11agents_patches"]
    trajectories = [item.trajectory for item in items]
    tested = read_tests([shared_data / "generated_test_results.jsonl.zst"], trajectories)
    assert (len(tested.by_attempt), tested.strays) == (548, 6760)
    verdicts = {
        t.attempt_id: Verdict(attempt_id=t.attempt_id, score=0.5, raw_score=0.5, verifier="v@1") for t in trajectories
    }
    grouped = groups(trajectories, verdicts, tested.by_attempt)
    found = expected(grouped, applicable(grouped), {item.trajectory.attempt_id: item.outcome for item in items})
    assert found
    assert (found.n_tasks, found.n_mixed) == (50, 22)
    assert found.row("score").resolve_rate == found.row(RANDOM).resolve_rate
    assert found.row("hybrid").resolve_rate == found.row("tests").resolve_rate
    assert all(0 < row.resolve_rate <= found.row(ORACLE).resolve_rate for row in found.rows)


# --- properties ------------------------------------------------------------------------------------------------------

TESTS = st.none() | st.tuples(st.integers(0, 3), st.integers(0, 3))
SCORE = st.sampled_from([0.0, 0.1, 0.1 + 0.2, 0.3, 1.0])
ONE = st.tuples(SCORE, st.sampled_from(["", "1", "2"]), TESTS, TESTS, st.booleans())
RULES = [*NAMED, "votes,score", "weighted:score=0.3,generated=0.7", "weighted:support=1,regression=2,votes=0.1"]


@settings(max_examples=50)
@given(st.lists(ONE, min_size=1, max_size=7), st.sampled_from(RULES), st.randoms(use_true_random=False))
def test_the_order_of_candidates_is_no_matter_and_picks_are_of_the_task(
    candidates: list[One], name: str, chance: random.Random
) -> None:
    (group,), outcomes = pool(candidates)
    rule = parse_rule(name)
    ids = [trajectory.attempt_id for trajectory in group.trajectories]
    places = list(range(len(ids)))
    chance.shuffle(places)
    shuffled = Group(
        group.instance_id,
        tuple(group.trajectories[place] for place in places),
        tuple(group.scores[place] for place in places),
        tuple(group.executed[place] for place in places),
    )
    picks = {ids[place] for place in rule.picks(group)}
    assert {ids[places[place]] for place in rule.picks(shuffled)} == picks
    assert set() < picks <= set(ids)
    ranking = rule.ranking(group)
    assert {c.attempt_id for c in ranking.candidates if c.rank == 1} == picks
    assert [c.rank for c in ranking.candidates] == sorted(c.rank for c in ranking.candidates)
    assert {c.attempt_id for c in ranking.candidates} == set(ids)
    found = expected([group], [rule], outcomes, resamples=2)
    assert found
    assert found.row(RANDOM).resolve_rate <= found.row(ORACLE).resolve_rate >= found.row(name).resolve_rate


@settings(max_examples=50)
@given(st.lists(ONE, min_size=1, max_size=6), st.sampled_from(["score", "generated", "regression", "votes", "support"]))
def test_all_the_weight_on_one_side_picks_as_that_side(candidates: list[One], side: str) -> None:
    others = [other for other in ("score", "generated", "votes") if other != side]
    assert picked(f"weighted:{side}=0.7,{others[0]}=0", *candidates) == picked(side, *candidates)


@settings(max_examples=20)
@given(st.lists(ONE, min_size=1, max_size=5))
def test_a_split_tie_is_the_mean_over_every_way_to_break_it(candidates: list[One]) -> None:
    grouped, outcomes = pool(candidates, candidates[:1])
    for name in RULES:
        rule = parse_rule(name)
        ways = list(itertools.product(*(rule.picks(group) for group in grouped)))
        brute = [
            sum(
                outcomes[group.trajectories[place].attempt_id] is Outcome.RESOLVED
                for group, place in zip(grouped, way, strict=True)
            )
            / 2
            for way in ways
        ]
        found = expected(grouped, [rule], outcomes, resamples=2)
        assert found
        assert found.row(name).resolve_rate == pytest.approx(sum(brute) / len(brute))
