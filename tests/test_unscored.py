"""What attempts without a verdict do to the figures under each rule."""

import json
from pathlib import Path

import pytest

from swe_rm.__main__ import main
from swe_rm.errors import SweRmError
from swe_rm.unscored import UNSCORED_RULES, filled
from tests.scoring_pools import Row, drawn, measured, scored

ROWS = [
    Row("pump-0", "mill", True, 0.4),
    Row("pump-0", "mill", False, 0.8),
    Row("pump-0", "mill", True, None),
    Row("pump-1", "mill", True, None),
    Row("pump-1", "mill", None, None),
    Row("pump-2", "mill", None, 0.9),
]


@pytest.mark.parametrize(
    ("rule", "scores"),
    [
        ("drop", [0.4, 0.8, None, None, None, 0.9]),
        ("lowest", [0.4, 0.8, 0.0, 0.0, 0.0, 0.9]),
        ("mean", [0.4, 0.8, 0.6, 0.7, 0.7, 0.9]),
    ],
)
def test_scores_are_filled_as_the_rule_says(rule: str, scores: list[float | None]) -> None:
    found = [None if value != value else value for value in filled(scored(ROWS), rule).scores.tolist()]  # type: ignore[arg-type]
    assert found == pytest.approx(scores)


def test_a_filled_pool_is_one_in_which_the_scores_stood() -> None:
    rows = [row._replace(score=None) if number % 7 == 0 else row for number, row in enumerate(drawn())]
    for rule in UNSCORED_RULES:
        stood = [row._replace(score=score) for row, score in zip(rows, filled(scored(rows), rule).scores, strict=True)]
        stood = [row for row in stood if row.score == row.score]
        found, expected = measured(rows, unscored=rule), measured(stood)
        assert found.metrics == expected.metrics
        assert found.intervals == expected.intervals
        n = sum(row.score is None for row in rows)
        assert (found.n_unscored, found.unscored.n) == (n, n)
        assert found.unscored.n_counted == (0 if rule == "drop" else n)
        moved = found.unscored.rules[rule]
        assert moved.rm_at_k == found.metrics.rm_at_k
        assert moved.n_attempts == found.metrics.n_attempts


def test_every_attempt_is_accounted_for() -> None:
    for rule in UNSCORED_RULES:
        found = measured(ROWS, unscored=rule)
        counted = found.metrics.n_attempts + found.n_unscored - found.unscored.n_counted
        assert counted + found.n_unknown + found.n_below_k == len(ROWS)
        assert f"(unscored: {rule})" in found.warnings[0]
        assert found.warnings[0].startswith("3 attempts without a verdict")


def test_where_everything_is_scored_that_is_said_and_no_rule_moves_anything() -> None:
    found = measured(drawn(5, 3)).unscored
    assert (found.n, found.rules, str(found)) == (0, {}, "Every attempt has a verdict")


def test_without_any_verdict_nothing_is_made_up() -> None:
    for rule in UNSCORED_RULES:
        found = measured([Row("pump-0", "mill", True, None)], unscored=rule)
        assert found.metrics.n_attempts == 0
        assert "nothing can be measured" in found.warnings[-1]


def test_a_rule_that_is_none_is_refused() -> None:
    with pytest.raises(SweRmError, match="'worst' is not one of drop, lowest, mean"):
        measured(ROWS, unscored="worst")


def test_the_command_says_how_they_count_and_what_else_would_come_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row._replace(score=None) if number % 6 == 0 else row for number, row in enumerate(drawn(12, 4))]
    pile, verdicts, out = (tmp_path / name for name in ("pile.jsonl", "v.jsonl", "e.json"))
    attempts = [
        {"source": "made", "scaffold": "loop", "instance_id": row.task, "policy": row.policy, "run": str(number),
         "messages": None, "patch": f"+{number}", "resolved": row.resolved} for number, row in enumerate(rows)
    ]  # fmt: skip
    pile.write_text("".join(json.dumps(row) + "\n" for row in attempts))
    told = [
        {"instance_id": row.task, "policy": row.policy, "attempt": str(number), "score": row.score, "seconds": 2.0}
        for number, row in enumerate(rows)
        if row.score is not None
    ]
    verdicts.write_text("".join(json.dumps(row) + "\n" for row in told))
    curves = []
    for rule in UNSCORED_RULES:
        argv = ["evaluate", pile, "--verdicts", verdicts, "--unscored", rule, "--price-per-hour", 3, "--json", out]
        assert main([str(word) for word in argv]) == 0
        document = json.loads(out.read_text())
        curves.append(document["rm_at_k"])
        assert document["unscored"]["rule"] == rule
        assert document["unscored"]["rules"][rule]["rm_at_k"] == document["rm_at_k"]
        assert document["money"]["per_1000_attempts"] == pytest.approx(1000 * 2 * 3 / 3600)
        captured = capsys.readouterr()
        said = " ".join(captured.out.split())
        assert document["warnings"][0] in said
        assert "8 attempts without a verdict are" in said
        assert f"(unscored: {rule})" in said
        assert "lowest: RM@1" in said
        assert "Judging 1,000 attempts costs 1.67" in said
    assert curves[0] != curves[1] != curves[2]
