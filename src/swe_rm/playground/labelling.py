"""Outcomes by running tests: an attempt's patch on the task's code, the tests put back as they are, F2P and P2P run.

What an attempt does to itself (a crash, a hang, a full disk, deleted tests) is unresolved. What goes wrong with us or
the machine is unknown, and says so.
"""

import queue
import shutil
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path

from pydantic import Field

from swe_rm.playground.checkouts import TESTS, BrokenTaskError, Checkouts
from swe_rm.playground.sandbox import Limits, Ran, Sandbox, SandboxError, Scratch, ours, remove, scratch
from swe_rm.playground.world import PlaygroundTask
from swe_rm.trajectory import Noun, Outcome

NOT_KEPT = "no patch is recorded, and its format need not keep one"
"""Why an outcome is unknown, and how it is told."""
BROKEN = "the task is broken"
"""How it is told that no patch can pass; why follows."""

_PASSED = "passed"
_WHY = {
    "disk": "its files fill the disk",
    "processes": "it starts more processes than it may",
    "wall": "it does not end in time",
}
_XCPU, _KILLED = -int(signal.SIGXCPU), -int(signal.SIGKILL)
_GIT_FAILED = 128
"""What git gives for what is no patch, and where it or the disk is at fault."""
_NOT_GIT = (126, 127, _KILLED)
"""Exit codes that are not git's: it was not found, could not be started, or was killed."""


class Label(Noun):
    """What the tests said of a patch."""

    outcome: Outcome
    why: str
    """In words: which test fails, what it did, or what went wrong with us."""
    applied: bool = False
    """Whether there was a patch that applies."""
    tests: dict[str, str] = Field(default={})
    """Result by test, of those that were reached."""
    seconds: float = 0.0


class Labeller:
    """Tests patches one after the other, in a sandbox of its own."""

    def __init__(self, checkouts: Checkouts, sandbox: Sandbox) -> None:
        self._checkouts = checkouts
        self._sandbox = sandbox
        self._tried: dict[PlaygroundTask, Label] = {}
        """What the tests say of a task's own patch, where that was asked."""

    def label(self, task: PlaygroundTask, patch: str | None) -> Label:
        """The outcome of a patch at a task; of None, a patch that was not kept, it is not known.

        Nothing is raised for what a patch does, for a run that fails, or for a task that nothing can resolve. Raises
        SweRmError when the task's code is not there.
        """
        if patch is None:
            return Label(outcome=Outcome.UNKNOWN, why=NOT_KEPT)
        if not patch.strip():
            return Label(outcome=Outcome.UNRESOLVED, why="there is no patch")
        try:
            return self._believed(task, patch, self._label(task, patch))
        except BrokenTaskError as error:
            return Label(outcome=Outcome.UNKNOWN, why=f"{BROKEN}: {error}")
        except SandboxError as error:
            return Label(outcome=Outcome.UNKNOWN, why=str(error))

    def _believed(self, task: PlaygroundTask, patch: str, said: Label) -> Label:
        """What was said of a patch, unless neither its run nor that of the task's own patch comes to all tests.

        A test that is not reached may be one that does not exist: tasks can be edited by hand.
        """
        if not said.applied or said.outcome is not Outcome.UNRESOLVED or len(said.tests) == len(_wanted(task)):
            return said
        gold = said if patch == task.patch else self._gold(task)
        if gold.outcome is Outcome.RESOLVED:
            return said
        why = f"{BROKEN}: of its own patch, {gold.why}" if gold.outcome is Outcome.UNRESOLVED else gold.why
        return Label(outcome=Outcome.UNKNOWN, why=why)

    def _gold(self, task: PlaygroundTask) -> Label:
        if (known := self._tried.get(task)) is not None:
            return known
        said = self._label(task, task.patch)
        if said.outcome is not Outcome.UNKNOWN:
            self._tried[task] = said
        return said

    def _label(self, task: PlaygroundTask, patch: str) -> Label:
        with scratch(within=self._checkouts.folder) as within:
            if why := self._set_up(task, patch, within):
                return Label(outcome=Outcome.UNRESOLVED, why=why)
            ran = self._sandbox.run_tests(within, _wanted(task))
        if ran.ended == "wall" or (not ran.ended and ran.code == _KILLED):
            return self._doubtful(task, patch, ran)
        return _judged(task, ran)

    def _doubtful(self, task: PlaygroundTask, patch: str, ran: Ran) -> Label:
        """Of a run that took too long or was killed: whether the machine is at fault, by what is known to be right."""
        if patch != task.patch and self.label(task, task.patch).outcome is Outcome.RESOLVED:
            return _judged(task, ran)
        why = "the machine is too slow" if ran.ended else "the run was killed"
        return Label(outcome=Outcome.UNKNOWN, why=f"{why}: the gold patch does not come to its end either")

    def _set_up(self, task: PlaygroundTask, patch: str, within: Scratch) -> str:
        """Put code, patch and tests there; why that is not possible with this patch."""
        with ours("code and patch cannot be put there"):
            shutil.copytree(self._checkouts.code(task), within.checkout, dirs_exist_ok=True)
            lines = patch if patch.endswith("\n") else patch + "\n"
            (within.root / "patch.diff").write_bytes(lines.encode("utf-8", "replace"))
        applied = self._sandbox.run(within, "git apply --whitespace=nowarn ../patch.diff")
        if applied.ended == "wall" or applied.code in _NOT_GIT:
            raise SandboxError(f"git could not be run: {_WHY.get(applied.ended) or applied.output.strip()[-200:]}")
        if applied.ended:
            return _WHY[applied.ended]
        if applied.code == _GIT_FAILED and not self._applies(task, patch):
            raise SandboxError(f"git could not apply the task's own patch either: {applied.output.strip()[-200:]}")
        if applied.code:
            return "the patch does not apply"
        with ours("the tests cannot be put there"):
            _replace(within.checkout / TESTS, self._checkouts.tests(task) / TESTS)
        return ""

    def _applies(self, task: PlaygroundTask, patch: str) -> bool:
        """Whether the task's own patch applies, now that another did not: git gives one code for what is no patch and
        for a full disk."""
        if patch == task.patch:
            return False
        with scratch(within=self._checkouts.folder) as within:
            return not self._set_up(task, task.patch, within)


def label_all(
    patches: Sequence[tuple[PlaygroundTask, str | None]],
    world: Path,
    limits: Limits | None = None,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> list[Label]:
    """The outcome of each patch at its task, in their order; equal patches at one task are tested once.

    `world` is the folder that the tasks were read from. Raises SweRmError when a task's code is not there.
    """
    found: dict[tuple[str, str | None], Label] = {}
    free: queue.SimpleQueue[Labeller] = queue.SimpleQueue()

    def one(key: tuple[str, str | None], task: PlaygroundTask) -> None:
        labeller = free.get()
        try:
            found[key] = labeller.label(task, key[1])
        finally:
            free.put(labeller)

    with ExitStack() as stack:
        checkouts = stack.enter_context(Checkouts(world))
        for _ in range(workers):
            free.put(Labeller(checkouts, stack.enter_context(Sandbox(limits))))
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        wanted = {(task.instance_id, patch): task for task, patch in patches}
        for done in as_completed([pool.submit(one, key, task) for key, task in wanted.items()]):
            done.result()
            if progress:
                progress(1)
    return [found[task.instance_id, patch] for task, patch in patches]


def _replace(folder: Path, content: Path) -> None:
    """Put a folder in the place of whatever is there by that name."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        remove(folder)
    shutil.copytree(content, folder)


def _wanted(task: PlaygroundTask) -> list[str]:
    """The tests that decide."""
    return [*task.fail_to_pass, *task.pass_to_pass]


def _judged(task: PlaygroundTask, ran: Ran) -> Label:
    wanted = _wanted(task)
    bad = [name for name in wanted if ran.tests.get(name) != _PASSED]
    tampered = [name for name, result in ran.tests.items() if result == "tampered"]
    if ran.ended:
        why = _WHY[ran.ended]
    elif tampered:
        why = f"it rewrites unittest's {tampered[0]}"
    elif ran.code == _XCPU:
        why = f"it takes too much processor time in {bad[0]}" if bad else "it takes too much processor time"
    elif bad and bad[0] not in ran.tests:
        why = f"the run ends with code {ran.code} before {bad[0]}"
    elif bad:
        why = f"{len(bad)} of {len(wanted)} tests do not pass: {bad[0]}"
    elif ran.code:
        why = f"all tests pass, and the run ends with code {ran.code}"
    else:
        why = f"{len(wanted)} tests pass"
    resolved = not (ran.ended or tampered or bad or ran.code)
    return Label(
        outcome=Outcome.RESOLVED if resolved else Outcome.UNRESOLVED,
        why=why,
        applied=True,
        tests={name: ran.tests[name] for name in wanted if name in ran.tests},
        seconds=ran.seconds,
    )
