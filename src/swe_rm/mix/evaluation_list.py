"""The evaluation list: tasks that training must not see, and by which rule an attempt is recognised as one of them."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from swe_rm.errors import RecordError
from swe_rm.mix.config import Decontaminate, Overlap
from swe_rm.mix.task_rows import TaskRow, holds_benchmark, holds_task_rows, read_task_rows
from swe_rm.render import plain_issue
from swe_rm.sources import Refusal, naming, open_pile, streams
from swe_rm.sources.reader import records
from swe_rm.trajectory import Trajectory

Hashes = npt.NDArray[np.uint64]

_WORD = re.compile(r"\w+")
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(32)


def read_evaluation(paths: Sequence[Path]) -> dict[str, TaskRow]:
    """Tasks by id: of rows of tasks, ids in a .txt file (one a line), or attempts in any format.

    Raises RecordError for a file that cannot be read as one of these.
    """
    found: dict[str, TaskRow] = {}
    for path in paths:
        for instance_id, row in _listed(path).items():
            found.setdefault(instance_id, row)
    return found


def _listed(path: Path) -> dict[str, TaskRow]:
    if path.suffix == ".txt":
        return {instance_id: TaskRow(instance_id=instance_id) for instance_id in _ids(path)}
    if holds_task_rows(path):
        return read_task_rows([path])
    found: dict[str, TaskRow] = {}
    pile = open_pile([path])
    for item in pile.attempts():
        task = item.trajectory.task
        row = TaskRow(instance_id=task.instance_id, repo=task.repo or "", statement=task.statement)
        found.setdefault(task.instance_id, row)
    found = read_task_rows([file for file in pile.side_files if holds_benchmark(file)]) | found
    if pile.refusals:  # a task that is lost here would be trained on
        ids = _named(path)
        if ids is None:
            first = pile.refusals[0]
            raise RecordError(first.file, first.record, f"{first.reason}; an evaluation list must be read whole")
        for instance_id in ids:
            found.setdefault(instance_id, TaskRow(instance_id=instance_id))
    return found


def _named(path: Path) -> list[str] | None:
    """The task of every record of a file, be it an attempt or not; None where one names none."""
    found = []
    for record in records(streams.File(path)) if path.is_file() else ():
        value = None if isinstance(record, Refusal) else record.value
        instance_id = value.get("instance_id") if isinstance(value, dict) else None
        if not isinstance(instance_id, str):
            return None
        found.append(instance_id)
    return found or None


def _ids(path: Path) -> list[str]:
    """One id a line; empty lines and those that begin with # say nothing. Raises RecordError."""
    text = b"".join(streams.chunks(streams.File(path))).decode("utf-8", "replace")
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    ids = [(number, line) for number, line in lines if line and not line.startswith("#")]
    for number, line in ids:
        if re.search(r"[\s,;]", line):
            raise RecordError(streams.display(path), f"line {number}", f"holds {line!r}: one id a line is expected")
    if not ids:
        raise RecordError(streams.display(path), "", "holds no ids")
    return [line for _, line in ids]


class Match(NamedTuple):
    """By which rule an attempt is of a task on the list."""

    rule: str
    task: str
    """The task on the list."""
    share: float
    """Of the shorter text's n-grams that stand in the other; 1 for the other rules."""
    n_grams: int
    """Of the shorter text; 0 for the other rules."""

    def __str__(self) -> str:
        shared = f": {self.share:.0%} of {self.n_grams} word n-grams" if self.n_grams else ""
        return f"{self.rule} of {self.task} on the evaluation list{shared}"


class EvaluationList:
    """The list, ready to be looked things up in; small enough to be sent to every worker."""

    def __init__(self, settings: Decontaminate, listed: Mapping[str, TaskRow]) -> None:
        rows = [listed[instance_id] for instance_id in sorted(listed)]
        self._settings = settings
        self.ids = frozenset(listed)
        self._commits = {_commit(row): row.instance_id for row in reversed(rows) if row.base_commit}
        self._n_commits = sum(bool(row.base_commit) for row in rows)
        self._issues = _Grams(rows, [plain_issue(row.statement) for row in rows], settings.issue)
        self._told: dict[bytes, tuple[str, float, int] | None] = {}
        """By digest of the statement: a pool has as many of them as tasks, each of some kilobytes."""
        self._patches = _Grams(rows, [changed(row.patch) for row in rows], settings.patch)

    def match(self, trajectory: Trajectory, row: TaskRow | None) -> Match | None:
        """The first rule by which the attempt is of a task on the list; `row` is what is known of its own task."""
        task = trajectory.task
        if self._settings.instance_id and task.instance_id in self.ids:
            return Match("instance_id", task.instance_id, 1.0, 0)
        if self._settings.base_commit and row and (found := self._commits.get(_commit(row))):
            return Match("base_commit", found, 1.0, 0)
        statement = task.statement or (row.statement if row else "")
        key = hashlib.sha256(statement.encode("utf-8", "surrogatepass")).digest()
        if key not in self._told:
            self._told[key] = self._issues.best(plain_issue(statement))
        if issue := self._told[key]:
            return Match("issue", *issue)
        patch = self._patches.best(changed(trajectory.patch))
        return Match("patch", *patch) if patch else None

    def unchecked(self, trajectory: Trajectory, row: TaskRow | None) -> tuple[str, ...]:
        """The rules that are on and say nothing of an attempt, because it has not what they compare."""
        settings, statement = self._settings, trajectory.task.statement or (row.statement if row else "")
        blind = {
            "base_commit": settings.base_commit and not (row and row.base_commit),
            "issue": settings.issue and not _has_words(plain_issue(statement), settings.issue.n),
            "patch": settings.patch and not _has_words(changed(trajectory.patch), settings.patch.n),
        }
        return tuple(rule for rule, is_blind in blind.items() if is_blind)

    def without(self) -> dict[str, int]:
        """How many tasks of the list each rule that is on cannot recognise: they come without what it compares."""
        found = {"base_commit": len(self.ids) - self._n_commits if self._settings.base_commit else 0}
        found |= {"issue": self._issues.n_empty, "patch": self._patches.n_empty}
        return found


def _commit(row: TaskRow) -> tuple[str, str]:
    return naming.repo_name(row.repo), row.base_commit.lower()


def _has_words(text: str, n: int) -> bool:
    return sum(1 for _ in islice(_WORD.finditer(text), n)) == n


class _Grams:
    """The word n-grams of some tasks' texts, for one overlap rule."""

    def __init__(self, rows: Sequence[TaskRow], texts: Sequence[str], rule: Overlap | None) -> None:
        self._rule = rule
        self._names = [row.instance_id for row in rows]
        each = [n_grams(text, rule.n) if rule else n_grams("", 1) for text in texts]
        self._sizes = np.array([len(grams) for grams in each], np.int64)
        self.n_empty = int((self._sizes == 0).sum()) if rule else 0
        grams = np.concatenate([*each, n_grams("", 1)])
        order = np.argsort(grams, kind="stable")
        self._grams = grams[order]
        self._owners = np.repeat(np.arange(len(each)), self._sizes)[order]

    def best(self, text: str) -> tuple[str, float, int] | None:
        """(task, share, n-grams of the shorter text) of the task it shares most with, if that is enough."""
        if self._rule is None or not len(self._grams):
            return None
        own = n_grams(text, self._rule.n)
        first, last = (np.searchsorted(self._grams, own, side) for side in ("left", "right"))
        found = last > first
        held = [self._owners[start:end] for start, end in zip(first[found], last[found], strict=True)]
        if not held:
            return None
        shared = np.bincount(np.concatenate(held), minlength=len(self._names))
        shorter = np.maximum(1, np.minimum(self._sizes, len(own)))
        task = int(np.argmax(shared / shorter))
        share = float(shared[task] / shorter[task])
        return (self._names[task], share, int(shorter[task])) if share >= self._rule.share else None


def n_grams(text: str, n: int) -> Hashes:
    """The distinct 64-bit hashes of the text's runs of n words, ascending; none where it has fewer words."""
    words = np.array([_hash(word) for word in _WORD.findall(text.lower())], np.uint64)
    if len(words) < n:
        return np.empty(0, np.uint64)
    found = np.zeros(len(words) - n + 1, np.uint64)
    for place in range(n):
        found ^= words[place : place + len(found)]
        found *= _MIX
        found ^= found >> _SHIFT
    return np.unique(found)


@lru_cache(maxsize=1 << 16)
def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def changed(patch: str) -> str:
    """The lines a patch takes and adds; the names of files would make patches of one file alike."""
    lines = patch.split("\n")
    return "\n".join(line[1:] for line in lines if line.startswith(("+", "-")) and not line.startswith(("+++", "---")))
