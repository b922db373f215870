"""The runs of a plan, several at once, each `rl train` in a process of its own; what is finished is not run again."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple

from swe_rm.errors import SweRmError
from swe_rm.playground.world import read_world
from swe_rm.rl.journal import Journal
from swe_rm.rl.plan import Plan, PlannedRun

TRAIN = (sys.executable, "-m", "swe_rm", "rl", "train")
"""What runs a config, whose file is the last word."""
_PAUSE = 0.2
"""Seconds between two looks at the processes."""


class Ran(NamedTuple):
    """What became of one run."""

    run: PlannedRun
    result: dict[str, Any] | None
    """What `rl train` wrote; None where it failed."""
    reason: str = ""
    """Why it failed."""

    def to_json(self) -> dict[str, Any]:
        """As `rl arms --json` lists it."""
        told = {"arm": self.run.arm, "seed": self.run.seed, "out": str(self.run.config.out)}
        return {**told, "reason": self.reason or None, "result": self.result}


class _Working(NamedTuple):
    """A run at work."""

    run: PlannedRun
    process: "subprocess.Popen[bytes]"
    said: IO[bytes]
    """What it says; locked for as long as it or we live, so that no other process works in the same folder."""
    begun: float


def run_all(plan: Plan, say: Callable[[str], None] = print, train: Sequence[str] = TRAIN) -> list[Ran]:
    """Run what is not finished yet, in the plan's order; what became of each run.

    A run that fails has its reason and the others go on. Called again after a kill, runs go on from their checkpoints.
    Raises SweRmError for a plan that cannot be run: a config that is wrong, a world that is not there.
    """
    planned = plan.runs()
    for world in {run.config.world for run in planned}:
        read_world(world)
    found = {run.name: ran for run in planned if (ran := _known(run))}
    for ran in found.values():
        say(_line(ran, "was finished already"))
    waiting = [run for run in planned if run.name not in found]
    warm = {run.name: run.config.warm_folder for run in waiting}
    working: list[_Working] = []
    with ExitStack() as stack:
        stack.callback(_stop, working)
        while waiting or working:
            for one in [one for one in working if one.process.poll() is not None]:
                working.remove(one)
                found[one.run.name] = ran = _ended(one)
                say(_line(ran, f"done in {time.monotonic() - one.begun:.0f} s"))
            while len(working) < plan.parallel and (ready := _next(waiting, working, warm)):
                waiting.remove(ready)
                if (begun := _begun(ready, plan, train)) is None:
                    found[ready.name] = ran = Ran(ready, None, f"another process is at work in {ready.config.out}")
                    say(_line(ran))
                else:
                    working.append(begun)
                    say(f"{ready.name}: begun, says what it does in {begun.said.name}")
            if working:
                time.sleep(_PAUSE)
    return [found[run.name] for run in planned]


def _known(run: PlannedRun) -> Ran | None:
    """A run that is finished, by its digest, or that cannot be begun as its folder holds another."""
    try:
        result = Journal(run.config).result()
    except SweRmError as error:
        return Ran(run, None, str(error))
    return None if result is None else Ran(run, result)


def _next(waiting: Sequence[PlannedRun], working: Sequence[_Working], warm: Mapping[str, Path]) -> PlannedRun | None:
    """The first that may begin: of runs that begin alike one makes the warmed-up policy, and the others wait for it."""
    made = {warm[one.run.name] for one in working}
    return next((run for run in waiting if warm[run.name].is_dir() or warm[run.name] not in made), None)


def _begun(run: PlannedRun, plan: Plan, train: Sequence[str]) -> _Working | None:
    """Its process; None where the folder is another's."""
    out = run.config.out
    out.parent.mkdir(parents=True, exist_ok=True)
    said = out.with_name(f"{out.name}.log").open("ab")
    try:
        fcntl.flock(said, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        said.close()
        return None
    file = out.with_name(f"{out.name}.yaml")  # JSON, which is YAML: the whole config, to be run again by hand
    file.write_text(run.config.model_dump_json(indent=1) + "\n", encoding="utf-8")
    threads = {name: str(plan.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    process = subprocess.Popen(
        [*train, str(file)],
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=said,
        env={**os.environ, **threads},
        start_new_session=True,  # Ctrl-C is ours to pass on, once
    )
    return _Working(run, process, said, time.monotonic())


def _ended(one: _Working) -> Ran:
    one.said.close()
    if (known := _known(one.run)) is not None:
        return known  # done, however its process ended afterwards
    code = one.process.returncode
    if code < 0:
        return Ran(one.run, None, f"ended by signal {-code}")
    if not code:
        return Ran(one.run, None, "ended well and wrote no result")
    return Ran(one.run, None, _last_words(Path(one.said.name)) or f"ended with exit code {code}")


def _last_words(file: Path) -> str:
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip().removeprefix("swe-rm: ") for line in reversed(lines) if line.strip()), "")


def _stop(working: Sequence[_Working]) -> None:
    """End what is at work, in order: each cleans up after itself and can go on from its last checkpoint."""
    for one in working:
        one.process.terminate()
    for one in working:
        one.process.wait()
        one.said.close()


def _line(ran: Ran, how: str = "") -> str:
    if ran.result is None:
        return f"{ran.run.name}: FAILED: {ran.reason}"
    rates = ", ".join(
        f"{split} {percent(ran.result['start'][split]['rate'])} -> {percent(final['rate'])}"
        for split, final in ran.result["final"].items()
    )
    return f"{ran.run.name}: {how}: {rates}"


def percent(rate: float | None) -> str:
    """A share, with one decimal; a dash where it is unknown."""
    return "-" if rate is None else f"{100 * rate:.1f}%"
