"""Paired comparisons against differences of resamples spelled out, and what cannot be paired."""

import gzip
import json
import random
from itertools import permutations
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import orjson
import pytest
import zstandard
from rich.console import Console

from swe_rm.__main__ import main
from swe_rm.compare import Comparison, Contest, compare
from swe_rm.comparison_report import print_comparison
from swe_rm.entries import Entry, entry_of, is_evaluation, read_evaluation
from swe_rm.errors import RecordError, SweRmError
from swe_rm.evaluate import measure
from swe_rm.published import TABLE_4
from swe_rm.report import document
from swe_rm.resampling import resample_weights
from swe_rm.unscored import UNSCORED_RULES
from tests.scoring_pools import Row, drawn, scored

POOL = drawn(40, 6, signal=0.25)


def entry(rows: list[Row], name: str) -> Entry:
    return entry_of(scored(rows, name), "exact")


def noisy(rows: list[Row], noise: float, seed: int = 0) -> list[Row]:
    rng = random.Random(seed)
    return [row._replace(score=min(1.0, max(0.0, (row.score or 0) + rng.gauss(0, noise)))) for row in rows]


def contest(found: Comparison, figure: str) -> Contest:
    return next(one for one in found.contests if one.figure == figure)


def test_a_difference_is_that_of_resamples_drawn_alike() -> None:
    other = noisy(POOL, 0.3)
    found = compare([entry(POOL, "a@1"), entry(other, "b@1")], resamples=80, seed=4)
    names = sorted({row.task for row in POOL})
    differences = []
    for weights in resample_weights(len(names), 80, 4):
        losses = [
            sum(weights[names.index(row.task)] * ((row.score or 0) - float(bool(row.resolved))) ** 2 for row in rows)
            / sum(weights[names.index(row.task)] for row in rows)
            for rows in (POOL, other)
        ]
        differences.append(losses[1] - losses[0])
    brier = contest(found, "brier")
    (margin,) = brier.margins
    assert (brier.best, margin.other) == ("a@1", "b@1")
    assert margin.difference == pytest.approx(brier.values["b@1"] - brier.values["a@1"])
    assert margin.interval == pytest.approx(tuple(np.quantile(differences, [0.025, 0.975])))
    z = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)
    assert margin.detectable == pytest.approx(z * float(np.std(differences)))


def test_pairing_finds_what_intervals_apart_would_not() -> None:
    found = compare([entry(POOL, "a@1"), entry(noisy(POOL, 0.12), "b@1")], resamples=500)
    auc = contest(found, "auc")
    apart = [row.intervals["auc"] for row in found.rows]
    assert apart[0] is not None
    assert apart[1] is not None
    assert apart[0][0] < apart[1][1], "the two intervals overlap"
    assert auc.winner == "a@1"
    assert "auc: a@1 wins" in str(auc)


def test_two_of_one_kind_have_no_winner() -> None:
    found = compare([entry(noisy(POOL, 0.1, seed), f"{seed}@1") for seed in (3, 4)], resamples=500)
    one = contest(found, "auc_same_policy_task")
    assert one.winner is None
    assert "no significant winner" in str(one)
    assert "this pool shows differences from" in str(one)
    (margin,) = one.margins
    assert margin.detectable is not None
    assert margin.interval is not None
    assert margin.interval[1] - margin.interval[0] == pytest.approx(2 * 1.96 / 2.8 * margin.detectable, rel=0.2)


def test_equal_verdicts_differ_by_nothing() -> None:
    found = compare([entry(POOL, "a@1"), entry(POOL, "b@1")], resamples=50)
    for one in found.contests:
        assert one.winner is None
        assert one.margins[0].difference == 0
        assert one.margins[0].detectable is None


def test_more_contenders_make_a_win_harder() -> None:
    entries = [entry(POOL, "a@1"), *(entry(noisy(POOL, 0.2, seed), f"b{seed}@1") for seed in range(4))]
    two, five = compare(entries[:2], resamples=300), compare(entries, resamples=300)
    narrow = contest(two, "auc").margins[0].interval
    wide = next(m for m in contest(five, "auc").margins if m.other == "b0@1").interval
    assert narrow is not None
    assert wide is not None
    assert wide[0] < narrow[0]
    assert wide[1] > narrow[1]


def test_only_common_attempts_count_and_the_others_are_counted() -> None:
    part = [row._replace(score=None) if number % 5 == 0 else row for number, row in enumerate(POOL)]
    found = compare([entry(POOL, "a@1"), entry(part, "b@1")], resamples=20)
    assert found.n_attempts == sum(row.score is not None for row in part)
    assert found.left_out == {"a@1": len(POOL) - found.n_attempts, "b@1": 0}
    kept = measure(scored(part), resamples=2).metrics
    assert found.rows[0].figures.model_copy(update={"verifier": None}) == kept.model_copy(update={"verifier": None})


def test_the_order_of_the_attempts_changes_nothing() -> None:
    other = noisy(POOL, 0.2)
    before = compare([entry(POOL, "a@1"), entry(other, "b@1")], resamples=50)
    backwards = [scored(rows, name)[np.arange(len(rows))[::-1]] for rows, name in ((POOL, "a@1"), (other, "b@1"))]
    after = compare(
        [entry_of(one, "exact")._replace(name=name) for one, name in zip(backwards, ("a@1", "b@1"), strict=True)],
        resamples=50,
    )
    assert after.to_json() == before.to_json()


def test_verifiers_of_one_name_are_numbered() -> None:
    found = compare([entry(POOL, "a@1"), entry(noisy(POOL, 0.1), "a@1")], resamples=10)
    assert [row.name for row in found.rows] == ["a@1 #1", "a@1 #2"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"resolved": True}, "disagree on the outcome of"),
        ({"task": "valve-1"}, "disagree on the task of"),
        ({"policy": "loom"}, "disagree on the policy of"),
    ],
)
def test_evaluations_that_disagree_are_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(SweRmError, match=says):
        compare([entry(POOL, "a@1"), entry([row._replace(**change) for row in POOL], "b@1")])


def test_what_cannot_be_compared_is_refused() -> None:
    a, b = entry(POOL, "a@1"), entry(POOL, "b@1")
    with pytest.raises(SweRmError, match="at least two"):
        compare([a])
    assert b.measured is not None
    ids = tuple(f"other{n}" for n in range(len(POOL)))
    with pytest.raises(SweRmError, match="share no attempt"):
        compare([a, b._replace(measured=b.measured.model_copy(update={"attempt_ids": ids}))])
    with pytest.raises(SweRmError, match="another --policy"):
        compare([a, b._replace(measured=b.measured.model_copy(update={"policy": "family"}))])


def test_filled_scores_are_not_called_judged_and_the_rule_is_said_of_each() -> None:
    part = [row._replace(score=None) if number % 3 == 0 else row for number, row in enumerate(POOL)]
    found = compare([entry(POOL, "a@1"), entry_of(scored(part, "b@1"), "exact", "lowest")], resamples=50)
    told = {one.verifier: one.unscored for one in found.standings}
    assert [one and (one.rule, one.n, one.n_counted) for one in told.values()] == [("drop", 0, 0), ("lowest", 80, 80)]
    assert not found.all_judged
    written = found.to_json()
    assert written["all_judged"] is False
    assert [one["unscored"]["n"] for one in written["standings"]] == [0, 80]
    shown = " ".join(text(found).split())
    assert "80 attempts without a verdict are counted with a score of 0 (unscored: lowest); 80 of them are" in shown
    assert shown.index("unscored: lowest") < shown.index("wins") < shown.index("random")
    assert "that are counted for all, judged or not" in shown
    assert "all judged:" not in shown
    dropped = compare([entry(POOL, "a@1"), entry(part, "b@1")], resamples=20)
    assert dropped.all_judged
    assert "80 attempts without a verdict are left out of every figure" in " ".join(text(dropped).split())


def test_two_rules_for_attempts_without_a_verdict_are_refused() -> None:
    part = [row._replace(score=None) if number % 3 == 0 else row for number, row in enumerate(POOL)]
    by_rule = {rule: entry_of(scored(part, f"{rule}@1"), "exact", rule) for rule in UNSCORED_RULES}
    for one, other in permutations(UNSCORED_RULES, 2):
        with pytest.raises(SweRmError, match=f"{one}@1 was measured with another --unscored than {other}@1"):
            compare([entry(POOL, "whole@1"), by_rule[one], by_rule[other]])
    compare([by_rule["mean"], by_rule["mean"]], resamples=2)
    compare([by_rule["mean"], entry(POOL, "whole@1")], resamples=2)


def test_controls_and_the_noise_floor_stand_beside_the_figures() -> None:
    rows = drawn(20, 4) + drawn(20, 4, seed=2, policy="loom")
    found = compare([entry(rows, "a@1"), entry(noisy(rows, 0.2), "b@1")], resamples=20)
    alone = measure(scored(rows, "a@1"), resamples=2)
    assert list(found.controls) == ["constant", "policy_prior", "task_prior", "oracle"]
    assert all(found.controls[name] == alone.controls[name] for name in found.controls)
    assert found.rows[0].ece_noise_floor == alone.ece_noise_floor
    lines = text(found).splitlines()
    best, floor = (
        next(line.split() for line in lines if line.split()[:1] == [key]) for key in ("auc", "ece_noise_floor")
    )
    assert best[3:] == [f"{control.auc:.3f}" for control in found.controls.values()]
    assert floor[1:3] == [f"{row.ece_noise_floor:.3f}" for row in found.rows]
    written = found.to_json()
    assert written["figures"]["a@1"]["ece_noise_floor"] == alone.ece_noise_floor
    assert written["controls"]["oracle"]["auc"] == 1


def test_each_verifier_has_its_headline_and_what_it_is_not_fit_for(tmp_path: Path) -> None:
    blind = [row._replace(score=0.5) for row in POOL]
    found = compare([entry(POOL, "a@1"), entry(blind, "blind@1")], resamples=100)
    assert [one.beats_chance for one in found.standings] == [True, False]
    assert found.standings[0].headline == measure(scored(POOL, "a@1"), resamples=100).headline
    shown = " ".join(text(found).split())
    assert shown.startswith("a@1: auc_same_policy_task is")
    assert shown.count("do not use as an RL reward") == 1
    assert shown.index("blind@1: auc_same_policy_task is 0.500") < shown.index("do not use as an RL reward")
    unfit = read_evaluation(evaluation(tmp_path, POOL, "b@1", beats_chance=False, headline="Not fit."))
    said = compare([entry(POOL, "a@1"), unfit], resamples=100).standings[1]
    assert (said.headline, said.beats_chance) == ("In its own report: Not fit.", False)
    bare = read_evaluation(evaluation(tmp_path, POOL, "c@1", measured=None, unscored=None, headline=None))
    apart = compare([entry(POOL, "a@1"), bare]).standings
    assert [one.beats_chance for one in apart] == [None, None]
    assert "does not say how attempts without a verdict count" in apart[1].counting


def test_policies_are_shown_one_by_one() -> None:
    rows = drawn(20, 4) + drawn(20, 6, seed=2, policy="loom")
    found = compare([entry(rows, "a@1"), entry(noisy(rows, 0.2), "b@1")], resamples=10)
    assert [(one.policy, one.verifier, one.k) for one in found.alone] == [
        ("loom", "a@1", 6), ("loom", "b@1", 6), ("mill", "a@1", 4), ("mill", "b@1", 4),
    ]  # fmt: skip
    alone = measure(scored([row for row in rows if row.policy == "mill"]), resamples=2).metrics
    mine = found.alone[2]
    assert (mine.auc, mine.ece, mine.rm_at_k) == pytest.approx((alone.auc, alone.ece, alone.rm_at_k[4]))
    assert (mine.random_at_k, mine.pass_at_k) == pytest.approx((alone.rm_at_k[1], alone.pass_at_k[4]))


# --- files -----------------------------------------------------------------------------------------------------------


def evaluation(folder: Path, rows: list[Row], name: str, **changes: Any) -> Path:
    """A file as `evaluate --json` writes it."""
    written = document(measure(scored(rows, name), resamples=10)) | changes
    file = folder / f"{name}.json"
    file.write_bytes(orjson.dumps(written, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))
    return file


def text(found: Comparison) -> str:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        print_comparison(found, console)
    return capture.get()


def test_evaluations_written_and_read_compare_as_in_memory(tmp_path: Path) -> None:
    other = noisy(POOL, 0.2)
    entries = [read_evaluation(evaluation(tmp_path, rows, name)) for rows, name in ((POOL, "a@1"), (other, "b@1"))]
    found = compare(entries, resamples=30)
    in_memory = compare([entry(POOL, "a@1"), entry(other, "b@1")], resamples=30)
    assert found.to_json() == in_memory.to_json()
    file = tmp_path / "a@1.json"
    assert sum(len(line) > 1000 for line in file.read_text().splitlines()) == 1, "the attempts stand on one line"


def test_an_evaluation_without_attempts_is_shown_and_not_paired(tmp_path: Path) -> None:
    bare = read_evaluation(evaluation(tmp_path, POOL, "bare@1", measured=None))
    full = [entry(POOL, "a@1"), entry(noisy(POOL, 0.2), "b@1")]
    found = compare([*full, bare], resamples=10)
    assert [one.name for one in found.apart] == ["bare@1"]
    assert [row.name for row in found.rows] == ["a@1", "b@1"]
    shown = text(found)
    assert "Not paired, for want of attempts to pair: bare@1" in shown
    alone = compare([full[0], bare])
    assert alone.rows == alone.contests == ()
    assert "a@1, bare@1" in text(alone)
    assert f"{bare.figures['auc']:.3f}" in text(alone)


def test_the_published_rows_stand_beside_with_their_source() -> None:
    found = text(compare([entry(POOL, "a@1"), entry(noisy(POOL, 0.2), "b@1")], resamples=10))
    for row in TABLE_4:
        assert row.verifier in found
        assert f"{row.rm_at_32:.3f}" in found
    assert "arXiv 2512.21919, Table 4" in found
    assert "mill: this pool" in found


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a JSON document of swe-rm evaluate"),
        (b"[1]", "not a JSON document of swe-rm evaluate"),
        (b'{"verifier": "a@1"}', "not a JSON document of swe-rm evaluate"),
        (b'{"verifier": "a@1", "n_attempts": 1, "rm_at_k": {}, "measured": {}}', "measured.policy"),
        (b'{"verifier": "a@1", "n_attempts": 1, "rm_at_k": {}, "unscored": {"rule": "best"}}', "unscored.rule"),
    ],
)
def test_a_file_that_is_no_evaluation_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(RecordError, match=says):
        read_evaluation(tmp_path / "a.json")
    with pytest.raises(RecordError, match=r"none\.json"):
        read_evaluation(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("scores", [2.0], "measured.scores.0"),
        ("scores", [None], "measured.scores.0"),
        ("scores", [0.5, 0.5], "columns differ in length"),
        ("tasks", [7], "not named"),
        ("attempt_ids", ["a", "a"], "columns differ|twice"),
    ],
)
def test_damaged_attempts_are_refused(tmp_path: Path, key: str, value: Any, says: str) -> None:
    whole = measure(scored([Row("pump-0", "mill", True, 0.5)]), resamples=2).to_json()
    file = tmp_path / "a.json"
    file.write_bytes(
        orjson.dumps(whole | {"measured": whole["measured"] | {key: value}}, option=orjson.OPT_NON_STR_KEYS)
    )
    with pytest.raises(RecordError, match=says):
        read_evaluation(file)


def run(*argv: object) -> int:
    return main([str(word) for word in argv])


@pytest.fixture
def pile(tmp_path: Path) -> Path:
    rows = [
        {"source": "made", "scaffold": "loop", "instance_id": row.task, "policy": row.policy, "run": str(number),
         "messages": None, "patch": f"+{number}", "resolved": row.resolved} for number, row in enumerate(POOL)
    ]  # fmt: skip
    (tmp_path / "pile.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "pile.jsonl"


def verdicts(folder: Path, rows: list[Row], name: str) -> Path:
    file = folder / f"{name}.jsonl"
    lines = [
        {"instance_id": row.task, "policy": row.policy, "attempt": str(number), "score": row.score, "verifier": name}
        for number, row in enumerate(rows)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_the_command_takes_evaluations_and_files_of_verdicts_alike(
    tmp_path: Path, pile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [verdicts(tmp_path, POOL, "a@1"), verdicts(tmp_path, noisy(POOL, 0.3), "b@1")]
    for file in files:
        assert run("evaluate", pile, "--verdicts", file, "--json", file.with_suffix(".json"), "--resamples", 50) == 0
    documents = [file.with_suffix(".json") for file in files]
    capsys.readouterr()
    assert run("compare", *documents, "--json", tmp_path / "c1.json", "--resamples", 50) == 0
    assert "Paired on the 240 attempts at 40 tasks" in capsys.readouterr().out
    assert run("compare", *files, "--attempts", pile, "--json", tmp_path / "c2.json", "--resamples", 50) == 0
    mixed = [files[0], documents[1]]
    assert run("compare", *mixed, "--attempts", pile, "--json", tmp_path / "c3.json", "--resamples", 50) == 0
    first, *others = (json.loads((tmp_path / f"c{n}.json").read_text()) for n in (1, 2, 3))
    assert others == [first, first]
    assert first["paired"]["n_attempts"] == 240
    assert {one["figure"] for one in first["contests"]} >= {"auc_same_policy_task", "rm_at_k.6", "ece"}
    assert run("compare", *documents, "--json", tmp_path / "c1.json", "--resamples", 5) == 0, "it may be written again"


@pytest.mark.parametrize("name", ["plain.v", "verdicts", "dotted.json", "packed.zst", "rows.jsonl.gz"])
def test_a_file_of_verdicts_is_known_by_its_content(tmp_path: Path, pile: Path, name: str) -> None:
    given, other = verdicts(tmp_path, POOL, "a@1"), verdicts(tmp_path, noisy(POOL, 0.3), "b@1")
    packed = {".zst": zstandard.compress, ".gz": gzip.compress}.get(Path(name).suffix, bytes)
    (tmp_path / name).write_bytes(packed(given.read_bytes()))
    assert run("evaluate", pile, "--verdicts", tmp_path / name, "--resamples", 2) == 0
    out = [tmp_path / f"c{n}.json" for n in (1, 2)]
    for file, document_ in zip((given, tmp_path / name), out, strict=True):
        assert run("compare", file, other, "--attempts", pile, "--json", document_, "--resamples", 2) == 0
    assert out[0].read_bytes() == out[1].read_bytes()


def test_an_evaluation_is_known_by_its_content_however_it_is_laid_out(tmp_path: Path) -> None:
    file = evaluation(tmp_path, POOL, "a@1")
    assert is_evaluation(file)
    flat = tmp_path / "flat.jsonl"
    flat.write_bytes(orjson.dumps(orjson.loads(file.read_bytes())))
    assert is_evaluation(flat)
    (tmp_path / "torn.v").write_bytes(b'{"score": 0.')
    assert not is_evaluation(tmp_path / "torn.v")


def test_files_of_verdicts_count_what_is_missing_as_told(
    tmp_path: Path, pile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, part = verdicts(tmp_path, POOL, "a@1"), verdicts(tmp_path, noisy(POOL, 0.3), "b@1")
    part.write_text("".join(line + "\n" for line in part.read_text().splitlines()[60:]))
    told = ["--attempts", pile, "--resamples", 2, "--json", tmp_path / "c.json"]
    assert run("compare", whole, part, *told, "--unscored", "mean") == 0
    assert "unscored: mean" in capsys.readouterr().out
    assert json.loads((tmp_path / "c.json").read_text())["standings"][1]["unscored"]["n_counted"] == 60
    lowest = tmp_path / "b.json"
    assert run("evaluate", pile, "--verdicts", part, "--unscored", "lowest", "--json", lowest, "--resamples", 2) == 0
    capsys.readouterr()
    assert run("compare", part, lowest, *told) == 1
    assert "was measured with another --unscored than" in capsys.readouterr().err


def test_the_command_says_what_is_wrong_in_one_line(
    tmp_path: Path, pile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = verdicts(tmp_path, POOL, "a@1")
    assert run("compare", file, file) == 1
    assert capsys.readouterr().err.splitlines() == [f"swe-rm: {file}: not a JSON document of swe-rm evaluate"]
    assert run("compare", tmp_path / "none.json", file) == 1
    assert "none.json" in capsys.readouterr().err


def test_from_python() -> None:
    import swe_rm

    reports = [measure(scored(rows, name), resamples=2) for rows, name in ((POOL, "a@1"), (noisy(POOL, 0.2), "b@1"))]
    found = swe_rm.compare(reports, resamples=20)
    assert found.to_json() == compare([entry(POOL, "a@1"), entry(noisy(POOL, 0.2), "b@1")], resamples=20).to_json()
