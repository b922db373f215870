"""Every task's attempts, best first: as a map of tasks x attempts, and as lists that open."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from swe_rm.evaluate import Report
from swe_rm.metrics import N_BINS
from swe_rm.page import html_table, safe
from swe_rm.pages.cited import cited
from swe_rm.pages.tables import anchor, linked, marked
from swe_rm.trajectory import Outcome
from swe_rm.verdict import Candidate, Ranking

MAX_ROWS, MAX_COLUMNS = 64, 40
"""Tasks and attempts of the map."""
MAX_LISTED = 4_000
"""Attempts in the lists below it, whole tasks: half a megabyte."""

_MARKS = {Outcome.RESOLVED: "✓", Outcome.UNRESOLVED: "·", Outcome.UNKNOWN: "?"}


def heat_map(report: Report, with_page: Collection[str]) -> str:
    """Tasks x attempts: the colour is the score, the mark the outcome; tasks with both outcomes first.

    A table, so that it can be read without seeing it; an attempt with a page is a link.
    """
    shown = _drawn(report.rankings, report.outcomes)
    if not shown:
        return ""
    widest = min(MAX_COLUMNS, max(len(ranking.candidates) for ranking in shown))
    rows = [
        [
            safe(ranking.instance_id),
            *_cells(ranking.candidates[:widest], report.outcomes, with_page),
            *_rest(ranking, widest),
        ]
        for ranking in shown
    ]
    headings = ["task", *(f'<span class="hidden">attempt </span>{n}' for n in range(1, widest + 1))]
    scale = "".join(f'<span class="h{step}">{step / N_BINS:.1f}</span>' for step in range(N_BINS))
    marks = ", ".join(f"{mark} {outcome}" for outcome, mark in _MARKS.items())
    left = report.n_ranked - len(shown)
    more = (
        f" {left:,} more tasks are not drawn; of many mixed ones, those drawn are spread over the shares."
        if left
        else ""
    )
    return (
        f'<p class="note">Score, from: <span class="scale">{scale}</span>. Outcome: {marks}. Attempts stand '
        "best-scored first, tasks with both outcomes first, by the share resolved: marks of a verifier that ranks well "
        f"gather on the left.{more}</p>"
        + html_table("Scores and outcomes, tasks x attempts", headings, rows, css="heat")
    )


def _drawn(rankings: Sequence[Ranking], outcomes: Mapping[str, Outcome]) -> list[Ranking]:
    """As many tasks as there is room for, from the often resolved to the rarely resolved; mixed ones before others."""
    ordered = sorted(rankings, key=lambda ranking: _place(ranking, outcomes))
    mixed = [ranking for ranking in ordered if not _place(ranking, outcomes)[0]]
    if len(mixed) < MAX_ROWS:
        return ordered[:MAX_ROWS]
    return [mixed[round(row * (len(mixed) - 1) / (MAX_ROWS - 1))] for row in range(MAX_ROWS)]


def _place(ranking: Ranking, outcomes: Mapping[str, Outcome]) -> tuple[bool, float, str]:
    everyone = [outcomes[c.attempt_id] for c in ranking.candidates]
    good, bad = everyone.count(Outcome.RESOLVED), everyone.count(Outcome.UNRESOLVED)
    return not (good and bad), -good / max(1, good + bad), ranking.instance_id


def _cells(
    candidates: Iterable[Candidate], outcomes: Mapping[str, Outcome], with_page: Collection[str]
) -> Iterable[str]:
    for candidate in candidates:
        outcome = outcomes[candidate.attempt_id]
        mark = f'{_MARKS[outcome]}<span class="hidden"> {outcome}, {candidate.score:.3f}</span>'
        if candidate.attempt_id in with_page:
            mark = f'<a href="#{anchor(candidate.attempt_id)}">{mark}</a>'
        yield f'<td class="h{min(N_BINS - 1, int(N_BINS * candidate.score))}">{mark}</td>'


def _rest(ranking: Ranking, widest: int) -> Sequence[str]:
    """What fills the row of a task with fewer attempts, or says how many there is no room for."""
    left = len(ranking.candidates) - widest
    return ['<td class="text"></td>'] * -left if left < 0 else [f"+{left}"] if left else []


# --- lists -----------------------------------------------------------------------------------------------------------


def ranking_lists(report: Report, with_page: Collection[str]) -> str:
    """The attempts of each task, best first, as many whole tasks as MAX_LISTED attempts make up."""
    places = {attempt_id: place for place, attempt_id in enumerate(report.measured.attempt_ids)}
    shown: list[str] = []
    room = MAX_LISTED
    for ranking in report.rankings:
        room -= len(ranking.candidates)
        if room < 0 and shown:
            break
        shown.append(_list(ranking, report.outcomes, places, with_page))
    left = report.n_ranked - len(shown)
    noun = "task is" if left == 1 else "tasks are"
    more = f"<p>{left:,} more {noun} not listed; the JSON of <code>swe-rm rank</code> has them.</p>" if left else ""
    return "".join(shown) + more


def _list(
    ranking: Ranking, outcomes: Mapping[str, Outcome], places: Mapping[str, int], with_page: Collection[str]
) -> str:
    rows = []
    for candidate in ranking.candidates:
        place = places.get(candidate.attempt_id)
        score = f"{candidate.score:.3f}" if place is None else cited(candidate.score, "measured", "scores", place)
        who = linked(candidate.attempt_id, f"{candidate.policy} / {candidate.attempt}", with_page)
        rows.append([who, str(candidate.rank), score, marked(outcomes[candidate.attempt_id])])
    best = [outcomes[c.attempt_id] for c in ranking.candidates if c.rank == 1]
    everyone = [outcomes[c.attempt_id] for c in ranking.candidates]
    first = (
        f"first choice {best[0]}"
        if len(best) == 1
        else f"{best.count(Outcome.RESOLVED)} of {len(best)} tied first resolved"
    )
    said = f"{ranking.instance_id}: {first}; {everyone.count(Outcome.RESOLVED)} of {len(everyone)} resolved"
    table = html_table(f"Attempts at {ranking.instance_id}", ["policy / attempt", "rank", "score", "outcome"], rows)
    return f"<details><summary>{safe(said)}</summary>{table}</details>"
