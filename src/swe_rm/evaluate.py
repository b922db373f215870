"""Verdicts against outcomes: one Report with figures, intervals, slices, and the controls beside them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from swe_rm import metrics
from swe_rm.errors import SweRmError, VerifierError
from swe_rm.metrics import Flags, Floats, Ids
from swe_rm.trajectory import Labelled, Noun, Outcome, policy_family
from swe_rm.verdict import Ranking, Verdict, by_id, rank
from swe_rm.verifiers.controls import PolicyName, controls

MIN_POLICY_ATTEMPTS = 20
"""A policy with fewer attempts does not enter `auc_within_policy`."""

MIN_PAIRS = 30
"""With fewer pairs the headline is called too few to tell: their share alone moves by 0.09 (one standard error)."""

MIN_TASKS = 10
"""With fewer tasks carrying those pairs a bootstrap by task gives an interval that is too narrow to trust."""

_RANKING_ONLY = frozenset({"shortest"})
"""Controls whose scores order attempts but are no probabilities: no ECE, no Brier loss."""

Interval = tuple[float, float]
Curve = dict[int, float]


class Metrics(Noun):
    """The figures of one verifier on one pool of attempts; None where undefined."""

    verifier: str | None
    """name@version; None where there is no verdict."""
    n_attempts: int
    """Attempts of known outcome with a verdict: what every figure is over."""
    n_tasks: int
    base_rate: float | None
    """Share of resolved attempts."""
    auc: float | None
    auc_within_policy: float | None
    """Size-weighted mean over policies with both outcomes and at least `MIN_POLICY_ATTEMPTS` attempts."""
    auc_within_task: float | None
    """Share of (resolved, unresolved) pairs of one task in the right order, ties half."""
    auc_same_policy_task: float | None
    """The same over pairs of one task and one policy: the headline."""
    n_pairs_same_policy_task: int
    auc_upset: float | None
    """The same over pairs of one task whose resolved attempt is by the policy with the lower mean in the pool."""
    n_pairs_upset: int
    ece: float | None
    brier: float | None
    rm_at_k: Curve
    """K -> resolve rate of the best-scored of K attempts at a task, mean over the tasks with at least K."""
    pass_at_k: Curve
    rm_at_k_same_policy: Curve
    """The same with (task, policy) as the group."""
    pass_at_k_same_policy: Curve
    n_tasks_at_k: dict[int, int]
    """K -> tasks with at least K attempts."""

    def to_json(self) -> dict[str, Any]:
        """The figures under the contract's keys; K as text, as JSON wants it."""
        return self.model_dump(mode="json")


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
    pool = _pool(kept, policy)
    scores = np.array([answers[item.trajectory.attempt_id].score for item in kept], dtype=np.float64)
    figures = _Figures(pool, scores, k_max)
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


@dataclass(frozen=True, eq=False)
class _Pool:
    """The outcomes and groups of the measured attempts, as arrays of one entry an attempt."""

    resolved: Flags
    tasks: Ids
    policies: Ids
    cells: Ids
    """Which (task, policy)."""
    cell_tasks: Ids
    """The task of each cell: one entry a cell."""
    policy_names: tuple[str, ...]
    """One entry an attempt."""

    @property
    def n_tasks(self) -> int:
        return int(self.tasks.max(initial=-1)) + 1

    @property
    def strengths(self) -> Floats:
        """The mean resolve rate of each attempt's policy in the pool."""
        n_policies = int(self.policies.max(initial=-1)) + 1
        resolved, sizes = (metrics.sum_by(self.policies, n_policies, flags) for flags in (self.resolved, None))
        return np.asarray((resolved / sizes)[self.policies])


def _pool(kept: Sequence[Labelled], policy: PolicyName) -> _Pool:
    by_family = policy == "family"
    names = [policy_family(p) if by_family else p for p in (item.trajectory.origin.policy for item in kept)]
    tasks = _numbered([item.trajectory.task.instance_id for item in kept])
    policies = _numbered(names)
    pairs = np.stack([tasks, policies], axis=1)
    unique, cells = np.unique(pairs, axis=0, return_inverse=True)
    return _Pool(
        resolved=np.array([item.outcome is Outcome.RESOLVED for item in kept], dtype=np.bool_),
        tasks=tasks,
        policies=policies,
        cells=cells.reshape(-1),
        cell_tasks=unique[:, 0],
        policy_names=tuple(names),
    )


def _numbered(names: Sequence[str]) -> Ids:
    """Each name as a number, in sorted order, so that nothing depends on the order of the files."""
    return np.unique(np.array(names, dtype=np.str_), return_inverse=True)[1].astype(np.intp)


# --- figures ---------------------------------------------------------------------------------------------------------

_Sums = tuple[Floats, Floats]
"""Numerators and denominators by task, (n_tasks,) or (n_tasks, K): they serve the figure and its interval."""


class _Figures:
    """One verifier's scores on a pool, summed by task."""

    def __init__(self, pool: _Pool, scores: Floats, k_max: int | None, *, ranking_only: bool = False) -> None:
        self._pool, self._scores = pool, scores
        self._ranking_only = ranking_only
        self._sizes = metrics.sum_by(pool.tasks, pool.n_tasks)
        self._ratios = self._ratio_sums()
        self._curves = self._curve_sums(k_max)

    def metrics(self, verifier: str | None) -> Metrics:
        """The figures themselves."""
        pool, scores = self._pool, self._scores
        curves = {name: _curve(sums) for name, sums in self._curves.items()}
        return Metrics(
            verifier=verifier,
            n_attempts=len(scores),
            n_tasks=pool.n_tasks,
            auc=metrics.auc_score(scores, pool.resolved),
            auc_within_policy=self._auc_within_policy(),
            n_pairs_same_policy_task=int(self._ratios["auc_same_policy_task"][1].sum()),
            n_pairs_upset=int(self._ratios["auc_upset"][1].sum()),
            ece=None if self._ranking_only else metrics.calibration_error(scores, pool.resolved),
            brier=None if self._ranking_only else metrics.brier_loss(scores, pool.resolved),
            n_tasks_at_k=self.n_groups_at_k("rm_at_k"),
            **{name: metrics.ratio(*sums) for name, sums in self._ratios.items()},
            **curves,
        )

    @property
    def n_tasks_same_policy(self) -> int:
        """Tasks with a pair of one policy."""
        return int(np.count_nonzero(self._ratios["auc_same_policy_task"][1]))

    def n_groups_at_k(self, curve: str) -> dict[int, int]:
        """K -> groups with at least K attempts."""
        return {k: int(count) for k, count in enumerate(self._curves[curve][1].sum(axis=0), 1)}

    def intervals(self, weights: Floats) -> dict[str, Interval | None]:
        """95% intervals from resamples of tasks (resamples, n_tasks).

        Which policies count in `auc_within_policy`, and which is the weaker of two in `auc_upset`, is settled once, on
        the pool.
        """
        pool, scores = self._pool, self._scores
        gaps = metrics.bin_gaps(scores, pool.resolved, pool.tasks, pool.n_tasks)
        squares = metrics.sum_by(pool.tasks, pool.n_tasks, (scores - pool.resolved) ** 2)
        resampled = {
            "auc": metrics.auc_resampled(scores, pool.resolved, pool.tasks, weights),
            "auc_within_policy": self._auc_within_policy_resampled(weights),
            "ece": metrics.ece_resampled(gaps, self._sizes, weights),
            "brier": metrics.ratio_resampled(squares, self._sizes, weights),
        }
        found = {name: metrics.interval(values, pool.n_tasks) for name, values in resampled.items()}
        for name, (over, under) in self._ratios.items():
            values = metrics.ratio_resampled(over, under, weights)
            found[name] = metrics.interval(values, int(np.count_nonzero(under)))
        for name, (over, under) in self._curves.items():
            columns = metrics.ratio_resampled(over, under, weights).T
            for k, (values, counted) in enumerate(zip(columns, under.T, strict=True), 1):
                found[f"{name}.{k}"] = metrics.interval(values, int(np.count_nonzero(counted)))
        return found

    def _ratio_sums(self) -> dict[str, _Sums]:
        pool, scores, n = self._pool, self._scores, self._pool.n_tasks
        wins, pairs = metrics.pair_sums(scores, pool.resolved, pool.cells, len(pool.cell_tasks))
        return {
            "base_rate": (metrics.sum_by(pool.tasks, n, pool.resolved), self._sizes),
            "auc_within_task": metrics.pair_sums(scores, pool.resolved, pool.tasks, n),
            "auc_same_policy_task": (
                metrics.sum_by(pool.cell_tasks, n, wins),
                metrics.sum_by(pool.cell_tasks, n, pairs),
            ),
            "auc_upset": metrics.upset_sums(scores, pool.resolved, pool.strengths, pool.tasks, n),
        }

    def _curve_sums(self, k_max: int | None) -> dict[str, _Sums]:
        pool = self._pool
        sums = {}
        for suffix, groups, group_tasks in (
            ("", pool.tasks, np.arange(pool.n_tasks)),
            ("_same_policy", pool.cells, pool.cell_tasks),
        ):
            rm, best = metrics.by_group(self._scores, pool.resolved, groups, len(group_tasks))
            sums[f"rm_at_k{suffix}"] = _summed(rm[:, :k_max], group_tasks, pool.n_tasks)
            sums[f"pass_at_k{suffix}"] = _summed(best[:, :k_max], group_tasks, pool.n_tasks)
        return sums

    def _eligible(self) -> list[Flags]:
        """The attempts of each policy that counts within policies."""
        masks = (self._pool.policies == policy for policy in np.unique(self._pool.policies))
        return [m for m in masks if m.sum() >= MIN_POLICY_ATTEMPTS and len(np.unique(self._pool.resolved[m])) == 2]

    def _auc_within_policy(self) -> float | None:
        pool, masks = self._pool, self._eligible()
        sizes = np.array([mask.sum() for mask in masks], dtype=np.float64)
        aucs = np.array([metrics.auc_score(self._scores[mask], pool.resolved[mask]) for mask in masks], np.float64)
        return metrics.ratio(aucs * sizes, sizes)

    def _auc_within_policy_resampled(self, weights: Floats) -> Floats:
        """A policy that shows one class only in a resample is left out of it."""
        pool, masks = self._pool, self._eligible()
        aucs, sizes = np.empty((len(weights), len(masks))), np.empty((len(weights), len(masks)))
        for column, mask in enumerate(masks):
            tasks = pool.tasks[mask]
            aucs[:, column] = metrics.auc_resampled(self._scores[mask], pool.resolved[mask], tasks, weights)
            sizes[:, column] = weights @ metrics.sum_by(tasks, pool.n_tasks)
        return metrics.weighted_mean(aucs, sizes)


def _summed(values: Floats, groups_tasks: Ids, n_tasks: int) -> _Sums:
    """Curves of groups (groups, K) summed by task, and the groups that have them."""
    over, under = np.zeros((n_tasks, values.shape[1])), np.zeros((n_tasks, values.shape[1]))
    np.add.at(over, groups_tasks, np.nan_to_num(values))
    np.add.at(under, groups_tasks, ~np.isnan(values))
    return over, under


def _curve(sums: _Sums) -> Curve:
    over, under = sums
    means = [metrics.ratio(a, b) for a, b in zip(over.T, under.T, strict=True)]
    return {k: mean for k, mean in enumerate(means, 1) if mean is not None}


def _controls(kept: Sequence[Labelled], pool: _Pool, policy: PolicyName, k_max: int | None) -> dict[str, Metrics]:
    trajectories = [item.trajectory for item in kept]
    found = {}
    for key, control in controls(kept, policy).items():
        scores = np.array([control.score(trajectory) for trajectory in trajectories], dtype=np.float64)
        found[key] = _Figures(pool, scores, k_max, ranking_only=key in _RANKING_ONLY).metrics(control.name)
    return found


# --- beside the figures ----------------------------------------------------------------------------------------------

_DIMENSIONS: dict[str, Callable[[Labelled], str | None]] = {
    "repo": lambda item: item.trajectory.task.repo,
    "source": lambda item: item.trajectory.origin.source,
    "scaffold": lambda item: item.trajectory.origin.scaffold,
}


def _slices(kept: Sequence[Labelled], pool: _Pool, scores: Floats) -> dict[str, dict[str, Slice]]:
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


def _warnings(counts: Mapping[str, int], pool: _Pool) -> list[str]:
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
