"""Rules that order one task's candidates: each gives every candidate a key, and the greatest keys are the picks."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from swe_rm.errors import SweRmError
from swe_rm.selection.group import Group
from swe_rm.selection.tournament import contests, judge_of, won
from swe_rm.verdict import Candidate, Ranking

Key = tuple[float, ...]
"""Compared from the left; equal keys tie and share the pick."""

SHORTLIST = 3
"""R2E-Gym keeps at least so many candidates by score before it looks at tests."""


class Rule(NamedTuple):
    """A way to choose among one task's candidates. It depends neither on their order nor on their names."""

    name: str
    keys: Callable[[Group], list[Key]]
    """One key for each candidate, in the group's order."""
    needs: frozenset[str] = frozenset()
    """The kinds of tests it looks at, any of which will do."""

    def picks(self, group: Group) -> list[int]:
        """The places of the candidates it picks: several where they tie."""
        keys = self.keys(group)
        best = max(keys)
        return [place for place, key in enumerate(keys) if key == best]

    def ranking(self, group: Group) -> Ranking:
        """The candidates in the rule's order, with the verifier's scores; ties share their rank."""
        keys = self.keys(group)
        order = sorted(range(len(keys)), key=lambda place: keys[place], reverse=True)
        ranked = [keys[place] for place in order]
        return Ranking(
            instance_id=group.instance_id,
            candidates=tuple(_candidate(group, place, ranked.index(keys[place]) + 1) for place in order),
        )


def _candidate(group: Group, place: int, rank: int) -> Candidate:
    trajectory = group.trajectories[place]
    return Candidate(
        attempt_id=trajectory.attempt_id,
        policy=trajectory.origin.policy,
        attempt=trajectory.origin.attempt,
        score=group.scores[place],
        rank=rank,
    )


# --- quantities ------------------------------------------------------------------------------------------------------


def _score(group: Group) -> Sequence[float]:
    return group.scores


def _regression(group: Group) -> Sequence[float]:
    return group.passed("regression")


def _generated(group: Group) -> Sequence[float]:
    return group.passed("generated")


def _votes(group: Group) -> Sequence[float]:
    return [votes / len(group) for votes in group.votes]


def _support(group: Group) -> Sequence[float]:
    """fsum is exact before it rounds, so that the order of the candidates is no matter."""
    by_class = {
        one: math.fsum(score for score, other in zip(group.scores, group.classes, strict=True) if other == one)
        for one in set(group.classes)
    }
    return [by_class[one] / len(group) if one else 0.0 for one in group.classes]


QUANTITIES: dict[str, Callable[[Group], Sequence[float]]] = {
    "score": _score,
    "regression": _regression,
    "generated": _generated,
    "votes": _votes,
    "support": _support,
}
"""name -> its value for each candidate, in [0, 1]: the verifier's score, the share of regression tests and of generated
tests passed, the share of candidates that make the same change, and the sum of these candidates' scores over n."""

TESTS = ("regression", "generated")


def _chain(name: str, quantities: Sequence[str]) -> Rule:
    """The best by the first quantity, of these the best by the second, and so on."""

    def keys(group: Group) -> list[Key]:
        return list(zip(*(QUANTITIES[quantity](group) for quantity in quantities), strict=True))

    return Rule(name, keys, frozenset(quantities) & frozenset(TESTS))


# --- rules -----------------------------------------------------------------------------------------------------------


def _hybrid(name: str, least: int) -> Rule:
    """Of the better half by score, at least `least`, the best by regression tests, then generated ones, then score.

    Who ties with the last of that half is in it. Whoever is not in it is ordered by score below.
    """
    inside = _chain(name, [*TESTS, "score"])

    def keys(group: Group) -> list[Key]:
        kept = min(len(group), max(least, len(group) // 2))
        bar = sorted(group.scores, reverse=True)[kept - 1]
        return [
            (1.0, *key) if score >= bar else (0.0, score, 0.0, 0.0)
            for key, score in zip(inside.keys(group), group.scores, strict=True)
        ]

    return Rule(name, keys, inside.needs)


def _tournament(name: str, argument: str) -> Rule:
    if argument:
        judge = judge_of(argument)
        return Rule(name, lambda group: [(share,) for share in judge.shares(group.trajectories)])

    def keys(group: Group) -> list[Key]:
        aspects = [QUANTITIES[quantity](group) for quantity in ("score", *TESTS, "votes")]
        return [(share,) for share in won(contests(aspects))]

    return Rule(name, keys)


def _weighted(name: str, argument: str) -> Rule:
    weights = dict(_term(name, term) for term in argument.split(","))
    total = math.fsum(weights.values())
    if not total > 0:
        raise SweRmError(f"--rule {name}: the weights are all 0")

    def keys(group: Group) -> list[Key]:
        terms = [[weight / total * value for value in QUANTITIES[q](group)] for q, weight in weights.items()]
        return [(math.fsum(values),) for values in zip(*terms, strict=True)]

    return Rule(name, keys, frozenset(q for q, weight in weights.items() if weight) & frozenset(TESTS))


def _term(name: str, term: str) -> tuple[str, float]:
    quantity, equals, written = term.partition("=")
    try:
        weight = float(written)
    except ValueError:
        weight = math.nan
    if quantity not in QUANTITIES or not equals or not 0 <= weight < math.inf:
        raise SweRmError(f"--rule {name}: {term!r} is not one of {', '.join(QUANTITIES)} with a weight, as score=0.5")
    return quantity, weight


NAMED: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        _chain("score", ["score"]),
        _chain("tests", TESTS),
        _hybrid("hybrid", SHORTLIST),
        _hybrid("hybrid-half", 1),
        _chain("vote", ["votes"]),
        _chain("soft-vote", ["support"]),
        _chain("majority", [*TESTS, "votes"]),
        _tournament("tournament", ""),
    )
}
"""Every rule that has a name of its own."""

_BUILT = {"weighted": _weighted, "tournament": _tournament}


def parse_rule(text: str) -> Rule:
    """The rule a user named: see `NAMED`; `A,B,...` of `QUANTITIES`; `weighted:A=0.7,B=0.3`;
    `tournament:module:attribute` for a pairwise judge of the user's own.

    Raises SweRmError for anything else, VerifierError for a judge that cannot be loaded.
    """
    kind, _, argument = text.partition(":")
    if text in NAMED:
        return NAMED[text]
    if argument and kind in _BUILT:
        return _BUILT[kind](text, argument)
    quantities = text.split(",")
    if all(quantity in QUANTITIES for quantity in quantities):
        return _chain(text, quantities)
    raise SweRmError(
        f"unknown rule {text!r}: there is {', '.join(NAMED)}, {ALL}, weighted:score=0.7,generated=0.3, "
        f"tournament:module:attribute, or a list of {', '.join(QUANTITIES)}"
    )


ALL = "all"


def check_rules(names: Sequence[str]) -> None:
    """Raise SweRmError or VerifierError for a name that is no rule's."""
    for name in names:
        if name != ALL:
            parse_rule(name)


def chosen(names: Sequence[str], groups: Sequence[Group]) -> list[Rule]:
    """The rules of those names, each once; `all` stands for every named one that has something to look at.

    Raises SweRmError for an unknown name, and for a rule that looks at tests where no candidate was tested.
    """
    tested = _tested(groups)
    found = {rule.name: rule for name in names for rule in (applicable(groups) if name == ALL else [parse_rule(name)])}
    for rule in found.values():
        if rule.needs and not rule.needs & tested:
            raise SweRmError(f"--rule {rule.name} looks at tests, and no attempt has results: give --tests FILE")
    return list(found.values())


def applicable(groups: Sequence[Group]) -> list[Rule]:
    """The named rules that have something to look at in these groups."""
    tested = _tested(groups)
    return [rule for rule in NAMED.values() if not rule.needs or rule.needs & tested]


def _tested(groups: Sequence[Group]) -> set[str]:
    """The kinds of tests that said anything of any candidate."""
    return {kind for kind in TESTS for group in groups for e in group.executed if getattr(e, kind).share is not None}
