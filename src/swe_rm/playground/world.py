"""The tasks of the playground in SWE-bench's shape, the packages they are made of, and the folder they lie in."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from swe_rm import output
from swe_rm.errors import RecordError, SweRmError
from swe_rm.sources import streams
from swe_rm.trajectory import Noun

PACKAGES = Path(__file__).parent / "packages"
TASKS = "tasks.jsonl"
REPOS = "repos"
OWNER = "playground"

Split = Literal["train", "held_out_tasks", "held_out_packages"]

_HUNK = re.compile(r"^--- a/.+\n\+\+\+ .+\n@@ -\d+.*\n(?: .*\n|\n)*[+-]", re.MULTILINE)


def _diff(text: str) -> str:
    if not _HUNK.search(text):
        raise ValueError("is no diff that changes a line of a file")
    return text


Diff = Annotated[str, AfterValidator(_diff)]
TestName = Annotated[str, Field(pattern=r"^\w+(\.\w+){2,}$")]
"""Of unittest: module, class, method."""


class PlaygroundTask(Noun):
    """One bug to mend: SWE-bench's fields, with lists where its data sets have JSON text, and ours behind them."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)

    instance_id: str = Field(pattern=r"^\w[\w.-]*$")
    """Folders are called after it, so it is no path."""
    repo: str = Field(pattern=r"^\w[\w.-]*/\w[\w.-]*$")
    base_commit: str = Field(pattern=r"^([0-9a-f]{40})?$")
    """Of the repository in `repo_path`: the package with the bug, without its history, some failing tests taken out.
    Empty until it is made."""
    problem_statement: str
    patch: Diff
    """Takes the bug out."""
    test_patch: str
    """Puts the tests back that the agent does not see."""
    fail_to_pass: tuple[TestName, ...] = Field(alias="FAIL_TO_PASS", min_length=1)
    pass_to_pass: tuple[TestName, ...] = Field(alias="PASS_TO_PASS", min_length=1)
    repo_path: str = Field(pattern=r"^\w[\w.-]*(/\w[\w.-]*)*$")
    """Relative to the file of tasks."""
    split: Split
    kind: str
    """Of the bug."""

    @model_validator(mode="after")
    def _each_test_once(self) -> Self:
        seen: set[str] = set()
        for name in (*self.fail_to_pass, *self.pass_to_pass):
            if name in seen:
                raise ValueError(f"FAIL_TO_PASS and PASS_TO_PASS name {name} twice")
            seen.add(name)
        return self

    @property
    def package(self) -> str:
        """The package it is about."""
        return self.repo.rpartition("/")[2]


def shipped_packages() -> list[str]:
    """The packages that come with swe-rm."""
    return sorted(folder.name for folder in PACKAGES.iterdir() if (folder / "tests").is_dir())


def files_of(package: str) -> dict[str, str]:
    """The files of a shipped package by path. Raises SweRmError when there is no such package."""
    folder = PACKAGES / package
    if package not in shipped_packages():
        raise SweRmError(f"{package}: no such package of the playground; there are {', '.join(shipped_packages())}")
    return {
        str(file.relative_to(folder)): file.read_text(encoding="utf-8")
        for file in sorted(folder.rglob("*"))
        if file.suffix in (".py", ".md") and "__pycache__" not in file.parts
    }


def write_tasks(tasks: Sequence[PlaygroundTask], folder: Path) -> None:
    """Write the tasks' file into their folder."""
    with output.lines(folder / TASKS) as file:
        for task in tasks:
            file.write(output.line(task.model_dump(mode="json")))


def read_world(folder: Path) -> dict[str, PlaygroundTask]:
    """The tasks of a folder that `playground make` wrote, by instance id.

    Raises RecordError naming the line and field that is wrong, SweRmError when there are none.
    """
    path = folder / TASKS
    if not path.is_file():
        raise SweRmError(f"{folder}: holds no {TASKS}; `swe-rm playground make --out {folder}` makes it")
    found: dict[str, PlaygroundTask] = {}
    for number, task in enumerate(_read(path), 1):
        if task.instance_id in found:
            raise RecordError(streams.display(path), f"task {number}", f"{task.instance_id} is there already")
        found[task.instance_id] = task
    if not found:
        raise SweRmError(f"{path}: holds no task")
    return found


def chosen(
    tasks: Mapping[str, PlaygroundTask],
    split: Split | None = None,
    packages: Sequence[str] = (),
    most: int | None = None,
) -> list[PlaygroundTask]:
    """Some of the tasks in their order: of a split, of some packages, the first so many of each package."""
    counts: dict[str, int] = {}
    found = []
    for task in tasks.values():
        if (split and task.split != split) or (packages and task.package not in packages):
            continue
        counts[task.package] = counts.get(task.package, 0) + 1
        if most is None or counts[task.package] <= most:
            found.append(task)
    return found


def _read(path: Path) -> Iterator[PlaygroundTask]:
    for number, line in streams.lines(streams.File(path)):
        try:
            yield PlaygroundTask.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            reason = f"{where}: {first['msg']}" if where else first["msg"]
            raise RecordError(streams.display(path), f"line {number}", reason) from None
