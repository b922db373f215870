"""What a benchmark knows of its tasks and no agent may see: the gold patch and the hidden tests, reduced to traces."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from swe_rm.agreement import patch_digest
from swe_rm.errors import RecordError
from swe_rm.sources import streams
from swe_rm.sources.tasks import task_files
from swe_rm.trajectory import Noun

MIN_LINE = 28
"""Characters of a line that is a trace: shorter ones (`return None`, `self.assertTrue(x)`) stand everywhere."""
MAX_LINES = 16
"""Traces kept of one patch, the longest: an attempt is searched for each of them."""

_NEW_TEST = re.compile(r"^\+[ \t]*(?:async )?def (test_?\w{6,})", re.MULTILINE)
_KNOWN_TEST = re.compile(r"^[- ][ \t]*(?:async )?def (test\w+)|^@@[^\n]*\bdef (test\w+)", re.MULTILINE)
_TEST_NAME = re.compile(
    r"(?P<method>\w+) \((?:[\w.]+\.)?(?P<klass>\w+)\)$|(?:[\w./-]*/)?(?P<file>[\w-]+\.py)::(?:\w+::)*(?P<function>\w+)"
)


class Gold(Noun):
    """Traces of one task's gold patch and hidden tests; a few KB, whatever the patches' size."""

    instance_id: str
    patch: str = ""
    """`agreement.patch_digest` of the gold patch; empty where the row has none."""
    fix_lines: tuple[str, ...] = ()
    """Lines the gold patch adds, as they stand, that are in neither the issue nor the patch's context."""
    test_lines: tuple[str, ...] = ()
    """Such lines of the hidden tests."""
    new_tests: tuple[tuple[str, str], ...] = ()
    """(function, its class or file) of tests the hidden tests add, which must fail before the fix and pass after it."""


def read_gold(paths: Iterable[Path]) -> dict[str, Gold]:
    """Gold traces by task, of JSON lines, JSON lists or Parquet of a benchmark's rows, or of folders of them.

    `patch` (or `gold_patch`), `test_patch` and `FAIL_TO_PASS` (or `fail_to_pass`, a list or the JSON text of one) are
    looked for; rows without an instance_id or without any of them are passed over, for a benchmark may have no gold
    patch of some tasks. Raises RecordError for a file that cannot be read or is broken.
    """
    found: dict[str, Gold] = {}
    for path in paths:
        for row in chain.from_iterable(map(_rows, task_files(path))):
            gold = _gold(row)
            if gold is not None:
                found.setdefault(gold.instance_id, gold)
    return found


def with_gold(paths: Iterable[Path]) -> list[Path]:
    """Those of some side files whose first row, by its content, is a task with a gold patch or hidden tests."""
    return [path for path in paths if _holds_gold(path)]


def _holds_gold(path: Path) -> bool:
    try:
        first = next(iter(_rows(path)), None)
    except RecordError:
        return False
    return first is not None and "instance_id" in first and bool({"test_patch", "gold_patch"} & first.keys())


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        path.open("rb").close()
    except OSError as error:
        raise RecordError(streams.display(path), "", error.strerror or str(error)) from None
    for number, line in streams.lines(streams.File(path)):
        if number == 1 and line.lstrip().startswith(b"["):
            break
        if line.strip():
            yield _row(path, f"line {number}", line)
    else:
        return
    items = streams.document(streams.File(path))
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield item


def _row(path: Path, place: str, line: bytes) -> Mapping[str, Any]:
    try:
        value = streams.parse(line)
    except ValueError as error:
        raise RecordError(streams.display(path), place, str(error)) from None
    if not isinstance(value, dict):
        raise RecordError(streams.display(path), place, "not a JSON object")
    return value


def _gold(row: Mapping[str, Any]) -> Gold | None:
    instance_id = row.get("instance_id")
    patch, tests = (str(row.get(key) or "") for key in ("gold_patch", "test_patch"))
    patch = patch or str(row.get("patch") or "")
    if not isinstance(instance_id, str) or not (patch.strip() or tests.strip()):
        return None
    issue = str(row.get("problem_statement") or "")
    added = {*_NEW_TEST.findall(tests)}
    known = {name for pair in _KNOWN_TEST.findall(tests) for name in pair}
    return Gold(
        instance_id=instance_id,
        patch=patch_digest(patch) if patch.strip() else "",
        fix_lines=_traces(patch, issue),
        test_lines=_traces(tests, issue),
        new_tests=tuple(
            sorted((name, where) for name, where in _must_pass(row) if name in added - known and name not in issue)
        ),
    )


def _must_pass(row: Mapping[str, Any]) -> set[tuple[str, str]]:
    """(function, class or file) of each test of FAIL_TO_PASS that names both: a name alone may stand elsewhere too."""
    value = row.get("FAIL_TO_PASS", row.get("fail_to_pass"))
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return set()
    names = [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
    found = [part for part in map(_TEST_NAME.match, names) if part]
    return {(part["method"] or part["function"], part["klass"] or part["file"]) for part in found}


def _traces(patch: str, issue: str) -> tuple[str, ...]:
    """Distinctive added lines, longest first: neither context, nor removed, nor in the issue.

    Quotes and backslashes are written otherwise where an observation is JSON, so lines that hold one are no trace.
    """
    lines = patch.replace("\r\n", "\n").split("\n")
    old = {line[1:].strip() for line in lines if line.startswith((" ", "-"))}
    added = {line[1:].strip() for line in lines if line.startswith("+") and not line.startswith("+++")}
    kept = [line for line in added - old if len(line) >= MIN_LINE and not set(line) & set('"\\') and line not in issue]
    return tuple(sorted(kept, key=lambda line: (-len(line), line))[:MAX_LINES])
