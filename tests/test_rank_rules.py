"""`swe-rm rank` by rules: who is picked, the rows that say what picks are worth, and thresholds with a guarantee."""

import json
from pathlib import Path
from typing import Any

import pytest

from swe_rm.trajectory import Labelled
from swe_rm.verdict import rank
from tests.test_cli import VERIFIER, error_lines, lines, row, run

TASKS = 12
"""From ten tasks on an interval may have no width."""
PATCH = "--- a/reeds.py\n+++ b/reeds.py\n@@ -1 +1 @@\n-cut = 0\n+cut = {}{}\n"


def made(number: int, task: int, **changes: Any) -> dict[str, Any]:
    """Four attempts a task; all but the last, whose patch is longest, make the same change and resolve it."""
    last = number % 4 == 3
    patch = PATCH.format(9 if last else 1, "  #" * (number % 4))
    return row(number, instance_id=f"pond__reeds-{task}", patch=patch, resolved=not last) | changes


@pytest.fixture
def pile(tmp_path: Path) -> Path:
    file = tmp_path / "pile.jsonl"
    file.write_bytes(lines([made(number, number // 4) for number in range(4 * TASKS)]))
    return file


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    """The second attempt of each task passes all tests, the others half."""
    file = tmp_path / "tests.jsonl"
    rows = [made(number, number // 4) for number in range(4 * TASKS)]
    keys = [{key: one[key] for key in ("instance_id", "policy", "run")} for one in rows]
    counts = [{"passed": 1 + (n % 4 == 1), "failed": 1 - (n % 4 == 1)} for n in range(4 * TASKS)]
    stray = keys[0] | {"instance_id": "pond__reeds-99", "passed": 1, "failed": 0}
    file.write_bytes(lines([*(key | count for key, count in zip(keys, counts, strict=True)), stray]))
    return file


def document(tmp_path: Path, *argv: object) -> dict[str, Any]:
    assert run("rank", *argv, "--verifier", VERIFIER, "--json", tmp_path / "r.json") == 0
    return dict(json.loads((tmp_path / "r.json").read_text()))


def best(found: dict[str, Any]) -> list[list[str]]:
    return [[c["attempt"] for c in task["candidates"] if c["rank"] == 1] for task in found["tasks"]]


def test_the_first_rule_ranks_and_every_rule_is_a_row(pile: Path, tests: Path, tmp_path: Path) -> None:
    found = document(tmp_path, pile, "--rule", "generated", "--rule", "vote", "--tests", tests)
    assert list(found) == ["tasks", "selection"]
    assert best(found) == [["r1"]] * TASKS
    assert {key for task in found["tasks"] for c in task["candidates"] for key in c} == {
        "attempt_id", "policy", "attempt", "score", "rank",
    }  # fmt: skip
    rows = {one["rule"]: one for one in found["selection"]["rows"]}
    assert list(rows) == ["random", "generated", "vote", "oracle"]
    assert [one["resolve_rate"] for one in rows.values()] == pytest.approx([0.75, 1, 1, 1])
    assert rows["vote"]["above_random_interval"] == pytest.approx([0.25, 0.25])
    assert found["selection"]["n_tasks"] == found["selection"]["n_mixed"] == TASKS


def test_by_score_nothing_but_the_rows_is_new(pile: Path, tmp_path: Path) -> None:
    plain = document(tmp_path, pile)
    assert list(plain) == ["tasks"]
    assert document(tmp_path, pile, "--rule", "score")["tasks"] == plain["tasks"]
    assert best(plain) == [["r3"]] * TASKS


def test_the_rule_score_ranks_as_rank_does(labelled_pool: list[Labelled]) -> None:
    from swe_rm.selection import groups, parse_rule
    from swe_rm.verdict import Verdict

    trajectories = [item.trajectory for item in labelled_pool]
    scores = {t.attempt_id: len(t.messages) % 3 / 4 for t in trajectories}
    verdicts = {id_: Verdict(attempt_id=id_, score=s, raw_score=s, verifier="v@1") for id_, s in scores.items()}
    assert [parse_rule("score").ranking(group) for group in groups(trajectories, verdicts)] == rank(
        trajectories, verdicts
    )


def test_with_tests_and_no_rule_all_are_shown(
    pile: Path, tests: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(tmp_path, pile, "--tests", tests)
    assert len(found["selection"]["rows"]) == 10
    assert best(found) == [["r3"]] * TASKS, "and the score ranks"
    captured = capsys.readouterr()
    assert "hybrid-half" in captured.out
    assert "Better than picking at random: tests" in captured.out.replace("\n", " ")
    assert "1 of the test results are about attempts that are not here" in captured.err


def test_a_pick_below_the_confidence_is_abstained_from_whatever_is_shown(pile: Path, tmp_path: Path) -> None:
    """The vote's picks tie; the first one shown is not the least confident."""
    options = [pile, "--rule", "vote", "--min-confidence", 0.66]
    whole, cut = (document(tmp_path, *options, *top)["tasks"] for top in ([], ["--top", 1]))
    assert [task["abstained"] for task in whole] == [task["abstained"] for task in cut] == [True] * TASKS
    assert all(len(task["candidates"]) == 1 for task in cut)


def test_no_known_outcome_no_rows(tmp_path: Path) -> None:
    file = tmp_path / "untested.jsonl"
    file.write_bytes(lines([made(number, 0, resolved=None) for number in range(4)]))
    assert list(document(tmp_path, file, "--rule", "vote")) == ["tasks"]


# --- a threshold with a guarantee ------------------------------------------------------------------------------------


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """Sixty tasks at which the pick is right."""
    file = tmp_path / "known.jsonl"
    file.write_bytes(lines([made(0, 1000 + task) for task in range(60)]))
    return file


def test_the_threshold_is_chosen_on_other_tasks(
    pile: Path, known: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(tmp_path, pile, "--rule", "vote", "--max-wrong", 0.1, "--known", known)
    assert {task["abstained"] for task in found["tasks"]} == {False}
    assert found["abstention"] == {
        "threshold": 0, "max_wrong": 0.1, "assurance": 0.9, "n_known": 60, "n_accepted": 60, "n_wrong": 0
    }  # fmt: skip
    assert "abstention" not in document(tmp_path, pile, "--rule", "vote", "--min-confidence", 0.1)
    assert "threshold 0: at most 10% of accepted picks are wrong, with assurance 90% (0 of 60 were" in (
        capsys.readouterr().err
    )


def test_what_is_refused_among_the_known_is_told(pile: Path, known: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known.write_bytes(known.read_bytes() + b"{broken\n")
    assert run("rank", pile, "--verifier", VERIFIER, "--rule", "vote", "--max-wrong", 0.1, "--known", known) == 2
    assert "known.jsonl: line 61" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["--max-wrong", 0.1], "--max-wrong and --known come together"),
        (["--known", "KNOWN"], "--max-wrong and --known come together"),
        (["--max-wrong", 0.1, "--known", "KNOWN", "--min-confidence", 0.5], "without --min-confidence"),
        (["--max-wrong", 0.01, "--known", "KNOWN"], "60 tasks of known outcome are too few"),
        (["--max-wrong", 0.1, "--known", "PILE"], "--known has 12 of the tasks to rank, e.g. pond__reeds-0"),
        (["--max-wrong", 2, "--known", "KNOWN"], "is not between 0 and 1"),
        (["--rule", "hybrid"], "--rule hybrid looks at tests, and no attempt has results: give --tests FILE"),
        (["--rule", "luck"], "unknown rule 'luck'"),
        (["--tests", "PILE"], "pile.jsonl: line 1: has neither passed and failed nor tests_status"),
        (["--tests", "no/such"], "no/such"),
    ],
)
def test_what_is_wrong_is_one_line(
    pile: Path, known: Path, argv: list[object], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [{"PILE": pile, "KNOWN": known}.get(str(word), word) for word in argv]
    assert run("rank", pile, "--verifier", VERIFIER, *words) == 1
    (line,) = error_lines(capsys)
    assert reason in line
