"""Which attempts of a report get a page of their own, and why: those most worth reading, so many at most."""

from collections.abc import Iterable, Iterator
from itertools import islice, zip_longest
from typing import NamedTuple

from swe_rm.evaluate import Report
from swe_rm.slices import Mistake
from swe_rm.trajectory import Labelled, Outcome
from swe_rm.verdict import Candidate, Ranking

PAGES = 50
"""Attempts with a page, unless told otherwise: 50 real logs are about 2 MB."""

RULE = "first the most confident wrong verdicts, then the best-scored attempt of each task, then the second of each ..."


class Choice(NamedTuple):
    """One attempt that gets a page."""

    attempt_id: str
    instance_id: str
    policy: str
    attempt: str
    outcome: Outcome
    score: float
    rank: int | None
    """At its task, 1 is best; None where the report keeps no ranking of the task."""
    n_candidates: int
    is_wrong: bool
    """Whether it is one of the most confident wrong verdicts."""


def chosen(report: Report, n: int = PAGES) -> dict[str, Choice]:
    """At most `n` attempts by attempt id: wrong verdicts, then every task's best, second ..., tasks by name."""
    choices = {one.attempt_id: _mistaken(one) for one in report.mistakes}
    rankings = sorted(report.rankings, key=lambda ranking: ranking.instance_id)
    ranked = {c.attempt_id: _ranked(r, c, report.outcomes[c.attempt_id]) for r in rankings for c in r.candidates}
    for id_ in choices.keys() & ranked.keys():
        choices[id_] = ranked[id_]._replace(is_wrong=True)
    for row in zip_longest(*(ranking.candidates for ranking in rankings)):
        choices |= {c.attempt_id: ranked[c.attempt_id] for c in row if c and c.attempt_id not in choices}
    return dict(islice(choices.items(), n))


def _mistaken(mistake: Mistake) -> Choice:
    """Of a task whose ranking the report does not keep."""
    return Choice(**mistake.model_dump(), rank=None, n_candidates=0, is_wrong=True)


def _ranked(ranking: Ranking, candidate: Candidate, outcome: Outcome) -> Choice:
    return Choice(
        **candidate.model_dump(),
        instance_id=ranking.instance_id,
        outcome=outcome,
        n_candidates=len(ranking.candidates),
        is_wrong=False,
    )


def read_again(attempts: Iterable[Labelled], wanted: Iterable[str]) -> Iterator[Labelled]:
    """The attempts of these ids among all that stream by, one in memory at a time; ends with the last of them."""
    left = set(wanted)
    for item in attempts if left else ():
        if item.trajectory.attempt_id in left:
            left.remove(item.trajectory.attempt_id)
            yield item
            if not left:
                return
