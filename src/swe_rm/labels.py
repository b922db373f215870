"""Outcomes as evaluations write them: SWE-bench reports by instance and by run, submission results, rows of labels."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from swe_rm.trajectory import Outcome

Key = tuple[str, str, str]
"""(instance_id, policy, attempt); an empty policy or attempt stands for all."""

_UNTESTED = (
    "infra_failure_ids",
    "ambiguous_failure_ids",
    "incomplete_ids",
    "error_ids",
    "no_logs",
    "install_fail",
    "reset_failed",
    "test_errored",
    "test_timeout",
)
_FAILED = ("unresolved_ids", "empty_patch_ids", "no_generation", "no_apply")
_PASSED = ("resolved_ids", "resolved")
_TESTED = ("completed_ids", "with_logs", "generated")
"""Lists of what was tested at all: who is on one and in no other list is unresolved."""
_RUN_REPORT = frozenset({"resolved_ids", "unresolved_ids", "completed_ids", "submitted_ids", "incomplete_ids"})
_SUBMISSION = frozenset({"no_generation", "no_logs", "generated", "with_logs"})
_INSTANCE_REPORT = frozenset({"patch_is_None", "patch_exists", "patch_successfully_applied", "tests_status"})
_ATTEMPT = frozenset({"messages", "patch", "model_patch", "trajectory", "history", "test_result", "generated_patch"})


class Entry(NamedTuple):
    """What a file says of one attempt, and in which of its fields."""

    outcome: Outcome
    where: str


class LabelFile(NamedTuple):
    """What one file says."""

    entries: Mapping[Key, Entry]
    absent: Entry | None = None
    """What holds for the run's attempts the file does not name; None where it says nothing of them."""

    def says(self, key: Key) -> Entry | None:
        """The entry of the attempt, the most exact one first."""
        instance_id, policy, attempt = key
        keys = (key, (instance_id, policy, ""), (instance_id, "", attempt), (instance_id, "", ""))
        return next((self.entries[k] for k in keys if k in self.entries), None)


def stated(resolved: bool | None) -> Outcome:
    """The outcome a `resolved` field states; null is UNKNOWN."""
    if resolved is None:
        return Outcome.UNKNOWN
    return Outcome.RESOLVED if resolved else Outcome.UNRESOLVED


def reported(report: Mapping[str, Any]) -> Outcome:
    """The outcome of one instance's report: UNKNOWN where the evaluation itself failed.

    A patch that is missing or does not apply is a failure of the attempt. Raises ValueError when `resolved` is no
    boolean.
    """
    if report.get("infra_failure") or report.get("error_eval") or report.get("test_timeout"):
        return Outcome.UNKNOWN
    resolved = report.get("resolved")
    if resolved is not None and not isinstance(resolved, bool):
        raise ValueError("resolved is not true, false or null")
    return stated(resolved)


def recognised(name: str, keys: Mapping[str, frozenset[str]]) -> bool:
    """Whether a file of that name whose first record has these keys (each with the keys inside it) holds labels."""
    found = keys.keys()
    if found & _RUN_REPORT or ("resolved" in found and (found & _SUBMISSION or found & _INSTANCE_REPORT)):
        return True
    if {"instance_id", "resolved"} <= found and not found & _ATTEMPT:
        return True
    if found == {"resolved"} and name.startswith("result"):
        return True
    return any("resolved" in inner and inner & _INSTANCE_REPORT for inner in keys.values())


def read_labels(values: Sequence[Any], folder: str) -> LabelFile:
    """The labels in the records of one file; `folder` names the instance of a report that does not.

    Raises ValueError when they are of no known shape.
    """
    if not values:
        raise ValueError("holds no labels")
    if len(values) == 1 and isinstance(values[0], dict) and "instance_id" not in values[0]:
        return _document(values[0], folder)
    return LabelFile(_merged(_row(value, f"record {number}") for number, value in enumerate(values, 1)))


def _document(value: Mapping[str, Any], folder: str) -> LabelFile:
    if value.keys() & _INSTANCE_REPORT:
        return LabelFile({(folder, "", ""): Entry(reported(value), "resolved")})
    if value.keys() & (_RUN_REPORT | _SUBMISSION) or isinstance(value.get("resolved"), list):
        return _lists(value)
    if not value:
        raise ValueError("holds no labels")
    return LabelFile({(instance_id, "", ""): _by_instance(instance_id, said) for instance_id, said in value.items()})


def _by_instance(instance_id: str, said: Any) -> Entry:
    if isinstance(said, bool):
        return Entry(stated(said), instance_id)
    if isinstance(said, dict) and "resolved" in said:
        return Entry(reported(said), "resolved")
    raise ValueError(f"says nothing of {instance_id!r} that could be its outcome")


def _lists(value: Mapping[str, Any]) -> LabelFile:
    """Lists of ids by what became of them: an id among the untested is UNKNOWN whatever else is said of it."""
    listed = [
        ((instance_id, "", ""), Entry(outcome, name))
        for outcome, names in (
            (Outcome.UNKNOWN, _UNTESTED),
            (Outcome.UNRESOLVED, _FAILED),
            (Outcome.RESOLVED, _PASSED),
        )
        for name in names
        for instance_id in _ids(value, name)
    ]
    entries = _merged(listed)
    tested = {instance_id: name for name in _TESTED for instance_id in _ids(value, name)}
    for instance_id, name in tested.items():
        entries.setdefault((instance_id, "", ""), Entry(Outcome.UNRESOLVED, f"{name}, not among the resolved"))
    complete = not tested and isinstance(value.get("resolved"), list) and bool(value.keys() & _SUBMISSION)
    return LabelFile(entries, Entry(Outcome.UNRESOLVED, "not among the resolved") if complete else None)


def _ids(value: Mapping[str, Any], name: str) -> list[str]:
    found = value.get(name)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def _row(value: Any, what: str) -> tuple[Key, Entry]:
    if not isinstance(value, dict) or not isinstance(value.get("instance_id"), str):
        raise ValueError(f"{what} names no instance_id")
    if "resolved" not in value:
        raise ValueError(f"{what} has no field resolved")
    policy, attempt = (
        next((str(value[name]) for name in names if value.get(name) is not None), "")
        for names in (("policy", "model_name_or_path"), ("attempt", "run"))
    )
    return (value["instance_id"], policy, attempt), Entry(reported(value), "resolved")


def _merged(listed: Iterable[tuple[Key, Entry]]) -> dict[Key, Entry]:
    """One entry a key; what is said both ways is UNKNOWN."""
    entries: dict[Key, Entry] = {}
    for key, entry in listed:
        held = entries.get(key)
        if held is None or held.outcome is entry.outcome:
            entries[key] = held or entry
        else:
            entries[key] = Entry(Outcome.UNKNOWN, f"{held.where} and {entry.where}")
    return entries
