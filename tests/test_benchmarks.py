"""A measurement times nothing before its gate held, and gives one line with the keys scripts rely on."""

import importlib
import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from benchmarks import __main__ as command
from benchmarks import h200, measure, pile
from benchmarks.measure import Case, GateError, Times
from hypothesis import given
from hypothesis import strategies as st

from swe_rm import sources
from swe_rm.render import segments

KEYS = {"name", "peer", "ratio", "gate", "ours", "theirs", "peak_ratio"}


def module(monkeypatch: pytest.MonkeyPatch, runs: list[str], held: bool) -> None:
    """A measurement `z9_lamps` whose sides note that they ran."""

    def gate(ours: object, theirs: object) -> str:
        runs.append("gate")
        if not held:
            raise GateError("the lamps differ")
        return f"{ours} and {theirs}"

    def case(folder: Path) -> Case:
        sides = {"a wick": lambda: runs.append("wick"), "a candle": lambda: runs.append("candle")}
        return Case("lamps", "3 lamps", lambda: runs.append("ours"), sides, {"a wick": 2.0}, gate, {"a candle": 10})

    made = ModuleType("benchmarks.z9_lamps")
    made.case = case  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "benchmarks.z9_lamps", made)
    monkeypatch.setattr(measure, "STATUS", Path("/no/such/file"))


def test_sides_are_interleaved_after_the_gate_and_the_line_has_its_keys(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs: list[str] = []
    module(monkeypatch, runs, held=True)
    line = measure.measure("z9_lamps", tmp_path, rounds=3)
    assert runs == ["ours", "wick", "candle", "gate", *["ours", "wick", "candle"] * 3]
    assert set(line) > KEYS
    assert (line["name"], line["peer"], line["goal"], line["others"][0]["peer"]) == ("Z9", "a wick", 2.0, "a candle")
    assert json.loads(json.dumps(line)) == line
    assert "## Z9: lamps" in command.report([line], 0.5)


def test_a_peer_with_work_of_its_own_is_measured_against_ours_on_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs: list[str] = []
    module(monkeypatch, runs, held=True)
    whole = (
        sys.modules["benchmarks.z9_lamps"]
        .case(tmp_path)
        ._replace(own={"a candle": lambda: runs.append("ours on a candle")}, memory_goals={"a candle": 3.0})
    )
    monkeypatch.setattr(sys.modules["benchmarks.z9_lamps"], "case", lambda _: whole)
    line = measure.measure("z9_lamps", tmp_path, rounds=1)
    each = ["ours", "wick", "candle", "ours on a candle"]
    assert runs == [*each, "gate", *each]
    assert line["others"][0]["peak_goal"] == 3.0
    assert line["peak_goal"] is None


def test_nothing_is_timed_where_the_gate_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs: list[str] = []
    module(monkeypatch, runs, held=False)
    with pytest.raises(GateError, match="the lamps differ"):
        measure.measure("z9_lamps", tmp_path)
    assert runs == ["ours", "wick", "candle", "gate"]


def test_a_ratio_is_theirs_over_ours_of_medians_and_a_part_counts_as_often_as_said() -> None:
    ours, theirs = Times([1.0, 2.0, 9.0], [1.0, 2.0, 9.0]), Times([3.0, 1.0, 8.0], [4.0, 4.0, 4.0])
    figures = measure.compare(ours, theirs.counted(4), 10.0, 25.0)
    assert (figures["ratio"], figures["cpu_ratio"], figures["peak_ratio"]) == (6.0, 8.0, 2.5)
    assert (figures["theirs"], figures["theirs_spread"]) == (12.0, [4.0, 32.0])
    assert measure.compare(ours, theirs, None, None)["peak_ratio"] is None


def test_a_goal_that_is_missed_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module(monkeypatch, [], held=True)
    line = measure.measure("z9_lamps", tmp_path, rounds=1)
    assert ">= 2 (missed)" in command.report([{**line, "ratio": 1.9}], 0.5)
    assert "missed" not in command.report([{**line, "ratio": 2.1}], 0.5)


def test_a_pace_that_was_asked_for_is_said_and_so_is_one_that_is_missed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module(monkeypatch, [], held=True)
    case = sys.modules["benchmarks.z9_lamps"].case(tmp_path)
    assert measure.measure("z9_lamps", tmp_path, rounds=1)["pace"] is None
    paced = case._replace(ours=lambda: time.sleep(0.02), pace=measure.Pace(3, "lamps", 0.5))
    monkeypatch.setattr(sys.modules["benchmarks.z9_lamps"], "case", lambda _: paced)
    line = measure.measure("z9_lamps", tmp_path, rounds=1)
    assert line["pace"]["per_second"] == pytest.approx(3 / line["ours"], rel=0.01)
    for reached, told in ((0.5, ">= 0.5."), (0.4, ">= 0.5 (missed).")):
        pace = {**line["pace"], "per_second": reached}
        assert f"Ours: **{reached}** lamps a second; asked for: {told}" in command.report([{**line, "pace": pace}], 0.5)


@given(limit=st.integers(0, 5_000))
def test_the_most_that_fits_is_found_to_a_sixteenth(limit: int) -> None:
    found = measure.most(lambda size: size <= limit)
    assert found <= limit
    assert found > 0.93 * limit - 1 or limit < 64


def test_what_fits_into_a_budget_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module(monkeypatch, [], held=True)
    line = measure.measure("z9_lamps", tmp_path, rounds=1)
    assert line["longest"] is None
    runs = {"ours": 3_840, "a candle": 96}
    told = command.report([{**line, "longest": {"budget_mb": 256, "unit": "tokens", "runs": runs}}], 0.5)
    assert "Within 256 MB at most (to a sixteenth): ours: 3,840 tokens; a candle: 96 tokens, **40** times less." in told


def test_an_unknown_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["Q1"]) == 1
    assert capsys.readouterr().err.startswith("Q1: no such measurement; there are D1, D2")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("part", "gates"), [("experts", 3), ("score", 2), ("pack", 2), ("train", 2)])
def test_the_script_for_a_gpu_runs_small_on_a_cpu(part: str, gates: int, capsys: pytest.CaptureFixture[str]) -> None:
    if part == "train":
        pytest.importorskip("trl")
    code, lines = run_small(part, capsys)
    assert code == 0
    assert lines[0]["part"] == part
    assert not [line for line in lines if "error" in line]
    timed = [line for line in lines if "ms" in line]
    assert len(timed) == gates + (2 if part == "train" else 1)
    assert all(line["of_limit"] >= 0 and line["ms"] > 0 and "within_80_gib" in line for line in timed)
    assert [line["held"] for line in lines if "gate" in line] == [True] * gates


@pytest.mark.filterwarnings("ignore")
def test_a_path_for_a_gpu_that_gives_something_else_is_not_timed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(h200, "WITHIN", {torch.float32: -1.0})
    code, lines = run_small("score", capsys)
    assert code == 1
    assert [line["held"] for line in lines if "gate" in line] == [False, False]
    assert [line["path"] for line in lines if "ms" in line] == ["stock forward logits_to_keep=1"]


def run_small(part: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the lines of a part."""
    threads = torch.get_num_threads()
    code = h200.main([part, "--tiny", "--rounds", "1", "--n", "3", "--lens", "64"])
    torch.set_num_threads(threads)
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_generated_pile_is_read_as_it_is_written_and_the_same_each_time(tmp_path: Path) -> None:
    made = pile.rows(tasks=1, attempts=2, n_files=12)
    assert made == pile.rows(tasks=1, attempts=2, n_files=12)
    attempts = list(sources.open_pile([pile.write(tmp_path, tasks=1, attempts=2, n_files=12)]).attempts())
    assert len(attempts) == 2
    for row, attempt in zip(made, attempts, strict=True):
        issue, log, _ = segments(attempt.trajectory)
        texts = [segment.text for turn in log for segment in turn if segment.mark != "<|action|>"]
        assert issue[0].text == row["messages"][1]["content"]
        assert texts == [message["content"] for message in row["messages"][2:]]


def test_one_measurement_takes_its_place_among_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module(monkeypatch, [], held=True)
    line = measure.measure("z9_lamps", tmp_path, rounds=1)
    lines = [{**line, "name": name, "title": f"lamp {name}"} for name in ("D1", "S1", "Z9")]
    whole = command.report(lines, 0.5)
    new = command.replaced(whole, [{**lines[1], "title": "brighter"}, {**line, "name": "P1", "title": "pipes"}], 9.0)
    assert [part.split("\n")[0] for part in new.split("\n## ")] == [
        "# Results", "D1: lamp D1", "P1: pipes", "S1: brighter", "Z9: lamp Z9"
    ]  # fmt: skip
    parts, before = new.split("\n\n## "), whole.split("\n\n## ")
    assert (parts[0], parts[1], parts[4]) == (before[0], before[1], before[3])
    assert "load before the start 9.0" in parts[2]
    assert new.endswith("\n")
    assert not new.endswith("\n\n")


@pytest.mark.parametrize("name", sorted(path.stem for path in Path(command.__file__).parent.glob("*.py")))
def test_every_measurement_can_be_read(name: str) -> None:
    if name != "__main__":
        importlib.import_module(f"benchmarks.{name}")
