"""Verifiers beside what they taught: how well they pick and how well calibrated they are, alone and two by two."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from swe_rm import metrics
from swe_rm.entries import read_evaluation
from swe_rm.errors import RecordError, SweRmError
from swe_rm.figures import BIASED, Figures, Measured, Metrics, Pool, pool_from
from swe_rm.resampling import Interval, Resampled, hull, interval, reflected, resample
from swe_rm.rl.outcome import ArmsOutcome
from swe_rm.trajectory import Noun

EQUIVALENT = 0.02
"""Two verifiers are equivalent in TTS where the interval of their difference in RM@K lies within so much of 0."""
RESAMPLES = 10_000
"""Draws of tasks, the same for all verifiers."""
SHOWN_K = (2, 4, 8, 16, 32)
"""Beside the widest K that half of the tasks have."""


class Quality(Noun):
    """A verifier on logged attempts."""

    verifier: str
    arms: tuple[str, ...]
    """Those it was the reward of."""
    k: int
    """The widest that half of the tasks have."""
    rm_at_k: dict[int, float]
    random_at_k: float
    """A random pick's."""
    pass_at_k: float
    """The oracle's at the widest K."""
    auc: float | None
    auc_within_task: float | None
    ece: float | None
    ece_noise_floor: float | None
    """The ECE that a perfectly calibrated verifier shows with these scores."""
    intervals: dict[str, Interval | None]
    """95% of auc, ece and `rm_at_k.K` for the widest."""


class Apart(Noun):
    """How far two verifiers are apart in one figure."""

    difference: float
    interval: Interval | None
    """95%, paired by task."""

    @property
    def is_equivalent(self) -> bool:
        """Whether it is shown to be less than `EQUIVALENT`."""
        bounds = self.interval
        return bounds is not None and bounds[0] >= -EQUIVALENT and bounds[1] <= EQUIVALENT


class Pair(Noun):
    """Two verifiers on the same attempts, the one less the other."""

    one: str
    other: str
    rm_at_k: dict[int, Apart]
    auc: Apart | None
    ece: Apart | None

    @property
    def equivalent_at(self) -> tuple[int, ...]:
        """The K at which they are shown to be equivalent in TTS."""
        return tuple(k for k, apart in self.rm_at_k.items() if apart.is_equivalent)


def judged(files: Sequence[Path], found: ArmsOutcome, resamples: int = RESAMPLES) -> tuple[list[Quality], list[Pair]]:
    """Verifiers by what `evaluate --json` wrote of each, on the same attempts, and every two of them compared.

    Raises SweRmError for two files of one verifier or of other attempts, RecordError for one that is no such document.
    """
    measured = dict(map(_measured, files))
    if len(measured) < len(files):
        raise SweRmError("two files are of one verifier")
    pool = _pool(measured)
    figures = {name: Figures(pool, np.array(one.scores), None) for name, one in measured.items()}
    drawn = resample([one.resampler() for one in figures.values()], pool.n_tasks, resamples, 0)
    draws = dict(zip(figures, drawn, strict=True))
    values = {name: one.metrics(name) for name, one in figures.items()}
    rows = [
        _judged(values[name], one.intervals(draws[name]), np.array(measured[name].scores), found)
        for name, one in figures.items()
    ]
    pairs = [
        _pair(values[one], values[other], {k: draws[one][k] - draws[other][k] for k in draws[one]}, figures[one])
        for one, other in combinations(figures, 2)
    ]
    return rows, pairs


def _measured(file: Path) -> tuple[str, Measured]:
    entry = read_evaluation(file)
    if entry.measured is None:
        raise RecordError(str(file), "measured", "keeps no attempts; evaluate again")
    return entry.name, entry.measured


def _pool(measured: Mapping[str, Measured]) -> Pool:
    """The pool that all were measured on."""
    (first, mine), *others = measured.items()
    for name, theirs in others:
        if mine.model_dump(exclude={"scores"}) != theirs.model_dump(exclude={"scores"}):
            raise SweRmError(f"{first} and {name} were measured on other attempts, outcomes or policies")
    tasks, policies = (np.array(names, dtype=np.object_) for names in (mine.task_names, mine.policy_names))
    return pool_from(tasks[list(mine.tasks)], policies[list(mine.policies)], np.array(mine.resolved))


def _wanted(figures: Metrics) -> list[int]:
    """Each K that is told, the widest last."""
    return [*(k for k in SHOWN_K if k < figures.widest_k), figures.widest_k]


def _judged(
    figures: Metrics, intervals: Mapping[str, Interval | None], scores: metrics.Floats, found: ArmsOutcome
) -> Quality:
    k = figures.widest_k
    floor, _ = metrics.noise_floors(scores) or (None, None)
    return Quality(
        verifier=str(figures.verifier),
        arms=tuple(name for name, arm in found.arms.items() if arm.verifier == figures.verifier),
        k=k,
        rm_at_k={one: figures.rm_at_k[one] for one in _wanted(figures)},
        random_at_k=figures.random_at_k[k],
        pass_at_k=figures.pass_at_k[k],
        auc=figures.auc,
        auc_within_task=figures.auc_within_task,
        ece=figures.ece,
        ece_noise_floor=floor,
        intervals={name: intervals.get(name) for name in ("auc", "ece", f"rm_at_k.{k}")},
    )


def _pair(one: Metrics, other: Metrics, apart: Resampled, figures: Figures) -> Pair:
    def of(name: str, mine: float | None, theirs: float | None) -> Apart | None:
        if mine is None or theirs is None:
            return None
        bounds = interval(apart[name], figures.n_clusters(name))
        if name in BIASED:
            bounds = hull(bounds, reflected(mine - theirs, bounds))
        return Apart(difference=mine - theirs, interval=bounds)

    rm = {k: of(f"rm_at_k.{k}", one.rm_at_k[k], other.rm_at_k[k]) for k in _wanted(one)}
    return Pair(
        one=str(one.verifier),
        other=str(other.verifier),
        rm_at_k={k: found for k, found in rm.items() if found},
        auc=of("auc", one.auc, other.auc),
        ece=of("ece", one.ece, other.ece),
    )
