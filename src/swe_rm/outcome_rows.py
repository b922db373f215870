"""Outcomes of attempts without the attempts: rows as `swe-rm label --out` writes them, read one at a time."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from swe_rm.errors import RecordError
from swe_rm.row_names import Key, names
from swe_rm.sources.reader import Refusal
from swe_rm.sources.streams import File, display, head, lines, parse
from swe_rm.trajectory import Outcome

_SAID: dict[Any, Outcome] = {
    True: Outcome.RESOLVED,
    False: Outcome.UNRESOLVED,
    None: Outcome.UNKNOWN,
    **{str(outcome): outcome for outcome in Outcome},
}
_HEAD = 1 << 16
"""Bytes that the first row of a table surely fits into."""
_LOGGED = frozenset({"messages", "trajectory", "history", "patch", "model_patch", "score"})
"""A row with one of these is an attempt or a verdict, and no row of a table of outcomes."""


class OutcomeRow(NamedTuple):
    """What is known of one attempt."""

    file: str
    line: int
    attempt_id: str | None
    key: Key | None
    """(instance_id, policy, attempt); None where the row does not give all three."""
    outcome: Outcome

    def refusal(self, reason: str) -> Refusal:
        """This row, which cannot be used."""
        return Refusal(file=self.file, record=f"line {self.line}", reason=reason)


def outcome_rows(path: Path) -> Iterator[OutcomeRow | Refusal]:
    """Every row of a JSON Lines file (`.gz` and `.zst` too): a name, and `resolved` or `outcome`.

    `resolved` is true, false or null, `outcome` one of resolved, unresolved, unknown; the name is an `attempt_id`, or
    all of `instance_id`, `policy`, `attempt`. A line that is no such row is a refusal. Raises RecordError for a file
    that cannot be read.
    """
    file = display(path)
    for number, line in lines(File(path)):
        if line.strip():
            try:
                yield _row(file, number, parse(line))
            except ValueError as error:
                yield Refusal(file=file, record=f"line {number}", reason=str(error))


def is_table(path: Path) -> bool:
    """Whether a file is such a table, by its first row: it names an attempt and its outcome, and shows no log."""
    if not path.is_file():
        return False
    try:
        first = head(File(path), _HEAD)[0].lstrip().split(b"\n", 1)[0]
        row = parse(first)
        return isinstance(row, dict) and not _LOGGED & row.keys() and bool(_row("", 1, row))
    except (RecordError, ValueError):
        return False


class Table:
    """The outcomes in some files, with an account of every row as a pile keeps it."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.files_read = list(paths)
        self.files_refused: list[Path] = []
        self.side_files: list[Path] = []
        self.notes: list[str] = []
        self.refusals: list[Refusal] = []
        self.n_read = 0

    def rows(self) -> Iterator[tuple[OutcomeRow, Key]]:
        """Every row that tells task, policy and attempt, with those; the others are refused."""
        for path in self.files_read:
            for row in outcome_rows(path):
                if isinstance(row, Refusal):
                    self.refusals.append(row)
                elif row.key is None:
                    self.refusals.append(row.refusal("does not say instance_id, policy and attempt"))
                else:
                    self.n_read += 1
                    yield row, row.key


def _row(file: str, number: int, row: Any) -> OutcomeRow:
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    attempt_id, key = names(row)
    return OutcomeRow(file, number, attempt_id, key, _outcome(row))


def _outcome(row: Mapping[str, Any]) -> Outcome:
    told = [row[field] for field in ("resolved", "outcome") if field in row]
    if not told:
        raise ValueError("says neither resolved nor outcome")
    found = {_SAID.get(value) if isinstance(value, bool | str | None) else None for value in told}
    outcome = found.pop()
    if outcome is None or found:
        raise ValueError(f"no outcome: {', '.join(map(repr, told))}")
    return outcome
