"""The shipped examples: complete, honest, and made by the script that says so."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from swe_rm.sources import open_pile
from swe_rm.trajectory import Outcome

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
RUNS = EXAMPLES / "runs"

sys.path.insert(0, str(ROOT / "scripts"))
agents = importlib.import_module("examples_src.agents")
grading = importlib.import_module("examples_src.grading")
issues = importlib.import_module("examples_src.issues")
logs = importlib.import_module("examples_src.logs")
sandboxes = importlib.import_module("examples_src.sandbox")

TASKS = [json.loads(line) for line in (EXAMPLES / "tasks.jsonl").read_text().splitlines()]
IDS = [task["instance_id"] for task in TASKS]
POLICIES = sorted(path.name for path in RUNS.iterdir())
ATTEMPTS = [(policy, instance_id) for policy in POLICIES for instance_id in IDS]


def trajectory(policy: str, instance_id: str) -> dict[str, Any]:
    return json.loads((RUNS / policy / instance_id / f"{instance_id}.traj.json").read_text())


def report(policy: str, instance_id: str) -> dict[str, Any]:
    return json.loads((RUNS / policy / "logs" / instance_id / "report.json").read_text())[instance_id]


def predictions(policy: str) -> dict[str, Any]:
    return json.loads((RUNS / policy / "preds.json").read_text())


def turns_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [message for message in found["messages"] if message["role"] == "assistant"]


def one_by_one(box, tests):
    """The slow twin of `run_tests`: each test alone, judged by the exit status of unittest."""
    return {test: box.run(f"python -m unittest {test}").returncode == 0 for test in tests}


def test_there_are_enough():
    assert len(set(IDS)) == len(IDS) >= 8
    assert len(POLICIES) == 4


def test_nothing_is_missing_and_nothing_is_left_over():
    files = {path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("*") if path.is_file()}
    expected = {"README.md", "tasks.jsonl"} | {f"runs/{policy}/preds.json" for policy in POLICIES}
    expected |= {f"runs/{policy}/{name}/{name}.traj.json" for policy, name in ATTEMPTS}
    expected |= {f"runs/{policy}/logs/{name}/report.json" for policy, name in ATTEMPTS}
    assert files == expected
    assert all(set(predictions(policy)) == set(IDS) for policy in POLICIES)


def test_small_enough_to_ship():
    assert sum(path.stat().st_size for path in EXAMPLES.rglob("*") if path.is_file()) < 1_500_000


@pytest.mark.parametrize(("policy", "instance_id"), ATTEMPTS)
def test_patch_is_the_same_everywhere(policy, instance_id):
    found = trajectory(policy, instance_id)
    patch = found["info"]["submission"]
    assert patch.startswith("diff --git ")
    assert predictions(policy)[instance_id]["model_patch"] == patch == found["messages"][-1]["content"]


@pytest.mark.parametrize(("policy", "instance_id"), ATTEMPTS)
def test_trajectory_shape(policy, instance_id):
    found = trajectory(policy, instance_id)
    first = found["info"]["mini_version"].startswith("1.")
    messages = found["messages"]
    assert found["trajectory_format"] == ("mini-swe-agent-1" if first else "mini-swe-agent-1.1")
    assert found["info"]["exit_status"] == "Submitted"
    assert [message["role"] for message in messages[:2]] == ["system", "user"]
    statement = next(task for task in TASKS if task["instance_id"] == instance_id)["problem_statement"]
    assert f"PR description:\n{statement}\n</pr_description>" in messages[1]["content"]
    turns = turns_of(found)
    assert 6 <= len(turns) == found["info"]["model_stats"]["api_calls"] <= 25
    for turn in turns:
        (action,) = turn["extra"]["actions"]
        if first:
            assert turn["content"].startswith("THOUGHT: ")
            assert turn["content"].endswith(f"\n\n```bash\n{action['command']}\n```")
        else:
            (call,) = turn["tool_calls"]
            assert json.loads(call["function"]["arguments"])["command"] == action["command"]
    answers = [message for message in messages[3:-1] if message["role"] in ("user", "tool")]
    assert len(answers) == len(turns) - 1
    assert all(re.match(r"<returncode>\d+</returncode>\n<output>\n", answer["content"]) for answer in answers)


@pytest.mark.parametrize(("policy", "instance_id"), ATTEMPTS)
def test_report_follows_from_its_tests(policy, instance_id):
    found = report(policy, instance_id)
    task = next(task for task in TASKS if task["instance_id"] == instance_id)
    for group in ("FAIL_TO_PASS", "PASS_TO_PASS"):
        status = found["tests_status"][group]
        assert sorted(status["success"] + status["failure"]) == task[group]
    failures = [test for status in found["tests_status"].values() for test in status["failure"]]
    assert found["patch_successfully_applied"]
    assert found["resolved"] == (not failures)


def test_outcomes_are_mixed():
    resolved = {attempt: report(*attempt)["resolved"] for attempt in ATTEMPTS}
    assert 0.35 <= sum(resolved.values()) / len(resolved) <= 0.60
    for instance_id in IDS:
        assert {resolved[policy, instance_id] for policy in POLICIES} == {True, False}
    for policy in POLICIES:
        assert {resolved[policy, instance_id] for instance_id in IDS} == {True, False}


@pytest.mark.parametrize(("policy", "instance_id"), ATTEMPTS)
def test_text_does_not_say_whose_it_is_or_where_it_was_made(policy, instance_id):
    text = json.dumps(trajectory(policy, instance_id)["messages"])
    assert not re.search(r"scripted|hasty|liar\b|test.editing|swe-rm|/tmp/|/home/", text)


def test_no_two_attempts_are_clones():
    commands = {
        tuple(turn["extra"]["actions"][0]["command"] for turn in turns_of(trajectory(*attempt))) for attempt in ATTEMPTS
    }
    assert len(commands) == len(ATTEMPTS)


def test_readme_tells_the_outcomes():
    table = re.findall(r"^\| ([\w-]+) \| .* \| (\d+) of (\d+) \|$", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    counted = {policy: sum(report(policy, instance_id)["resolved"] for instance_id in IDS) for policy in POLICIES}
    assert {f"scripted-{name}": int(resolved) for name, resolved, _ in table} == counted
    assert {int(number) for _, _, number in table} == {len(IDS)}


def test_our_own_sources_read_every_attempt_with_its_outcome():
    pile = open_pile([EXAMPLES])
    outcomes = {}
    for labelled in pile.attempts():
        attempt = labelled.trajectory.origin.attempt, labelled.trajectory.task.instance_id
        outcomes[attempt] = labelled.outcome is Outcome.RESOLVED
        assert labelled.outcome is not Outcome.UNKNOWN
        assert labelled.trajectory.patch == predictions(attempt[0])[attempt[1]]["model_patch"]
    assert not pile.refusals
    assert outcomes == {attempt: report(*attempt)["resolved"] for attempt in ATTEMPTS}


def test_tasks_are_keyed_as_swe_bench_keys_them():
    keys = {"instance_id", "repo", "problem_statement", "patch", "test_patch", "FAIL_TO_PASS", "PASS_TO_PASS"}
    for task in TASKS:
        assert set(task) == keys
        assert re.fullmatch(r"swe-rm__\w+-\d+", task["instance_id"])
        assert task["FAIL_TO_PASS"]
        assert "+++ b/tests/" in task["test_patch"]
        assert "+++ b/tests/" not in task["patch"]


def test_regenerating_gives_the_same_bytes(tmp_path):
    chosen = ["swe-rm__intervals-2", "swe-rm__semver-1"]
    command = [sys.executable, str(ROOT / "scripts" / "make_examples.py"), "--out", str(tmp_path), "--only", *chosen]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "[2/2] swe-rm__semver-1:" in done.stdout
    made = [
        path for path in sorted(tmp_path.rglob("*")) if path.name == "report.json" or path.suffixes[:1] == [".traj"]
    ]
    assert len(made) == 2 * 4 * 2
    same_python = trajectory(POLICIES[0], IDS[0])["info"]["config"]["environment"]["python"] == logs.PYTHON
    for path in made:
        committed = EXAMPLES / path.relative_to(tmp_path)
        if same_python or path.name == "report.json":
            assert path.read_bytes() == committed.read_bytes(), path.name
        else:
            again, shipped = json.loads(path.read_text()), json.loads(committed.read_text())
            assert again["info"]["submission"] == shipped["info"]["submission"], path.name
    for policy in POLICIES:
        shipped = predictions(policy)
        assert json.loads((tmp_path / "runs" / policy / "preds.json").read_text()) == {k: shipped[k] for k in chosen}
    rows = [json.loads(line) for line in (tmp_path / "tasks.jsonl").read_text().splitlines()]
    assert rows == [task for task in TASKS if task["instance_id"] in chosen]


def check_task(instance_id: str) -> None:
    """The gold patch resolves, no patch and a broken one do not, and the four reports are what grading says today."""
    task = grading.build_task(issues.load_issue(instance_id))
    gold = grading.grade(task, task.patch)[instance_id]
    assert gold["resolved"]
    empty = grading.grade(task, "")[instance_id]
    assert not empty["resolved"]
    assert not empty["patch_exists"]
    unfixed = grading.grade(task, task.test_patch)[instance_id]
    assert unfixed["tests_status"]["FAIL_TO_PASS"]["failure"] == list(task.fail_to_pass)
    assert not unfixed["tests_status"]["PASS_TO_PASS"]["failure"]
    for policy in POLICIES:
        assert grading.grade(task, predictions(policy)[instance_id]["model_patch"]) == {
            instance_id: report(policy, instance_id)
        }


@pytest.mark.parametrize("instance_id", IDS[:: len(IDS) // 3][:3])
def test_grading_tells_gold_from_nothing(instance_id):
    check_task(instance_id)


@pytest.mark.slow
@pytest.mark.parametrize("instance_id", IDS)
def test_grading_tells_gold_from_nothing_everywhere(instance_id):
    check_task(instance_id)


def test_running_tests_together_agrees_with_one_by_one():
    issue = issues.load_issue("swe-rm__semver-2")
    task = grading.build_task(issue)
    tests = [*task.fail_to_pass, *task.pass_to_pass[:2]]
    for tree, expected in ((issue.broken_tree(), set(task.pass_to_pass)), (issue.clean_tree(), set(tests))):
        with sandboxes.sandbox(tree, "all") as box:
            together, alone = grading.run_tests(box), one_by_one(box, tests)
        assert alone == {test: together[test] for test in tests}
        assert {test for test, passed in alone.items() if passed} == expected & set(tests)


@pytest.fixture(scope="module")
def task():
    return grading.build_task(issues.load_issue("swe-rm__intervals-2"))


def patch_of(task, file, old, new):
    with sandboxes.sandbox(task.base, "base") as box:
        assert old in box.read(file)
        box.write({file: box.read(file).replace(old, new)})
        return box.git("diff")


def test_hidden_tests_overwrite_edited_ones(task):
    skipping = patch_of(
        task, "tests/test_intervalset.py", "import unittest\n", "import unittest\n\nraise unittest.SkipTest\n"
    )
    found = grading.grade(task, skipping)["swe-rm__intervals-2"]
    assert found["patch_successfully_applied"]
    assert found["tests_status"]["FAIL_TO_PASS"]["failure"] == list(task.fail_to_pass)


def test_patch_that_does_not_apply_is_not_resolved(task):
    stale = task.patch.replace("elif", "elsif")
    found = grading.grade(task, stale)["swe-rm__intervals-2"]
    assert (found["patch_exists"], found["patch_successfully_applied"], found["resolved"]) == (True, False, False)


@pytest.mark.parametrize("damage", ["(", "raise SystemExit(0)", "import os; os._exit(0)", "import unittest; 1 / 0"])
def test_damaged_package_fails_every_test(task, damage):
    broken = patch_of(task, "intervals/__init__.py", "from .", f"{damage}\nfrom .")
    found = grading.grade(task, broken)["swe-rm__intervals-2"]
    assert not found["resolved"]
    assert all(not status["success"] for status in found["tests_status"].values())


def test_command_that_hangs_is_killed_with_its_children(task):
    with sandboxes.sandbox(task.base, "base") as box:
        seen = box.run("sleep 300 & echo $!; wait", seconds=1)
    child = Path("/proc", seen.output.splitlines()[0], "stat")
    assert seen.returncode == sandboxes.TIMED_OUT
    assert "was stopped" in seen.output
    assert not child.exists() or child.read_text().split()[2] == "Z"


def test_what_differs_between_runs_is_taken_out(task):
    with sandboxes.sandbox(task.base, "base") as box:
        seen = box.run("pwd; python -c 'print(object(), hash(\"x\"))'; python -m unittest -q")
        again = box.run("pwd; python -c 'print(object(), hash(\"x\"))'; python -m unittest -q")
    assert seen == again
    assert seen.output.startswith("/testbed\n<object object at 0x7f0000000000>")
    assert "in 0.001s" in seen.output


def test_callers_environment_does_not_reach_the_commands(task, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.fspath(ROOT))
    monkeypatch.setenv("GIT_DIR", os.fspath(ROOT / ".git"))
    with sandboxes.sandbox(task.base, "base") as box:
        assert box.run("env | grep -c PYTHONPATH").output == "0\n"
        assert box.run("git log --format=%s").output == "base\n"


def test_edit_must_find_its_lines_once():
    change = issues.Change("a.py", "x = 1\n", "x = 2\n")
    assert change.apply("x = 1\ny = 1\n") == "x = 2\ny = 1\n"
    for text in ("", "x = 1\nx = 1\n"):
        with pytest.raises(issues.IssueError, match=r"a\.py"):
            change.apply(text)


def test_unknown_issue_is_named():
    with pytest.raises(issues.IssueError, match="nothing-1"):
        issues.load_issue("nothing-1")


def test_agent_that_does_not_stop_is_an_error(task):
    def endless():
        while True:
            yield agents.Step("again", "true")

    with sandboxes.sandbox(task.base, "base") as box, pytest.raises(issues.IssueError, match="did not come to an end"):
        logs.take_turns(endless(), logs.Log(1), box)


def test_output_that_would_be_elided_is_an_error(task):
    def chatty():
        yield agents.Step("much", "head -c 20000 /dev/zero | tr '\\0' x")

    with sandboxes.sandbox(task.base, "base") as box, pytest.raises(issues.IssueError, match="20000 characters"):
        logs.take_turns(chatty(), logs.Log(2), box)
