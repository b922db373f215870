"""Tables of outcomes: what a row may say, which files are taken for tables, and measuring without the attempts."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from swe_rm.__main__ import main
from swe_rm.errors import RecordError
from swe_rm.outcome_rows import OutcomeRow, Table, is_table, outcome_rows
from swe_rm.trajectory import Outcome

KEY = {"instance_id": "dye-1", "policy": "mill", "attempt": "0"}


def written(file: Path, *rows: Any) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    file.write_bytes(gzip.compress(text.encode()) if file.suffix == ".gz" else text.encode())
    return file


def test_rows_are_read_one_by_one_with_what_they_say(tmp_path: Path) -> None:
    file = written(
        tmp_path / "t.jsonl.gz",
        {"attempt_id": "a", "resolved": True, "provenance": "report.json"},
        "",
        KEY | {"outcome": "unresolved"},
        KEY | {"resolved": None},
        {"attempt_id": "b", "resolved": False, "outcome": "unresolved"},
    )
    rows = [row for row in outcome_rows(file) if isinstance(row, OutcomeRow)]
    assert [(row.line, row.attempt_id, row.key, row.outcome) for row in rows] == [
        (1, "a", None, Outcome.RESOLVED),
        (3, None, ("dye-1", "mill", "0"), Outcome.UNRESOLVED),
        (4, None, ("dye-1", "mill", "0"), Outcome.UNKNOWN),
        (5, "b", None, Outcome.UNRESOLVED),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("[]", "not a JSON object"),
        ("{", "broken JSON"),
        (KEY, "says neither resolved nor outcome"),
        (KEY | {"resolved": 1}, "no outcome: 1"),
        (KEY | {"resolved": "true"}, "no outcome: 'true'"),
        (KEY | {"outcome": ["resolved"]}, "no outcome"),
        (KEY | {"resolved": True, "outcome": "unresolved"}, "no outcome: True, 'unresolved'"),
        ({"resolved": True}, "names no attempt"),
    ],
)
def test_a_row_that_is_none_is_refused_by_file_and_line(tmp_path: Path, row: Any, reason: str) -> None:
    file = written(tmp_path / "t.jsonl", KEY | {"resolved": True}, row)
    first, second = outcome_rows(file)
    assert isinstance(first, OutcomeRow)
    assert str(second).startswith(f"{file}: line 2: ")
    assert reason in str(second)


def test_a_table_is_known_by_its_first_row(tmp_path: Path) -> None:
    assert is_table(written(tmp_path / "t.jsonl", KEY | {"resolved": True}))
    assert is_table(written(tmp_path / "t.jsonl.gz", {"attempt_id": "a", "resolved": None, "provenance": ""}))
    for other in (
        KEY | {"resolved": True, "patch": "+1"},
        KEY | {"resolved": True, "messages": None},
        KEY | {"score": 0.5, "resolved": True},
        KEY,
        [KEY],
    ):
        assert not is_table(written(tmp_path / "other.jsonl", other))
    assert not is_table(tmp_path)
    assert not is_table(tmp_path / "none")
    with pytest.raises(RecordError, match="No such file"):
        list(outcome_rows(tmp_path / "none"))


def test_a_table_keeps_account_of_its_rows(tmp_path: Path) -> None:
    table = Table([written(tmp_path / "t.jsonl", KEY | {"resolved": True}, {"attempt_id": "a", "resolved": True}, "{")])
    assert [key for _, key in table.rows()] == [("dye-1", "mill", "0")]
    assert table.n_read == 1
    assert "line 2: does not say instance_id, policy and attempt" in str(table.refusals[0])
    assert "line 3: broken JSON" in str(table.refusals[1])


# --- measuring without the attempts ----------------------------------------------------------------------------------


def attempts(n: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Patch-only attempts and verdicts on them."""
    piled, verdicts = [], []
    for number in range(n):
        named = {"instance_id": f"dye-{number // 6}", "policy": ["mill", "loom"][number % 2], "run": str(number % 6)}
        piled.append(
            named | {"source": "made", "scaffold": "loop", "messages": None, "patch": f"+{number}",
                     "resolved": number % 5 < 2, "label_source": "made"}
        )  # fmt: skip
        verdicts.append(named | {"score": (number * 37 % 100) / 100, "verifier": "made@1"})
    return piled, verdicts


def run(*argv: object) -> int:
    return main([str(word) for word in argv])


def test_a_table_of_outcomes_gives_the_figures_of_its_attempts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    piled, recorded = attempts(120)
    pile, verdicts = written(tmp_path / "pile.jsonl", *piled), written(tmp_path / "v.jsonl", *recorded)
    table = tmp_path / "t.jsonl"
    assert run("label", pile, "--out", table) == 0
    found = {}
    for name, source in (("whole", pile), ("light", table)):
        out, page = tmp_path / f"{name}.json", tmp_path / f"{name}.html"
        assert run("evaluate", source, "--verdicts", verdicts, "--json", out, "--html", page, "--resamples", 50) == 0
        found[name] = json.loads(out.read_text())
    assert "lengths are not known: the control shortest" in capsys.readouterr().err
    assert found["light"]["controls"].keys() == found["whole"]["controls"].keys() - {"shortest"}
    same = {"auc", "ece", "brier", "rm_at_k", "auc_same_policy_task", "intervals", "n_attempts", "measured", "verifier"}
    assert {key: found["light"][key] for key in same} == {key: found["whole"][key] for key in same}
    assert run("compare", tmp_path / "light.json", tmp_path / "whole.json", "--resamples", 20) == 0


def test_a_refused_row_of_a_table_is_a_line_and_the_code_is_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    piled, recorded = attempts(12)
    rows = [{key: row[key] for key in ("instance_id", "policy", "run", "resolved")} for row in piled]
    table = written(tmp_path / "t.jsonl", *rows, {"attempt_id": "x", "resolved": True})
    argv = ["evaluate", table, "--verdicts", written(tmp_path / "v.jsonl", *recorded), "--resamples", 20]
    assert run(*argv) == 2
    assert "t.jsonl: line 13: does not say instance_id" in capsys.readouterr().err
    written(tmp_path / "t.jsonl", *rows, rows[0])
    assert run(*argv) == 1
    assert "one attempt is given twice" in capsys.readouterr().err
