"""Rows of a benchmark's tasks as a mix needs them: issue text, repository, base commit, gold patch."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from swe_rm.errors import RecordError
from swe_rm.sources import Refusal, streams
from swe_rm.sources.reader import records
from swe_rm.sources.tasks import task_files
from swe_rm.trajectory import Labelled, Noun

_ATTEMPT = frozenset({
    "messages", "trajectory", "history", "policy", "model_patch", "model_name_or_path", "git_patch", "test_result",
    "swe_rm_record",
})  # fmt: skip
"""Keys of rows that are attempts, though they name a task too."""
_TASK = frozenset({"problem_statement", "base_commit", "test_patch", "gold_patch"})
"""Keys of which a benchmark's row has one at least."""


class TaskRow(Noun):
    """One task of a benchmark."""

    instance_id: str
    repo: str = ""
    base_commit: str = ""
    statement: str = ""
    patch: str = ""
    """The gold patch; no agent may see it."""


def read_task_rows(paths: Sequence[Path]) -> dict[str, TaskRow]:
    """Tasks by id, of JSON lines, lists, Parquet or folders of them; the first row of a task counts.

    Raises RecordError at a row that is none.
    """
    found: dict[str, TaskRow] = {}
    for path in paths:
        for row in chain.from_iterable(map(_rows, task_files(path))):
            found.setdefault(row.instance_id, row)
    return found


def read_issues(paths: Sequence[Path]) -> dict[str, TaskRow]:
    """The same, to take issues from. Sets are published in which some rows have none: these tell of commits alone.

    Raises RecordError for a path in which no row has the text of its issue.
    """
    found: dict[str, TaskRow] = {}
    for path in paths:
        rows = read_task_rows([path])
        if not any(row.statement for row in rows.values()):
            raise RecordError(streams.display(path), "", "no row has the text problem_statement")
        found = rows | found
    return found


def with_statement(labelled: Labelled, tasks: Mapping[str, TaskRow]) -> Labelled:
    """The same attempt with the issue text filled in where its source did not show it."""
    trajectory = labelled.trajectory
    row = tasks.get(trajectory.task.instance_id)
    if trajectory.task.statement or row is None or not row.statement:
        return labelled
    task = trajectory.task.model_copy(update={"statement": row.statement})
    return labelled.model_copy(update={"trajectory": trajectory.model_copy(update={"task": task})})


def holds_task_rows(path: Path) -> bool:
    """Whether the first record of a file, or of every file below a folder, is a task and not an attempt at one."""
    try:
        return all(_begins_with_task(file) for file in task_files(path))
    except RecordError:
        return False


def holds_benchmark(file: Path) -> bool:
    """Whether a file beside attempts begins with a benchmark's row, more than an id and what became of it."""
    return _begins_with_task(file, _TASK)


def _begins_with_task(file: Path, having: frozenset[str] = frozenset({"instance_id"})) -> bool:
    first = next(records(streams.File(file)), None) if file.is_file() else None
    if first is None or isinstance(first, Refusal) or not isinstance(first.value, dict):
        return False
    keys = first.value.keys()
    return isinstance(first.value.get("instance_id"), str) and bool(keys & having) and not keys & _ATTEMPT


def _rows(path: Path) -> Iterator[TaskRow]:
    for record in records(streams.File(path)):
        if isinstance(record, Refusal):
            raise RecordError(record.file, record.record, record.reason)
        instance_id = record.value.get("instance_id") if isinstance(record.value, dict) else None
        if not isinstance(instance_id, str) or not instance_id:
            raise RecordError(streams.display(path), record.label, "names no task (instance_id)")
        if strange := sorted(record.value.keys() & _ATTEMPT):
            raise RecordError(streams.display(path), record.label, f"an attempt, not a task (has {strange[0]})")
        yield TaskRow(
            instance_id=instance_id,
            repo=_text(record.value, "repo"),
            base_commit=_text(record.value, "base_commit"),
            statement=_text(record.value, "problem_statement", "statement"),
            patch=_text(record.value, "gold_patch", "patch"),
        )


def _text(row: Mapping[str, Any], *names: str) -> str:
    return next((row[name] for name in names if isinstance(row.get(name), str)), "")
