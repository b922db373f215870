"""The runs of a plan, several at once, each `rl train` in a process of its own; what is finished is not run again."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from swe_rm import jobs
from swe_rm.jobs import Done
from swe_rm.playground.world import read_world
from swe_rm.rl.journal import Journal
from swe_rm.rl.measuring import percent
from swe_rm.rl.plan import Plan, PlannedRun

TRAIN = (sys.executable, "-m", "swe_rm", "rl", "train")
"""What runs a config, whose file is the last word."""


class RunJob(NamedTuple):
    """One run as a job."""

    run: PlannedRun
    train: Sequence[str]

    @property
    def name(self) -> str:
        """What lines about it begin with."""
        return self.run.name

    @property
    def out(self) -> Path:
        """Of the run."""
        return self.run.config.out

    @property
    def begins_with(self) -> Path:
        """The warmed-up policy, which arms that begin alike share."""
        return self.run.config.warm_folder

    def prepare(self) -> Sequence[str]:
        """Write the whole config, to be run again by hand too."""
        file = self.out.with_name(f"{self.out.name}.yaml")  # JSON, which is YAML
        file.write_text(self.run.config.model_dump_json(indent=1) + "\n", encoding="utf-8")
        return [*self.train, str(file)]

    def result(self) -> Mapping[str, Any] | None:
        """What `rl train` wrote, by the config's digest."""
        return Journal(self.run.config).result()

    def told(self, result: Mapping[str, Any]) -> str:
        """Resolve rates by split, before and after."""
        return ", ".join(
            f"{split} {percent(result['start'][split]['rate'])} -> {percent(final['rate'])}"
            for split, final in result["final"].items()
        )


def run_all(plan: Plan, say: Callable[[str], None] = print, train: Sequence[str] = TRAIN) -> list[Done[RunJob]]:
    """Run what is not finished yet, in the plan's order; what became of each run.

    A run that fails has its reason and the others go on. Called again after a kill, runs go on from their checkpoints.
    Raises SweRmError for a plan that cannot be run: a config that is wrong, a world that is not there.
    """
    planned = plan.runs()
    for world in {run.config.world for run in planned}:
        read_world(world)
    return jobs.run_all([RunJob(run, train) for run in planned], plan.parallel, plan.threads, say)


def row(ran: Done[RunJob]) -> dict[str, Any]:
    """As `rl arms --json` lists it."""
    run = ran.job.run
    told = {"arm": run.arm, "seed": run.seed, "out": str(run.config.out)}
    return {**told, "reason": ran.reason or None, "result": ran.result}
