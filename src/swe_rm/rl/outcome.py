"""What the arms of a plan came to: rates by split with intervals over seeds and tasks, habits, paired differences."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from swe_rm.errors import SweRmError
from swe_rm.metrics import Floats
from swe_rm.resampling import Interval
from swe_rm.rl.rates import area, rates, task_names
from swe_rm.rl.runs import BATCHES, HABITS, Anew, Found, Point, Run, differing, summed
from swe_rm.spread import RESAMPLES, Draws, Figure, Over
from swe_rm.trajectory import Noun

COMPARED = ("final", "area")
"""Figures in which arms are compared."""
_SHARE = (0.0, 1.0)


class Habit(Noun):
    """The share of attempts that show a habit, before and after training; intervals are over seeds."""

    start: Figure
    final: Figure


class Split(Noun):
    """What one arm did at the tasks of a split, or in training."""

    over: Over
    """What the intervals of the rates are over."""
    n_tasks: int | None
    """None where the log does not tell tasks."""
    n_attempts: int
    """In the last look, or the last stretch of batches, of all seeds."""
    start: Figure
    final: Figure
    gain: Figure
    """final - start, seed by seed."""
    area: Figure
    """Mean height of the learning curve."""
    habits: dict[str, Habit]
    trained_on: tuple[int, ...]
    """Attempts trained on at each point of the curve."""
    curve: tuple[Figure, ...]


class Arm(Noun):
    """What one arm came to."""

    reward: str
    verifier: str | None
    """name@version."""
    seeds: tuple[int, ...]
    reward_start: Figure
    """Mean reward of the first stretch of batches."""
    reward_final: Figure
    anew: Anew | None
    """Of all its runs; None where no log tells it."""
    splits: dict[str, Split]


class Difference(Noun):
    """One arm less another over the seeds that both have."""

    split: str
    figure: str
    one: str
    other: str
    seeds: tuple[int, ...]
    over: Over
    value: float | None
    interval: Interval | None

    @property
    def shown(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]

    def __str__(self) -> str:
        told = "undefined" if self.value is None else f"{100 * self.value:+.1f}"
        bounds = (
            "no interval" if self.interval is None else "{:+.1f}, {:+.1f}".format(*(100 * b for b in self.interval))
        )
        ending = "" if self.shown else ": no difference shown"
        return f"{self.split} {self.figure}: {self.one} - {self.other} {told} [{bounds}]{ending}"


class ArmsOutcome(NamedTuple):
    """What was found of all arms."""

    arms: dict[str, Arm]
    differences: tuple[Difference, ...]
    settings: dict[str, dict[str, Any]]
    """Key of the config in which arms differ -> arm -> its value."""
    left_out: tuple[str, ...]

    @property
    def anew(self) -> Anew | None:
        """Of all arms."""
        return summed(arm.anew for arm in self.arms.values())

    @property
    def remembered(self) -> str:
        """Whether what was remembered is what would have been run, in words."""
        if not (found := self.anew):
            return "no log tells of attempts that were made anew"
        arms = ", ".join(f"{name} {arm.anew.differ}" for name, arm in self.arms.items() if arm.anew and arm.anew.differ)
        told = f"of {found.attempts} attempts made anew with nothing remembered, {found.differ} went otherwise"
        return f"{told}: should be 0, {arms}" if arms else told

    def to_json(self) -> dict[str, Any]:
        """The document of `rl report --json`, without what is said of verifiers."""
        return {
            "arms": {name: arm.model_dump(mode="json") for name, arm in self.arms.items()},
            "differences": [
                one.model_dump(mode="json") | {"shown": one.shown, "said": str(one)} for one in self.differences
            ],
            "settings": self.settings,
            "left_out": list(self.left_out),
            "anew": self.anew.model_dump(mode="json") if self.anew else None,
            "resamples": RESAMPLES,
        }


def outcome(found: Found) -> ArmsOutcome:
    """Measure the arms and compare them pair by pair. Raises SweRmError where arms were looked at other tasks."""
    measured = {arm: _Measured(runs) for arm, runs in found.arms.items()}
    _check_same_tasks(measured)
    return ArmsOutcome(
        arms={name: one.arm() for name, one in measured.items()},
        differences=tuple(_differences(measured)),
        settings=_settings(found.arms),
        left_out=tuple(found.left_out),
    )


class _Measured:
    """The runs of an arm, and the rates of each split in every draw."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs
        self.seeds = [run.seed for run in runs]
        self.splits = list(runs[0].splits)
        self.rates = {split: rates(self._looks(split)) for split in self.splits}
        self.tasks = {split: task_names(self._looks(split)) for split in self.splits}

    def _looks(self, split: str) -> list[list[Any]]:
        return [[point.seen for point in run.splits[split]] for run in self.runs]

    def points(self, split: str) -> Sequence[Point]:
        """Of the first seed; the others have as many."""
        return self.runs[0].splits[split]

    def draws(self, split: str, figure: str) -> Draws:
        """Of each seed."""
        xs = [point.trained_on for point in self.points(split)]

        def of(values: Floats) -> Floats:
            if figure == "area":
                return area(xs, values)
            start, final = values[..., 0], values[..., -1]
            return np.asarray({"start": start, "final": final, "gain": final - start}[figure])

        return self.rates[split].map(of)

    def arm(self) -> Arm:
        first = self.runs[0]
        rewards = [Draws(np.array([run.rewards[place] for run in self.runs]), None).figure() for place in (0, -1)]
        return Arm(
            reward=str(first.config["reward"]),
            verifier=first.verifier,
            seeds=tuple(self.seeds),
            reward_start=rewards[0],
            reward_final=rewards[1],
            anew=summed(run.anew for run in self.runs),
            splits={split: self._split(split) for split in self.splits},
        )

    def _split(self, split: str) -> Split:
        n_tasks = len(self.tasks[split])
        found, points = self.rates[split], self.points(split)

        def figure(name: str) -> Figure:
            return self.draws(split, name).figure((-1.0, 1.0) if name == "gain" else _SHARE)

        curve = [found.map(itemgetter((..., place))) for place in range(len(points))]
        return Split(
            over=self.draws(split, "final").over,
            n_tasks=n_tasks or None,
            n_attempts=sum(run.splits[split][-1].seen.attempts for run in self.runs),
            start=figure("start"),
            final=figure("final"),
            gain=figure("gain"),
            area=figure("area"),
            habits={habit: Habit(start=self._habit(split, habit, 0), final=self._habit(split, habit, -1))
                    for habit in HABITS},
            trained_on=tuple(point.trained_on for point in points),
            curve=tuple(one.figure(_SHARE) for one in curve),
        )  # fmt: skip

    def _habit(self, split: str, habit: str, place: int) -> Figure:
        shares = np.array([run.splits[split][place].seen.share(habit) for run in self.runs])
        return Draws(shares, None).figure(_SHARE)


def _differences(measured: Mapping[str, _Measured]) -> Iterator[Difference]:
    for (one, mine), (other, theirs) in combinations(measured.items(), 2):
        seeds = sorted(set(mine.seeds) & set(theirs.seeds))
        for split in mine.splits if seeds else ():
            for figure in COMPARED if split in theirs.splits else ():
                parts = [
                    arm.draws(split, figure).of([arm.seeds.index(seed) for seed in seeds]) for arm in (mine, theirs)
                ]
                apart = parts[0].minus(parts[1])
                found = apart.figure((-1.0, 1.0))
                yield Difference(
                    split=split, figure=figure, one=one, other=other, seeds=tuple(seeds), over=apart.over,
                    value=found.value, interval=found.interval,
                )  # fmt: skip


def _check_same_tasks(measured: Mapping[str, _Measured]) -> None:
    (first, mine), *others = measured.items()
    for name, theirs in others:
        for split in set(mine.splits) & set(theirs.splits) - {BATCHES}:
            one, other = mine.tasks[split], theirs.tasks[split]
            if one and other and one != other:
                raise SweRmError(f"arms {first} and {name} were looked at other tasks of {split}: report them apart")


def _settings(arms: Mapping[str, Sequence[Run]]) -> dict[str, dict[str, Any]]:
    configs = {name: runs[0].config for name, runs in arms.items()}
    first, *others = configs.values()
    keys = sorted({key for other in others for key in differing(first, other)})
    return {key: {name: config.get(key) for name, config in configs.items()} for key in keys}
