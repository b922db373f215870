"""Makes tasks: bugs are put into packages, and kept where a real run shows that tests fail by them and others pass."""

import hashlib
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from swe_rm import output
from swe_rm.errors import SweRmError
from swe_rm.playground import statements, world
from swe_rm.playground.bugs import Edit, edits, parses
from swe_rm.playground.checkouts import Checkouts, diff, write_repository
from swe_rm.playground.labelling import Labeller
from swe_rm.playground.parsing import ALONE
from swe_rm.playground.sandbox import Limits, Ran, Sandbox, scratch
from swe_rm.playground.world import OWNER, REPOS, PlaygroundTask, Split
from swe_rm.trajectory import Noun, Outcome

_HELD_OUT = 3
"""One package in so many is held out whole, and of the others what lies in one fold of five."""
_FOLDS = 5
_MOST_FAILING = 0.5
"""Share of the tests: a bug that breaks more is seen at once."""
_LIMITS = Limits(cpu_seconds=2, wall_seconds=10)
"""For the making only: a bug that makes tests slow would make every run of its task slow."""


class MakeConfig(Noun):
    """What decides the tasks: the same config gives the same bytes."""

    seed: int = 0
    per_package: int = Field(default=55, ge=1)
    """Tasks of each package, at most."""
    packages: tuple[str, ...] = ()
    """All that are shipped, unless some are named."""


class Made(Noun):
    """What came of the making; tried = kept + dropped."""

    kept: int
    dropped: dict[str, int]
    """By reason: bugs that no test sees, that break too much, that make tests hang."""
    splits: dict[str, int]


class _Candidate(NamedTuple):
    """A package with a bug."""

    package: str
    path: str
    edit: Edit
    source: str
    """Of the file, with the bug."""

    @property
    def instance_id(self) -> str:
        """A name that follows from the content."""
        digest = hashlib.sha256(f"{self.package}\n{self.path}\n{self.source}".encode()).digest()
        return f"{OWNER}__{self.package}-{int.from_bytes(digest[:8]) % 1_000_000}"


class _Kept(NamedTuple):
    """A bug that tests see, to be written; the hash of its commit is known when it is, its split when all are there."""

    task: PlaygroundTask
    start: dict[str, str]
    function: str
    """That the bug is in, with its file."""


def make(config: MakeConfig, out: Path, workers: int = 1, progress: Callable[[int], None] | None = None) -> Made:
    """Write the tasks and their repositories into a new folder.

    `progress` is told of each task that is kept. Raises SweRmError when a package is unknown, fails its own tests, or a
    task does not stand its trial: its own patch must resolve it.
    """
    packages = config.packages or tuple(world.shipped_packages())
    held_out = _held_out(packages, config.seed)
    dropped: dict[str, int] = {}
    with output.beside(out) as folder, ThreadPoolExecutor(workers) as pool:

        def one(package: str) -> list[PlaygroundTask]:
            with Sandbox(_LIMITS) as sandbox:
                maker = _Maker(package, config, sandbox, progress)
                kept = list(maker.kept())
                for why, count in maker.dropped.items():
                    dropped[why] = dropped.get(why, 0) + count
                splits = _splits(kept, f"{config.seed}\n{package}", package in held_out)
                tasks = _committed(package, kept, splits, folder)
                _try(tasks, folder, sandbox)
                return tasks

        (folder / REPOS).mkdir()
        tasks = [task for made in pool.map(one, packages) for task in made]
        world.write_tasks(tasks, folder)
        folder.rename(out)
    splits: dict[str, int] = {}
    for task in tasks:
        splits[task.split] = splits.get(task.split, 0) + 1
    return Made(kept=len(tasks), dropped=dict(sorted(dropped.items())), splits=splits)


def _held_out(packages: Sequence[str], seed: int) -> set[str]:
    """The packages that no training sees; none where there are too few."""
    shuffled = sorted(packages, key=lambda name: hashlib.sha256(f"{seed}\n{name}".encode()).digest())
    return set(shuffled[: len(packages) // _HELD_OUT])


def _splits(kept: Sequence[_Kept], name: str, held_out: bool) -> list[Split]:
    """The split of each task of a package, in their order.

    By function, so that no bug of a held-out task has a sibling of the same lines in training; and bugs by which the
    same tests fail are on one side with all of their functions, for one fix would be practice for the other.
    """
    if held_out:
        return ["held_out_packages"] * len(kept)
    group = {one.function: one.function for one in kept}
    by_tests: dict[tuple[str, ...], str] = {}
    for one in kept:
        other = by_tests.setdefault(one.task.fail_to_pass, one.function)
        low, high = sorted((group[one.function], group[other]))
        group = {function: low if found == high else found for function, found in group.items()}
    return ["held_out_tasks" if _fold(f"{name}\n{group[one.function]}") == 0 else "train" for one in kept]


def _fold(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % _FOLDS


def _committed(package: str, kept: Sequence[_Kept], splits: Sequence[Split], folder: Path) -> list[PlaygroundTask]:
    if not kept:
        return []
    repository = folder / REPOS / f"{package}.git"
    commits = write_repository(repository, {one.task.instance_id: one.start for one in kept})
    return [
        one.task.model_copy(update={"base_commit": commits[one.task.instance_id], "split": split})
        for one, split in zip(kept, splits, strict=True)
    ]


def _try(tasks: Sequence[PlaygroundTask], folder: Path, sandbox: Sandbox) -> None:
    """Label each task's own patch, on the road that attempts take."""
    with Checkouts(folder) as checkouts:
        labeller = Labeller(checkouts, sandbox)
        for task in tasks:
            tested = labeller.label(task, task.patch)
            if tested.outcome is not Outcome.RESOLVED:
                raise SweRmError(f"{task.instance_id}: its own patch is {tested.outcome}: {tested.why}")


class _Maker:
    """The tasks of one package."""

    def __init__(
        self,
        package: str,
        config: MakeConfig,
        sandbox: Sandbox,
        progress: Callable[[int], None] | None,
    ) -> None:
        self.dropped: dict[str, int] = {}
        self._package = package
        self._config = config
        self._sandbox = sandbox
        self._progress = progress
        self._files = world.files_of(package)

    def kept(self) -> Iterator[_Kept]:
        """Tasks, until there are enough or no more bugs. Raises SweRmError when the package fails without a bug."""
        content = Path(tempfile.mkdtemp(prefix="swe-rm-package-"))
        try:
            _write(self._files, content)
            sound = self._run(content)
            if sound.code or sound.ended or set(sound.tests.values()) != {"passed"}:
                raise SweRmError(f"{self._package}: fails its own tests: {' '.join(sound.output.split())[-300:]}")
            seen: set[str] = set()
            for candidate in self._candidates():
                if len(seen) == self._config.per_package:
                    return
                with ALONE:
                    is_python = parses(candidate.source)
                if not is_python:
                    continue
                _write({candidate.path: candidate.source}, content)
                ran = self._run(content)
                _write({candidate.path: self._files[candidate.path]}, content)
                why = _drop(ran, sound) or ("a name twice" if candidate.instance_id in seen else "")
                if why:
                    self.dropped[why] = self.dropped.get(why, 0) + 1
                    continue
                seen.add(candidate.instance_id)
                yield self._task(candidate, ran)
                if self._progress:
                    self._progress(1)
        finally:
            shutil.rmtree(content)

    def _run(self, content: Path) -> Ran:
        with scratch(content) as within:
            return self._sandbox.run_tests(within)

    def _candidates(self) -> Iterator[_Candidate]:
        """Every bug we know, in an order that takes the kinds in turn."""
        dice = random.Random(f"{self._config.seed}\n{self._package}")
        by_kind: dict[str, list[_Candidate]] = {}
        for path, text in self._files.items():
            if path.startswith(f"{self._package}/"):
                with ALONE:
                    found = edits(text)
                for edit in found:
                    candidate = _Candidate(self._package, path, edit, edit.applied(text))
                    by_kind.setdefault(edit.kind, []).append(candidate)
        kinds = sorted(by_kind)
        for kind in kinds:
            dice.shuffle(by_kind[kind])
        while any(by_kind.values()):
            yield from (by_kind[kind].pop() for kind in kinds if by_kind[kind])

    def _task(self, candidate: _Candidate, ran: Ran) -> _Kept:
        failing = [name for name, result in sorted(ran.tests.items()) if result != "passed"]
        passing = [name for name, result in sorted(ran.tests.items()) if result == "passed"]
        buggy = {**self._files, candidate.path: candidate.source}
        hidden = _hidden(failing, candidate.instance_id)
        start = statements.without_tests(buggy, hidden)
        task = PlaygroundTask(
            instance_id=candidate.instance_id,
            repo=f"{OWNER}/{self._package}",
            base_commit="",
            problem_statement=statements.problem(buggy, failing, ran.output, candidate.instance_id),
            patch=diff({candidate.path: candidate.source}, {candidate.path: self._files[candidate.path]}),
            test_patch=diff(start, buggy),
            fail_to_pass=tuple(failing),
            pass_to_pass=tuple(passing),
            repo_path=f"{REPOS}/{self._package}.git",
            split="train",
            kind=candidate.edit.kind,
        )
        return _Kept(task, start, f"{candidate.path}\n{candidate.edit.function}")


def _drop(ran: Ran, sound: Ran) -> str:
    """Why a bug makes no task; empty when it does."""
    failing = sum(result != "passed" for result in ran.tests.values())
    if ran.ended or ran.code < 0:
        return "tests hang or crash"
    if ran.tests.keys() != sound.tests.keys():
        return "tests cannot be loaded"
    if not failing:
        return "no test sees it"
    return "too many tests see it" if failing > _MOST_FAILING * len(sound.tests) else ""


def _hidden(failing: Sequence[str], name: str) -> list[str]:
    """The failing tests that the agent does not see: half of them, and the one where there is but one."""
    order = sorted(failing, key=lambda test: hashlib.sha256(f"{name}\n{test}".encode()).digest())
    return order[: (len(failing) + 1) // 2]


def _write(files: Mapping[str, str], folder: Path) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
