"""The verifier `recorded:FILE`: verdicts somebody wrote down, joined to attempts by id or by name."""

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pydantic import ValidationError

from swe_rm.errors import RecordError, VerifierError
from swe_rm.row_names import Key, names
from swe_rm.sources.streams import File, display, lines, parse
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Verdict, Verifier

_ANSWER_FIELDS = ("raw_score", "logprob_yes", "logprob_no", "prompt_tokens", "truncated_tokens", "seconds", "bounds")

NAMELESS = "recorded@"
"""What the verifier of rows that name none is called begins with."""


class Row(NamedTuple):
    """One line of a file of verdicts."""

    file: str
    line: int
    attempt_id: str | None
    key: Key | None
    """(instance_id, policy, attempt); None where the row does not give all three."""
    verdict: Verdict
    """Its attempt_id is empty where the row has none."""

    def error(self, reason: str) -> RecordError:
        """An error about this row."""
        return RecordError(self.file, f"line {self.line}", reason)


def read_verdicts(path: str | Path) -> list[Row]:
    """The verdicts in a JSON Lines file (`.gz` and `.zst` too): `score` and a key are required, other fields optional.

    Rows that name no verifier take the one the others name, or `recorded@<hash of the rows, in any order>`. Raises
    RecordError for a file that cannot be read, a line that is no verdict, and a file by two verifiers.
    """
    return list(verdict_rows(path))


def verdict_rows(path: str | Path) -> Iterator[Row]:
    """`read_verdicts` as a stream: one row in memory at a time, the file is read twice."""
    for row in each_row(path):
        if isinstance(row, RecordError):
            raise row
        yield row


def each_row(path: str | Path) -> Iterator[Row | RecordError]:
    """The same with the error of a line in its place, so that what follows can still be read."""
    file = display(Path(path))
    name = _author(file, Path(path))
    for number, line in lines(File(Path(path))):
        if line.strip():
            try:
                yield _row(file, number, _document(file, number, line), name)
            except RecordError as error:
                yield error


class Named(Protocol):
    """What verdicts are joined to: a trajectory, or what is left of one."""

    @property
    def attempt_id(self) -> str:
        """The identity."""
        ...

    @property
    def key(self) -> Key:
        """(instance_id, policy, attempt)."""
        ...


def join(rows: Iterable[Row], trajectories: Sequence[Named]) -> dict[str, Verdict]:
    """The rows' verdicts by attempt id; an attempt with no row is missing.

    Raises RecordError for a row that names no attempt or two, and for a second row about one attempt.
    """
    return {trajectories[place].attempt_id: verdict for place, verdict in joined(rows, trajectories)}


def joined(rows: Iterable[Row], trajectories: Sequence[Named]) -> Iterator[tuple[int, Verdict]]:
    """(place of the attempt, its verdict) row by row; raises as `join` does.

    It holds a number and a hash entry an attempt; names are looked up only where a row gives no id.
    """
    places = {trajectory.attempt_id: place for place, trajectory in enumerate(trajectories)}
    keys: dict[Key, list[int]] = {}
    first = array("q", [0]) * len(trajectories)
    for row in rows:
        if row.attempt_id is None and not keys:
            keys = _places_by_key(trajectories)
        place = _named(row, trajectories, places, keys)
        if first[place]:
            raise row.error(f"a second verdict on the attempt of line {first[place]}")
        first[place] = row.line
        yield place, row.verdict.model_copy(update={"attempt_id": trajectories[place].attempt_id})


class Recorded:
    """Answers from a file of verdicts. Raises VerifierError on an attempt the file says nothing about."""

    reads_origin = True

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self._rows = read_verdicts(path)
        if not self._rows:
            raise RecordError(self._path, "", "holds no verdict")
        self._by_name: dict[str | Key | None, Row] = {}
        for row in self._rows:
            name = row.attempt_id or row.key
            if first := self._by_name.get(name):
                raise row.error(f"a second verdict on the attempt of line {first.line}")
            self._by_name[name] = row

    @property
    def name(self) -> str:
        """The verifier that the rows name, else recorded@<hash of the rows, in any order>."""
        return self._rows[0].verdict.verifier

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """The recorded verdict on each trajectory. Rows about other attempts are passed over here: see `check`."""
        rows = [row for t in trajectories if (row := self._row(t))]
        if len(rows) < len(trajectories):
            missing = next(t for t in trajectories if not self._row(t))
            raise VerifierError(f"{self._path}: no verdict on {' / '.join(missing.key)} ({missing.attempt_id})")
        return list(join(rows, trajectories).values())

    def following(self) -> Verifier:
        """Raise VerifierError: a row names an attempt and would be taken for its verdict after every turn."""
        raise VerifierError(f"{self._path}: recorded verdicts are of whole attempts; after each turn there is none")

    def check(self, trajectories: Sequence[Trajectory]) -> None:
        """Raise RecordError unless every row names exactly one of these attempts: the whole pile, not a part of it."""
        join(self._rows, trajectories)

    def _row(self, trajectory: Trajectory) -> Row | None:
        return self._by_name.get(trajectory.attempt_id) or self._by_name.get(trajectory.key)


def _document(file: str, line: int, text: bytes) -> dict[str, Any]:
    try:
        document = parse(text)
    except ValueError as error:
        raise RecordError(file, f"line {line}", str(error)) from None
    if not isinstance(document, dict):
        raise RecordError(file, f"line {line}", "not a JSON object")
    return document


def _author(file: str, path: Path) -> str:
    """The one verifier the rows name; else a name made of the content."""
    authors: set[str] = set()
    total = 0  # of the lines' digests: the same whatever order the rows stand in
    for number, line in lines(File(path)):
        if not line.strip():
            continue
        total += int.from_bytes(hashlib.sha256(line).digest()[:4])
        try:
            document = _document(file, number, line)
        except RecordError:
            continue  # told where it stands when the rows are read
        if document.get("verifier"):
            authors.add(str(document["verifier"]))
    if len(authors) > 1:
        raise RecordError(
            file, "", f"holds verdicts of {len(authors)} verifiers ({', '.join(sorted(authors)[:3])}): give one a file"
        )
    return authors.pop() if authors else f"{NAMELESS}{total % (1 << 32):08x}"


def _row(file: str, line: int, document: Mapping[str, Any], verifier: str) -> Row:
    try:
        attempt_id, key = names(document)
    except ValueError as error:
        raise RecordError(file, f"line {line}", str(error)) from None
    if document.get("score") is None:
        raise RecordError(file, f"line {line}", "has no score")
    answer = {field: document[field] for field in _ANSWER_FIELDS if document.get(field) is not None}
    answer = {"raw_score": document["score"], **answer, "score": document["score"]}
    if isinstance(answer.get("bounds"), list):
        answer["bounds"] = tuple(answer["bounds"])
    try:
        verdict = Verdict.model_validate({"attempt_id": attempt_id or "", "verifier": verifier, **answer}, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecordError(file, f"line {line}", f"{where}: {first['msg']}".removeprefix(": ")) from None
    return Row(file=file, line=line, attempt_id=attempt_id, key=key, verdict=verdict)


def _places_by_key(trajectories: Sequence[Named]) -> dict[Key, list[int]]:
    places: dict[Key, list[int]] = defaultdict(list)
    for place, trajectory in enumerate(trajectories):
        places[trajectory.key].append(place)
    return places


def _named(
    row: Row, trajectories: Sequence[Named], places: Mapping[str, int], keys: Mapping[Key, Sequence[int]]
) -> int:
    """The place of the one attempt the row names."""
    if row.attempt_id is not None:
        place = places.get(row.attempt_id)
        if place is None:
            raise row.error(f"names no attempt given: attempt_id {row.attempt_id}")
        if row.key is not None and row.key != trajectories[place].key:
            raise row.error(f"names two attempts: attempt_id {row.attempt_id} is not {' / '.join(row.key)}")
        return place
    assert row.key is not None, "rows without either are refused"
    matches = keys.get(row.key, ())
    if len(matches) != 1:
        many = "no attempt given" if not matches else f"{len(matches)} attempts"
        raise row.error(f"names {many}: {' / '.join(row.key)}")
    return matches[0]
