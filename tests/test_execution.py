"""Test results as counts: rows and reports, whom they are about, and one line for what is wrong."""

import gzip
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from swe_rm.errors import RecordError
from swe_rm.selection.execution import Counts, read_tests
from tests.conftest import attempt

POOL = [attempt("acme__tool-1", policy, number) for policy in ("careful", "hasty/v2") for number in (1, 2)]
FIRST, SECOND = POOL[0], POOL[1]
KEY = {"instance_id": "acme__tool-1", "policy": "careful", "attempt": "1"}


def written(tmp_path: Path, *rows: Any) -> Path:
    file = tmp_path / "tests.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_rows_of_several_suites_add_up(tmp_path: Path) -> None:
    rows = [
        KEY | {"passed": 2, "failed": 1, "missing": 1, "test_generator": "a"},
        KEY | {"passed": 1, "failed": 0, "test_generator": "b"},
        {"attempt_id": FIRST.attempt_id, "kind": "regression", "passed": 5, "failed": 0},
        {"task_id": "acme__tool-1", "policy": "careful", "run": 2, "passed": 0, "failed": 0, "missing": 3},
        KEY | {"instance_id": "acme__tool-9", "passed": 1, "failed": 1},
        {"attempt_id": "elsewhere", "passed": 1, "failed": 1},
    ]
    found = read_tests([written(tmp_path, *rows)], POOL)
    assert found.strays == 2
    assert found.by_attempt.keys() == {FIRST.attempt_id, SECOND.attempt_id}
    assert found.by_attempt[FIRST.attempt_id].generated == Counts(passed=3, failed=1, missing=1)
    assert found.by_attempt[FIRST.attempt_id].regression == Counts(passed=5)
    assert found.by_attempt[SECOND.attempt_id].generated.share is None


def test_without_an_attempt_a_row_is_of_the_policys_only_one(tmp_path: Path) -> None:
    rows = written(tmp_path, {"instance_id": "acme__tool-1", "policy": "careful", "passed": 1, "failed": 0})
    assert set(read_tests([rows], POOL[:1]).by_attempt) == {FIRST.attempt_id}
    with pytest.raises(RecordError, match=r"line 1: names 2 attempts: acme__tool-1 / careful"):
        read_tests([rows], POOL)


def test_what_came_to_no_result_did_not_pass_and_nothing_is_not_tested() -> None:
    assert Counts(passed=1, failed=1, missing=2).share == Fraction(1, 4)
    assert Counts(missing=2).share is None
    assert Counts().share is None


def test_of_a_report_only_the_tests_the_project_had_count(tmp_path: Path) -> None:
    status = {
        "FAIL_TO_PASS": {"success": ["a"], "failure": []},
        "PASS_TO_PASS": {"success": ["b", "c"], "failure": ["d"]},
    }
    report = {"acme__tool-1": {"resolved": False, "tests_status": status}}
    folder = tmp_path / "logs" / "hasty__v2" / "acme__tool-1"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report))
    pool = [POOL[0], POOL[2]]
    found = read_tests([tmp_path], pool).by_attempt
    assert found.keys() == {POOL[2].attempt_id}
    assert found[POOL[2].attempt_id].regression == Counts(passed=2, failed=1)
    runs = [one.model_copy(update={"origin": one.origin.model_copy(update={"attempt": "logs"})}) for one in pool[:1]]
    assert list(read_tests([tmp_path], runs).by_attempt) == [runs[0].attempt_id], "by the folder of its run"
    row = written(tmp_path, KEY | {"tests_status": status})
    assert read_tests([row], pool).by_attempt[FIRST.attempt_id] == found[POOL[2].attempt_id]


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "tests.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps(KEY | {"passed": 1, "failed": 0}).encode()))
    assert read_tests([file], POOL).by_attempt[FIRST.attempt_id].generated == Counts(passed=1)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([[1]], "line 1: not a JSON object"),
        ([{"policy": "careful", "passed": 1, "failed": 1}], "line 1: names no attempt"),
        ([KEY], "line 1: has neither passed and failed nor tests_status"),
        ([KEY | {"passed": 1}], "line 1: has neither"),
        ([KEY | {"passed": -1, "failed": 0}], "line 1: passed: "),
        ([KEY | {"passed": 1.5, "failed": 0}], "line 1: passed: "),
        ([KEY | {"passed": 1, "failed": 0, "kind": "hidden"}], "line 1: kind: not one of regression, generated"),
        ([KEY | {"passed": 1, "failed": 0}] * 2, "line 2: a second row of the same tests"),
        ([KEY | {"tests_status": {"FAIL_TO_PASS": {}}}], "line 1: tests_status has no lists of PASS_TO_PASS"),
        ([KEY | {"policy": ["careful"], "passed": 1, "failed": 0}], "line 1: policy: not a string"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, rows: list[Any], reason: str) -> None:
    with pytest.raises(RecordError, match=r"tests\.jsonl: ") as caught:
        read_tests([written(tmp_path, *rows)], POOL)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_report_and_a_broken_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"no report\.json in this folder"):
        read_tests([tmp_path], POOL)
    (tmp_path / "report.json").write_text("[1]")
    with pytest.raises(RecordError, match="not a report"):
        read_tests([tmp_path], POOL)
