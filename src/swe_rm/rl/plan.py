"""Plan: several arms with several seeds each, as a value: one config of a run, and what each arm changes in it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, field_validator

from swe_rm import config_file
from swe_rm.errors import SweRmError
from swe_rm.rl.config import RLConfig
from swe_rm.trajectory import Noun

_SET_BY_PLAN = ("name", "out", "seed")


class PlannedRun(NamedTuple):
    """One run of a plan."""

    arm: str
    config: RLConfig

    @property
    def seed(self) -> int:
        """Of the run."""
        return self.config.seed

    @property
    def name(self) -> str:
        """What a line about it begins with."""
        return f"{self.arm}/seed-{self.seed}"


class Plan(Noun):
    """Arms, each a config of `rl train` with some keys changed, and the seeds that each is run with."""

    out: Path
    """Below it a folder for each arm, with one for each seed."""
    base: Path
    """The config that arms change, relative to the plan's file."""
    arms: dict[str, dict[str, Any]] = Field(min_length=1)
    """Name -> keys that differ from the base: `reward: hybrid`, or `evaluation.every: 5`."""
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    parallel: int = Field(default=1, ge=1)
    """Runs at once, each a process."""
    threads: int = Field(default=1, ge=1)
    """Of each process's arithmetic. Sums in another number of threads differ in their last bits, and curves then part:
    so it does not follow from `parallel` or from the machine."""

    @field_validator("arms")
    @classmethod
    def _free_to_change(cls, found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for arm, changes in found.items():
            if not arm.replace("-", "").replace("_", "").replace(".", "").isalnum() or not arm[0].isalnum():
                raise ValueError(f"{arm}: an arm's name is a folder's: letters, digits, - _ and .")
            if taken := [key for key in changes if key in _SET_BY_PLAN]:
                raise ValueError(f"{arm}: {', '.join(taken)} is the plan's to give")
        return found

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, found: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(found)) < len(found):
            raise ValueError("a seed stands there twice")
        return found

    @classmethod
    def load(cls, path: Path, overrides: Sequence[str] = ()) -> "Plan":
        """Read a YAML file. Raises SweRmError naming the file and key when something is unknown, missing or wrong."""
        plan = config_file.load(cls, path, overrides, "a plan of arms")
        return plan.model_copy(update={"base": path.parent / plan.base})

    def runs(self) -> list[PlannedRun]:
        """All of them, seed by seed, so that arms come on together. Raises SweRmError for a config that is wrong."""
        return [
            PlannedRun(arm, self._config(arm, seed, changes))
            for seed in self.seeds
            for arm, changes in self.arms.items()
        ]

    def _config(self, arm: str, seed: int, changes: Mapping[str, Any]) -> RLConfig:
        mine = {"name": f"{arm}-seed-{seed}", "out": str(self.out / arm / f"seed-{seed}"), "seed": seed}
        given = {**changes, **mine}
        try:
            config = RLConfig.load(self.base, [f"{key}={json.dumps(value)}" for key, value in given.items()])
        except SweRmError as error:
            raise SweRmError(f"arm {arm}: {error}") from None
        return config if config.cache else config.model_copy(update={"cache": self.out})
