"""The command line: what each verb writes, its exit code, and one line for whatever is wrong with the input."""

import gzip
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard

from swe_rm import terminal
from swe_rm.__main__ import SPINS, main
from swe_rm.errors import VerifierError
from swe_rm.sources import open_pile
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Candidate, Ranking, Verdict

VERIFIER = f"{__name__}:Claims"

SCORE_KEYS = [
    "attempt_id", "content_hash", "instance_id", "policy", "attempt", "score", "raw_score", "logprob_yes",
    "logprob_no", "verdict_mass", "prompt_tokens", "truncated_tokens", "seconds", "verifier",
]  # fmt: skip
REPORT_KEYS = {
    "n_attempts", "n_tasks", "n_unscored", "base_rate", "auc", "auc_within_task", "ece", "brier", "cost", "verifier",
    "auc_within_policy", "auc_same_policy_task", "n_pairs_same_policy_task", "auc_upset", "n_pairs_upset", "rm_at_k",
    "pass_at_k", "rm_at_k_same_policy", "pass_at_k_same_policy", "n_tasks_at_k", "intervals", "slices", "controls",
}  # fmt: skip


class Claims:
    """Believes an attempt the more, the longer its patch; cannot judge a patch that says NaN."""

    name = "claims@1"

    def __call__(self, trajectories: Sequence[Trajectory]) -> list[Verdict]:
        if any("NaN" in trajectory.patch for trajectory in trajectories):
            raise VerifierError("claims@1: NaN logits")
        return [self._verdict(trajectory) for trajectory in trajectories]

    def _verdict(self, trajectory: Trajectory) -> Verdict:
        score = len(trajectory.patch) / 100
        return Verdict(
            attempt_id=trajectory.attempt_id, score=score, raw_score=score, prompt_tokens=9, verifier=self.name
        )

    def explain(self, trajectory: Trajectory) -> list[str]:
        return [f"{len(trajectory.patch)} characters of patch"]


class Slow(Claims):
    def __call__(self, trajectories: Sequence[Trajectory]) -> list[Verdict]:
        time.sleep(0.02)
        return super().__call__(trajectories)


def row(number: int, **changes: Any) -> dict[str, Any]:
    """An attempts row: four attempts a task, two of each policy."""
    return {
        "source": "made",
        "policy": ["otter", "heron [long]"][number % 2],
        "scaffold": "plain",
        "instance_id": f"pond__reeds-{number // 4}",
        "repo": "pond/reeds",
        "run": f"r{number % 4}",
        "messages": [
            {"role": "user", "content": "The reeds grow sideways."},
            {"role": "assistant", "content": f"I cut them, attempt {number}."},
        ],
        "patch": "+" * (10 + 7 * number % 60),
        "resolved": number % 3 == 0,
        "label_source": "made",
    } | changes


ROWS = [row(number) for number in range(16)]


def lines(rows: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in rows)


@pytest.fixture
def pile(tmp_path: Path) -> Path:
    file = tmp_path / "pile.jsonl"
    file.write_bytes(lines(ROWS))
    return file


def run(*argv: object) -> int:
    return main([str(word) for word in argv])


def error_lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


# --- rank ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "used"), [(None, SPINS), ("7", "7")])
def test_torch_s_threads_sleep_soon_unless_the_user_says_otherwise(
    given: str | None, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", given or "")
    if given is None:
        monkeypatch.delenv("GOMP_SPINCOUNT")
    main(["doctor", "--help"])
    assert os.environ["GOMP_SPINCOUNT"] == used


def test_rank_writes_every_task_best_first(pile: Path, tmp_path: Path) -> None:
    assert run("rank", pile, "--verifier", VERIFIER, "--json", tmp_path / "r.json") == 0
    document = json.loads((tmp_path / "r.json").read_text())
    assert list(document) == ["tasks"]
    assert [task["instance_id"] for task in document["tasks"]] == [f"pond__reeds-{n}" for n in range(4)]
    for task in document["tasks"]:
        assert set(task) == {"instance_id", "candidates"}
        assert [set(c) for c in task["candidates"]] == [{"attempt_id", "policy", "attempt", "score", "rank"}] * 4
        scores = [candidate["score"] for candidate in task["candidates"]]
        assert scores == sorted(scores, reverse=True)
        assert [candidate["rank"] for candidate in task["candidates"]] == [1 + scores.index(s) for s in scores]


def test_rank_shows_a_table_with_the_verifier_by_name_and_version(
    pile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("rank", pile, "--verifier", VERIFIER, "--why") == 0
    out = capsys.readouterr().out
    for word in ("claims@1", "pond__reeds-3", "otter", "resolved", "characters", "9 tokens"):
        assert word in out


def test_top_keeps_the_best(pile: Path, tmp_path: Path) -> None:
    assert run("rank", pile, "--verifier", VERIFIER, "--top", 1, "--json", tmp_path / "r.json") == 0
    tasks = json.loads((tmp_path / "r.json").read_text())["tasks"]
    assert [[candidate["rank"] for candidate in task["candidates"]] for task in tasks] == [[1]] * 4


def test_below_the_confidence_asked_for_a_task_is_abstained_from(
    pile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "r.json"
    assert run("rank", pile, "--verifier", VERIFIER, "--min-confidence", 0.6, "--json", out) == 0
    tasks = json.loads(out.read_text())["tasks"]
    assert [task["abstained"] for task in tasks] == [task["candidates"][0]["score"] < 0.6 for task in tasks]
    assert {task["abstained"] for task in tasks} == {True, False}
    assert "abstains" in capsys.readouterr().out


@pytest.mark.parametrize("argv", [["--json"], ["--json", "-"], ["--json", "--top", "4"]])
def test_json_without_a_file_goes_to_stdout_alone(
    pile: Path, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("rank", pile, "--verifier", VERIFIER, *argv) == 0
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["tasks"]) == 4
    assert "claims@1" in captured.err


# --- score -----------------------------------------------------------------------------------------------------------


def test_score_writes_the_keys_of_the_contract(pile: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    assert run("score", pile, "--out", out, "--verifier", VERIFIER) == 0
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert [list(item) for item in written] == [SCORE_KEYS] * 16
    assert [(item["instance_id"], item["policy"], item["attempt"]) for item in written] == [
        (item["instance_id"], item["policy"], item["run"]) for item in ROWS
    ]


def test_score_into_an_existing_file_is_one_line_and_resume_adds_nothing_twice(
    pile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "s.jsonl"
    assert run("score", pile, "--out", out, "--verifier", VERIFIER) == 0
    whole = out.read_bytes()
    capsys.readouterr()
    assert run("score", pile, "--out", out, "--verifier", VERIFIER) == 1
    assert len(error_lines(capsys)) == 1
    assert run("score", pile, "--out", out, "--verifier", VERIFIER, "--resume") == 0
    assert out.read_bytes() == whole
    assert run("score", pile, "--out", out, "--verifier", "constant", "--resume") == 1
    assert "written by claims@1, this run is constant@1" in error_lines(capsys)[-1]


def test_a_killed_command_resumes_to_every_attempt_once(tmp_path: Path) -> None:
    pile, out = tmp_path / "pile.jsonl", tmp_path / "s.jsonl"
    pile.write_bytes(lines([row(number) for number in range(2000)]))
    words = ["score", str(pile), "--out", str(out), "--verifier", f"{__name__}:Slow", "--resume"]
    command = [sys.executable, "-m", "swe_rm", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[:2]))}
    chance = random.Random(11)
    for wanted in sorted(chance.sample(range(1, 1200), 2)):
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
            while not out.exists() or out.read_bytes().count(b"\n") < wanted:
                assert process.poll() is None, "the run ended before it was killed"
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ids = [json.loads(line)["attempt_id"] for line in out.read_text().splitlines()]
    assert len(ids) == len(set(ids)) == 2000


# --- evaluate --------------------------------------------------------------------------------------------------------


def test_evaluate_writes_the_keys_of_the_contract(pile: Path, tmp_path: Path) -> None:
    out, html = tmp_path / "e.json", tmp_path / "report.html"
    assert run("evaluate", pile, "--verifier", VERIFIER, "--json", out, "--html", html) == 0
    document = json.loads(out.read_text())
    assert set(document) >= REPORT_KEYS
    assert (document["n_attempts"], document["n_tasks"], document["verifier"]) == (16, 4, "claims@1")
    assert set(document["controls"]) == {"constant", "shortest", "policy_prior", "task_prior", "oracle"}
    assert document["controls"]["oracle"]["auc"] == 1
    assert "<html" in html.read_text()


def test_recorded_verdicts_give_the_figures_of_the_verifier(pile: Path, tmp_path: Path) -> None:
    scores, direct, recorded, by_name = (tmp_path / name for name in ("s.jsonl", "a.json", "b.json", "c.json"))
    assert run("score", pile, "--out", scores, "--verifier", VERIFIER) == 0
    assert run("evaluate", pile, "--verifier", VERIFIER, "--json", direct) == 0
    assert run("evaluate", pile, "--verdicts", scores, "--json", recorded) == 0
    assert run("evaluate", pile, "--verifier", f"recorded:{scores}", "--json", by_name) == 0
    assert json.loads(direct.read_text()) == json.loads(recorded.read_text()) == json.loads(by_name.read_text())


def test_families_and_k_max_reach_the_figures(pile: Path, tmp_path: Path) -> None:
    out = tmp_path / "e.json"
    assert run("evaluate", pile, "--verifier", VERIFIER, "--policy", "family", "--k-max", 3, "--json", out) == 0
    document = json.loads(out.read_text())
    assert set(document["slices"]["policy"]) == {"otter", "heron"}
    assert list(document["rm_at_k"]) == ["1", "2", "3"]


def test_one_class_only_is_null_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "pile.jsonl", tmp_path / "e.json"
    file.write_bytes(lines([row(number, resolved=False) for number in range(8)]))
    assert run("evaluate", file, "--verifier", VERIFIER, "--json", out) == 0
    assert json.loads(out.read_text())["auc"] is None
    assert any("every attempt is unresolved" in line for line in error_lines(capsys))


@pytest.mark.parametrize("order", ["after", "before", "apart"])
def test_labels_given_apart_are_used(tmp_path: Path, order: str) -> None:
    file, out = tmp_path / "pile.jsonl", tmp_path / "e.json"
    file.write_bytes(lines([row(4 * number, resolved=None) for number in range(6)]))
    labels = []
    for number in range(2):
        labels.append(tmp_path / f"labels{number}" / "report.json")
        labels[-1].parent.mkdir()
        mine = [f"pond__reeds-{n}" for n in range(6) if n % 2 == number]
        report = {"resolved_ids": mine[:1], "unresolved_ids": mine[1:], "schema_version": 2}
        labels[-1].write_text(json.dumps(report))
    argv = {
        "after": [file, "--labels", *labels],
        "before": ["--labels", labels[0], "--labels", labels[1], file],
        "apart": [file, "--labels", labels[0], "--policy", "exact", "--labels", labels[1]],
    }[order]
    assert run("evaluate", *argv, "--verifier", VERIFIER, "--json", out) == 0
    document = json.loads(out.read_text())
    assert (document["n_attempts"], document["base_rate"]) == (6, pytest.approx(1 / 3))


# --- calibrate, ingest, export, doctor, train ------------------------------------------------------------------------


def test_a_calibrator_is_written_and_used(pile: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "calibrated", tmp_path / "e.json"
    many, others = tmp_path / "many.jsonl", tmp_path / "others.jsonl"
    many.write_bytes(lines([row(number) for number in range(80)]))
    others.write_bytes(lines([row(number) for number in range(80, 120)]))
    assert run("calibrate", many, "--verifier", VERIFIER, "--method", "platt", "--out", folder) == 0
    assert run("evaluate", others, "--verifier", f"calibrated:{folder}", "--json", out) == 0
    document = json.loads(out.read_text())
    assert document["verifier"].startswith("platt(claims@1)@")
    assert run("calibrate", many, "--verifier", VERIFIER, "--method", "platt", "--out", folder) == 1


@pytest.mark.parametrize("named", ["calibrated:{}", "{}", "mean:calibrated:{},constant"])
def test_a_calibrator_is_not_measured_on_the_tasks_it_was_fitted_on(
    named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "calibrated", tmp_path / "e.json"
    many, others = tmp_path / "many.jsonl", tmp_path / "others.jsonl"
    many.write_bytes(lines([row(number) for number in range(80)]))
    others.write_bytes(lines([row(number) for number in range(76, 120)]))
    assert run("calibrate", many, "--verifier", VERIFIER, "--method", "platt", "--out", folder) == 0
    capsys.readouterr()
    verifier = named.format(folder)
    assert run("evaluate", others, "--verifier", verifier, "--json", out) == 1
    (line,) = error_lines(capsys)
    assert "its calibrator was fitted on pond__reeds-19, one of 20 tasks" in line
    assert not out.exists()
    assert run("calibrate", others, "--verifier", verifier, "--method", "platt", "--out", tmp_path / "again") == 1
    assert run("rank", others, "--verifier", verifier) == 0
    scores = tmp_path / "s.jsonl"
    assert run("score", others, "--out", scores, "--verifier", verifier) == 0
    assert run("evaluate", others, "--verdicts", scores, "--trained-on", folder, "--json", out) == 0
    (seen,) = [one for one in json.loads(out.read_text())["pitfalls"] if one["name"] == "seen in training"]
    assert "1 of 11 tasks (4 attempts)" in seen["text"]


def test_calibrating_by_policy_shows_what_it_did_on_a_page_and_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many, folder = tmp_path / "many.jsonl", tmp_path / "calibrated"
    many.write_bytes(lines([row(number) for number in range(240)]))
    argv = ["calibrate", many, "--verifier", VERIFIER, "--method", "platt", "--per", "policy", "--labels-needed"]
    assert run(*argv, "--out", folder, "--json", tmp_path / "c.json", "--html", tmp_path / "c.html") == 0
    document = json.loads((tmp_path / "c.json").read_text())
    assert next(iter(document)) == "verifier"
    assert document["verifier"].startswith("platt(claims@1)@")
    assert (document["n_attempts"], document["n_tasks"], document["per"]) == (240, 60, "policy")
    assert document["groups"].keys() == {"otter", "heron [long]"}
    assert all(group["has_own_map"] and group["n"] == 120 for group in document["groups"].values())
    assert [one["policy"] for one in document["labels_needed"]] == ["heron [long]", "otter"]
    assert document["labels_needed"][0]["by_labels"].keys() == {"0", "20", "50", "200"}
    assert sum(one["n_resolved"] + one["n_unresolved"] for one in document["after"]["bins"]) == 240
    stored = json.loads((folder / "calibrator.json").read_text())
    assert stored["calibrator"]["per"] == "policy"
    assert len(stored["tasks"]) == 60
    out = capsys.readouterr().out
    for word in ("out of fold", "by policy", "labels", "otter", "takes the map of all"):
        assert word in out
    page = (tmp_path / "c.html").read_text()
    for word in ("Reliability before and after", "By policy", "A new policy", "heron [long]"):
        assert word in page
    counts = [str(one["n_resolved"] + one["n_unresolved"]) for one in document["after"]["bins"]]
    assert re.findall(r'<text class="count"[^>]*>(\d+)</text>', page) == counts
    few = ["calibrate", many, "--verifier", VERIFIER, "--method", "platt", "--out", tmp_path / "d"]
    many.write_bytes(lines([row(number) for number in range(40)]))
    capsys.readouterr()
    assert run(*few, "--labels-needed", "--json", tmp_path / "d.json") == 0
    assert "no policy has 100 attempts beside those of another: none can be taken for new" in capsys.readouterr().err
    assert (tmp_path / "d" / "calibrator.json").exists()
    assert json.loads((tmp_path / "d.json").read_text())["labels_needed"] == []


def test_a_calibrator_may_be_fitted_on_recorded_verdicts(pile: Path, tmp_path: Path) -> None:
    scores = tmp_path / "s.jsonl"
    assert run("score", pile, "--out", scores, "--verifier", VERIFIER) == 0
    verb = ["calibrate", pile, "--verifier", VERIFIER, "--method", "temperature"]
    assert run(*verb, "--out", tmp_path / "a") == 0
    assert run(*verb, "--verdicts", scores, "--out", tmp_path / "b") == 0
    assert (tmp_path / "a" / "calibrator.json").read_text() == (tmp_path / "b" / "calibrator.json").read_text()


def test_a_map_is_not_fitted_on_verdicts_of_another_verifier(
    pile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = tmp_path / "s.jsonl"
    assert run("score", pile, "--out", scores, "--verifier", "shortest") == 0
    verb = ["calibrate", pile, "--verifier", VERIFIER, "--method", "platt", "--verdicts", scores]
    capsys.readouterr()
    assert run(*verb, "--out", tmp_path / "a") == 1
    assert f"{scores}: verdicts of shortest@1, and the map would be for " in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    nameless = [
        {k: v for k, v in json.loads(line).items() if k != "verifier"} for line in scores.read_text().splitlines()
    ]
    scores.write_text("".join(f"{json.dumps(row)}\n" for row in nameless))
    assert run(*verb, "--out", tmp_path / "a") == 0


def test_ingested_and_exported_attempts_are_the_same_attempts(pile: Path, tmp_path: Path) -> None:
    folder, rows = tmp_path / "shards", tmp_path / "rows.jsonl.zst"
    assert run("ingest", pile, "--out", folder) == 0
    assert run("export", folder, "--format", "attempts", "--out", rows) == 0
    assert run("export", folder, "--format", "atif", "--out", tmp_path / "atif.jsonl") == 0
    assert run("export", folder, "--format", "openai", "--out", tmp_path / "chat.jsonl.gz") == 0
    assert run("export", folder, "--out", rows) == 1
    reports = []
    for source in (pile, folder, rows, tmp_path / "atif.jsonl"):
        out = tmp_path / f"{source.name}.json"
        assert run("score", source, "--out", out, "--verifier", VERIFIER) == 0
        reports.append(sorted(out.read_text().splitlines()))
    assert reports == reports[:1] * 4
    assert run("ingest", pile, "--out", folder) == 1
    assert run("export", tmp_path, "--out", tmp_path / "x.jsonl") == 1


def test_ingest_puts_in_issues_that_are_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = [{"instance_id": f"acme__tool-{n}", "model_name_or_path": "m", "model_patch": f"+{n}\n"} for n in range(3)]
    (tmp_path / "preds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    rows = tmp_path / "rows" / "data.jsonl"
    rows.parent.mkdir()
    tasks = [{"instance_id": f"acme__tool-{n}", "problem_statement": f"It breaks {n} times."} for n in range(2)]
    rows.write_text("".join(json.dumps(row) + "\n" for row in tasks))
    assert run("ingest", tmp_path / "preds.jsonl", "--tasks", rows.parent, "--out", tmp_path / "pile") == 0
    assert "1 attempts without an issue, at tasks that have no row, acme__tool-2 first" in capsys.readouterr().err
    pile = open_pile([tmp_path / "pile"]).attempts()
    found = {item.trajectory.task.instance_id: item.trajectory.task.statement for item in pile}
    assert found == {"acme__tool-0": "It breaks 0 times.", "acme__tool-1": "It breaks 1 times.", "acme__tool-2": ""}
    bare = [*tasks, {"instance_id": "acme__tool-2"}]
    rows.write_text("".join(json.dumps(row) + "\n" for row in bare))
    assert run("ingest", tmp_path / "preds.jsonl", "--tasks", rows, "--out", tmp_path / "again") == 0
    assert "1 attempts without an issue" in capsys.readouterr().err
    rows.write_text(json.dumps({"instance_id": "acme__tool-0"}) + "\n")
    assert run("ingest", tmp_path / "preds.jsonl", "--tasks", rows, "--out", tmp_path / "other") == 1
    assert "data.jsonl: no row has the text problem_statement" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_rank_says_where_logs_and_patches_are_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = [
        {"instance_id": "acme__tool-1", "model_name_or_path": name, "model_patch": f"+{name}\n"} for name in ("m", "n")
    ]
    (tmp_path / "preds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    assert run("rank", tmp_path / "preds.jsonl", "--verifier", VERIFIER) == 0
    assert "with a log and without" not in capsys.readouterr().err
    said = [{"role": "user", "content": "It breaks."}, {"role": "assistant", "content": "I mend it."}]
    row = {"instance_id": "acme__tool-1", "policy": "o", "messages": said, "patch": "+o\n"}
    (tmp_path / "run.jsonl").write_text(json.dumps(row) + "\n")
    assert run("rank", tmp_path / "preds.jsonl", tmp_path / "run.jsonl", "--verifier", VERIFIER) == 0
    told = capsys.readouterr().err
    assert "1 tasks have attempts with a log and without, acme__tool-1 first: their scores do not compare well" in told


def test_doctor_names_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("doctor") == 0
    out = capsys.readouterr().out
    for word in ("python", "pydantic", "extra model", "threads", "default verifier"):
        assert word in out


@pytest.mark.parametrize("content", [None, "- a list", "name: x\nsurprise: 1"])
def test_train_says_what_is_wrong_with_its_config(
    tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    if content is not None:
        file.write_text(content)
    assert run("train", file) == 1
    assert len(found := error_lines(capsys)) == 1
    assert "config.yaml" in found[0]


# --- bad input -------------------------------------------------------------------------------------------------------


def broken_line(folder: Path) -> None:
    (folder / "bad.jsonl").write_bytes(lines(ROWS[:2]) + b'{"policy": "otter", \n' + lines(ROWS[2:]))


def beside(name: str, content: bytes) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "good.jsonl").write_bytes(lines(ROWS))
        (folder / name).write_bytes(content)

    return make


def one_more(**changes: Any) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "rows.jsonl").write_bytes(lines([*ROWS, row(16, **changes)]))

    return make


SAME_KEY = {key: ROWS[3][key] for key in ("instance_id", "policy", "run")}
OTHERS = lines([row(number, run=f"later{number}") for number in range(200)])
TRUNCATED_GZ = gzip.compress(OTHERS)[:-30]
TRUNCATED_ZST = zstandard.compress(OTHERS)[:-30]

FIRST_LINES = {"broken": b'{"policy": "otter", ', "garbage": b"garbage", "another object": b'{"x": 1}', "null": b"null"}

REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "broken JSON": (broken_line, "bad.jsonl: line 3"),
    **{
        f"a first line that is {what}": (beside("bad.jsonl", line + b"\n" + OTHERS), "bad.jsonl: line 1")
        for what, line in FIRST_LINES.items()
    },
    "truncated gz": (beside("late.jsonl.gz", TRUNCATED_GZ), "late.jsonl.gz"),
    "truncated zst": (beside("late.jsonl.zst", TRUNCATED_ZST), "late.jsonl.zst"),
    "wrong encoding": (beside("latin.jsonl", lines([row(16)]).replace(b"sideways", b"sid\xe9ways")), "latin.jsonl"),
    "neither patch nor turns": (one_more(patch="", messages=[]), "rows.jsonl: line 17"),
    "the same key twice": (one_more(**SAME_KEY), "rows.jsonl: pond__reeds-0 / heron [long] / r3"),
    "no policy": (one_more(policy=""), "rows.jsonl: line 17"),
    "NaN logits": (one_more(patch="+NaN"), "NaN logits"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("verb", ["rank", "score", "evaluate"])
def test_what_is_refused_is_one_line_and_loses_nothing_else(
    tmp_path: Path, what: str, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make, says = REFUSED[what]
    (tmp_path / "in").mkdir()
    make(tmp_path / "in")
    out = tmp_path / "out"
    assert run(verb, tmp_path / "in", "--verifier", VERIFIER, "--out" if verb == "score" else "--json", out) == 2
    err = [line for line in error_lines(capsys) if says in line]
    assert len(err) == 1
    assert scored(verb, out) >= len(ROWS)


def scored(verb: str, out: Path) -> int:
    """How many attempts a verb's output is about."""
    if verb == "score":
        return len(out.read_text().splitlines())
    document = json.loads(out.read_text())
    return int(
        document["n_attempts"] if verb == "evaluate" else sum(len(task["candidates"]) for task in document["tasks"])
    )


@pytest.mark.slow
def test_a_100_mb_observation_is_read_and_costs_no_other_attempt(tmp_path: Path) -> None:
    seen = {"role": "tool", "content": "reed \n" * 18_000_000}
    file, out = tmp_path / "pile.jsonl", tmp_path / "r.json"
    file.write_bytes(lines([*ROWS, row(16, messages=[*ROWS[0]["messages"], seen])]))
    assert file.stat().st_size > 100_000_000
    assert run("rank", file, "--verifier", "shortest", "--json", out) == 0
    assert scored("rank", out) == 17


@pytest.mark.parametrize("what", [what for what in REFUSED if what != "NaN logits"])
def test_ingest_refuses_the_same(tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    make, says = REFUSED[what]
    (tmp_path / "in").mkdir()
    make(tmp_path / "in")
    assert run("ingest", tmp_path / "in", "--out", tmp_path / "out") == 2
    assert len([line for line in error_lines(capsys) if says in line]) == 1
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["n_attempts"] >= len(ROWS)


def empty_folder(folder: Path) -> None:
    """Nothing in it."""


def unknown_format(folder: Path) -> None:
    (folder / "notes.jsonl").write_text('{"colour": "green"}\n')


@pytest.mark.parametrize("make", [empty_folder, unknown_format])
@pytest.mark.parametrize("verb", ["rank", "score", "evaluate", "ingest"])
def test_where_nothing_can_be_done_the_code_is_one(
    tmp_path: Path, make: Callable[[Path], None], verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    make(tmp_path / "in")
    out = tmp_path / "out"
    options = {"rank": ["--json", out], "score": ["--out", out], "evaluate": ["--json", out], "ingest": ["--out", out]}
    verifier = [] if verb == "ingest" else ["--verifier", VERIFIER]
    assert run(verb, tmp_path / "in", *verifier, *options[verb]) == 1
    err = error_lines(capsys)
    assert 1 <= len(err) <= 4
    assert not any("Traceback" in line for line in err)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["rank", "no/such/folder", "--verifier", VERIFIER], "no/such/folder"),
        (["rank", "PILE", "--verifier", "magic"], "unknown verifier 'magic'"),
        (["rank", "PILE", "--verifier", "./no-checkpoint"], "./no-checkpoint: no such checkpoint folder"),
        (["rank", "PILE", "--verifier", "FOLDER"], "no swe_rm.json"),
        (["rank", "PILE", "--verifier", VERIFIER, "--json", "missing/r.json"], "missing/r.json"),
        (["rank", "PILE", "--verifier", VERIFIER, "--json", "FOLDER"], "is a folder"),
        (["evaluate", "PILE", "--verifier", VERIFIER, "--html", "missing/r.html"], "missing/r.html"),
        (["evaluate", "PILE", "--verifier", VERIFIER, "--verdicts", "x"], "exclude each other"),
        (["evaluate", "PILE", "--verdicts", "none.jsonl"], "none.jsonl"),
        (["score", "PILE", "--out", "missing/s.jsonl", "--verifier", VERIFIER], "missing/s.jsonl"),
        (["score", "PILE", "--verifier", VERIFIER], "--out"),
        (
            ["score", "PILE", "--out", "s.jsonl", "--verifier", VERIFIER, "--workers", "2"],
            "--workers is for --engine ray",
        ),
        (["evaluate", "PILE", "--policy", "vague"], "vague"),
        (["rank"], "PATH"),
        (["evaluate", "--json", "PILE", "OTHER", "--verifier", VERIFIER], "not overwritten"),
        (["rank", "PILE", "--verifier", VERIFIER, "--json", "PILE"], "not overwritten"),
        (["evaluate", "PILE", "--verifier", VERIFIER, "--html", "OTHER"], "not overwritten"),
        (["rank", "PILE", "--verifier", VERIFIER, "--json", "/proc/r.json"], "/proc/r.json"),
        (["rank", "PILE", "--verifier", "FOLDER", "--experts", "none"], "--experts"),
        (["dance"], "dance"),
        (["rank", "PILE", "--top", "0"], "--top"),
        (["rank", "PILE", "--known", "OTHER", "--max-wrong", "2"], "--max-wrong 2: is not between 0 and 1"),
        (["rank", "PILE", "--known", "OTHER", "--max-wrong", "0.1", "--assurance", "nan"], "--assurance nan: is not"),
        (["evaluate", "PILE", "--verifier", VERIFIER, "--price-per-hour", "-1"], "--price-per-hour"),
        (["evaluate", "PILE", "--verifier", VERIFIER, "--html", "-"], "standard output is for --json alone"),
        (
            ["evaluate", "PILE", "--verifier", VERIFIER, "--html", "x", "--json", "x"],
            "x: is given to --html and to --json",
        ),
        (
            ["score", "PILE", "--out", "s.jsonl.gz", "--verifier", VERIFIER],
            "s.jsonl.gz: is written as it is, not compressed",
        ),
        (["collect", "none.jsonl", "--out", "c"], "--model: Field required"),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_no_traceback(
    pile: Path, tmp_path: Path, argv: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    shutil.copy(pile, tmp_path / "other.jsonl")
    names = {"PILE": str(pile), "FOLDER": str(tmp_path / "folder"), "OTHER": str(tmp_path / "other.jsonl")}
    assert run(*(names.get(word, word) for word in argv)) == 1
    err = error_lines(capsys)
    assert len(err) == 1
    assert says.lower() in err[0].lower()


def test_a_checkpoint_of_another_template_is_refused(
    pile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = {"name": "old", "version": "1", "template_hash": "0" * 16, "control": {}, "policy": {}}
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "swe_rm.json").write_text(json.dumps(card))
    assert run("rank", pile, "--verifier", tmp_path / "old") == 1
    err = error_lines(capsys)
    assert len(err) == 1
    assert "made for template 0000000000000000" in err[0]


def test_hostile_names_cannot_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b[2J\x07[bold]reeds[/bold]"
    (tmp_path / "pile.jsonl").write_bytes(
        lines([row(0, instance_id=hostile), row(0, instance_id=hostile), row(1, patch="+NaN", policy="\x1b]0;x\x07")])
    )
    assert run("rank", tmp_path / "pile.jsonl", "--verifier", VERIFIER) == 2
    captured = capsys.readouterr()
    assert "[bold]reeds" in captured.out
    assert not set(captured.out + captured.err) & {"\x1b", "\x07"}


# --- the terminal ----------------------------------------------------------------------------------------------------


class Screen:
    """A stream that says whether it is a terminal and keeps what it is told."""

    def __init__(self, terminal: bool) -> None:
        self.terminal = terminal
        self.text = ""

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


@pytest.mark.parametrize("rewritten", [True, False])
def test_long_work_shows_progress(monkeypatch: pytest.MonkeyPatch, rewritten: bool) -> None:
    monkeypatch.setattr(terminal, "QUIET_SECONDS", 0.01)
    monkeypatch.setattr(terminal, "LINE_SECONDS", 0.01)
    screen = Screen(rewritten)
    with terminal.Progress("counting", 3, screen) as progress:
        for _ in progress.over(range(3)):
            waited = time.monotonic()
            while "counting" not in screen.text and time.monotonic() - waited < 30:
                time.sleep(0.005)
    assert "counting 0 of 3" in screen.text
    assert ("\r\x1b[2K" in screen.text) == rewritten


def test_work_whose_size_is_known_late_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "QUIET_SECONDS", 0.01)
    monkeypatch.setattr(terminal, "LINE_SECONDS", 0.01)
    screen = Screen(False)
    with terminal.Progress("training", stream=screen) as progress:
        progress.reach(3, 40)
        waited = time.monotonic()
        while "training" not in screen.text and time.monotonic() - waited < 30:
            time.sleep(0.005)
    assert "training 3 of 40" in screen.text


def test_short_work_shows_nothing() -> None:
    screen = Screen(True)
    with terminal.Progress("counting", 3, screen) as progress:
        assert list(progress.over("abc")) == ["a", "b", "c"]
    assert screen.text == ""


def test_abstaining_is_about_the_best_candidate() -> None:
    candidates = tuple(
        Candidate(attempt_id=str(n), policy="p", attempt=str(n), score=s, rank=n + 1) for n, s in enumerate([0.7, 0.2])
    )
    ranking = Ranking(instance_id="t", candidates=candidates)
    assert [terminal.abstains(ranking, level) for level in (None, 0.2, 0.7, 0.71)] == [False, False, False, True]


def test_a_report_may_be_written_again(pile: Path, tmp_path: Path) -> None:
    for verb in ("rank", "evaluate"):
        out = tmp_path / f"{verb}.json"
        assert [run(verb, pile, "--verifier", VERIFIER, "--json", out) for _ in range(2)] == [0, 0]


def test_recorded_rows_are_checked_against_the_whole_pile(
    pile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts = tmp_path / "v.jsonl"
    assert run("score", pile, "--verifier", VERIFIER, "--out", verdicts) == 0
    verdicts.write_text(verdicts.read_text() + '{"attempt_id": "nobody", "score": 0.5}\n')
    capsys.readouterr()
    for verb, out in (("rank", "--json"), ("score", "--out")):
        assert run(verb, pile, "--verifier", f"recorded:{verdicts}", out, tmp_path / verb) == 1
        assert "nobody" in error_lines(capsys)[-1]


def test_labels_that_contradict_a_row_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, labels, out = tmp_path / "pile.jsonl", tmp_path / "report.json", tmp_path / "e.json"
    file.write_bytes(lines([row(0, resolved=True), row(4, resolved=False)]))
    labels.write_text(json.dumps({"resolved_ids": ["pond__reeds-1"], "unresolved_ids": [], "schema_version": 2}))
    assert run("evaluate", file, "--labels", labels, "--verifier", VERIFIER, "--json", out) == 0
    assert json.loads(out.read_text())["base_rate"] == 1
    told = [line for line in error_lines(capsys) if "by its own record" in line]
    assert len(told) == 1
    assert "pond__reeds-1" in told[0]


def test_model_options_reach_the_checkpoint(pile: Path, tmp_path: Path, tiny_checkpoint: Path) -> None:
    scores = []
    for options in ([], ["--dtype", "bfloat16"], ["--experts", "eager"]):
        out = tmp_path / f"{len(scores)}.jsonl"
        assert run("score", pile, "--verifier", tiny_checkpoint, "--out", out, *options) == 0
        scores.append([json.loads(line)["score"] for line in out.read_text().splitlines()])
    assert scores[0] != scores[1]
    assert scores[0] == pytest.approx(scores[1], abs=0.02)
    assert scores[0] == pytest.approx(scores[2], abs=1e-5)


def test_a_pool_nobody_tested_measures_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "pile.jsonl", tmp_path / "e.json"
    file.write_bytes(lines([row(number, resolved=None) for number in range(8)]))
    assert run("evaluate", file, "--verifier", VERIFIER, "--json", out) == 1
    assert json.loads(out.read_text())["auc"] is None
    assert "nothing could be done" in error_lines(capsys)[-1]
