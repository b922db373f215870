"""Verdicts against outcomes: one Report with figures, intervals, slices, and the controls beside them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from swe_rm import metrics
from swe_rm.errors import SweRmError, VerifierError
from swe_rm.figures import Figures, Interval, Metrics, Pool, pool_of
from swe_rm.metrics import Flags, Floats
from swe_rm.trajectory import Labelled, Noun, Outcome
from swe_rm.verdict import Ranking, Verdict, by_id, rank
from swe_rm.verifiers.controls import PolicyName, controls

MIN_PAIRS = 30
"""With fewer pairs the headline is called too few to tell: their share alone moves by 0.09 (one standard error)."""

MIN_TASKS = 10
"""With fewer tasks carrying those pairs a bootstrap by task gives an interval that is too narrow to trust."""

_RANKING_ONLY = frozenset({"shortest"})
"""Controls whose scores order attempts but are no probabilities: no ECE, no Brier loss."""


class Slice(Noun):
    """The figures of one part of the pool."""

    n: int
    base_rate: float
    auc: float | None
    ece: float | None
    mean_score: float


class Bin(Noun):
    """One of the ten calibration bins; empty ones are there too."""

    n_resolved: int
    n_unresolved: int
    mean_score: float | None


class Cost(Noun):
    """What the verdicts cost together; None where no verdict says."""

    prompt_tokens: int | None
    seconds: float | None


class Report(Noun):
    """What `evaluate` found. attempts given = n_attempts + n_unscored + n_unknown + n_below_k."""

    metrics: Metrics
    policy: PolicyName
    """Whether the configurations of a policy count as policies of their own."""
    n_unscored: int
    """Attempts without a verdict."""
    n_unknown: int
    """Attempts with a verdict whose outcome is unknown."""
    n_below_k: int
    """Attempts at tasks that `k_max` left out."""
    cost: Cost
    intervals: dict[str, Interval | None]
    """95% intervals, bootstrap by task, by metric; curves as `rm_at_k.4`.

    Resamples repeat attempts, which makes ECE look worse than it is: its interval errs to the high side.
    """
    slices: dict[str, dict[str, Slice]]
    """policy, repo, source, scaffold -> its values -> figures."""
    controls: dict[str, Metrics]
    n_cells_at_k: dict[int, int]
    """K -> (task, policy) groups with at least K attempts: what the same-policy curves rest on."""
    n_tasks_same_policy: int
    """Tasks that carry the pairs of `auc_same_policy_task`."""
    bins: tuple[Bin, ...]
    rankings: tuple[Ranking, ...]
    """Every task with a verdict, its attempts of unknown outcome among them."""
    outcomes: dict[str, Outcome]
    """The outcomes of the ranked attempts, by attempt id."""
    ece_noise_floor: float | None
    """The ECE that a perfectly calibrated verifier shows with these scores."""
    warnings: tuple[str, ...]
    """One line each: what was left out, what is undefined and why."""

    @property
    def beats_chance(self) -> bool:
        """Whether the headline is shown to be above 0.5: enough pairs and tasks, and an interval above it."""
        return not self._doubt

    @property
    def _doubt(self) -> str:
        """Why the headline shows nothing; empty where it does."""
        bounds = self.intervals["auc_same_policy_task"]
        if self.metrics.n_pairs_same_policy_task < MIN_PAIRS:
            return f"fewer than {MIN_PAIRS} pairs"
        if self.n_tasks_same_policy < MIN_TASKS:
            return f"from {self.n_tasks_same_policy} tasks: fewer than {MIN_TASKS}"
        return "" if bounds and bounds[0] > 0.5 else "the interval does not lie above chance"

    @property
    def headline(self) -> str:
        """What the headline figure says of the verifier's fitness, in words."""
        value, n_pairs = self.metrics.auc_same_policy_task, self.metrics.n_pairs_same_policy_task
        if value is None:
            return f"No task has both a resolved and an unresolved attempt by one policy. {_NOT_SHOWN}"
        bounds = self.intervals["auc_same_policy_task"]
        shown = f"{value:.3f} [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else f"{value:.3f}"
        said = f"auc_same_policy_task is {shown} over {n_pairs} pairs; chance is 0.5"
        if self.beats_chance:
            return f"{said}. Better than chance where neither policy nor difficulty can help."
        return f"{said} ({self._doubt}). {_NOT_SHOWN}"

    def to_json(self) -> dict[str, Any]:
        """Exactly the keys of `evaluate --json`."""
        mine = self.model_dump(mode="json", include={"n_unscored", "cost", "intervals", "slices"})
        return {
            **self.metrics.to_json(),
            **mine,
            "controls": {name: control.to_json() for name, control in self.controls.items()},
        }


_NOT_SHOWN = "Not shown to be fit for best-of-N within one policy or as an RL reward."


def evaluate(
    labelled: Sequence[Labelled],
    verdicts: Mapping[str, Verdict] | Sequence[Verdict],
    *,
    policy: PolicyName = "exact",
    k_max: int | None = None,
    resamples: int = 1000,
    seed: int = 0,
    with_controls: bool = True,
) -> Report:
    """Measure verdicts against outcomes, with intervals, slices and controls.

    `with_controls=False` leaves the controls out, which render every attempt: for many verifiers on one large pool.

    `policy="family"` takes the configurations of a policy as one policy. `k_max` keeps only tasks with at least that
    many measured attempts and ends the curves there. Attempts without a verdict or of unknown outcome are left out of
    every figure and counted. Raises SweRmError when one attempt is given twice, VerifierError when verdicts are given
    twice, about attempts not given, or by two verifiers.
    """
    if k_max is not None and k_max < 1:
        raise SweRmError(f"k_max is {k_max}: it must be at least 1")
    answers = _by_attempt(labelled, verdicts)
    name = _author(answers)
    scored = [item for item in labelled if item.trajectory.attempt_id in answers]
    known = [item for item in scored if item.outcome is not Outcome.UNKNOWN]
    kept = _with_at_least(known, k_max)
    pool = pool_of(kept, policy)
    scores = np.array([answers[item.trajectory.attempt_id].score for item in kept], dtype=np.float64)
    figures = Figures(pool, scores, k_max)
    counts = {
        "n_unscored": len(labelled) - len(scored),
        "n_unknown": len(scored) - len(known),
        "n_below_k": len(known) - len(kept),
    }
    return Report(
        metrics=figures.metrics(name),
        policy=policy,
        **counts,
        cost=_cost(list(answers.values())),
        intervals=figures.intervals(metrics.resample_weights(pool.n_tasks, resamples, seed)),
        slices=_slices(kept, pool, scores),
        controls=_controls(kept, pool, policy, k_max) if with_controls else {},
        n_cells_at_k=figures.n_groups_at_k("rm_at_k_same_policy"),
        n_tasks_same_policy=figures.n_tasks_same_policy,
        bins=_bins(pool.resolved, scores),
        rankings=tuple(rank([item.trajectory for item in scored], answers)),
        outcomes={item.trajectory.attempt_id: item.outcome for item in scored},
        ece_noise_floor=metrics.ece_noise_floor(scores, seed=seed),
        warnings=tuple(_warnings(counts, pool)),
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


def _author(answers: Mapping[str, Verdict]) -> str | None:
    names = sorted({verdict.verifier for verdict in answers.values()})
    if len(names) > 1:
        raise VerifierError(f"verdicts of {len(names)} verifiers in one evaluation: {', '.join(names[:3])}")
    return names[0] if names else None


def _with_at_least(known: Sequence[Labelled], k: int | None) -> list[Labelled]:
    sizes = Counter(item.trajectory.task.instance_id for item in known)
    return [item for item in known if sizes[item.trajectory.task.instance_id] >= (k or 1)]


def _controls(kept: Sequence[Labelled], pool: Pool, policy: PolicyName, k_max: int | None) -> dict[str, Metrics]:
    trajectories = [item.trajectory for item in kept]
    found = {}
    for key, control in controls(kept, policy).items():
        scores = np.array([control.score(trajectory) for trajectory in trajectories], dtype=np.float64)
        found[key] = Figures(pool, scores, k_max, ranking_only=key in _RANKING_ONLY).metrics(control.name)
    return found


# --- beside the figures ----------------------------------------------------------------------------------------------

_DIMENSIONS: dict[str, Callable[[Labelled], str | None]] = {
    "repo": lambda item: item.trajectory.task.repo,
    "source": lambda item: item.trajectory.origin.source,
    "scaffold": lambda item: item.trajectory.origin.scaffold,
}


def _slices(kept: Sequence[Labelled], pool: Pool, scores: Floats) -> dict[str, dict[str, Slice]]:
    named = {"policy": list(pool.policy_names)}
    named |= {dimension: [value(item) or "unknown" for item in kept] for dimension, value in _DIMENSIONS.items()}
    return {
        dimension: {name: _slice(scores[part], pool.resolved[part]) for name, part in _parts(names).items()}
        for dimension, names in named.items()
    }


def _parts(names: Sequence[str]) -> dict[str, list[int]]:
    """The indices of each name, names sorted."""
    parts: dict[str, list[int]] = {name: [] for name in sorted(set(names))}
    for index, name in enumerate(names):
        parts[name].append(index)
    return parts


def _slice(scores: Floats, resolved: Flags) -> Slice:
    return Slice(
        n=len(scores),
        base_rate=float(resolved.mean()),
        auc=metrics.auc_score(scores, resolved),
        ece=metrics.calibration_error(scores, resolved),
        mean_score=float(scores.mean()),
    )


def _bins(resolved: Flags, scores: Floats) -> tuple[Bin, ...]:
    where = metrics.bin_of(scores)
    found = []
    for number in range(metrics.N_BINS):
        inside = where == number
        n, n_resolved = int(inside.sum()), int((inside & resolved).sum())
        mean = float(scores[inside].mean()) if n else None
        found.append(Bin(n_resolved=n_resolved, n_unresolved=n - n_resolved, mean_score=mean))
    return tuple(found)


def _cost(verdicts: Sequence[Verdict]) -> Cost:
    tokens = [verdict.prompt_tokens for verdict in verdicts if verdict.prompt_tokens is not None]
    seconds = [verdict.seconds for verdict in verdicts if verdict.seconds is not None]
    return Cost(prompt_tokens=sum(tokens) if tokens else None, seconds=sum(seconds) if seconds else None)


def _warnings(counts: Mapping[str, int], pool: Pool) -> list[str]:
    reasons = {
        "n_unscored": "without a verdict",
        "n_unknown": "without a known outcome",
        "n_below_k": "at tasks with fewer attempts than k_max",
    }
    found = [f"attempts left out: {counts[key]} {reason}" for key, reason in reasons.items() if counts[key]]
    if not len(pool.resolved):
        return [*found, "no attempt has both a verdict and a known outcome: nothing can be measured"]
    if len(np.unique(pool.resolved)) == 1:
        outcome = Outcome.RESOLVED if pool.resolved[0] else Outcome.UNRESOLVED
        found.append(f"every attempt is {outcome}: ranking figures are undefined")
    return found
