"""A draw meets its ratio, caps, total and pairs, depends on ids alone, and agrees with a slow twin."""

import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.errors import SweRmError
from swe_rm.mix.config import Sample
from swe_rm.mix.facts import Facts
from swe_rm.mix.ratios import at_ratio
from swe_rm.mix.sampling import _number, draw
from swe_rm.mix.weights import check_patterns, shares
from swe_rm.trajectory import Outcome
from tests.mixing import fact

YES, NO = Outcome.RESOLVED, Outcome.UNRESOLVED


def table(*cells: tuple[str, str, str, int, int]) -> list[Facts]:
    """Facts of (source, task, policy, resolved, unresolved)."""
    found: list[Facts] = []
    for source, task, policy, resolved, unresolved in cells:
        for outcome in [YES] * resolved + [NO] * unresolved:
            changes = {"source": source, "instance_id": task, "policy": policy, "outcome": outcome}
            found.append(fact(len(found), **changes))
    return found


def drawn(rows: Sequence[Facts], seed: int = 0, **sample: Any) -> list[Facts]:
    found = draw(rows, Sample.model_validate(sample), seed)
    assert {row.ordinal for row in found.kept} | found.dropped.keys() == {row.ordinal for row in rows}
    assert len(found.kept) + len(found.dropped) == len(rows)
    return found.kept


def outcomes(rows: Sequence[Facts]) -> tuple[int, int]:
    counts = Counter(row.outcome for row in rows)
    return counts[YES], counts[NO]


SMALL = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("tuvw"), st.sampled_from("pqr"), st.integers(0, 4),
              st.integers(0, 4)),
    min_size=1, max_size=8,
)  # fmt: skip
RATIO = st.sampled_from([0.5, 1, 1.5, 2, 3])


@given(SMALL, st.integers(0, 3), st.randoms())
def test_nothing_asked_keeps_all_in_an_order_that_files_do_not_decide(cells: list[Any], seed: int, random: Any) -> None:
    rows = table(*cells)
    kept = drawn(rows, seed)
    assert sorted(kept) == sorted(rows)
    random.shuffle(rows)
    assert drawn(rows, seed) == kept


@given(SMALL, RATIO, st.booleans(), st.randoms())
def test_the_ratio_holds(cells: list[Any], ratio: float, pairs: bool, random: Any) -> None:
    rows = table(*cells)
    try:
        kept = drawn(rows, positives_per_negative=ratio, keep_pairs=pairs)
    except SweRmError:
        assert pairs or not any(at_ratio(*outcomes(rows), ratio))
        return
    resolved, unresolved = outcomes(kept)
    assert resolved == int(Fraction(ratio) * unresolved)
    assert pairs or (resolved, unresolved) == at_ratio(*outcomes(rows), ratio)
    random.shuffle(rows)
    assert drawn(rows, positives_per_negative=ratio, keep_pairs=pairs) == kept


@given(SMALL, st.sampled_from([None, 0.5, 2]), st.integers(1, 40), st.booleans(), st.integers(0, 3))
def test_the_total_and_its_ratio_hold_or_are_refused(
    cells: list[Any], ratio: float | None, total: int, pairs: bool, seed: int
) -> None:
    rows = table(*cells)
    try:
        kept = drawn(rows, seed, positives_per_negative=ratio, total=total, keep_pairs=pairs)
    except SweRmError:
        resolved, unresolved = outcomes(rows)
        negatives = total / (1 + (ratio or 1))
        enough = total <= len(rows) if ratio is None else unresolved > negatives and resolved > total - negatives
        assert pairs or not enough or total == 1
        return
    assert len(kept) == total
    if ratio is not None:
        assert abs(outcomes(kept)[1] - total / (1 + ratio)) <= 0.5


SUGGESTED = re.compile(r"a total of ([\d,]+) can$")


@given(SMALL, st.sampled_from([None, 0.5, 2]), st.integers(1, 60), st.booleans(), st.booleans(), st.booleans())
def test_what_is_said_to_be_met_is_met(
    cells: list[Any], ratio: float | None, total: int, pairs: bool, balance: bool, weighed: bool
) -> None:
    rows = table(*cells)
    asked = {"positives_per_negative": ratio, "keep_pairs": pairs, "balance_policies": balance and ratio is not None}
    asked |= {"sources": {"*": 1}, "policies": {"p": 2, "*": 1}} if weighed else {}
    try:
        drawn(rows, total=total, **asked)
    except SweRmError as error:
        if said := SUGGESTED.search(str(error)):
            assert len(drawn(rows, total=int(said[1]), **asked)) == int(said[1]) < total


@given(SMALL, RATIO, st.integers(1, 40), st.booleans(), st.integers(0, 3))
def test_a_total_of_balanced_policies_gives_each_the_ratio(
    cells: list[Any], ratio: float, total: int, pairs: bool, seed: int
) -> None:
    rows = table(*cells)
    try:
        kept = drawn(rows, seed, positives_per_negative=ratio, balance_policies=True, total=total, keep_pairs=pairs)
    except SweRmError:
        return
    assert len(kept) == total
    for policy in {row.policy for row in kept}:
        resolved, unresolved = outcomes([row for row in kept if row.policy == policy])
        assert Fraction(resolved, unresolved) == Fraction(ratio)


def test_many_small_policies_are_balanced_exactly() -> None:
    rows = table(*(("a", f"t{n}", f"p{n}", 10, 10) for n in range(60)))
    kept = drawn(rows, positives_per_negative=1, balance_policies=True, total=60)
    assert outcomes(kept) == (30, 30)
    with pytest.raises(SweRmError, match="balanced policies at 1 come 2 attempts at a time; a total of 60 can"):
        drawn(rows, positives_per_negative=1, balance_policies=True, total=61)
    with pytest.raises(SweRmError, match="come 13 attempts at a time"):
        drawn(rows, positives_per_negative=0.3, balance_policies=True, total=60)


@given(SMALL, st.integers(2, 5), st.booleans())
def test_the_cap_of_a_task_holds_and_is_used(cells: list[Any], cap: int, pairs: bool) -> None:
    rows = table(*cells)
    there, kept = (Counter(r.instance_id for r in t) for t in (rows, drawn(rows, per_task=cap, keep_pairs=pairs)))
    assert all(n <= cap for n in kept.values())
    assert pairs or all(kept[task] == min(cap, n) for task, n in there.items())


@given(SMALL, RATIO, st.booleans())
def test_each_policy_has_the_ratio(cells: list[Any], ratio: float, pairs: bool) -> None:
    kept = drawn(table(*cells), positives_per_negative=ratio, balance_policies=True, keep_pairs=pairs)
    for policy in {row.policy for row in kept}:
        resolved, unresolved = outcomes([row for row in kept if row.policy == policy])
        assert Fraction(resolved, unresolved) == Fraction(ratio)


@given(SMALL, st.integers(2, 3), st.sampled_from([None, 1, 2]), st.integers(1, 30), st.booleans(), st.integers(0, 9))
def test_a_task_and_policy_with_both_outcomes_comes_with_both_or_not_at_all(
    cells: list[Any], cap: int, ratio: float | None, total: int, balance: bool, seed: int
) -> None:
    rows = [row._replace(logged=(row.ordinal + seed) % 3 > 0) for row in table(*cells)]
    asked = {"per_task": cap, "positives_per_negative": ratio, "total": total, "keep_pairs": True, "patch_only": 2}
    try:
        kept = drawn(rows, seed, balance_policies=balance and ratio is not None, **asked)
    except SweRmError:
        return
    for group in {(row.instance_id, row.policy) for row in rows}:
        there, taken = (outcomes([r for r in t if (r.instance_id, r.policy) == group]) for t in (rows, kept))
        assert not all(there) or all(taken) or not any(taken)


def twin(rows: Sequence[Facts], seed: int, resolved: int, unresolved: int, pairs: bool) -> set[int]:
    """The draw as one would do it by hand: a list in the order of the numbers, gone through again and again."""
    line = sorted(rows, key=lambda row: _number(seed, row.attempt_id))
    taken: list[Facts] = []
    places = {YES: resolved, NO: unresolved}
    by_group = {
        (r.instance_id, r.policy): [o for o in line if (o.instance_id, o.policy) == (r.instance_id, r.policy)]
        for r in line
    }
    mixed = {group for group, held in by_group.items() if pairs and all(outcomes(held))}
    for round_ in range(len(rows)):
        for group, held in by_group.items():
            ups, downs = ([row for row in held if row.outcome is outcome] for outcome in (YES, NO))
            if group in mixed and round_ < min(len(ups), len(downs)) and all(places.values()):
                taken += [ups[round_], downs[round_]]
                places = {outcome: n - 1 for outcome, n in places.items()}
    begun = {(row.instance_id, row.policy) for row in taken}
    for row in line:
        allowed = (row.instance_id, row.policy) not in mixed - begun
        if row not in taken and allowed and places[row.outcome]:
            taken.append(row)
            places[row.outcome] -= 1
    return {row.ordinal for row in taken}


@given(SMALL, st.integers(0, 5), st.booleans(), st.integers(2, 20))
def test_the_draw_is_that_of_the_slow_twin(cells: list[Any], seed: int, pairs: bool, total: int) -> None:
    rows = table(*cells)
    try:
        kept = drawn(rows, seed, positives_per_negative=1, total=total, keep_pairs=pairs)
    except SweRmError:
        return
    assert {row.ordinal for row in kept} == twin(rows, seed, total - (total + 1) // 2, (total + 1) // 2, pairs)


STRATA = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 20)), min_size=1, max_size=5)


@given(STRATA, st.integers(0, 60))
def test_shares_are_by_weight_as_far_as_the_stock_goes(strata: list[tuple[int, int]], total: int) -> None:
    weights = {str(n): Fraction(weight) for n, (weight, _) in enumerate(strata)}
    there = {str(n): stock for n, (_, stock) in enumerate(strata)}
    total = min(total, sum(there.values()))
    given_ = shares(total, weights, there)
    assert sum(given_.values()) == total
    assert all(0 <= given_[s] <= there[s] for s in given_)
    for one in given_:
        for other in given_:
            if given_[one] < there[one]:
                assert (given_[other] - 1) / weights[other] < (given_[one] + 1) / weights[one]


def test_weights_share_out_the_total_by_source_and_policy() -> None:
    rows = table(("gym", "t", "p", 200, 200), ("smith", "u", "p", 200, 200), ("smith", "v", "q", 100, 100))
    kept = drawn(rows, sources={"gym": 3, "*": 1}, total=200)
    assert Counter(row.source for row in kept) == {"gym": 150, "smith": 50}
    kept = drawn(rows, sources={"gym": 1, "s*": 1}, policies={"p": 2, "q": 1}, total=100)
    assert Counter((row.source, row.policy) for row in kept) == {
        ("gym", "p"): 40,
        ("smith", "p"): 40,
        ("smith", "q"): 20,
    }
    kept = drawn(rows, sources={"gym": 3, "smith": 1}, total=120, positives_per_negative=2)
    assert Counter((row.source, row.outcome) for row in kept) == {
        ("gym", YES): 60, ("gym", NO): 30, ("smith", YES): 20, ("smith", NO): 10
    }  # fmt: skip
    assert {row.source for row in drawn(rows, sources={"gym": 0, "smith": 1}, total=10)} == {"smith"}
    assert {row.source for row in drawn(rows, sources={"smith": 1}, total=10)} == {"smith"}


def test_a_ratio_is_kept_at_each_task_as_far_as_the_task_allows() -> None:
    rows = table(*(("a", f"t{n}", "p", 1, 9) for n in range(100)))
    assert outcomes(drawn(rows, per_task=2, positives_per_negative=1)) == (100, 100)
    rows = table(*(("a", f"t{n}", "p", 9, 9) for n in range(400)))
    resolved, unresolved = outcomes(drawn(rows, per_task=1, positives_per_negative=3, total=300))
    assert (resolved, unresolved) == (225, 75)


def test_weights_that_cannot_be_met_are_refused_with_what_can() -> None:
    rows = table(("a", "t", "p", 20, 1980), ("b", "u", "p", 1600, 400))
    said = r"a / \* has 20 resolved attempts, its weight asks for 250 .*; a total of 81 can"
    with pytest.raises(SweRmError, match=said):
        drawn(rows, sources={"a": 1, "b": 1}, positives_per_negative=1, total=1000)
    kept = drawn(rows, sources={"a": 1, "b": 1}, positives_per_negative=1, total=80)
    assert Counter((row.source, row.outcome) for row in kept) == dict.fromkeys(
        [("a", YES), ("a", NO), ("b", YES), ("b", NO)], 20
    )
    assert outcomes(drawn(rows, sources={"*": 1}, positives_per_negative=1, total=1000)) == (500, 500)


def test_what_a_cell_has_not_the_others_give_where_they_may_and_the_account_says_so() -> None:
    rows = table(("gym", "t", "p", 5, 5), ("smith", "u", "p", 50, 50))
    found = draw(rows, Sample(sources={"gym": 1, "smith": 1}, total=40, fill_up=True), seed=0)
    assert [(cell.sources, cell.there, cell.taken) for cell in found.cells] == [("gym", 10, 10), ("smith", 100, 30)]
    assert Counter(why.rule for why in found.dropped.values()) == {"total": 70}


def test_patches_alone_are_limited() -> None:
    rows = [fact(n, logged=n < 3) for n in range(10)]
    kept = drawn(rows, patch_only=2)
    assert Counter(row.logged for row in kept) == {True: 3, False: 2}


def test_another_seed_draws_others_and_a_larger_total_draws_the_same_and_more() -> None:
    rows = table(("a", "t", "p", 100, 100))
    ten, twenty, other = (drawn(rows, seed, total=n) for seed, n in ((0, 10), (0, 20), (1, 10)))
    assert twenty[:10] == ten
    assert set(other) != set(ten)


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ({"total": 31}, "30 attempts are there and 31 are wanted; a total of 30 can"),
        (
            {"total": 28, "positives_per_negative": 2},
            "10 resolved .* are there and 19 are wanted; a total of 15 can",
        ),
        ({"positives_per_negative": 11}, "11 cannot be met of 10 resolved and 20 unresolved"),
        ({"total": 29, "keep_pairs": True, "positives_per_negative": 0.45}, "cannot be met with pairs kept together"),
    ],
)
def test_what_cannot_be_met_is_one_line_that_says_what_could(sample: dict[str, Any], said: str) -> None:
    rows = table(("a", "t", "p", 1, 0), ("a", "u", "p", 9, 1), ("a", "v", "q", 0, 19))
    if "keep_pairs" in sample:
        rows = table(*(("a", str(n), "p", 1, 1) for n in range(20)))
    with pytest.raises(SweRmError, match=said) as raised:
        drawn(rows, **sample)
    assert "\n" not in str(raised.value)


def test_patterns_that_match_nothing_are_refused() -> None:
    rows = table(("gym", "t", "p", 1, 1), ("smith", "t", "p", 1, 1))
    check_patterns(Sample(sources={"gym": 1, "*": 1}, total=1), rows)
    with pytest.raises(
        SweRmError, match=r"sample.sources: rebench\*: matches none of the sources there are \(gym, smith\)"
    ):
        check_patterns(Sample(sources={"rebench*": 1}, total=1), rows)
    with pytest.raises(SweRmError, match="smith: nothing can be drawn, of 0 clean attempts none is left"):
        drawn(rows[:2], sources={"gym": 1, "smith": 1}, total=1)
    with pytest.raises(SweRmError, match="smith: nothing can be drawn, of 2 clean attempts none is left"):
        drawn(
            [row._replace(logged=row.source == "gym") for row in rows], sources={"gym": 1, "smith": 1}, total=1,
            patch_only=0,
        )  # fmt: skip
    with pytest.raises(SweRmError, match="gym: nothing can be drawn"):
        drawn(rows, sources={"*": 1, "gym": 1}, total=1)


def test_repositories_share_a_total_as_sources_do_and_beside_them() -> None:
    rows = table(*((source, "t", "p", 20, 20) for source in ("gym", "smith")))
    rows = [row._replace(repo=f"acme/{'ab'[row.ordinal % 2]}") for row in rows]
    kept = drawn(rows, repos={"acme/a": 3, "*": 1}, positives_per_negative=1, total=16)
    assert Counter(row.repo for row in kept) == {"acme/a": 12, "acme/b": 4}
    assert outcomes(kept) == (8, 8)
    only = drawn(rows, repos={"acme/a": 0, "*": 1}, total=8)
    assert {row.repo for row in only} == {"acme/b"}
    kept = drawn(rows, repos={"acme/a": 1, "acme/b": 1}, sources={"gym": 1, "smith": 3}, total=16)
    assert Counter((row.source, row.repo) for row in kept) == {
        ("gym", "acme/a"): 2, ("gym", "acme/b"): 2, ("smith", "acme/a"): 6, ("smith", "acme/b"): 6
    }  # fmt: skip
    with pytest.raises(SweRmError, match="acme/c: matches none of the repos there are"):
        check_patterns(Sample(repos={"acme/c": 1}, total=1), rows)
