"""Rows of tasks (instance_id, problem_statement): issue texts for attempts whose own source does not show them."""

from collections.abc import Iterator
from pathlib import Path

from swe_rm.errors import RecordError
from swe_rm.sources import streams, walk
from swe_rm.trajectory import Task


def task_files(path: Path) -> list[Path]:
    """The files of rows of tasks that a path means: itself, or those below a folder, such as a downloaded data set.

    Raises RecordError for a folder without any.
    """
    if not path.is_dir():
        return [path]
    files = walk.data_files(path)
    if not files:
        raise RecordError(streams.display(path), "", "the folder holds no files of tasks")
    return files


def read_tasks(path: Path) -> Iterator[Task]:
    """The tasks of a JSONL file (or .gz, .zst).

    Raises RecordError at the first row that is no JSON object or lacks either column: a training set must not lose
    issues in silence.
    """
    for number, line in streams.lines(streams.File(path)):
        place = streams.display(path), f"line {number}"
        try:
            row = streams.parse(line)
        except ValueError as error:
            raise RecordError(*place, str(error)) from None
        if not isinstance(row, dict):
            raise RecordError(*place, "not a JSON object")
        instance_id, statement = row.get("instance_id"), row.get("problem_statement")
        if not isinstance(instance_id, str) or not isinstance(statement, str):
            raise RecordError(*place, "needs the texts instance_id and problem_statement")
        yield Task(instance_id=instance_id, repo=row.get("repo"), statement=statement)
