"""P1: outcomes by running tests, confined, against a shell and an interpreter for each run and no limits.

Patches of a small world: each task's own, none that applies, and one that mends nothing. Two at a time on both sides.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.measure import Case, GateError, Pace
from benchmarks.plainly import Plain
from swe_rm.playground import making
from swe_rm.playground.checkouts import Checkouts
from swe_rm.playground.labelling import Label, Labeller, label_all
from swe_rm.playground.world import PlaygroundTask, read_world

PEER = "git, bash and python by subprocess, unconfined"
WORKERS = 2
_MENDS_NOTHING = "diff --git a/n.md b/n.md\nnew file mode 100644\n--- /dev/null\n+++ b/n.md\n@@ -0,0 +1 @@\n+{}\n"


def case(folder: Path) -> Case:
    """60 patches at 20 tasks of four packages."""
    tasks = world(folder)
    patches = [
        (task, patch)
        for number, task in enumerate(tasks)
        for patch in (task.patch, _MENDS_NOTHING.format(number), f"no patch {number}")
    ]
    return Case(
        title="outcomes by running tests",
        amount=f"{len(patches)} patches at {len(tasks)} tasks, two at a time",
        ours=lambda: label_all(patches, folder / "world", workers=WORKERS),
        peers={PEER: lambda: _plainly(patches, folder / "world")},
        goals={PEER: 2.0},
        gate=_gate,
        pace=Pace(len(patches), "labels", 20.0),
    )


def world(folder: Path) -> list[PlaygroundTask]:
    """The tasks, made once for all sides."""
    if not (folder / "world").exists():
        config = making.MakeConfig(per_package=5, packages=("ledgerbook", "spanset", "semrange", "jobyard"))
        making.make(config, folder / "world")
    return list(read_world(folder / "world").values())


def _plainly(patches: Sequence[tuple[PlaygroundTask, str]], where: Path) -> list[Label]:
    with Checkouts(where) as checkouts, ThreadPoolExecutor(WORKERS) as pool:
        labeller = Labeller(checkouts, Plain())
        return list(pool.map(lambda one: labeller.label(*one), patches))


def _gate(ours: Any, theirs: Mapping[str, Any]) -> str:
    outcomes = [judged.outcome for judged in ours]
    if outcomes != [judged.outcome for judged in theirs[PEER]]:
        raise GateError("outcomes differ")
    return f"equal outcomes of all, {outcomes.count('resolved')} of {len(outcomes)} resolved"
