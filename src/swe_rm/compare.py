"""Verifiers side by side: on the attempts that count for all, with intervals on differences, or each on its own."""

from collections.abc import Mapping, Sequence
from itertools import chain
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from swe_rm import metrics
from swe_rm.control_figures import control_figures
from swe_rm.entries import Entry, entry_of_report
from swe_rm.errors import SweRmError
from swe_rm.evaluate import RESAMPLES, Report
from swe_rm.figures import (
    BIASED,
    LOWER_IS_BETTER,
    MIN_POLICY_ATTEMPTS,
    Figures,
    Measured,
    Metrics,
    Pool,
    pool_from,
)
from swe_rm.headline import Headline
from swe_rm.metrics import Flags, Floats, Ids
from swe_rm.resampling import Interval, Resampled, hull, interval, reflected, resample
from swe_rm.standing import Standing, check_one_rule, standing
from swe_rm.trajectory import Noun

POWER = 0.8
"""Chance of showing the smallest effect called detectable."""
ERROR = 0.05
"""Chance that some winner is called where there is none, for one figure over all who contend."""

MIN_TASKS = 10
"""With fewer tasks carrying a figure a bootstrap by task is too narrow to call a winner by."""


class Row(NamedTuple):
    """One verifier in the table."""

    name: str
    figures: Metrics
    intervals: dict[str, Interval | None]
    scores: Floats
    resolved: Flags
    """Of the common attempts."""
    ece_noise_floor: float | None
    """The ECE that a perfectly calibrated verifier shows with these scores."""
    headline: Headline
    """On the common attempts."""

    def to_json(self) -> dict[str, Any]:
        """Its figures."""
        return {**self.figures.to_json(), "ece_noise_floor": self.ece_noise_floor, "intervals": self.intervals}


class Margin(Noun):
    """How far the best is ahead of another, in the direction that is better."""

    other: str
    difference: float
    interval: Interval | None
    """Of the difference, paired; at 95% over all who contend together (Bonferroni)."""
    detectable: float | None
    """The smallest true difference that this pool would show with 80% probability."""


class Contest(Noun):
    """Who is best at one figure, if anybody is."""

    figure: str
    values: dict[str, float]
    """By verifier, those for whom it is defined."""
    best: str
    winner: str | None
    """The best, where its margin over every other is significant."""
    margins: tuple[Margin, ...]

    def __str__(self) -> str:
        sizes = [margin.detectable for margin in self.margins if margin.detectable is not None]
        floor = f"; this pool shows differences from {max(sizes):.3f}" if sizes else ""
        if self.winner:
            return f"{self.figure}: {self.winner} wins{floor}"
        unclear = ", ".join(m.other for m in self.margins if not (m.interval and m.interval[0] > 0))
        return f"{self.figure}: no significant winner ({self.best} is not told from {unclear}){floor}"


class Alone(Noun):
    """One verifier's figures on one policy's attempts alone: a row of the paper's Table 4."""

    policy: str
    verifier: str
    n_tasks: int
    k: int
    """The largest K that half of the tasks have."""
    auc: float | None
    ece: float | None
    rm_at_k: float
    random_at_k: float
    pass_at_k: float


class Comparison(NamedTuple):
    """Verifiers on their common attempts, and those that can only be shown."""

    n_attempts: int
    """Common to all that are paired; 0 where fewer than two can be."""
    n_tasks: int
    n_cells_at_k: dict[int, int]
    """K -> (task, policy) groups with at least K of the attempts."""
    left_out: dict[str, int]
    """Attempts of each paired verifier that another lacks."""
    rows: tuple[Row, ...]
    contests: tuple[Contest, ...]
    alone: tuple[Alone, ...]
    apart: tuple[Entry, ...]
    """Those whose evaluation keeps no attempts: their figures are on pools of their own."""
    standings: tuple[Standing, ...]
    """One a verifier, those that are not paired last."""
    controls: dict[str, Metrics]
    """constant (a random pick), policy_prior, task_prior, oracle -> figures on the common attempts."""

    @property
    def all_judged(self) -> bool:
        """Whether every attempt in the figures is known to have a verdict by everybody."""
        return all(one.unscored is not None and not one.unscored.n_counted for one in self.standings)

    def to_json(self) -> dict[str, Any]:
        """The document of `compare --json`."""
        return {
            "verifiers": [row.name for row in self.rows] + [entry.name for entry in self.apart],
            "paired": {"n_attempts": self.n_attempts, "n_tasks": self.n_tasks, "left_out": self.left_out},
            "all_judged": self.all_judged,
            "standings": [one.model_dump(mode="json") | {"said": one.counting} for one in self.standings],
            "figures": {row.name: row.to_json() for row in self.rows},
            "controls": {name: control.to_json() for name, control in self.controls.items()},
            "contests": [contest.model_dump(mode="json") | {"said": str(contest)} for contest in self.contests],
            "by_policy": [one.model_dump(mode="json") for one in self.alone],
            "apart": {entry.name: entry.figures for entry in self.apart},
        }


def compare(evaluations: Sequence[Entry | Report], *, resamples: int = RESAMPLES, seed: int = 0) -> Comparison:
    """Compare verifiers on the attempts that count for all; evaluations without attempts are shown apart.

    The same draws of tasks serve all, so that what makes a task hard for everybody cancels in the differences. Raises
    SweRmError for fewer than two entries, for entries that disagree on an outcome, on whose an attempt is, on what
    counts as a policy or on how attempts without a verdict count, and where they share no attempt.
    """
    if len(evaluations) < 2:
        raise SweRmError("compare takes at least two evaluations")
    named = _told_apart([one if isinstance(one, Entry) else entry_of_report(one) for one in evaluations])
    paired = [entry for entry in named if entry.measured]
    apart = [entry for entry in named if not entry.measured]
    if len(paired) < 2:
        return Comparison(0, 0, {}, {}, (), (), (), tuple(named), tuple(standing(entry, None) for entry in named), {})
    places = _common(paired)
    pool = _agreed(paired, places)
    scores = [np.array(_of(entry).scores)[place] for entry, place in zip(paired, places, strict=True)]
    figures = [Figures(pool, one, None) for one in scores]
    drawn = resample([one.resampler() for one in figures], pool.n_tasks, resamples, seed)
    rows = tuple(
        _row(entry.name, one, draws, mine, pool, seed)
        for entry, one, draws, mine in zip(paired, figures, drawn, scores, strict=True)
    )
    clusters = {name: figures[0].n_clusters(name) for name in drawn[0]}
    return Comparison(
        n_attempts=len(pool.resolved),
        n_tasks=pool.n_tasks,
        n_cells_at_k=figures[0].n_groups_at_k("rm_at_k_same_policy"),
        left_out={e.name: len(_of(e).attempt_ids) - len(pool.resolved) for e in paired},
        rows=rows,
        contests=tuple(_contests(rows, drawn, clusters)),
        alone=tuple(_alone(pool, {entry.name: one for entry, one in zip(paired, scores, strict=True)})),
        apart=tuple(apart),
        standings=(
            *(standing(entry, row.headline) for entry, row in zip(paired, rows, strict=True)),
            *(standing(entry, None) for entry in apart),
        ),
        controls=control_figures(pool),
    )


def _row(name: str, figures: Figures, draws: Resampled, scores: Floats, pool: Pool, seed: int) -> Row:
    found, intervals = figures.metrics(name), figures.intervals(draws)
    floor, _ = metrics.noise_floors(scores, seed=seed) or (None, None)
    return Row(name, found, intervals, scores, pool.resolved, floor, Headline.of(figures, found, intervals))


# --- the common pool -------------------------------------------------------------------------------------------------


def _of(entry: Entry) -> Measured:
    assert entry.measured is not None, "only entries with attempts are paired"
    return entry.measured


def _told_apart(entries: Sequence[Entry]) -> list[Entry]:
    """Entries of one verifier (two calibrations, two pools) are numbered."""
    names = [entry.name for entry in entries]
    return [
        entry
        if names.count(entry.name) == 1
        else entry._replace(name=f"{entry.name} #{1 + names[:place].count(entry.name)}")
        for place, entry in enumerate(entries)
    ]


def _common(paired: Sequence[Entry]) -> list[Ids]:
    """Where the attempts that count for all stand in each entry, in the order of their ids."""
    ids = sorted(set.intersection(*(set(_of(entry).attempt_ids) for entry in paired)))
    if not ids:
        raise SweRmError(f"{paired[0].name} and {paired[1].name} share no attempt: they were measured on other pools")
    found = []
    for entry in paired:
        places = {attempt_id: place for place, attempt_id in enumerate(_of(entry).attempt_ids)}
        found.append(np.array([places[attempt_id] for attempt_id in ids], dtype=np.intp))
    return found


def _agreed(paired: Sequence[Entry], places: Sequence[Ids]) -> Pool:
    """The pool of the common attempts. Raises SweRmError where two entries say different things of one of them."""
    check_one_rule(paired)
    said = [_said(_of(entry), place) for entry, place in zip(paired, places, strict=True)]
    first = said[0]
    for entry, other in zip(paired[1:], said[1:], strict=True):
        if _of(entry).policy != _of(paired[0]).policy:
            raise SweRmError(f"{paired[0].name} was measured with another --policy than {entry.name}")
        for what, mine, theirs in zip(("task", "policy", "outcome"), first, other, strict=True):
            if (differ := np.flatnonzero(mine != theirs)).size:
                id_ = _of(entry).attempt_ids[int(places[paired.index(entry)][differ[0]])]
                raise SweRmError(
                    f"{paired[0].name} and {entry.name} disagree on the {what} of {differ.size} attempts, first {id_}"
                )
    return pool_from(first[0], first[1], first[2].astype(np.bool_))


def _said(measured: Measured, places: Ids) -> tuple[Any, Any, Any]:
    """Task, policy and outcome of the attempts at these places."""
    tasks, policies = (np.array(names, dtype=np.object_) for names in (measured.task_names, measured.policy_names))
    return (
        tasks[np.array(measured.tasks)[places]],
        policies[np.array(measured.policies)[places]],
        np.array(measured.resolved)[places],
    )


# --- contests --------------------------------------------------------------------------------------------------------


def _contests(rows: Sequence[Row], drawn: Sequence[Resampled], clusters: Mapping[str, int]) -> list[Contest]:
    found = []
    for figure in _contested(clusters):
        values = {row.name: _value(row.figures, figure) for row in rows}
        defined = {name: value for name, value in values.items() if value is not None}
        if len(defined) > 1:
            draws = {row.name: one[figure] for row, one in zip(rows, drawn, strict=True)}
            found.append(_contest(figure, defined, draws, clusters[figure]))
    return found


def _contested(clusters: Mapping[str, int]) -> list[str]:
    curves = [name for stem in ("rm_at_k", "rm_at_k_same_policy") if (name := _widest(stem, clusters))]
    return ["auc_same_policy_task", *curves, "auc", "ece", "brier"]


def _widest(stem: str, clusters: Mapping[str, int]) -> str:
    """The curve at the largest K > 1 that half of the tasks with two attempts still carry, and enough of them."""
    least = max(MIN_TASKS, clusters.get(f"{stem}.2", 0) / 2)
    found = [name for name, n in clusters.items() if name.startswith(f"{stem}.") and n >= least]
    return found[-1] if len(found) > 1 else ""


def _value(figures: Metrics, figure: str) -> float | None:
    stem, _, k = figure.partition(".")
    value = getattr(figures, stem)
    found: float | None = value.get(int(k)) if k else value
    return found


def _contest(figure: str, values: dict[str, float], draws: Resampled, n_clusters: int) -> Contest:
    sign = -1 if figure in LOWER_IS_BETTER else 1
    best = max(sorted(values), key=lambda name: sign * values[name])
    others = [name for name in values if name != best]
    level = 1 - ERROR / len(others)
    margins = []
    for other in others:
        differences, value = sign * (draws[best] - draws[other]), sign * (values[best] - values[other])
        bounds = interval(differences, n_clusters, level)
        bounds = hull(bounds, reflected(value, bounds)) if figure in BIASED else bounds
        margins.append(
            Margin(
                other=other,
                difference=value,
                interval=bounds,
                detectable=_detectable(differences, level) if bounds else None,
            )
        )
    sure = n_clusters >= MIN_TASKS and all(margin.interval and margin.interval[0] > 0 for margin in margins)
    return Contest(figure=figure, values=values, best=best, winner=best if sure else None, margins=tuple(margins))


def _detectable(differences: Floats, level: float) -> float | None:
    """(z at the level + z at the power) standard errors, both sides looked at; None where no draw differs."""
    normal = NormalDist()
    found = float((normal.inv_cdf((1 + level) / 2) + normal.inv_cdf(POWER)) * np.nanstd(differences))
    return found or None


# --- policy by policy ------------------------------------------------------------------------------------------------


def _alone(pool: Pool, scores: dict[str, Floats]) -> list[Alone]:
    """Every verifier on every policy of enough attempts, the largest policies first."""
    sizes = metrics.sum_by(pool.policies, len(pool.policy_names))
    order = sorted(range(len(sizes)), key=lambda p: (-sizes[p], pool.policy_names[p]))
    enough = [policy for policy in order if sizes[policy] >= MIN_POLICY_ATTEMPTS]
    return list(chain.from_iterable(_policy(pool, policy, scores) for policy in enough))


def _policy(pool: Pool, policy: int, scores: dict[str, Floats]) -> list[Alone]:
    mine = pool.policies == policy
    names = pool.policy_names[pool.policies[mine]]
    part = pool_from(pool.task_names[pool.tasks[mine]], names, pool.resolved[mine])
    found = []
    for verifier, one in scores.items():
        figures = Figures(part, one[mine], None).metrics(verifier)
        k = figures.widest_k
        found.append(
            Alone(
                policy=str(pool.policy_names[policy]),
                verifier=verifier,
                n_tasks=figures.n_tasks,
                k=k,
                auc=figures.auc,
                ece=figures.ece,
                rm_at_k=figures.rm_at_k[k],
                random_at_k=figures.random_at_k[k],
                pass_at_k=figures.pass_at_k[k],
            )
        )
    return found
