"""Labels: what each kind of evaluation file says, never more than it says, and of which attempts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.errors import RecordError
from swe_rm.labels import read_labels, recognised, reported
from swe_rm.sources import open_pile
from swe_rm.sources.outline import outline
from swe_rm.trajectory import Outcome

PATCH = "diff --git a/lamp.py b/lamp.py\n+lit = False\n"


def says(value: Any, *instances: str) -> str:
    """What a file says of each instance: + resolved, - unresolved, ? unknown, . nothing."""
    found = read_labels(value if isinstance(value, list) else [value], "lamp__lamp-1")
    entries = [found.says((instance, "p", "a")) or found.absent for instance in instances]
    signs = {Outcome.RESOLVED: "+", Outcome.UNRESOLVED: "-", Outcome.UNKNOWN: "?"}
    return "".join(signs[entry.outcome] if entry else "." for entry in entries)


def report(resolved: bool, **more: object) -> dict[str, object]:
    return {"patch_is_None": False, "patch_exists": True, "resolved": resolved, **more}


def test_reports_by_instance() -> None:
    assert says({"a": report(True), "b": report(False), "c": report(False, infra_failure=True)}, *"abcd") == "+-?."
    assert says(report(True), "lamp__lamp-1", "other") == "+.", "a report without an id is that of its folder"
    assert says({"a": report(False, patch_exists=False)}, "a") == "-", "an empty patch is the attempt's failure"


def test_reports_of_a_run() -> None:
    value = {
        "schema_version": 2,
        "resolved_ids": ["a"],
        "unresolved_ids": ["b", "h"],
        "error_ids": ["c"],
        "empty_patch_ids": ["d"],
        "incomplete_ids": ["e"],
        "infra_failure_ids": ["f"],
        "ambiguous_failure_ids": ["h"],
        "resolved_instances": 1,
    }
    assert says(value, *"abcdefgh") == "+-?-??.?"
    assert says({"completed_ids": ["a", "b"], "resolved_ids": ["a"]}, *"abc") == "+-."


def test_results_of_a_submission_are_complete_only_where_they_list_what_failed_to_be_tested() -> None:
    assert says({"no_generation": ["c"], "no_logs": ["d"], "resolved": ["a"]}, *"abcd") == "+--?"
    assert says({"resolved": ["a"]}, *"ab") == "+.", "a list of the resolved says nothing of the others"
    old = {
        "generated": ["a", "b", "c"],
        "with_logs": ["a", "b"],
        "resolved": ["a"],
        "no_apply": [],
        "install_fail": ["c"],
    }
    assert says(old, *"abcd") == "+-?."


def test_what_is_said_both_ways_is_unknown() -> None:
    assert says({"resolved_ids": ["a"], "unresolved_ids": ["a", "b"]}, *"ab") == "?-"
    assert says({"resolved": ["a"], "no_logs": ["a"]}, "a") == "?"


IDS = st.lists(st.sampled_from("abcdef"), max_size=4)
LISTS = (
    "resolved_ids",
    "unresolved_ids",
    "empty_patch_ids",
    "error_ids",
    "incomplete_ids",
    "infra_failure_ids",
    "completed_ids",
)


@given(st.dictionaries(st.sampled_from(LISTS), IDS).filter(lambda value: bool(value.keys() & {"resolved_ids"})))
def test_lists_agree_with_asking_each_in_turn(value: Mapping[str, list[str]]) -> None:
    """Twin: one instance at a time, in plain ifs."""

    def slow(instance: str) -> str:
        where = {name for name, ids in value.items() if instance in ids}
        if where & {"error_ids", "incomplete_ids", "infra_failure_ids"}:
            return "?"
        failed = bool(where & {"unresolved_ids", "empty_patch_ids"})
        if "resolved_ids" in where:
            return "?" if failed else "+"
        return "-" if failed or "completed_ids" in where else "."

    assert says(value, *"abcdef") == "".join(map(slow, "abcdef"))


def test_rows_name_attempts_as_exactly_as_they_can() -> None:
    rows = [
        {"instance_id": "a", "policy": "p", "attempt": "a", "resolved": True},
        {"instance_id": "a", "resolved": False},
        {"instance_id": "b", "policy": "other", "resolved": True},
        {"instance_id": "c", "run": "a", "resolved": None},
    ]
    assert says(rows, *"abc") == "+.?"
    found = read_labels(rows, "")
    assert found.says(("a", "q", "z")) == (Outcome.UNRESOLVED, "resolved")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "holds no labels"),
        ([{"a": 3}], "says nothing of 'a'"),
        ([{"instance_id": "a"}, {"instance_id": "b", "resolved": True}], "record 1 has no field resolved"),
        ([{"resolved": True}, 3], "record 1 names no instance_id"),
        ([{"a": report(True) | {"resolved": "yes"}}], "resolved is not true, false or null"),
    ],
)
def test_what_holds_no_labels_says_so(value: list[Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_labels(value, "")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("report.json", {"a": report(True)}, True),
        ("report.json", report(True), True),
        ("m.run.json", {"total_instances": 3, "completed_ids": [], "resolved_ids": []}, True),
        ("results.json", {"no_generation": [], "no_logs": [], "resolved": []}, True),
        ("results.json", {"resolved": []}, True),
        ("labels.jsonl", {"instance_id": "a", "resolved": True}, True),
        ("rows.jsonl", {"instance_id": "a", "resolved": True, "patch": "x"}, False),
        ("rows.jsonl", {"instance_id": "a", "resolved": True, "messages": []}, False),
        ("other.json", {"resolved": True}, False),
        ("config.json", {"model": {"name": "x"}}, False),
    ],
)
def test_label_files_are_recognised_by_their_keys(name: str, value: Any, expected: bool) -> None:
    assert recognised(name, outline(json.dumps(value).encode()).keys) is expected


def test_an_evaluation_that_failed_is_no_outcome() -> None:
    assert reported({"resolved": False, "error_eval": True}) is Outcome.UNKNOWN
    assert reported({"resolved": False, "test_timeout": True}) is Outcome.UNKNOWN
    assert reported({"resolved": False, "failed_apply_patch": True}) is Outcome.UNRESOLVED
    assert reported({}) is Outcome.UNKNOWN


# --- which attempts they are of --------------------------------------------------------------------------------------


def trajectory(folder: Path, run: str, instance: str = "lamp__lamp-1", patch: str = PATCH, model: str = "m") -> Path:
    file = folder / run / instance / f"{instance}.traj.json"
    write(
        file,
        {
            "info": {"exit_status": "Submitted", "submission": patch, "config": {"model": {"model_name": model}}},
            "messages": [{"role": "user", "content": "The lamp hums."}, {"role": "assistant", "content": "ok"}],
            "instance_id": instance,
        },
    )
    return file


def write(file: Path, value: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(value if isinstance(value, str) else json.dumps(value))


def outcomes(*paths: Path, labels: tuple[Path, ...] = ()) -> tuple[dict[str, str], list[str]]:
    pile = open_pile(paths, labels)
    found = {item.trajectory.origin.attempt: item.outcome.value for item in pile.attempts()}
    assert pile.refusals == []
    return found, pile.notes


def test_a_report_inside_a_run_is_of_that_run_only(tmp_path: Path) -> None:
    trajectory(tmp_path, "night-1")
    trajectory(tmp_path, "night-2")
    write(tmp_path / "night-1" / "logs" / "lamp__lamp-1" / "report.json", {"lamp__lamp-1": report(True)})
    assert outcomes(tmp_path) == ({"night-1": "resolved", "night-2": "unknown"}, [])


def test_a_report_elsewhere_is_of_the_run_it_names_and_of_the_longest_name(tmp_path: Path) -> None:
    for run in ("night", "night_2", "day"):
        trajectory(tmp_path / "runs", run)
    write(tmp_path / "logs" / "run_evaluation" / "night_2" / "m" / "report.json", {"lamp__lamp-1": report(True)})
    write(tmp_path / "reports" / "day.report.json", {"lamp__lamp-1": report(False)})
    assert outcomes(tmp_path) == ({"night": "unknown", "night_2": "resolved", "day": "unresolved"}, [])


def test_a_report_of_an_absent_run_is_used_for_no_other(tmp_path: Path) -> None:
    trajectory(tmp_path, "night-1")
    write(tmp_path / "night-2" / "logs" / "lamp__lamp-1" / "report.json", {"lamp__lamp-1": report(True)})
    assert outcomes(tmp_path) == ({"night-1": "unknown"}, [])


def test_a_report_named_after_the_model_is_of_its_only_run(tmp_path: Path) -> None:
    trajectory(tmp_path / "output", "night-1", model="labs/lamp-model")
    logs = tmp_path / "logs" / "run_evaluation" / "an_id" / "labs__lamp-model" / "lamp__lamp-1"
    write(logs / "report.json", {"lamp__lamp-1": report(True)})
    assert outcomes(tmp_path)[0] == {"night-1": "resolved"}


def test_results_beside_several_runs_are_not_guessed(tmp_path: Path) -> None:
    trajectory(tmp_path, "night-1")
    trajectory(tmp_path, "night-2")
    write(tmp_path / "results.json", {"no_generation": [], "no_logs": [], "resolved": ["lamp__lamp-1"]})
    found, notes = outcomes(tmp_path)
    assert set(found.values()) == {"unknown"}
    assert notes == [f"{tmp_path / 'results.json'}: beside several runs without naming one of them: not used"]


def test_the_nearest_report_counts(tmp_path: Path) -> None:
    trajectory(tmp_path, "night-1")
    write(tmp_path / "results.json", {"no_generation": [], "no_logs": [], "resolved": []})
    assert outcomes(tmp_path)[0] == {"night-1": "unresolved"}
    write(tmp_path / "night-1" / "lamp__lamp-1" / "report.json", report(True))
    assert outcomes(tmp_path) == ({"night-1": "resolved"}, [])


def test_reports_that_disagree_give_no_outcome_and_a_note(tmp_path: Path) -> None:
    trajectory(tmp_path, "night-1")
    write(tmp_path / "night-1" / "report.json", {"resolved_ids": ["lamp__lamp-1"]})
    write(tmp_path / "night-1" / "results" / "results.json", {"no_logs": [], "resolved": []})
    found, (note,) = outcomes(tmp_path)
    assert found == {"night-1": "unknown"}
    assert "labels disagree, so it has none" in note
    assert "night-1/report.json: resolved_ids" in note


def test_a_report_about_another_patch_is_not_used(tmp_path: Path) -> None:
    trajectory(tmp_path, "night-1")
    logs = tmp_path / "night-1" / "logs" / "lamp__lamp-1"
    write(logs / "report.json", {"lamp__lamp-1": report(True)})
    write(logs / "patch.diff", PATCH.replace("\n", "\r\n") + "\n")
    assert outcomes(tmp_path) == ({"night-1": "resolved"}, [])
    write(logs / "patch.diff", PATCH.replace("False", "None"))
    found, (note,) = outcomes(tmp_path)
    assert found == {"night-1": "unknown"}
    assert "is about another patch" in note


def test_given_labels_come_before_all_others(tmp_path: Path) -> None:
    trajectory(tmp_path / "runs", "night-1")
    trajectory(tmp_path / "runs", "night-2")
    write(tmp_path / "runs" / "night-1" / "report.json", {"resolved_ids": ["lamp__lamp-1"]})
    rows = [
        {"instance_id": "lamp__lamp-1", "attempt": "night-1", "resolved": False},
        {"instance_id": "lamp__lamp-1", "policy": "mini-SWE-agent+m", "attempt": "night-2", "resolved": True},
    ]
    labels = tmp_path / "labels.jsonl"
    write(labels, "\n".join(map(json.dumps, rows)))
    assert outcomes(tmp_path / "runs")[0] == {"night-1": "resolved", "night-2": "unknown"}
    given_ = outcomes(tmp_path / "runs", labels=(labels,))
    assert given_ == ({"night-1": "unresolved", "night-2": "resolved"}, [])
    write(labels, {"lamp__lamp-1": True})
    assert set(outcomes(tmp_path / "runs", labels=(labels,))[0].values()) == {"resolved"}


@pytest.mark.parametrize("content", ["", "{", '{"a": 3}', '{"instance_id": "a", "resolved": true}\n{'])
def test_a_given_file_without_labels_is_an_error(content: str, tmp_path: Path) -> None:
    trajectory(tmp_path, "night-1")
    write(tmp_path / "labels.json", content)
    with pytest.raises(RecordError, match=r"labels\.json"):
        open_pile([tmp_path / "night-1"], [tmp_path / "labels.json"])


def test_a_broken_report_is_refused_and_the_run_is_read(tmp_path: Path) -> None:
    trajectory(tmp_path, "night-1")
    write(tmp_path / "night-1" / "report.json", '{"lamp__lamp-1": {"patch_exists": true, "resolved": tru')
    pile = open_pile([tmp_path])
    assert [item.outcome for item in pile.attempts()] == [Outcome.UNKNOWN]
    assert [refusal.file for refusal in pile.refusals] == [str(tmp_path / "night-1" / "report.json")]


def test_the_outcome_in_a_row_is_not_put_in_doubt_by_a_file_beside_it(tmp_path: Path) -> None:
    row = {"instance_id": "lamp__lamp-1", "policy": "p", "run": "r", "messages": None, "patch": PATCH, "resolved": True}
    write(tmp_path / "rows.jsonl", json.dumps(row) + "\n" + json.dumps(row | {"resolved": None, "run": "s"}))
    write(tmp_path / "results.json", {"no_logs": [], "resolved": []})
    assert outcomes(tmp_path) == ({"r": "resolved", "s": "unresolved"}, [])
