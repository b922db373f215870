"""`python -m swe_rm.rollouts.rows TASKS.jsonl --out ROWS.jsonl`: tasks in SWE-bench's shape as the rows trainers read.

verl and SkyRL read the same file. With `--check` each task's tests are run first, without a patch and with its own.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson

from swe_rm import output
from swe_rm.errors import RecordError, SweRmError
from swe_rm.rollouts.scaffold import RolloutError, Settings
from swe_rm.rollouts.tasks import AGENT, ENVIRONMENT, RolloutTask, task_of
from swe_rm.rollouts.testing import run_tests
from swe_rm.sources import streams


def row_of(task: RolloutTask, settings: Settings, index: int) -> dict[str, Any]:
    """One row. The task is text: nested columns would have to be alike in all rows. Raises SweRmError."""
    return {
        "prompt": settings.opening(task.problem_statement),
        "data_source": "swe",
        "agent_name": AGENT,
        "env_class": ENVIRONMENT,
        "reward_model": {"style": "rule", "ground_truth": ""},  # verl reads the field; the bridge does not look at it
        "extra_info": {"index": index},
        "task": task.model_dump_json(),
    }


def read(path: Path, test_command: str | None) -> Iterator[tuple[RolloutTask, str] | RecordError]:
    """The tasks of a JSONL file with their own patches, in its order; an error for a line that is none."""
    seen: set[str] = set()
    for number, line in streams.lines(streams.File(path)):
        record = f"line {number}"
        try:
            row = orjson.loads(line)
            if not isinstance(row, Mapping):
                raise ValueError("no JSON object")
            task = task_of(row, test_command)
        except ValueError as error:  # pydantic's and orjson's are of this kind
            yield RecordError(streams.display(path), record, _line(error))
            continue
        if task.instance_id in seen:
            yield RecordError(streams.display(path), record, f"{task.instance_id} is there already")
            continue
        seen.add(task.instance_id)
        yield task, str(row.get("patch") or "")


def broken(task: RolloutTask, patch: str, settings: Settings) -> str:
    """Why attempts at a task could not be told apart by its tests; empty when they can."""
    try:
        if run_tests(task, "", settings).all_named:
            return "its tests pass without a patch"
        if not patch.strip():
            return "it has no patch of its own to check the tests with"
        found = run_tests(task, patch, settings)
        return "" if found.resolved else f"its own patch does not resolve it: {found.why}"
    except RolloutError as error:
        return str(error)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when every task became a row, 2 when some did not (a line each), 1 when none did."""
    asked = _parser().parse_args(arguments)
    try:
        settings = Settings(scaffold=asked.scaffold, test_seconds=asked.test_seconds)
        found = list(read(asked.tasks, asked.test_command))
        refused = [str(one) for one in found if isinstance(one, RecordError)]
        tasks = [one for one in found if not isinstance(one, RecordError)]
        if asked.check:
            with ThreadPoolExecutor(asked.workers) as pool:
                reasons = list(pool.map(lambda one: broken(one[0], one[1], settings), tasks))
            refused += [f"{task.instance_id}: {why}" for (task, _), why in zip(tasks, reasons, strict=True) if why]
            tasks = [one for one, why in zip(tasks, reasons, strict=True) if not why]
        rows = [row_of(task, settings, index) for index, (task, _) in enumerate(tasks)]
    except SweRmError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stderr.write("".join(f"{line}\n" for line in refused))
    if not rows:
        sys.stderr.write(f"{asked.tasks}: holds no task to train on\n")
        return 1
    try:
        with output.whole(asked.out) as partial, output.lines(partial) as file:
            for row in rows:
                file.write(output.line(row))
    except SweRmError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stderr.write(f"{asked.out}: {len(rows)} rows; {len(refused)} left out\n")
    return 2 if refused else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m swe_rm.rollouts.rows", description=__doc__)
    parser.add_argument("tasks", type=Path, help="JSONL, a task in SWE-bench's shape a line; .gz and .zst too")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scaffold", type=Path, help="a config file of mini-swe-agent, whose templates are taken")
    parser.add_argument("--test-command", help="for all tasks, in place of the row's own or pytest")
    parser.add_argument("--check", action="store_true", help="leave out what its own tests do not tell apart")
    parser.add_argument("--test-seconds", type=int, default=900)
    parser.add_argument("--workers", type=int, default=4, help="tasks checked at once")
    return parser


def _line(error: ValueError) -> str:
    reasons = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in getattr(error, "errors", list)()]
    return " ".join((reasons[0] if reasons else str(error)).split())


if __name__ == "__main__":
    sys.exit(main())
