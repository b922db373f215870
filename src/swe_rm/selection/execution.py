"""What tests said of attempts, as counts: the execution-based side of a selection, read from rows and reports.

Regression tests are those the project had; generated tests were written for the task. Hidden tests are the outcome
itself and are never read: of a SWE-bench report only `PASS_TO_PASS` counts.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from pydantic import Field, ValidationError

from swe_rm.errors import RecordError
from swe_rm.sources import streams
from swe_rm.trajectory import Noun, Trajectory

Kind = Literal["regression", "generated"]
KINDS: tuple[Kind, ...] = get_args(Kind)

REPORT = "report.json"
_REGRESSION = "PASS_TO_PASS"
_KEY = {"instance_id": ("instance_id", "task_id"), "policy": ("policy",), "attempt": ("attempt", "run")}
"""The parts of an attempt's name, each with the names it is accepted under; the last may be missing."""


class Counts(Noun):
    """Tests of one kind that an attempt was given."""

    passed: int = Field(default=0, ge=0)
    failed: int = Field(default=0, ge=0)
    missing: int = Field(default=0, ge=0)
    """Tests that came to no result."""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            passed=self.passed + other.passed,
            failed=self.failed + other.failed,
            missing=self.missing + other.missing,
        )

    @property
    def share(self) -> Fraction | None:
        """Passed of all; one that came to no result did not pass. None where no test came to one: not tested."""
        if not self.passed + self.failed:
            return None
        return Fraction(self.passed, self.passed + self.failed + self.missing)


class Executed(Noun):
    """What tests said of one attempt."""

    regression: Counts = Counts()
    generated: Counts = Counts()

    def __add__(self, other: "Executed") -> "Executed":
        return Executed(regression=self.regression + other.regression, generated=self.generated + other.generated)


class Tested(NamedTuple):
    """What files of test results say of a pile."""

    by_attempt: dict[str, Executed]
    """By attempt id; an attempt nothing is said of is not there."""
    strays: int
    """Rows and reports about attempts that are not in the pile."""


class _Said(NamedTuple):
    """One row or report: where it stands, whom it names, whose tests they are, and the counts."""

    file: str
    record: str
    attempt_id: str | None
    key: tuple[str, str | None, str | None]
    """(instance_id, policy, attempt); policy and attempt are None where they are not named."""
    parts: frozenset[str]
    """Of a report: the names of the folders it lies in, one of which is the attempt's policy or its run."""
    suite: str
    executed: Executed

    def error(self, reason: str) -> RecordError:
        return RecordError(self.file, self.record, reason)


def read_tests(paths: Sequence[Path], trajectories: Sequence[Trajectory]) -> Tested:
    """What the files say of these attempts. Several rows about one attempt are added up.

    A path is a JSON Lines file (`.gz` and `.zst` too), a SWE-bench report, or a folder that is searched for
    `report.json`. A row has a key (`attempt_id`, or `instance_id` with `policy`, and `attempt` where the policy has
    several) and `passed`, `failed`, `missing`, with the `kind` of the tests (`generated` unless given) and the name of
    their `test_generator`; or it has a report's `tests_status`. Raises RecordError for a file that cannot be read, a
    row that is none of this, one that names two attempts, and a second row of one suite about one attempt.
    """
    index = _Index(trajectories)
    found: dict[str, Executed] = {}
    seen: set[tuple[str, str]] = set()
    strays = 0
    for said in (said for path in paths for file in _walked(path) for said in _read(file)):
        named = index.named(said)
        if named is None:
            strays += 1
            continue
        if (named, said.suite) in seen:
            raise said.error("a second row of the same tests about one attempt")
        seen.add((named, said.suite))
        found[named] = found.get(named, Executed()) + said.executed
    return Tested(found, strays)


class _Index:
    """Finds the one attempt that a row names."""

    def __init__(self, trajectories: Sequence[Trajectory]) -> None:
        self._ids = {trajectory.attempt_id for trajectory in trajectories}
        self._tasks: dict[str, list[Trajectory]] = defaultdict(list)
        for trajectory in trajectories:
            self._tasks[trajectory.task.instance_id].append(trajectory)

    def named(self, said: _Said) -> str | None:
        """The id of the attempt; None where it is not in the pile. Raises RecordError where two have that name."""
        if said.attempt_id is not None:
            return said.attempt_id if said.attempt_id in self._ids else None
        instance_id, policy, attempt = said.key
        matches = [
            trajectory.attempt_id
            for trajectory in self._tasks.get(instance_id, ())
            if policy in (None, trajectory.origin.policy)
            and attempt in (None, trajectory.origin.attempt)
            and (not said.parts or _lies_with(said.parts, trajectory))
        ]
        if len(matches) > 1:
            raise said.error(f"names {len(matches)} attempts: {' / '.join(filter(None, said.key))}")
        return matches[0] if matches else None


def _lies_with(parts: frozenset[str], trajectory: Trajectory) -> bool:
    origin = trajectory.origin
    return origin.policy.replace("/", "__") in parts or parts.issuperset(origin.attempt.split("/"))


def _walked(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    reports = sorted(path.rglob(REPORT))
    if not reports:
        raise RecordError(str(path), "", f"no {REPORT} in this folder")
    yield from reports


def _read(path: Path) -> Iterator[_Said]:
    file = streams.File(path)
    name = streams.display(path)
    if path.name == REPORT:
        yield from _reports(name, path, streams.document(file))
        return
    for number, line in streams.lines(file):
        if line.strip():
            try:
                value = streams.parse(line)
            except ValueError as error:
                raise RecordError(name, f"line {number}", str(error)) from None
            yield _row(name, f"line {number}", value)


def _reports(name: str, path: Path, document: Any) -> Iterator[_Said]:
    if not isinstance(document, dict):
        raise RecordError(name, "", "not a report: no JSON object")
    for instance_id, report in document.items():
        if isinstance(report, dict) and "tests_status" in report:
            executed = _status(name, instance_id, report["tests_status"])
            parts = frozenset(path.absolute().parts[:-1])
            yield _Said(name, instance_id, None, (instance_id, None, None), parts, _REGRESSION, executed)


def _row(file: str, record: str, value: Any) -> _Said:
    if not isinstance(value, dict):
        raise RecordError(file, record, "not a JSON object")
    named = {part: _name(file, record, value, fields) for part, fields in _KEY.items()}
    attempt_id = _name(file, record, value, ("attempt_id",))
    if attempt_id is None and None in (named["instance_id"], named["policy"]):
        raise RecordError(file, record, "names no attempt: neither attempt_id nor instance_id and policy")
    key = (named["instance_id"] or "", named["policy"], named["attempt"])
    if "tests_status" in value:
        executed, suite = _status(file, record, value["tests_status"]), _REGRESSION
    else:
        executed, suite = _counted(file, record, value)
    return _Said(file, record, attempt_id, key, frozenset(), suite, executed)


def _name(file: str, record: str, value: Mapping[str, Any], fields: Sequence[str]) -> str | None:
    found = next((value[field] for field in fields if value.get(field) is not None), None)
    if found is None or (isinstance(found, str | int) and not isinstance(found, bool)):
        return None if found is None else str(found)
    raise RecordError(file, record, f"{fields[0]}: not a string")


def _counted(file: str, record: str, value: Mapping[str, Any]) -> tuple[Executed, str]:
    """The counts of a row and the name of its suite."""
    kind = value.get("kind") or "generated"
    if kind not in KINDS:
        raise RecordError(file, record, f"kind: not one of {', '.join(KINDS)}")
    given = {field: value[field] for field in ("passed", "failed", "missing") if value.get(field) is not None}
    if not {"passed", "failed"} <= given.keys():
        raise RecordError(file, record, "has neither passed and failed nor tests_status")
    try:
        counts = Counts.model_validate(given, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecordError(file, record, f"{first['loc'][0]}: {first['msg']}") from None
    return Executed(**{kind: counts}), f"{kind} {value.get('test_generator') or ''}"


def _status(file: str, record: str, status: Any) -> Executed:
    """The regression tests of a report."""
    listed = status.get(_REGRESSION) if isinstance(status, dict) else None
    listed = listed if isinstance(listed, dict) else {}
    sides = [side for name in ("success", "failure") if isinstance(side := listed.get(name), list)]
    if len(sides) != 2:
        raise RecordError(file, record, f"tests_status has no lists of {_REGRESSION}")
    passed, failed = map(len, sides)
    return Executed(regression=Counts(passed=passed, failed=failed))
