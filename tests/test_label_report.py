"""What `swe-rm label` says of a pile: every attempt counted once, on whose word, and where words differ."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from swe_rm import label_report
from swe_rm.__main__ import main
from swe_rm.label_report import LabelReport, kind, why
from swe_rm.playground import labelling
from swe_rm.trajectory import Labelled, Outcome
from tests.conftest import attempt


@pytest.mark.parametrize(
    ("provenance", "expected"),
    [
        ("night/logs/a/report.json: resolved", "report.json"),
        ("night/eval/baseline.report.json: resolved", "report.json"),
        ("runs/m.night.json: unresolved_ids", "report of a run"),
        ("runs/results.json: no_generation", "results.json"),
        ("runs/resolved_ids.txt: listed as resolved", "resolved_ids.txt"),
        ("given labels.csv: resolved", "labels given"),
        ("rows.jsonl: resolved", "its own record"),
        ("output.jsonl.gz: test_result.report.resolved", "its own record"),
        ("hand-checked by two people", "its own record: hand-checked by two people"),
        ("eval/report.json", "its own record: eval/report.json"),
        ("swebench 5.0.2 run dusk: logs/run_evaluation/dusk/m/a/report.json: resolved", "swebench 5.0.2"),
        ("the playground's tests: 37 tests pass", "the playground's tests"),
    ],
)
def test_kinds_of_provenance(provenance: str, expected: str) -> None:
    assert kind(provenance) == expected


@pytest.mark.parametrize(
    ("provenance", "expected"),
    [
        ("", label_report.NOTHING_SAID),
        ("labels disagree: resolved (a) and unresolved (b)", "labels disagree"),
        ("night/report.json: infra_failure: out_of_memory", "infrastructure failure"),
        ("m.night.json: ambiguous_failure_ids: tests_timed_out", "ambiguous failure"),
        ("m.night.json: incomplete_ids", "not run"),
        ("swebench 5.0.2 run dusk: no patch to test", "not run"),
        ("rows.jsonl: test_timeout", "timeout"),
        ("m.night.json: error_ids", "the evaluation failed"),
        ("given rewards.csv: reward 0.5: neither 0 nor 1", "a reward between"),
        ("given labels.csv: resolved", "said to be unknown"),
        (f"the playground's tests: {labelling.NOT_KEPT}", "no patch recorded"),
        (f"the playground's tests: {labelling.BROKEN}: its own patch ...", "the task is broken"),
        ("the playground's tests: the machine is too slow: ...", "the tests could not be run to their end"),
    ],
)
def test_reasons_for_an_unknown_outcome(provenance: str, expected: str) -> None:
    assert why(provenance) == expected


def labelled(number: int, outcome: Outcome, provenance: str = "", policy: str = "careful", patch: str = "") -> Labelled:
    trajectory = attempt(policy=policy, number=number, turns=0, patch=patch)
    return Labelled(trajectory=trajectory, outcome=outcome, provenance=provenance)


def reported(*items: Labelled) -> dict[str, Any]:
    report = LabelReport()
    for item in items:
        report.add(item)
    document: dict[str, Any] = json.loads(json.dumps(report.to_json()))
    return document


@given(
    st.lists(st.tuples(st.sampled_from(list(Outcome)), st.sampled_from(["", "n/report.json: x", "labels disagree"])))
)
def test_every_attempt_is_counted_once(pairs: list[tuple[Outcome, str]]) -> None:
    found = reported(*(labelled(number, *pair, policy=f"p{number % 3}") for number, pair in enumerate(pairs)))
    outcomes = [outcome.value for outcome, _ in pairs]
    expected = {outcome.value: outcomes.count(outcome.value) for outcome in Outcome}
    assert found["labels"] == {"n_attempts": len(pairs), **expected}
    for name in expected:
        assert sum(one[name] for one in found["policies"]) == expected[name]
    assert sum(found["unknown"].values()) == expected["unknown"]
    known = {name: sum(one[name] for one in found["provenance"].values()) for name in expected}
    assert known == expected | {"unknown": 0}
    assert len(found["conflicts"]) == found["unknown"].get("labels disagree", 0)


def test_the_most_telling_disagreement_comes_first() -> None:
    items = []
    for patch, resolved, unresolved in (("+one stray", 5, 1), ("+torn", 2, 2), ("+agreed", 3, 0), ("+even", 1, 1)):
        outcomes = [Outcome.RESOLVED] * resolved + [Outcome.UNRESOLVED] * unresolved
        items += [labelled(number, one, "x", patch=patch) for number, one in enumerate(outcomes)]
    found = reported(*items)["equal_patches"]
    assert found["n_groups"] == 4
    sides = [(len(one["resolved"]), len(one["unresolved"])) for one in found["disagreements"]]
    assert sides == [(2, 2), (5, 1), (1, 1)]


def test_what_is_printed_is_short_and_says_how_much_is_not_shown() -> None:
    report = LabelReport()
    for number in range(40):
        report.add(labelled(number, Outcome.UNKNOWN, f"labels disagree: {number}\x1b[2K", policy=f"p{number:02}"))
    console = Console(width=200, file=io.StringIO(), record=True)
    for part in report.parts():
        console.print(part)
    lines = console.export_text().splitlines()
    assert "and 25 more (--json has all)" in lines[-1]
    assert any(line.split() == ["25", "more", "0", "0", "25"] for line in lines)
    assert any(line.split() == ["all", "0", "0", "40"] for line in lines)
    assert "\x1b" not in "".join(lines)


def write(file: Path, value: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(value if isinstance(value, str) else json.dumps(value))
    return file


def runs(folder: Path) -> Path:
    """Five attempts: two that reports tell apart, one with an infrastructure failure, one contradicted, one alone."""
    for run, said in (("one", True), ("two", False), ("three", None), ("four", True), ("five", None)):
        trajectory = {
            "info": {"exit_status": "Submitted", "submission": "+x", "config": {"model": {"model_name": "m"}}},
            "messages": [{"role": "user", "content": "It hums."}, {"role": "assistant", "content": "ok"}],
            "instance_id": "lamp__lamp-1",
        }
        write(folder / run / "lamp__lamp-1" / "lamp__lamp-1.traj.json", trajectory)
        if said is not None:
            report = {"patch_exists": True, "resolved": said}
            write(folder / run / "logs" / "lamp__lamp-1" / "report.json", {"lamp__lamp-1": report})
    write(
        folder / "three" / "m.three.json", {"unresolved_ids": ["lamp__lamp-1"], "infra_failure_ids": ["lamp__lamp-1"]}
    )
    write(folder / "four" / "results.json", {"no_logs": [], "no_generation": [], "resolved": []})
    return folder


def test_label_tells_outcomes_reasons_and_conflicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "labels.json"
    assert main(["label", str(runs(tmp_path / "runs")), "--json", str(document)]) == 0
    found = json.loads(document.read_text())
    assert found["labels"] == {"n_attempts": 5, "resolved": 1, "unresolved": 1, "unknown": 3}
    assert found["provenance"] == {"report.json": {"resolved": 1, "unresolved": 1, "unknown": 0}}
    assert found["unknown"] == {"labels disagree": 1, "infrastructure failure": 1, label_report.NOTHING_SAID: 1}
    (conflict,) = found["conflicts"]
    assert conflict["attempt"] == "four"
    assert "four/results.json" in conflict["said"]
    assert "four/logs/lamp__lamp-1/report.json" in conflict["said"]
    (equal,) = found["equal_patches"]["disagreements"]
    assert [one["attempt"] for one in (*equal["resolved"], *equal["unresolved"])] == ["one", "two"]
    printed = capsys.readouterr()
    assert "infrastructure failure" in printed.out
    assert "labels disagree" in printed.err
    assert main(["label", str(tmp_path / "runs"), "--json", str(document)]) == 0, "its own document is overwritten"


def test_a_written_table_gives_the_same_labels_again(tmp_path: Path) -> None:
    pile, first, second = runs(tmp_path / "runs"), tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    assert main(["label", str(pile), "--out", str(first)]) == 0
    for report in pile.rglob("*report.json"):
        report.unlink()
    assert main(["label", str(pile), "--labels", str(first), "--out", str(second)]) == 0
    assert second.read_text() == first.read_text()
    assert main(["label", str(pile), "--out", str(first)]) == 1, "nothing is overwritten"


def test_tables_of_other_tools_can_be_given(tmp_path: Path) -> None:
    pile = runs(tmp_path / "runs")
    table = write(tmp_path / "labels.csv", "instance_id,attempt,resolved\nlamp__lamp-1,five,1\nlamp__lamp-1,one,no\n")
    out = tmp_path / "out.jsonl"
    assert main(["label", str(pile), "--labels", str(table), "--out", str(out)]) == 0
    rows = {row["attempt"]: row for row in map(json.loads, out.read_text().splitlines())}
    assert (rows["five"]["resolved"], rows["five"]["provenance"]) == (True, "given labels.csv: resolved")
    assert rows["one"]["resolved"] is False
    assert rows["two"]["resolved"] is False


def test_what_is_refused_is_exit_code_2_and_nothing_at_all_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pile = runs(tmp_path / "runs")
    write(pile / "one" / "notes.json", "{")
    assert main(["label", str(pile)]) == 2
    assert "notes.json" in capsys.readouterr().err
    assert main(["label", str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
