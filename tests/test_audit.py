"""A verifier in use: what the audit says of streams, in whatever order they come, and that it forgets in time."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm import audit as module
from swe_rm.__main__ import main
from swe_rm.audit import Alarm, Audit
from swe_rm.drift import Reference
from swe_rm.errors import SweRmError
from swe_rm.metrics import auc_score, calibration_error
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Verdict
from swe_rm.verifiers import calibrated, load_verifier


def attempts(n: int, signal: float = 0.3, seed: int = 0) -> list[tuple[str, float, bool]]:
    """(attempt id, score, resolved); signal 0.3 gives an AUC of about 0.80, two attempts a task."""
    rng = np.random.default_rng(seed)
    resolved = rng.random(n) < 0.4
    scores = np.clip(np.round(0.35 + signal * resolved + rng.normal(0, 0.25, n), 3), 0, 1)
    return [(f"a{seed}-{i}", float(s), bool(r)) for i, (s, r) in enumerate(zip(scores, resolved, strict=True))]


def reference(n: int = 600) -> Reference:
    rows = attempts(n, seed=99)
    return Reference(np.array([s for _, s, _ in rows]), np.array([r for _, _, r in rows]))


def streamed(audit: Audit, rows: Sequence[tuple[str, float, bool]]) -> list[Alarm]:
    for attempt_id, score, _ in rows:
        audit.add_verdict(attempt_id, score, task=attempt_id.rpartition("-")[0] + attempt_id[-2:])
    return [alarm for attempt_id, _, resolved in rows if (alarm := audit.add_outcome(attempt_id, resolved))]


def test_a_verifier_that_stays_as_it_was_raises_no_alarm_and_is_measured() -> None:
    audit = Audit(reference(), verifier="made@1")
    rows = attempts(400, seed=1)
    assert streamed(audit, rows) == []
    found = audit.state()
    scores, resolved = np.array([s for _, s, _ in rows]), np.array([r for _, _, r in rows])
    assert (found.n_verdicts, found.n_outcomes, found.n_unmatched, found.n_alarms) == (400, 400, 0, 0)
    assert found.whole
    assert found.whole.auc == pytest.approx(auc_score(scores, resolved))
    assert found.whole.ece == pytest.approx(calibration_error(scores, resolved))
    assert found.whole.auc_interval
    assert found.whole.auc_interval[0] < 0.8 < found.whole.auc_interval[1]
    assert [point.n_outcomes for point in found.points] == list(range(50, 401, 50))
    assert [point.n for point in found.points] == [50, 100, 150, *[200] * 5]
    last = found.points[-1]
    assert last.auc == pytest.approx(auc_score(scores[-200:], resolved[-200:]))
    assert (last.verdict, found.points[0].verdict) == (400, 50)
    assert "No alarm in 400 outcomes" in found.headline


def test_a_verifier_that_fails_is_found_out_and_the_test_starts_anew() -> None:
    audit = Audit(reference())
    alarms = streamed(audit, [*attempts(200, seed=2), *attempts(300, -0.1, seed=3)])
    assert len(alarms) >= 2
    first = alarms[0]
    assert 200 < first.n_outcomes <= 300
    assert first.verdict == first.n_outcomes
    assert first.stretch <= 200
    assert first.auc is not None
    assert first.auc < 0.7
    found = audit.state()
    assert found.alarms == tuple(alarms)
    assert found.headline.startswith(f"ALARM ({len(alarms)}): the AUC has fallen")
    assert found.to_json()["alarm"] is True


def test_without_a_reference_the_first_outcomes_are_it() -> None:
    audit = Audit(warm_up=100)
    rows = attempts(250, seed=4)
    streamed(audit, rows[:99])
    assert audit.state().watching is None
    assert "No reference yet: 99 outcomes" in audit.state().headline
    streamed(audit, rows[99:])
    watching = audit.state().watching
    assert watching
    assert watching.n_reference == 100
    first = rows[:100]
    auc = auc_score(np.array([s for _, s, _ in first]), np.array([r for _, _, r in first]))
    assert watching.reference_auc == pytest.approx(auc)


def test_a_warm_up_lasts_until_there_are_both_outcomes() -> None:
    audit = Audit(warm_up=60)
    streamed(audit, [(f"b-{i}", 0.5, False) for i in range(80)])
    assert audit.state().watching is None
    streamed(audit, [(f"c-{i}", 0.5, True) for i in range(30)])
    assert audit.state().watching


@settings(max_examples=20)
@given(data=st.data())
def test_outcomes_may_come_before_their_verdicts(data: st.DataObject) -> None:
    """Any interleaving gives the same matched outcomes; only their order differs."""
    rows = attempts(40, seed=5)
    order = data.draw(st.permutations([(kind, row) for row in rows for kind in ("verdict", "outcome")]))
    audit = Audit(warm_up=60)
    for kind, (attempt_id, score, resolved) in order:
        if kind == "verdict":
            audit.add_verdict(attempt_id, score)
        else:
            audit.add_outcome(attempt_id, resolved)
    assert {(one.task, one.score, one.resolved) for one in audit.known()} == set(rows)
    found = audit.state()
    assert (found.n_outcomes, found.n_unmatched) == (40, 0)
    assert sorted(one.number for one in audit.known()) == list(range(1, 41))


def test_what_cannot_be_used_is_refused_and_changes_nothing() -> None:
    audit = Audit()
    audit.add_verdict("a", 0.5)
    for attempt_id, score, reason in (
        ("a", 0.6, "a second verdict on attempt a"),
        ("b", 1.5, r"attempt b: score 1.5 is not in \[0, 1\]"),
        ("b", float("nan"), "score nan is not"),
    ):
        with pytest.raises(SweRmError, match=reason):
            audit.add_verdict(attempt_id, score)
    audit.add_outcome("a", True)
    audit.add_outcome("later", False)
    audit.add_outcome("silent", None)
    for attempt_id in ("a", "later"):
        with pytest.raises(SweRmError, match=f"a second outcome of attempt {attempt_id}"):
            audit.add_outcome(attempt_id, True)
    with pytest.raises(SweRmError, match="a second verdict on attempt a"):
        audit.add_verdict("a", 0.5)
    found = audit.state()
    assert (found.n_verdicts, found.n_outcomes, found.n_unmatched, found.n_unknown) == (1, 1, 1, 1)


def test_memory_is_bounded_and_what_is_forgotten_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 70)
    monkeypatch.setattr(module, "POINTS", 3)
    audit = Audit(warm_up=60, within=50, capacity=100, block=100)
    rows = attempts(500, seed=6)
    for attempt_id, score, _ in rows:
        audit.add_verdict(attempt_id, score)
    assert audit.state().n_forgotten == 400
    audit.add_outcome(rows[0][0], True)  # of a verdict forgotten
    assert audit.state().n_unmatched == 1
    for attempt_id, _, resolved in rows[-100:]:
        audit.add_outcome(attempt_id, resolved)
    for attempt_id, score, resolved in attempts(200, seed=7):
        audit.add_verdict(attempt_id, score)
        audit.add_outcome(attempt_id, resolved)
    for number in range(150):
        audit.add_outcome(f"ghost-{number}", False)
    found = audit.state()
    assert (found.n_verdicts, found.n_outcomes, found.n_unmatched) == (700, 300, 151)
    assert len(audit.known()) == 70
    assert len(found.points) == 3
    held = [len(value) for value in vars(audit).values() if hasattr(value, "__len__")]
    assert max(held) <= 100


def test_scores_alone_are_watched_block_by_block() -> None:
    audit = Audit(reference(), block=100)
    for attempt_id, score, _ in attempts(300, seed=8):
        audit.add_verdict(attempt_id, score)
    for attempt_id, score, _ in attempts(100, seed=9):
        audit.add_verdict(attempt_id, min(1.0, score + 0.3))
    found = audit.state()
    assert [block.until for block in found.blocks] == [100, 200, 300, 400]
    assert [block.until for block in found.moved] == [400]
    assert found.to_json()["n_moved"] == 1


def test_without_a_reference_scores_are_compared_with_the_first_block() -> None:
    audit = Audit(block=50)
    for attempt_id, score, _ in attempts(150, seed=8):
        audit.add_verdict(attempt_id, score)
    assert [block.until for block in audit.state().blocks] == [50, 100]


def test_an_audit_of_nothing_says_so() -> None:
    found = Audit().state()
    assert (found.whole, found.watching, found.points) == (None, None, ())
    assert json.dumps(found.to_json())
    with pytest.raises(SweRmError, match="60 to 5000 first outcomes, not of 10"):
        Audit(warm_up=10)


# --- the command -----------------------------------------------------------------------------------------------------


def written(file: Path, rows: Sequence[Any]) -> Path:
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return file


def verdict_rows(rows: Sequence[tuple[str, float, bool]]) -> list[dict[str, Any]]:
    return [
        {"attempt_id": id_, "instance_id": f"kiln-{n % 97}", "policy": "potter", "attempt": id_, "score": score,
         "verifier": "made@1"} for n, (id_, score, _) in enumerate(rows)
    ]  # fmt: skip


def run(*argv: object) -> int:
    return main([str(word) for word in argv])


ROWS = attempts(800, seed=11)
OUTCOMES = [{"attempt_id": id_, "resolved": resolved} for id_, _, resolved in ROWS[::4]]


@pytest.fixture
def verdicts(tmp_path: Path) -> Path:
    return written(tmp_path / "v.jsonl", verdict_rows(ROWS))


def test_the_command_writes_one_page_and_one_document(
    verdicts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = written(tmp_path / "o.jsonl", OUTCOMES)
    argv = ["audit", verdicts, "--outcomes", outcomes, "--warm-up", 100]
    assert run(*argv, "--json", tmp_path / "a.json", "--html", tmp_path / "a.html") == 0
    document = json.loads((tmp_path / "a.json").read_text())
    assert next(iter(document)) == "verifier"
    assert (document["verifier"], document["n_verdicts"], document["n_outcomes"]) == ("made@1", 800, 200)
    assert document["watching"]["n_reference"] == 100
    assert "No alarm" in capsys.readouterr().out
    page = (tmp_path / "a.html").read_text()
    assert "made@1 in use" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert run(*argv, "--json", tmp_path / "a.json", "--html", tmp_path / "a.html") == 0


def test_a_reference_is_what_evaluate_wrote(verdicts: Path, tmp_path: Path) -> None:
    known = attempts(300, seed=12)
    table = [
        {"attempt_id": id_, "instance_id": f"wheel-{n // 3}", "policy": "potter", "attempt": id_, "resolved": resolved}
        for n, (id_, _, resolved) in enumerate(known)
    ]
    before = written(tmp_path / "t.jsonl", table)
    recorded = [row | {"instance_id": f"wheel-{n // 3}"} for n, row in enumerate(verdict_rows(known))]
    written(tmp_path / "known.jsonl", recorded)
    evaluation = tmp_path / "e.json"
    assert run("evaluate", before, "--verdicts", tmp_path / "known.jsonl", "--json", evaluation, "--resamples", 20) == 0
    outcomes = written(tmp_path / "o.jsonl", OUTCOMES)
    argv = ["audit", verdicts, "--outcomes", outcomes, "--reference", evaluation, "--json", tmp_path / "a.json"]
    assert run(*argv) == 0
    assert json.loads((tmp_path / "a.json").read_text())["watching"]["n_reference"] == 300
    evaluation.write_text(evaluation.read_text().replace("made@1", "other@1"))
    assert run(*argv) == 1


@pytest.mark.parametrize("by", ["attempt_id", "key"])
def test_outcomes_join_by_id_or_by_name(by: str, tmp_path: Path) -> None:
    rows = verdict_rows(ROWS[:200])
    keys = {"attempt_id"} if by == "attempt_id" else {"instance_id", "policy", "attempt"}
    outcomes = [
        {k: v for k, v in row.items() if k in keys} | {"outcome": "resolved" if resolved else "unresolved"}
        for row, (_, _, resolved) in zip(rows, ROWS, strict=False)
    ]
    verdicts = written(tmp_path / "v.jsonl", rows)
    argv = ["audit", verdicts, "--outcomes", written(tmp_path / "o.jsonl", outcomes), "--json", tmp_path / "a.json"]
    assert run(*argv) == 0
    assert json.loads((tmp_path / "a.json").read_text())["n_outcomes"] == 200


def test_what_is_refused_is_a_line_each_and_the_rest_is_audited(
    verdicts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with verdicts.open("a") as file:
        file.write('{"attempt_id": "a11-0", "score": 0.5, "verifier": "made@1"}\n{"attempt_id": "x", "score": NaN}\n')
        file.write('{"attempt_id": "y", "score": 1.5}\n{"attempt_id": "z", "sco')
    outcomes = written(
        tmp_path / "o.jsonl",
        [*OUTCOMES, OUTCOMES[0], {"attempt_id": "a11-1"}, {"attempt_id": "a11-1", "resolved": "perhaps"}, [1],
         {"resolved": True}, {"attempt_id": "ghost", "resolved": True}, {"attempt_id": "a11-1", "resolved": None},
         {"attempt_id": "a11-2", "resolved": True, "outcome": "unresolved"}],
    )  # fmt: skip
    assert run("audit", verdicts, "--outcomes", outcomes, "--json", tmp_path / "a.json") == 2
    lines = capsys.readouterr().err.splitlines()
    said = [
        "v.jsonl: line 801: a second verdict on attempt a11-0", "v.jsonl: line 802", "v.jsonl: line 803: score",
        "v.jsonl: line 804: broken JSON", "o.jsonl: line 201: a second outcome of attempt a11-0",
        "o.jsonl: line 202: says neither resolved nor outcome", "o.jsonl: line 203: no outcome: 'perhaps'",
        "o.jsonl: line 204: not a JSON object", "o.jsonl: line 205: names no attempt",
        "o.jsonl: line 208: no outcome: True, 'unresolved'",
    ]  # fmt: skip
    assert len(lines) == len(said)
    assert all(any(reason in line for line in lines) for reason in said)
    document = json.loads((tmp_path / "a.json").read_text())
    assert (document["n_verdicts"], document["n_outcomes"], document["n_unmatched"]) == (800, 200, 1)
    assert document["n_unknown"] == 1


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--refit", "DIR"], "--refit and --verifier come together"),
        (["--within", "1"], "--within"),
        (["--false-alarms", "1.5"], "false alarms between 0 and 1"),
        (["--drop", "2"], "a fall of the AUC lies above 0 and is at most 0.5, not 2"),
        (["--drop", "0"], "lies above 0"),
        (["--warm-up", "10"], "--warm-up"),
        (["--reference", "NONE"], "No such file"),
        (["--json", "VERDICTS"], "not overwritten"),
        (["--html", "VERDICTS"], "not overwritten"),
    ],
)
def test_what_a_user_can_mend_is_one_line(
    verdicts: Path, tmp_path: Path, argv: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"DIR": tmp_path / "dir", "NONE": tmp_path / "none.json", "VERDICTS": verdicts}
    outcomes = written(tmp_path / "o.jsonl", OUTCOMES)
    assert run("audit", verdicts, "--outcomes", outcomes, *(names.get(word, word) for word in argv)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_two_verifiers_are_not_audited_as_one(
    verdicts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = written(tmp_path / "w.jsonl", [{"attempt_id": "q", "score": 0.5, "verifier": "other@1"}])
    outcomes = written(tmp_path / "o.jsonl", OUTCOMES)
    assert run("audit", verdicts, other, "--outcomes", outcomes) == 1
    assert "w.jsonl: line 1: a verdict of other@1, where made@1 is audited" in capsys.readouterr().err


class Made:
    """The verifier that is audited, for --refit to load."""

    name = "made@1"

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        return [Verdict(attempt_id=t.attempt_id, score=0.5, raw_score=0.5, verifier=self.name) for t in trajectories]


MADE = f"{__name__}:Made"


def test_a_calibrator_is_not_fitted_for_another_verifier(
    verdicts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = written(tmp_path / "o.jsonl", OUTCOMES)
    argv = ["audit", verdicts, "--outcomes", outcomes, "--refit", tmp_path / "recal", "--verifier"]
    assert run(*argv, "constant") == 1
    assert "--verifier constant: is constant@1, and made@1 is audited" in capsys.readouterr().err
    assert run(*argv, "no-such-verifier") == 1
    assert not (tmp_path / "recal").exists()


def test_a_calibrator_is_fitted_again_when_asked_for(verdicts: Path, tmp_path: Path) -> None:
    outcomes = written(tmp_path / "o.jsonl", OUTCOMES)
    argv = ["audit", verdicts, "--outcomes", outcomes]
    assert run(*argv) == 0
    assert run(*argv, "--refit", tmp_path / "first", "--verifier", MADE) == 0
    first = calibrated.read(tmp_path / "first")
    assert (first.verifier, first.verifier_name, first.calibrator.n) == (MADE, "made@1", 200)
    assert first.tasks == tuple(sorted({f"kiln-{n % 97}" for n in range(0, 800, 4)}))
    rows = [
        row | {"verifier": first.name, "raw_score": row["score"], "score": float(first.calibrator([row["score"]])[0])}
        for row in verdict_rows(ROWS)
    ]
    argv = ["audit", written(tmp_path / "v2.jsonl", rows), "--outcomes", outcomes, "--method", "beta"]
    assert run(*argv, "--refit", tmp_path / "second", "--verifier", f"calibrated:{tmp_path / 'first'}") == 0
    second = calibrated.read(tmp_path / "second")
    assert (second.verifier, second.verifier_name, second.calibrator.method) == (MADE, "made@1", "beta")
    assert load_verifier(f"calibrated:{tmp_path / 'second'}").name == second.name
    assert run(*argv, "--refit", tmp_path / "second", "--verifier", MADE) == 1
    argv = ["audit", verdicts, "--outcomes", outcomes, "--refit", tmp_path / "third"]
    assert run(*argv, "--verifier", f"calibrated:{tmp_path / 'first'}") == 1


# --- on real verdicts ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.shared_data
def test_the_alarm_is_rarely_false_and_finds_falls_on_real_verdicts(shared_data: Path) -> None:
    """494 attempts, a cheap baseline's recorded scores; docs/audit.md has the figures of a larger pool."""
    script = Path(__file__).parents[1] / "scripts" / "simulate_audit.py"
    verdicts = shared_data / "expected" / "dev_attempts.tfidf.verdicts.jsonl"
    pile = shared_data / "dev_attempts.jsonl.zst"
    command = [sys.executable, script, pile, "--verdicts", verdicts, "--streams", "40", "--reference", "400"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {line[:55].strip(): float(line[55:].split()[0]) for line in out.splitlines()[1:]}
    assert found["false alarm in the first 200"] <= 0.2  # 5% are promised; 4 standard errors of 40 streams are 14%
    assert found["false alarm in the next 200"] <= 0.2
    for fall in ("blurred", "overrated", "underrated", "harder"):
        assert found[f"{fall} after 0: found within 200"] >= 0.5
