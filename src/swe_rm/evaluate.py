"""Verdicts against outcomes: one Report with figures, intervals, slices, and the controls beside them."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

import numpy as np

from swe_rm import metrics
from swe_rm.control_figures import control_figures
from swe_rm.cost import Cost, Money, cost_of, money_of
from swe_rm.errors import SweRmError
from swe_rm.figures import Figures, Measured, Metrics, Pool, pool_of
from swe_rm.headline import FIGURE, Headline
from swe_rm.metrics import Flags, Floats
from swe_rm.pitfalls import Explained, Pitfall, Seen, explained, pitfalls
from swe_rm.readiness import GroupFigures, Readiness
from swe_rm.rejection import Rejection, rejection
from swe_rm.resampling import Interval, Resampled, interval, resample
from swe_rm.scored import Scored
from swe_rm.slices import Mistake, Slice, mistakes, slices
from swe_rm.trajectory import Labelled, Noun, Outcome
from swe_rm.unscored import Unscored, UnscoredRule, counted, filled
from swe_rm.verdict import Ranking, Verdict, by_id, ranked
from swe_rm.verifiers.controls import PolicyName

RESAMPLES = 10_000
"""Draws of tasks that an interval rests on."""

MAX_RANKED = 500
"""Tasks whose rankings a report keeps."""


class Bin(Noun):
    """One of the ten calibration bins; empty ones are there too."""

    n_resolved: int
    n_unresolved: int
    mean_score: float | None


class Uncalibrated(Noun):
    """The scores as they were before calibration."""

    ece: float
    brier: float
    bins: tuple[Bin, ...]


class Report(Noun):
    """What `evaluate` found. attempts given = n_attempts + n_unscored - unscored.n_counted + n_unknown + n_below_k."""

    metrics: Metrics
    policy: PolicyName
    """Whether the configurations of a policy count as policies of their own."""
    n_unscored: int
    """Attempts without a verdict."""
    n_unknown: int
    """Attempts with a verdict whose outcome is unknown."""
    n_below_k: int
    """Attempts at tasks that `k_max` left out."""
    unscored: Unscored
    """How attempts without a verdict count, and what the other rules would give."""
    cost: Cost
    money: Money | None
    intervals: dict[str, Interval | None]
    """95% intervals, bootstrap by task, by metric; curves as `rm_at_k.4`.

    Resamples repeat attempts, which makes ECE look worse than it is: its intervals are reflected for that.
    """
    slices: dict[str, dict[str, Slice]]
    """policy, repo, source, scaffold, length, cut, difficulty -> its values -> figures."""
    controls: dict[str, Metrics]
    explained: dict[str, Explained]
    """policy, task, policy_and_task, length -> what of the AUC is left among attempts that share it."""
    readiness: Readiness
    rejection: Rejection | None
    mistakes: tuple[Mistake, ...]
    """The most confident wrong verdicts."""
    pitfalls: tuple[Pitfall, ...]
    n_cells_at_k: dict[int, int]
    """K -> (task, policy) groups with at least K attempts: what the same-policy curves rest on."""
    n_tasks_same_policy: int
    """Tasks that carry the pairs of `auc_same_policy_task`."""
    bins: tuple[Bin, ...]
    uncalibrated: Uncalibrated | None
    """None where calibration moved no score."""
    rankings: tuple[Ranking, ...]
    """Tasks with a verdict, their attempts of unknown outcome among them: the first `MAX_RANKED` of them."""
    n_ranked: int
    """Tasks with a verdict."""
    outcomes: dict[str, Outcome]
    """The outcomes of the ranked attempts, by attempt id."""
    ece_noise_floor: float | None
    """The ECE that a perfectly calibrated verifier shows with these scores."""
    ece_mass_noise_floor: float | None
    warnings: tuple[str, ...]
    """One line each: what was left out, what is undefined and why."""
    measured: Measured

    @property
    def _headline(self) -> Headline:
        found, interval = self.metrics, self.intervals[FIGURE]
        return Headline(found.auc_same_policy_task, interval, found.n_pairs_same_policy_task, self.n_tasks_same_policy)

    @property
    def beats_chance(self) -> bool:
        """Whether the headline is shown to be above 0.5: enough pairs and tasks, and an interval above it."""
        return self._headline.beats_chance

    @property
    def headline(self) -> str:
        """What the headline figure says of the verifier's fitness, in words."""
        return str(self._headline)

    def to_json(self) -> dict[str, Any]:
        """The document of `evaluate --json`: the contract's keys first, then what else is known."""
        mine = self.model_dump(mode="json", include=_CONTRACT)
        more = self.model_dump(mode="json", include=_MORE)
        return {
            **self.metrics.to_json(),
            **mine,
            "controls": {name: control.to_json() for name, control in self.controls.items()},
            "headline": self.headline,
            "beats_chance": self.beats_chance,
            **more,
        }


_CONTRACT = {"n_unscored", "cost", "intervals", "slices"}
_MORE = {
    "policy", "n_unknown", "n_below_k", "unscored", "money", "explained", "readiness", "rejection", "mistakes",
    "pitfalls", "n_cells_at_k", "ece_noise_floor", "ece_mass_noise_floor", "bins", "uncalibrated", "warnings",
    "measured",
}  # fmt: skip


class Options(TypedDict, total=False):
    """What `evaluate` and `measure` can be told."""

    policy: PolicyName
    k_max: int | None
    resamples: int
    seed: int
    unscored: UnscoredRule
    price_per_hour: float | None
    trained_on: frozenset[str]
    untold: tuple[str, ...]


def evaluate(
    labelled: Sequence[Labelled],
    verdicts: Mapping[str, Verdict] | Sequence[Verdict],
    *,
    with_controls: bool = True,
    **options: Unpack[Options],
) -> Report:
    """Measure verdicts against outcomes, with intervals, slices, controls and pitfalls; options are those of `measure`.

    `with_controls=False` leaves the controls out, which render every attempt: for many verifiers on one large pool.
    Raises SweRmError when one attempt is given twice, VerifierError when verdicts are given twice, about attempts not
    given, by two verifiers, or with a score that is none.
    """
    scored = Scored.of(labelled, _by_attempt(labelled, verdicts), lengths=with_controls)
    return measure(scored, with_controls=with_controls, **options)


def measure(
    scored: Scored,
    *,
    policy: PolicyName = "exact",
    k_max: int | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    with_controls: bool = True,
    unscored: UnscoredRule = "drop",
    price_per_hour: float | None = None,
    trained_on: frozenset[str] = frozenset(),
    untold: tuple[str, ...] = (),
) -> Report:
    """`evaluate` of attempts whose logs need not be in memory.

    `policy="family"` takes the configurations of a policy as one policy. `k_max` keeps only tasks with at least that
    many measured attempts and ends the curves there. Attempts of unknown outcome are left out of every figure and
    counted; `unscored` says how those without a verdict count; `trained_on` holds tasks the verifier has seen, `untold`
    what of it was fitted on tasks that are not known. Raises SweRmError for an option that is out of range.
    """
    if k_max is not None and k_max < 1:
        raise SweRmError(f"k_max is {k_max}: it must be at least 1")
    given = scored.in_order()
    with_scores = filled(given, unscored)
    kept = with_scores.measurable(k_max)
    pool, scores = pool_of(kept, policy), kept.scores
    figures, groups = Figures(pool, scores, k_max), GroupFigures(pool, scores)
    drawn, drawn_groups = resample([figures.resampler(), groups.resampler()], pool.n_tasks, resamples, seed)
    found, left = figures.metrics(scored.verifier), explained(kept, pool, scores)
    others = control_figures(pool, k_max, kept.lengths) if with_controls else {}
    told = counted(given, with_scores, unscored, policy, k_max)
    counts = _counts(given, with_scores, kept)
    seen = Seen(kept, pool, scores, found, _against_random(figures, drawn), others, left, trained_on, untold)
    return Report(
        metrics=found,
        policy=policy,
        **counts,
        unscored=told,
        cost=cost_of(given),
        money=None if price_per_hour is None else money_of(kept, pool, scores, price_per_hour),
        intervals=figures.intervals(drawn),
        controls=others,
        explained=left,
        readiness=groups.readiness(drawn_groups),
        pitfalls=pitfalls(seen),
        n_cells_at_k=figures.n_groups_at_k("rm_at_k_same_policy"),
        n_tasks_same_policy=figures.n_tasks_with("auc_same_policy_task"),
        **_parts(kept, pool, scores, seed),
        **_ranked(scored),
        warnings=tuple(_warnings(counts, told, others, pool)),
        measured=Measured.of(kept, pool, scores, policy),
    )


# --- what is measured ------------------------------------------------------------------------------------------------


def _by_attempt(
    labelled: Sequence[Labelled], verdicts: Mapping[str, Verdict] | Sequence[Verdict]
) -> dict[str, Verdict]:
    """Verdicts by attempt id, each about an attempt that was given."""
    given = {item.trajectory.attempt_id: item.trajectory for item in labelled}
    if len(given) != len(labelled):
        raise SweRmError("one attempt is given twice: verdicts are joined by attempt id")
    answers = list(verdicts.values() if isinstance(verdicts, Mapping) else verdicts)
    answered = {verdict.attempt_id for verdict in answers}
    return by_id([t for id_, t in given.items() if id_ in answered], answers)


def _counts(scored: Scored, with_scores: Scored, kept: Scored) -> dict[str, int]:
    return {
        "n_unscored": int((~scored.has_verdict).sum()),
        "n_unknown": int((scored.has_verdict & ~scored.is_tested).sum()),
        "n_below_k": int((with_scores.has_verdict & with_scores.is_tested).sum()) - len(kept),
    }


def _against_random(figures: Figures, drawn: Resampled) -> dict[str, Interval | None]:
    """Intervals of RM@K minus a random pick's."""
    return {
        name: interval(drawn[name] - drawn[name.replace("rm_at", "random_at")], figures.n_clusters(name))
        for name in drawn
        if name.startswith("rm_at_k")
    }


# --- beside the figures ----------------------------------------------------------------------------------------------


class _Ranked(TypedDict):
    rankings: tuple[Ranking, ...]
    n_ranked: int
    outcomes: dict[str, Outcome]


def _ranked(scored: Scored) -> _Ranked:
    """The rankings of the first tasks with a verdict."""
    judged = scored[scored.has_verdict]
    tasks = list(dict.fromkeys(judged.tasks))
    first = set(tasks[:MAX_RANKED])
    shown = judged if len(tasks) <= MAX_RANKED else judged[np.array([task in first for task in judged.tasks])]
    rows = zip(shown.tasks, shown.scores.tolist(), shown.policies, shown.attempts, shown.attempt_ids, strict=True)
    return {
        "rankings": tuple(ranked(rows)),
        "n_ranked": len(tasks),
        "outcomes": dict(zip(shown.attempt_ids, shown.outcomes, strict=True)),
    }


class _Parts(TypedDict):
    slices: dict[str, dict[str, Slice]]
    rejection: Rejection | None
    mistakes: tuple[Mistake, ...]
    bins: tuple[Bin, ...]
    uncalibrated: Uncalibrated | None
    ece_noise_floor: float | None
    ece_mass_noise_floor: float | None


def _parts(kept: Scored, pool: Pool, scores: Floats, seed: int) -> _Parts:
    """What is shown beside the figures and has no interval."""
    width, mass = metrics.noise_floors(scores, seed=seed) or (None, None)
    return {
        "slices": slices(kept, pool, scores),
        "rejection": rejection(pool, scores),
        "mistakes": mistakes(kept, pool, scores),
        "bins": bins_of(pool.resolved, scores),
        "uncalibrated": _uncalibrated(kept, pool),
        "ece_noise_floor": width,
        "ece_mass_noise_floor": mass,
    }


def _uncalibrated(kept: Scored, pool: Pool) -> Uncalibrated | None:
    """Of the attempts that have a verdict."""
    has = kept.has_verdict & ~np.isnan(kept.raw_scores)
    raw, resolved = kept.raw_scores[has], pool.resolved[has]
    error, loss = metrics.calibration_error(raw, resolved), metrics.brier_loss(raw, resolved)
    if error is None or loss is None or np.array_equal(raw, kept.scores[has]):
        return None
    return Uncalibrated(ece=error, brier=loss, bins=bins_of(resolved, raw))


def bins_of(resolved: Flags, scores: Floats) -> tuple[Bin, ...]:
    """The ten calibration bins of equal width. Shapes (n,)."""
    where = metrics.bin_of(scores)
    found = []
    for number in range(metrics.N_BINS):
        inside = where == number
        n, n_resolved = int(inside.sum()), int((inside & resolved).sum())
        mean = float(scores[inside].mean()) if n else None
        found.append(Bin(n_resolved=n_resolved, n_unresolved=n - n_resolved, mean_score=mean))
    return tuple(found)


def _warnings(counts: Mapping[str, int], unscored: Unscored, controls: Mapping[str, Metrics], pool: Pool) -> list[str]:
    reasons = {"n_unknown": "without a known outcome", "n_below_k": "at tasks with fewer attempts than k_max"}
    found = [str(unscored)] if unscored.n else []
    found += [f"attempts left out: {counts[key]} {reason}" for key, reason in reasons.items() if counts[key]]
    if controls and "shortest" not in controls:
        found.append("lengths are not known: the control shortest and what length explains are left out")
    if not len(pool.resolved):
        return [*found, "no attempt has both a verdict and a known outcome: nothing can be measured"]
    if len(np.unique(pool.resolved)) == 1:
        outcome = Outcome.RESOLVED if pool.resolved[0] else Outcome.UNRESOLVED
        found.append(f"every attempt is {outcome}: ranking figures are undefined")
    return found
