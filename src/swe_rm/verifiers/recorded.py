"""The verifier `recorded:FILE`: verdicts somebody wrote down, joined to attempts by id or by name."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from swe_rm.errors import RecordError, VerifierError
from swe_rm.sources.streams import File, display, lines, parse
from swe_rm.trajectory import Noun, Trajectory
from swe_rm.verdict import Verdict

Key = tuple[str, str, str]

_KEY_FIELDS = (("instance_id", "task_id"), ("policy",), ("attempt", "run"))
"""The parts of a key, each with the names it is accepted under."""

_ANSWER_FIELDS = ("raw_score", "logprob_yes", "logprob_no", "prompt_tokens", "truncated_tokens", "seconds")


class Row(Noun):
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

    Rows that name no verifier take the one the others name, or `recorded@<start of the content's sha256>`. Raises
    RecordError for a file that cannot be read, a line that is no verdict, and a file by two verifiers.
    """
    file, digest = display(Path(path)), hashlib.sha256()
    documents = []
    for number, line in lines(File(Path(path))):
        digest.update(line + b"\n")
        if line.strip():
            documents.append((number, _document(file, number, line)))
    name = _author(file, [document for _, document in documents]) or f"recorded@{digest.hexdigest()[:8]}"
    return [_row(file, number, document, name) for number, document in documents]


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


def join(rows: Sequence[Row], trajectories: Sequence[Named]) -> dict[str, Verdict]:
    """The rows' verdicts by attempt id; an attempt with no row is missing.

    Raises RecordError for a row that names no attempt or two, and for a second row about one attempt.
    """
    ids, keys = {trajectory.attempt_id: trajectory.key for trajectory in trajectories}, _ids_by_key(trajectories)
    found: dict[str, Verdict] = {}
    first: dict[str, int] = {}
    for row in rows:
        attempt_id = _named(row, ids, keys)
        if attempt_id in found:
            raise row.error(f"a second verdict on the attempt of line {first[attempt_id]}")
        found[attempt_id] = row.verdict.model_copy(update={"attempt_id": attempt_id})
        first[attempt_id] = row.line
    return found


class Recorded:
    """Answers from a file of verdicts. Raises VerifierError on an attempt the file says nothing about."""

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
        """The verifier that the rows name, else recorded@<start of the content's sha256>."""
        return self._rows[0].verdict.verifier

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """The recorded verdict on each trajectory. Rows about other attempts are passed over here: see `check`."""
        rows = [row for t in trajectories if (row := self._row(t))]
        if len(rows) < len(trajectories):
            missing = next(t for t in trajectories if not self._row(t))
            raise VerifierError(f"{self._path}: no verdict on {' / '.join(missing.key)} ({missing.attempt_id})")
        return list(join(rows, trajectories).values())

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


def _author(file: str, documents: Sequence[Mapping[str, Any]]) -> str | None:
    """The one verifier the rows name; None where none of them does."""
    names = sorted({str(document["verifier"]) for document in documents if document.get("verifier")})
    if len(names) > 1:
        raise RecordError(
            file, "", f"holds verdicts of {len(names)} verifiers ({', '.join(names[:3])}): give one a file"
        )
    return names[0] if names else None


def _row(file: str, line: int, document: Mapping[str, Any], verifier: str) -> Row:
    attempt_id, key = _name(file, line, document, ("attempt_id",)) or None, _key(file, line, document)
    if attempt_id is None and key is None:
        raise RecordError(
            file, f"line {line}", "names no attempt: neither attempt_id nor all of instance_id, policy, attempt"
        )
    if document.get("score") is None:
        raise RecordError(file, f"line {line}", "has no score")
    answer = {field: document[field] for field in _ANSWER_FIELDS if document.get(field) is not None}
    answer = {"raw_score": document["score"], **answer, "score": document["score"]}
    try:
        verdict = Verdict.model_validate({"attempt_id": attempt_id or "", "verifier": verifier, **answer}, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecordError(file, f"line {line}", f"{where}: {first['msg']}".removeprefix(": ")) from None
    return Row(file=file, line=line, attempt_id=attempt_id, key=key, verdict=verdict)


def _key(file: str, line: int, document: Mapping[str, Any]) -> Key | None:
    instance_id, policy, attempt = (_name(file, line, document, fields) for fields in _KEY_FIELDS)
    return None if instance_id is None or policy is None or attempt is None else (instance_id, policy, attempt)


def _name(file: str, line: int, document: Mapping[str, Any], fields: Sequence[str]) -> str | None:
    """The value under one of the accepted names; numbers are taken as text. None where the row has none of them."""
    given = {field: document[field] for field in fields if document.get(field) is not None}
    for field, value in given.items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise RecordError(file, f"line {line}", f"{field}: not a string")
    values = {str(value) for value in given.values()}
    if len(values) > 1:
        raise RecordError(file, f"line {line}", f"names two attempts: {' and '.join(given)} differ")
    return values.pop() if values else None


def _ids_by_key(trajectories: Sequence[Named]) -> dict[Key, list[str]]:
    ids: dict[Key, list[str]] = defaultdict(list)
    for trajectory in trajectories:
        ids[trajectory.key].append(trajectory.attempt_id)
    return ids


def _named(row: Row, ids: Mapping[str, Key], keys: Mapping[Key, Sequence[str]]) -> str:
    """The id of the one attempt the row names."""
    if row.attempt_id is not None:
        if row.attempt_id not in ids:
            raise row.error(f"names no attempt given: attempt_id {row.attempt_id}")
        if row.key is not None and row.key != ids[row.attempt_id]:
            raise row.error(f"names two attempts: attempt_id {row.attempt_id} is not {' / '.join(row.key)}")
        return row.attempt_id
    assert row.key is not None, "read_verdicts refuses a row without either"
    matches = keys.get(row.key, ())
    if len(matches) != 1:
        many = "no attempt given" if not matches else f"{len(matches)} attempts"
        raise row.error(f"names {many}: {' / '.join(row.key)}")
    return matches[0]
