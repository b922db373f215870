"""P2: whole labelled attempts through mini-swe-agent, confined, against the same with plain subprocesses and no limits.

Every scripted policy at tasks of a small world. Two at a time on both sides, in threads of one process.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import Case, GateError, Pace
from benchmarks.p1_labels import WORKERS, world
from benchmarks.plainly import Plain
from swe_rm.playground.attempts import require
from swe_rm.playground.labelling import Label
from swe_rm.playground.rollouts import Job, RolloutConfig, Worker, jobs
from swe_rm.playground.sandbox import Sandbox
from swe_rm.trajectory import Outcome

PEER = "bash and python by subprocess, unconfined"
CONFIG = RolloutConfig(attempts=2)


def case(folder: Path) -> Case:
    """40 attempts at 4 tasks."""
    require()
    wanted = jobs(world(folder)[::5], CONFIG)
    return Case(
        title="labelled attempts through mini-swe-agent",
        amount=f"{len(wanted)} attempts of five policies, two at a time",
        ours=lambda: _made(wanted, folder / "world", Sandbox),
        peers={PEER: lambda: _made(wanted, folder / "world", Plain)},
        goals={PEER: 1.0},
        gate=_gate,
        pace=Pace(len(wanted), "labelled attempts", 5.0),
    )


def _made(wanted: Sequence[Job], where: Path, sandbox: Callable[[], Sandbox]) -> list[Outcome | str]:
    with TemporaryDirectory() as out, ThreadPoolExecutor(WORKERS) as pool:

        def share(number: int) -> list[Outcome | str]:
            with Worker(where, Path(out), CONFIG, sandbox()) as worker:
                return [_outcome(worker(job)) for job in wanted[number::WORKERS]]

        return [said for shared in pool.map(share, range(WORKERS)) for said in shared]


def _outcome(said: Label | str) -> Outcome | str:
    return said.outcome if isinstance(said, Label) else said


def _gate(ours: Any, theirs: Mapping[str, Any]) -> str:
    if ours != theirs[PEER]:
        raise GateError("outcomes differ")
    return f"equal outcomes of all, {ours.count(Outcome.RESOLVED)} of {len(ours)} resolved"
