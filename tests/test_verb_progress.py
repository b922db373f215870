"""`swe-rm progress` and the turns that `rank --why` names: what is written, and one line for whatever is wrong."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from swe_rm.progress_report import BARS, spark
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Verdict
from tests.test_cli import error_lines, lines, row, run

VERIFIER = f"{__name__}:Doubts"


class Doubts:
    """Loses a tenth of its belief with every action that failed; cannot judge an attempt that swears."""

    name = "doubts@1"

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        from swe_rm.errors import VerifierError

        if any("hell" in message.content for t in trajectories for message in t.messages):
            raise VerifierError("doubts@1: will not read this")
        return [self._verdict(trajectory) for trajectory in trajectories]

    def _verdict(self, trajectory: Trajectory) -> Verdict:
        failed = sum("<returncode>1" in message.content for message in trajectory.messages)
        score = 0.9 - 0.1 * failed
        return Verdict(attempt_id=trajectory.attempt_id, score=score, raw_score=score, verifier=self.name)


def worked(number: int, turns: int, **changes: Any) -> dict[str, Any]:
    """An attempt whose even commands fail where it is not resolved."""
    messages = [{"role": "user", "content": "The reeds grow sideways."}]
    resolved = number % 3 == 0
    for turn in range(turns):
        call = {"function": {"name": "bash", "arguments": json.dumps({"command": f"cut reeds {turn}"})}}
        messages.append({"role": "assistant", "content": "I cut.", "tool_calls": [call]})  # type: ignore[dict-item]
        code = int(turn % 2 == 0 and not resolved)
        messages.append({"role": "tool", "content": f"<returncode>{code}</returncode>\n<output>\ncut\n</output>"})
    return row(number, messages=messages, resolved=resolved) | changes


@pytest.fixture
def pile(tmp_path: Path) -> Path:
    file = tmp_path / "pile.jsonl"
    file.write_bytes(lines([worked(number, 4 + number % 5) for number in range(80)]))
    return file


@pytest.fixture
def single(tmp_path: Path) -> Path:
    file = tmp_path / "single.jsonl"
    file.write_bytes(lines([worked(1, 6)]))
    return file


def test_every_turn_of_one_attempt_is_drawn_with_what_it_did(single: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("progress", single, "--verifier", VERIFIER) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "judged by doubts@1"
    assert out[1].startswith("pond__reeds-0 / heron [long] / r1  ")
    assert out[1].endswith("  unresolved")
    assert "0.800 to 0.600 in 6 turns" in out[2]
    turns = [line.split() for line in out[3:]]
    assert [turn[0] for turn in turns] == ["1", "2", "3", "4", "5", "6"]
    assert " -> exit 1" in out[5]
    assert "-0.100" in out[5]
    assert out[-1].endswith("cut reeds 5 [with the patch]")


def test_of_several_attempts_the_turns_that_moved_the_score_are_named(
    pile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "p.json"
    assert run("progress", pile, "--verifier", VERIFIER, "--sample", 2, "--json", out) == 0
    shown = capsys.readouterr().out
    document = json.loads(out.read_text())
    assert list(document) == ["verifier", "attempts"]
    assert len({curve["instance_id"] for curve in document["attempts"]}) == 2
    assert len(document["attempts"]) == 8
    for curve in document["attempts"]:
        assert set(curve) == {"attempt_id", "instance_id", "policy", "attempt", "verifier", "n_turns", "steps"}
        assert [set(step) for step in curve["steps"]] == [{"turn", "score", "raw_score", "did", "characters"}] * len(
            curve["steps"]
        )
        assert curve["steps"][-1]["turn"] == curve["n_turns"]
        assert curve["attempt_id"] in shown
    assert "turn 3: -0.100  $ cut reeds 2 -> exit 1" in shown
    assert run("progress", pile, "--verifier", VERIFIER, "--sample", 2, "--json", out) == 0
    assert json.loads(out.read_text()) == document


def test_the_last_score_is_that_of_score(pile: Path, tmp_path: Path) -> None:
    scores, curves = tmp_path / "s.jsonl", tmp_path / "p.json"
    assert run("score", pile, "--verifier", "features", "--out", scores) == 0
    assert run("progress", pile, "--verifier", "features", "--points", 3, "--json", curves) == 0
    found = {curve["attempt_id"]: curve["steps"] for curve in json.loads(curves.read_text())["attempts"]}
    wanted = {one["attempt_id"]: one["score"] for one in map(json.loads, scores.read_text().splitlines())}
    assert {id_: steps[-1]["score"] for id_, steps in found.items()} == wanted
    assert max(map(len, found.values())) == 3


def test_attempts_are_named_by_id_or_by_key(pile: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.json"
    verb = ["progress", pile, "--verifier", VERIFIER, "--json", out, "--every", 2]
    assert run(*verb, "--attempt", "pond__reeds-2/otter/r0") == 0
    (curve,) = json.loads(out.read_text())["attempts"]
    assert (curve["instance_id"], curve["policy"], curve["attempt"]) == ("pond__reeds-2", "otter", "r0")
    assert [step["turn"] for step in curve["steps"]] == [2, 4, 6, 7]
    assert run(*verb, "--attempt", curve["attempt_id"], "--attempt", "pond__reeds-3/otter/r0") == 0
    assert json.loads(out.read_text())["attempts"][0] == curve


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--attempt", "nobody"], "--attempt nobody: no attempt of that name"),
        (["--points", 3, "--every", 2], "--points and --every exclude each other"),
        (["--points", 3, "--stopping"], "looks ahead"),
        (["--verifier", "nobody"], "unknown verifier"),
        (["--json", "/nowhere/p.json"], "cannot be written"),
    ],
)
def test_wrong_input_is_one_line(pile: Path, argv: list[object], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("progress", pile, "--verifier", VERIFIER, *argv) == 1
    (line,) = error_lines(capsys)
    assert said in line


@pytest.mark.parametrize("spec", ["recorded:{}", "mean:features,recorded:{}"])
def test_recorded_verdicts_are_refused_in_one_line(
    pile: Path, tmp_path: Path, spec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = tmp_path / "s.jsonl"
    assert run("score", pile, "--verifier", VERIFIER, "--out", scores) == 0
    capsys.readouterr()
    assert run("progress", pile, "--verifier", spec.format(scores)) == 1
    (line,) = error_lines(capsys)
    assert "recorded verdicts are of whole attempts" in line
    assert run("rank", pile, "--verifier", f"recorded:{scores}", "--why") == 0


def test_an_attempt_without_turns_or_a_verdict_is_told_and_the_others_are_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "pile.jsonl", tmp_path / "p.json"
    prompt = [{"role": "user", "content": "The reeds grow sideways."}]
    swearing = [*prompt, {"role": "assistant", "content": "hell"}]
    rows = [worked(0, 3), worked(1, 3, messages=prompt), worked(2, 3, messages=swearing)]
    file.write_bytes(lines(rows))
    assert run("progress", file, "--verifier", VERIFIER, "--json", out) == 2
    told = error_lines(capsys)
    assert told[:2] == [
        "pond__reeds-0 / heron [long] / r1: the agent took no turn: there is nothing to follow",
        "pond__reeds-0 / otter / r2: doubts@1: will not read this",
    ]
    assert len(json.loads(out.read_text())["attempts"]) == 1
    file.write_bytes(lines(rows[1:]))
    assert run("progress", file, "--verifier", VERIFIER) == 1
    assert error_lines(capsys)[-1] == "swe-rm: nothing could be done"


def test_what_stopping_is_worth_is_measured_and_written(
    pile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "p.json"
    assert run("progress", pile, "--verifier", VERIFIER, "--stopping", "--json", out) == 0
    shown = capsys.readouterr().out
    assert "doubts@1: stopping by its score saves" in shown
    found = json.loads(out.read_text())["stopping"]
    assert (found["n_attempts"], found["n_tasks"], found["n_unknown"]) == (80, 20, 0)
    best = next(one for one in found["chosen"] if one["by"] == "score")
    assert best["lost"] == 0
    assert best["saved"] > 0.4
    unlabelled = tmp_path / "unlabelled.jsonl"
    unlabelled.write_bytes(lines([worked(number, 4, resolved=None) for number in range(9)]))
    capsys.readouterr()
    assert run("progress", unlabelled, "--verifier", VERIFIER, "--stopping") == 1
    assert "a resolved attempt" in error_lines(capsys)[-1]


def test_rank_why_names_the_turns_that_moved_the_score(single: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rank", single, "--verifier", VERIFIER, "--why") == 0
    out = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "turn 3: -0.100  $ cut reeds 2 -> exit 1" in out
    assert not [line for line in out if line.startswith("turn 2")]
    assert run("rank", single, "--verifier", VERIFIER) == 0
    assert "turn 3" not in capsys.readouterr().out


def test_a_spark_line_is_on_the_scale_from_0_to_1() -> None:
    assert spark([0.0, 0.5, 1.0]) == BARS[0] + BARS[4] + BARS[7]
    long = [place / 999 for place in range(1_000)]
    assert len(spark(long, 50)) == 50
    assert spark(long, 50)[-1] == BARS[-1]
    assert spark([0.2]) == BARS[1]
