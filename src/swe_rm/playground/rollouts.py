"""Many labelled attempts: scripted policies at tasks through mini-swe-agent, each outcome by running the tests.

What is written are mini-swe-agent's run folders with SWE-bench's reports beside the attempts: every command reads them.
"""

import multiprocessing
import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from pydantic import Field, field_validator

from swe_rm.errors import SweRmError
from swe_rm.playground.actions import Options, options
from swe_rm.playground.attempts import Attempt, attempt, require
from swe_rm.playground.checkouts import Checkouts
from swe_rm.playground.labelling import BROKEN, Label, Labeller
from swe_rm.playground.manifest import Manifest, claim
from swe_rm.playground.parsing import ALONE
from swe_rm.playground.policies import POLICIES
from swe_rm.playground.sandbox import Limits, Sandbox, SandboxError, remove, room
from swe_rm.playground.world import TASKS, PlaygroundTask
from swe_rm.trajectory import Noun, Outcome

_REPORT = "report.json"
_CLEAN_UP = 20.0
"""Seconds that orphaned workers try to remove what they made."""


class RolloutConfig(Noun):
    """What decides the attempts: the same config gives the same ones, but for the times in them."""

    policies: tuple[str, ...] = tuple(POLICIES)
    attempts: int = Field(default=4, ge=1)
    """Of each policy at each task."""
    seed: int = 0
    step_limit: int = Field(default=20, ge=1)
    limits: Limits = Limits()

    @field_validator("policies")
    @classmethod
    def _known(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in found if name not in POLICIES]:
            raise ValueError(f"no such policy: {', '.join(unknown)}; there are {', '.join(POLICIES)}")
        return found


class Job(NamedTuple):
    """One attempt to make."""

    task: PlaygroundTask
    policy: str
    number: int
    """From 1."""

    @property
    def run(self) -> str:
        """The name of the run folder it belongs to."""
        return f"{re.sub(r'[^A-Za-z0-9]+', '-', self.policy)}_{self.number}"

    def file(self, out: Path) -> Path:
        """Where its trajectory goes."""
        name = self.task.instance_id
        return out / self.run / name / f"{name}.traj.json"

    def __str__(self) -> str:
        return f"{self.task.instance_id} / {self.policy} {self.number}"


class RolledOut(Noun):
    """What became of the jobs; wanted = there + the sum of outcomes + failed."""

    wanted: int
    there: int
    """From earlier calls."""
    outcomes: dict[str, dict[str, int]]
    """Attempts by policy and outcome."""
    failed: tuple[str, ...]
    """A line for each job that came to nothing by our fault; the next call tries it again."""
    broken: tuple[str, ...] = ()
    """A line for each task that was seen to be one that nothing resolves; outcomes at it are unknown."""

    @property
    def made(self) -> int:
        """Attempts that this call made."""
        return sum(sum(counts.values()) for counts in self.outcomes.values())


def roll_out(
    tasks: Sequence[PlaygroundTask],
    world: Path,
    out: Path,
    config: RolloutConfig,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> RolledOut:
    """Make the attempts that `out` lacks, in as many processes as asked; calling it again goes on.

    Raises MissingExtraError without mini-swe-agent, SweRmError when a task cannot be set up, or `out` holds attempts
    that another seed, step limit, other limits or another world decided.
    """
    require()
    claim(out, Manifest(seed=config.seed, step_limit=config.step_limit, limits=config.limits), tasks)
    wanted = jobs(tasks, config)
    # A report is written after its trajectory: where it is, the attempt is whole.
    left = [job for job in wanted if not job.file(out).with_name(_REPORT).is_file()]
    outcomes: dict[str, Counter[str]] = {}
    failed = []
    broken: dict[str, str] = {}
    for job, said in _done(left, world, out, config, workers):
        if isinstance(said, Label):
            outcomes.setdefault(job.policy, Counter())[said.outcome] += 1
            if said.why.startswith(BROKEN):
                name = job.task.instance_id
                broken[name] = f"{world / TASKS}: {name}: {said.why}"
        else:
            failed.append(f"{job}: {said}")
        if progress:
            progress(1)
    counted = {policy: dict(sorted(counts.items())) for policy, counts in sorted(outcomes.items())}
    return RolledOut(
        wanted=len(wanted),
        there=len(wanted) - len(left),
        outcomes=counted,
        failed=tuple(failed),
        broken=tuple(broken.values()),
    )


def jobs(tasks: Sequence[PlaygroundTask], config: RolloutConfig) -> list[Job]:
    """Every attempt, those at one task together: its checkout is made once."""
    numbers = range(1, config.attempts + 1)
    return [Job(task, policy, number) for task in tasks for policy in config.policies for number in numbers]


def _done(
    left: Sequence[Job], world: Path, out: Path, config: RolloutConfig, workers: int
) -> Iterator[tuple[Job, Label | str]]:
    if workers == 1:
        with Worker(world, out, config) as worker:
            yield from ((job, worker(job)) for job in left)
        return
    # Spawned: a fork of a process that holds a model and its threads may hang, and its memory would be copied.
    context = multiprocessing.get_context("spawn")
    above = room()
    try:
        with ProcessPoolExecutor(workers, context, _set_up, (world, out, config, above)) as pool:
            yield from zip(left, pool.map(_work, left, chunksize=max(1, config.attempts)), strict=True)
    finally:
        remove(above)


_worker: "list[Worker]" = []
"""The one worker of a spawned process."""


def _set_up(world: Path, out: Path, config: RolloutConfig, above: Path) -> None:
    threading.Thread(target=_end_with_parent, args=(above,), daemon=True).start()
    _worker.append(Worker(world, out, config, within=above))


def _end_with_parent(above: Path) -> None:
    """A worker waits for work for ever, also when the one who would give it was killed; so it looks, and cleans up."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    until = time.monotonic() + _CLEAN_UP
    try:
        while above.exists() and time.monotonic() < until:  # an attempt at work still makes files in it
            remove(above)
    finally:
        os._exit(1)


def _work(job: Job) -> Label | str:
    return _worker[0](job)


class Worker:
    """Makes, labels and writes attempts one after the other."""

    def __init__(
        self,
        world: Path,
        out: Path,
        config: RolloutConfig,
        sandbox: Sandbox | None = None,
        within: Path | None = None,
    ) -> None:
        """Checkouts and scratch folders are made in `within`, if given."""
        self._out = out
        self._config = config
        self._checkouts = Checkouts(world, within)
        self._sandbox = sandbox or Sandbox(config.limits)
        self._labeller = Labeller(self._checkouts, self._sandbox)
        self._options = lru_cache(maxsize=8)(self._offered)

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *of: object) -> None:
        self._sandbox.close()
        self._checkouts.close()

    def _offered(self, task: PlaygroundTask) -> Options:
        with ALONE:  # other workers may be threads of this process
            return options(task, self._checkouts)

    def __call__(self, job: Job) -> Label | str:
        """What the tests say of one attempt, which is then on disk; a line when it came to nothing by our fault."""
        try:
            with attempt(job.task, job.policy, self._checkouts, self._sandbox, self._config.step_limit) as made:
                _play(made, job, self._config.seed, self._options(job.task))
                document, patch = made.document(), made.submission
        except SandboxError as error:
            return str(error)
        tested = self._labeller.label(job.task, patch)
        _write(job, self._out, document, tested)
        return tested


def _play(made: Attempt, job: Job, seed: int, offered: Options) -> None:
    """Have the policy's script work until the attempt is over."""
    dice = random.Random(f"{seed}\n{job.policy}\n{job.task.instance_id}\n{job.number}")
    script = POLICIES[job.policy](offered, dice)
    say = next(script)
    while True:
        seen = made.step(*say)
        if made.is_over:
            return
        try:
            say = script.send(seen)
        except StopIteration:
            raise SandboxError(f"nothing was handed in by: {say.command}: {seen.output.strip()[:200]}") from None


def report(instance_id: str, patch: str, tested: Label) -> dict[str, Any]:
    """SWE-bench's report of one attempt; an outcome that is not known is a failure of the infrastructure there."""
    found: dict[str, Any] = {
        "patch_is_None": False,
        "patch_exists": bool(patch.strip()),
        "patch_successfully_applied": tested.applied,
        "resolved": tested.outcome is Outcome.RESOLVED,
    }
    if tested.outcome is Outcome.UNKNOWN:
        found |= {"infra_failure": True, "infra_failure_reason": tested.why}
    return {instance_id: {**found, "reason": tested.why}}


def _write(job: Job, out: Path, document: dict[str, Any], tested: Label) -> None:
    """Both files whole or not at all, the report last."""
    file = job.file(out)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        contents = {
            file: document,
            file.with_name(_REPORT): report(job.task.instance_id, document["info"]["submission"], tested),
        }
        for path, content in contents.items():
            partial = path.with_name(f".{path.name}")
            partial.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
            partial.replace(path)
    except OSError as error:
        raise SweRmError(f"{file}: cannot be written: {error.strerror}") from None
