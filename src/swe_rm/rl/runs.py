"""Finished runs as they are read again: what each look and each stretch of training saw, by arm and seed."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import ConfigDict, Field, ValidationError, model_validator

from swe_rm.errors import RecordError, SweRmError
from swe_rm.rl.config import NOT_DECIDING
from swe_rm.rl.journal import LOG_FILE, RESULT_FILE, RUN_FILE, document, read_text
from swe_rm.rl.plan import Plan
from swe_rm.trajectory import Noun

BATCHES = "batches"
"""Among the splits: the attempts that are trained on, in stretches as long as looks lie apart."""
HELD_OUT = ("held_out_tasks", "held_out_packages")
HABITS = ("edits_tests", "claims_falsely", "loops", "unfinished", "empty")
"""What a policy should not do."""
_NOT_OF_THE_ARM = NOT_DECIDING | {"seed"}
"""Keys of a config in which the seeds of an arm may differ."""


_Count = Annotated[int, Field(ge=0)]


class Seen(Noun):
    """Counts of some attempts."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    attempts: _Count
    resolved: _Count
    unknown: _Count
    edits_tests: _Count
    claims_falsely: _Count
    loops: _Count
    unfinished: _Count
    empty: _Count | None = None
    """None in logs of runs that did not count it."""
    by_task: dict[str, tuple[_Count, _Count]] | None = None
    """Task -> resolved, known; None where that was not logged."""

    @model_validator(mode="after")
    def _counted(self) -> "Seen":
        most = max(self.resolved + self.unknown, *(getattr(self, habit) or 0 for habit in HABITS))
        tasks = (self.by_task or {}).values()
        if most > self.attempts or any(resolved > known for resolved, known in tasks):
            raise ValueError(f"counts more than {self.attempts} attempts")
        if tasks and tuple(map(sum, zip(*tasks, strict=True))) != (self.resolved, self.known):
            raise ValueError("by_task: does not come to what all tasks have")
        return self

    @property
    def known(self) -> int:
        """Attempts that tests said something of."""
        return self.attempts - self.unknown

    def share(self, habit: str) -> float:
        """Of attempts that show a habit; NaN where it was not counted."""
        count = getattr(self, habit)
        return float("nan") if count is None or not self.attempts else count / self.attempts


class Anew(Noun):
    """Attempts that were made a second time with nothing remembered, so that what is remembered is tested."""

    attempts: int = Field(ge=0)
    differ: int = Field(ge=0)
    """Of those, how many then went otherwise: 0 where what is remembered is what would be run."""


class _Look(Noun):
    model_config = ConfigDict(frozen=True, extra="ignore")

    step: int
    anew: int | None = Field(default=None, ge=0)
    differ: int | None = Field(default=None, ge=0)
    """None in logs of runs that did not count it."""
    splits: dict[str, Seen] = Field(min_length=1)


class _Batch(Seen):
    step: int
    reward: float | None


class _Every(Noun):
    model_config = ConfigDict(frozen=True, extra="ignore")

    every: int = Field(ge=1)


class _Settings(Noun):
    """What is needed of a config, which may be of a later version."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    seed: int
    reward: str
    updates: int = Field(ge=1)
    groups: int = Field(ge=1)
    group_size: int = Field(ge=1)
    evaluation: _Every


class Point(NamedTuple):
    """One point of a curve."""

    trained_on: int
    """Attempts, so far."""
    seen: Seen


class Run(NamedTuple):
    """One finished run."""

    arm: str
    folder: Path
    config: Mapping[str, Any]
    """As `run.json` has it."""
    verifier: str | None
    """name@version."""
    splits: Mapping[str, Sequence[Point]]
    """Split -> its looks, the first before training, the last after it; and `BATCHES`."""
    rewards: Sequence[float]
    """Mean reward of each stretch of batches; NaN where none had one."""
    anew: Anew | None
    """Of all looks; None where none counted it."""

    @property
    def seed(self) -> int:
        """Of the run."""
        return int(self.config["seed"])


class Found(NamedTuple):
    """The runs of a folder or a plan."""

    arms: dict[str, list[Run]]
    """Arm -> its finished runs by seed."""
    left_out: list[str]
    """A line for each run that is not finished or not as it was written."""

    def only(self, arms: Sequence[str]) -> "Found":
        """Some arms, in this order; all where none is named. Raises SweRmError for one that is not there."""
        if unknown := [arm for arm in arms if arm not in self.arms]:
            raise SweRmError(f"{unknown[0]}: no arm with a finished run; there are {', '.join(self.arms)}")
        return Found({arm: self.arms[arm] for arm in arms}, self.left_out) if arms else self


def read_runs(path: Path) -> Found:
    """The runs below a folder, or those of a plan's file.

    In a folder each run's arm is the path to it without a last `seed-N`. A run with a file that is not as `rl train`
    writes it is left out. Raises SweRmError where no run is left, or where those of an arm differ in more than their
    seed.
    """
    folders = dict(_planned(path) if path.is_file() else _below(path))
    arms: dict[str, list[Run]] = {}
    left_out = []
    damaged: list[RecordError] = []
    for folder, (name, arm) in folders.items():
        if not (folder / RESULT_FILE).is_file():
            left_out.append(f"{name}: left out, is not finished")
            continue
        try:
            run = _read(folder, arm)
        except RecordError as error:
            left_out.append(f"{name}: left out, {error}")
            damaged.append(error)
            continue
        arms.setdefault(arm, []).append(run)
    if not arms and damaged:
        raise damaged[0]
    if not arms:
        raise SweRmError(f"{path}: holds no finished run; `swe-rm rl arms` and `rl train` make them")
    for arm, runs in arms.items():
        runs.sort(key=lambda run: run.seed)
        _check_one_arm(arm, runs)
    return Found(arms, left_out)


def _planned(path: Path) -> Iterator[tuple[Path, tuple[str, str]]]:
    plan = Plan.load(path)
    for arm in plan.arms:
        for seed in plan.seeds:
            yield plan.out / arm / f"seed-{seed}", (f"{arm}/seed-{seed}", arm)


def _below(path: Path) -> Iterator[tuple[Path, tuple[str, str]]]:
    for file in sorted(path.rglob(RUN_FILE)):
        parts = file.parent.relative_to(path).parts
        arm = parts[:-1] if parts and parts[-1].startswith("seed-") else parts
        yield file.parent, ("/".join(parts) or path.name, "/".join(arm) or path.name)


def _read(folder: Path, arm: str) -> Run:
    run, result = (document(folder / name) for name in (RUN_FILE, RESULT_FILE))
    if run.get("digest") != result.get("digest"):
        raise RecordError(str(folder / RESULT_FILE), "digest", f"is not that of {RUN_FILE}")
    settings = _settings(run.get("config"), folder / RUN_FILE)
    looks, batches = _logged(folder / LOG_FILE)
    batch, every = settings.groups * settings.group_size, settings.evaluation.every
    splits = {
        split: [Point(look.step // settings.updates * batch, look.splits[split]) for look in looks]
        for split in looks[0].splits
    }
    stretches = [batches[start : start + every] for start in range(0, len(batches), every)]
    ends = [min(len(batches), start + every) * batch for start in range(0, len(batches), every)]
    splits[BATCHES] = [Point(end, _summed(stretch)) for end, stretch in zip(ends, stretches, strict=True)]
    rewards = [_reward(stretch) for stretch in stretches]
    return Run(arm, folder, run["config"], run.get("verifier"), splits, rewards, summed(map(_anew, looks)))


def _settings(config: Any, file: Path) -> _Settings:
    try:
        return _Settings.model_validate(config)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecordError(str(file), ".".join(map(str, ("config", *first["loc"]))), first["msg"]) from None


_L = TypeVar("_L", bound=Noun)


def _logged(file: Path) -> tuple[list[_Look], list[_Batch]]:
    looks: list[_Look] = []
    batches: list[_Batch] = []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        where = f"line {number}"
        try:
            record = json.loads(line)
        except ValueError:
            raise RecordError(str(file), where, "is no JSON") from None
        kind = record.get("kind") if isinstance(record, dict) else None
        if kind == "look":
            looks.append(_line(_Look, record, file, where))
        elif kind == "batch":
            batches.append(_line(_Batch, record, file, where))
    if len(looks) < 2 or not batches:
        raise RecordError(str(file), "", "has no look before and after training, or no batch")
    if len({tuple(look.splits) for look in looks}) > 1:
        raise RecordError(str(file), "", "has looks at other splits than the first")
    return looks, batches


def _line(kind: type[_L], record: dict[str, Any], file: Path, where: str) -> _L:
    try:
        return kind.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecordError(str(file), where, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _summed(stretch: Sequence[_Batch]) -> Seen:
    counted = ("attempts", "resolved", "unknown", *HABITS)
    sums = {name: [getattr(batch, name) for batch in stretch] for name in counted}
    return Seen(**{name: None if None in counts else sum(counts) for name, counts in sums.items()})


def _anew(look: _Look) -> Anew | None:
    if look.anew is None or look.differ is None:
        return None
    return Anew(attempts=look.anew, differ=look.differ)


def summed(counts: Iterable[Anew | None]) -> Anew | None:
    """The sum of those that are known; None where none is."""
    known = [one for one in counts if one]
    if not known:
        return None
    return Anew(attempts=sum(one.attempts for one in known), differ=sum(one.differ for one in known))


def _reward(stretch: Sequence[_Batch]) -> float:
    known = [batch.reward for batch in stretch if batch.reward is not None]
    return sum(known) / len(known) if known else float("nan")


def _check_one_arm(arm: str, runs: Sequence[Run]) -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.seed in {other.seed for other in runs if other is not run}:
            raise SweRmError(f"arm {arm}: two runs with seed {run.seed}, {run.folder} is one")
        if keys := differing(first.config, run.config):
            raise SweRmError(f"arm {arm}: {run.folder} differs from {first.folder} in {', '.join(keys)}")
        if run.verifier != first.verifier:
            raise SweRmError(f"arm {arm}: {run.folder} had {run.verifier}, {first.folder} {first.verifier}")
        if _looks(run) != _looks(first):
            raise SweRmError(f"arm {arm}: {run.folder} was looked at otherwise than {first.folder}")


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Keys in which two configs differ, beyond the seed and what decides nothing."""
    keys = (one.keys() | other.keys()) - _NOT_OF_THE_ARM
    return sorted(key for key in keys if one.get(key) != other.get(key))


def _looks(run: Run) -> dict[str, list[int]]:
    return {split: [point.trained_on for point in points] for split, points in run.splits.items()}
