"""Attempts of a trainer's policy: turns of text through mini-swe-agent, limits, the tests, and failures of ours."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.client import attempt_of
from swe_rm.reward import Reward, is_finished

pytest.importorskip("minisweagent", reason="the extra agents is not installed")

from swe_rm.rollouts.attempt import Rollout
from swe_rm.rollouts.rows import main
from swe_rm.rollouts.scaffold import RolloutError, Settings
from swe_rm.rollouts.tasks import RolloutTask, files_of, task_of
from swe_rm.rollouts.testing import address, judged, named, reported, run_tests
from swe_rm.sources import open_pile, open_received
from swe_rm.trajectory import Outcome
from tests import rollouting as lamps

SETTINGS = Settings(**lamps.SETTINGS)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lamps.image(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def task(image: Path) -> RolloutTask:
    return task_of(lamps.record(image))


def played(task: RolloutTask, *said: str, settings: Settings = SETTINGS) -> Rollout:
    """An attempt with these answers, closed."""
    rollout = Rollout(task, settings.opening(task.problem_statement), settings)
    try:
        for one in said:
            rollout.step(one)
        if rollout.is_over:
            rollout.ending = rollout.told()  # type: ignore[attr-defined]
    finally:
        rollout.close()
    return rollout


def ending(task: RolloutTask, *said: str, settings: Settings = SETTINGS) -> dict[str, Any]:
    return dict(played(task, *said, settings=settings).ending)  # type: ignore[attr-defined]


def test_an_attempt_that_mends_the_lamp_is_resolved(task: RolloutTask) -> None:
    told = ending(task, *lamps.SOLVED)
    assert (told["resolved"], told["finished"], told["exit_status"]) == (True, True, "Submitted")
    assert told["model_patch"].startswith("diff --git a/lamp.py b/lamp.py\n")
    assert [one["role"] for one in told["messages"]] == ["system", "user", *["assistant", "user"] * 2, "assistant"]
    assert "return not self.wick" in told["messages"][3]["content"]
    assert (told["instance_id"], told["problem_statement"]) == (lamps.TASK_ID, lamps.STATEMENT)
    assert Reward("hybrid")(0.25, told["resolved"], finished=is_finished(told)) == 1.25


def test_one_that_breaks_another_test_is_not(task: RolloutTask) -> None:
    told = ending(task, lamps.MEND, lamps.SPOIL, lamps.SUBMIT)
    assert (told["resolved"], told["finished"]) == (False, True)
    assert Reward("hybrid")(0.25, told["resolved"], finished=is_finished(told)) == 0.25


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ((lamps.LOOK,) * 6, "LimitsExceeded"),
        (("I only talk.",) * 3, "RepeatedFormatError"),
        ((lamps.SUBMIT,), "Submitted"),
    ],
    ids=["steps", "no command", "no patch"],
)
def test_without_a_patch_it_is_unfinished_and_needs_no_test(
    task: RolloutTask, said: tuple[str, ...], status: str
) -> None:
    told = ending(task, *said)
    assert (told["exit_status"], told["finished"], told["resolved"]) == (status, False, None)
    assert Reward("hybrid")(0.25, told["resolved"], finished=is_finished(told)) == -0.25


def test_an_answer_without_a_command_is_told_so_and_stays_in_the_log(task: RolloutTask) -> None:
    rollout = played(task, "I only talk.", lamps.LOOK)
    assert [one["role"] for one in rollout.chat] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert rollout.chat[2]["content"] == "I only talk."
    assert "found 0 actions" in rollout.chat[3]["content"]
    assert not rollout.is_over


def test_time_and_whoever_trains_may_end_it(task: RolloutTask) -> None:
    hasty = SETTINGS.model_copy(update={"wall_seconds": 1})
    assert ending(task, lamps.LOOK.replace("cat", "sleep 1; cat"), settings=hasty)["exit_status"] == "TimeExceeded"
    rollout = Rollout(task, SETTINGS.opening("hm"), SETTINGS)
    with pytest.raises(ValueError, match="not over"):
        rollout.told()
    rollout.end("ContextFull")
    rollout.end("again")
    assert rollout.told()["exit_status"] == "ContextFull"
    rollout.close()
    with pytest.raises(ValueError, match="is over"):
        rollout.step(lamps.LOOK)


def test_an_environment_that_is_gone_is_no_unfinished_attempt(task: RolloutTask) -> None:
    rollout = Rollout(task, SETTINGS.opening("hm"), SETTINGS)
    rollout.close()
    assert rollout.step(lamps.LOOK) is not None, "docker, too, answers with an exit code"
    rollout.end("LimitsExceeded")
    with pytest.raises(RolloutError, match="the environment is gone"):
        rollout.told()


@pytest.mark.parametrize("step", ["printf %s", "base64 -d", "git apply"])
def test_a_patch_that_does_not_come_through_is_not_one_that_does_not_apply(task: RolloutTask, step: str) -> None:
    faltering = {**lamps.ENVIRONMENT, "environment_class": "tests.rollouting.Faltering", "fails": step}
    with pytest.raises(RolloutError, match=f"^{task.instance_id}: (could not run: {step}|git apply did not come)"):
        run_tests(task, lamps.GOLD, SETTINGS.model_copy(update={"environment": faltering}))
    assert run_tests(task, lamps.GOLD, SETTINGS).resolved
    assert run_tests(task, lamps.GOLD.replace("wick", "oil"), SETTINGS).why == "the patch does not apply"


def test_an_image_that_does_not_start_is_no_attempt(
    task: RolloutTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swe_rm.rollouts.scaffold._PAUSE", 0.0)
    with pytest.raises(RolloutError, match="does not start: no such image"):
        Rollout(task.model_copy(update={"image": str(tmp_path / "none")}), [], SETTINGS)


def test_attempts_are_kept_as_rows_that_every_verb_reads(task: RolloutTask, tmp_path: Path) -> None:
    keeping = SETTINGS.model_copy(update={"keep": tmp_path / "kept"})
    for said in (lamps.SOLVED, lamps.FAILED, ("I only talk.",) * 3):
        told = ending(task, *said, settings=keeping)
    pile = open_pile([tmp_path / "kept"])
    found = list(pile.attempts())
    assert not list(pile.refusals)
    assert [one.outcome for one in found] == [Outcome.RESOLVED, Outcome.UNRESOLVED, Outcome.UNRESOLVED]
    assert [one.trajectory.finished for one in found] == [True, True, False]
    assert [one.content for one in found[2].trajectory.messages] == [one["content"] for one in told["messages"]]
    assert len({one.trajectory.attempt_id for one in found}) == 3
    received = open_received([("request.json", json.dumps(attempt_of(told)).encode())])
    assert [one.trajectory.content_hash for one in received.attempts()] == [found[2].trajectory.content_hash]
    with pytest.raises(RolloutError, match="Not a directory"):
        ending(task, lamps.SUBMIT, settings=keeping.model_copy(update={"keep": Path(__file__) / "x"}))


# --- the tests ---------------------------------------------------------------------------------------------------


def patched(body: str) -> str:
    """A diff that puts lines at the end of the lamp's code."""
    lines = body.splitlines()
    added = "".join(f"+{line}\n" for line in lines)
    last = lamps.LAMP.splitlines()[-1]
    head = "diff --git a/lamp.py b/lamp.py\n--- a/lamp.py\n+++ b/lamp.py\n"
    return f"{head}@@ -5 +5,{len(lines) + 1} @@\n {last}\n{added}"


def new_file(name: str, text: str) -> str:
    lines = text.splitlines()
    head = (
        f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{len(lines)} @@\n"
    )
    return head + "".join(f"+{line}\n" for line in lines)


@pytest.mark.parametrize(
    ("patch", "resolved", "why"),
    [
        (lamps.GOLD, True, "all pass"),
        ("", False, "test_lit does not pass"),
        ("--- a/none.py\n+++ b/none.py\n@@ -1 +1 @@\n-a\n+b\n", False, "does not apply"),
        (patched("import os\nos.kill(os.getppid(), 9)"), False, "run was ended"),
        (patched("import os\nos._exit(0)"), False, "does not pass"),
        (patched("raise ValueError"), False, "does not pass"),
        (patched("print('test_lit (tests.test_lamp.LampTest.test_lit) ... no')"), False, "test_lit does not pass"),
    ],
    ids=["gold", "none", "not a patch", "kills", "leaves", "raises", "prints"],
)
def test_what_a_patch_does_to_the_run_is_its_own_affair(
    task: RolloutTask, patch: str, resolved: bool, why: str
) -> None:
    found = run_tests(task, patch, SETTINGS)
    assert (found.resolved, why in found.why) == (resolved, True), found


def test_tests_that_hang_are_unresolved(task: RolloutTask) -> None:
    hasty = SETTINGS.model_copy(update={"test_seconds": 1})
    found = run_tests(task, patched("import time\ntime.sleep(60)"), hasty)
    assert found == (False, "the tests do not end within 1 s", False)


def test_tests_that_an_attempt_wrote_itself_are_not_asked(task: RolloutTask) -> None:
    own = lamps.TEST_PATCH.replace("assertTrue(Lamp().lit())", "assertTrue(True)")
    assert not run_tests(task, own, SETTINGS).resolved
    assert run_tests(task, own + lamps.GOLD, SETTINGS).resolved


def test_a_long_patch_comes_whole(task: RolloutTask) -> None:
    assert run_tests(task, lamps.GOLD + new_file("long.py", "x = 1\n" * 60_000), SETTINGS).resolved


def test_hidden_tests_that_do_not_apply_are_a_failure_of_ours(task: RolloutTask) -> None:
    wrong = task.model_copy(update={"test_patch": lamps.GOLD.replace("not self", "self")})
    with pytest.raises(RolloutError, match="hidden tests do not apply"):
        run_tests(wrong, "", SETTINGS)


LIT, WICK = (f"tests/test_lamp.py::LampTest::{name}" for name in ("test_lit", "test_wick"))


@pytest.fixture(scope="module")
def under_pytest(image: Path) -> RolloutTask:
    """The same task, its tests run by pytest; a third test fails whatever the attempt does."""
    record = lamps.record(
        image,
        test_command=f"{sys.executable} -m pytest -rA --color=no -p no:cacheprovider",
        test_patch=lamps.TEST_PATCH.replace("+1,11 @@", "+1,14 @@") + "+\n+def test_other():\n+    assert False\n",
        FAIL_TO_PASS=[LIT],
        PASS_TO_PASS=[WICK],
    )
    return task_of(record)


@pytest.mark.parametrize(
    ("patch", "resolved", "why"),
    [
        (lamps.GOLD, True, "all pass"),
        (lamps.GOLD.replace("return bool", f"print('FAILED {LIT}'); return bool"), True, "all pass"),
        ("", False, f"{LIT} does not pass"),
        (patched(f"    _ = lit\n    def lit(self):\n        print('PASSED {LIT}')"), False, f"{LIT} does not pass"),
        (patched(f"import os\nprint('PASSED {LIT}\\nPASSED {WICK}', flush=True)\nos._exit(0)"), False, "no report"),
        (lamps.GOLD + new_file("pytest.ini", "[pytest]\naddopts = --junitxml=own.xml"), True, "all pass"),
        (lamps.GOLD + new_file("pytest.ini", "[pytest]\naddopts = -p no:junitxml"), False, "no report"),
    ],
    ids=["gold", "gold that prints", "none", "prints", "prints and leaves", "own file", "own settings"],
)
def test_pytest_is_asked_by_the_file_it_writes(under_pytest: RolloutTask, patch: str, resolved: bool, why: str) -> None:
    found = run_tests(under_pytest, patch, SETTINGS)
    assert (found.resolved, why in found.why) == (resolved, True), found


def test_a_name_that_is_printed_is_not_believed_over_the_exit_code(task: RolloutTask) -> None:
    lines = "test_lit (tests.test_lamp.LampTest.test_lit) ... ok\n"
    found = run_tests(task, patched(f"print({lines!r}, flush=True)"), SETTINGS)
    assert found == (False, "the tests' run ends with exit code 1", True)


@given(names=st.dictionaries(st.from_regex(r"test_[a-z]{1,5}", fullmatch=True), st.booleans()))
def test_unittest_names_what_passes(names: dict[str, bool]) -> None:
    said = "".join(
        f"{name} (t.x.Lamp.{name})\nA lamp. ... {'ok' if good else 'FAIL'}\n" for name, good in names.items()
    )
    assert {f"t.x.Lamp.{name}" for name, good in names.items() if good} <= named(said)
    assert not {f"t.x.Lamp.{name}" for name, good in names.items() if not good} & named(said)


def test_what_pytest_writes_is_read_by_the_names_it_gives(tmp_path: Path) -> None:
    file = tmp_path / "tests" / "test_x.py"
    file.parent.mkdir()
    file.write_text(
        "import pytest\n"
        "@pytest.fixture\ndef untidy():\n    yield\n    raise ValueError\n"
        "class TestLamp:\n"
        "    @pytest.mark.parametrize('x', ['a - b', 'a::b', 'a[b]', 'a.py/b', '<&\"', 'é\\n'])\n"
        "    def test_x(self, x): pass\n"
        "def test_left(untidy): pass\n"
        "def test_bad(): assert False\n"
        "@pytest.mark.skip\ndef test_skipped(): pass\n"
        "@pytest.mark.xfail\ndef test_known(): assert False\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--junitxml=x.xml", "tests"]
    listed = subprocess.run(
        [*command, "--collect-only", "-q"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    names = [line for line in listed.stdout.splitlines() if "::" in line]
    assert len(names) == 10
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 1
    report = reported((tmp_path / "x.xml").read_text(encoding="utf-8"))
    assert {name for name in names if address(name) in report.passed} == {name for name in names if "::test_x[" in name}
    assert report.failed == {"tests.test_x::test_left", "tests.test_x::test_bad"}


@pytest.mark.parametrize("text", ["", "PASSED", "<testsuites><testcase", "<a>" * 3, "<!DOCTYPE a><a/>"])
def test_a_report_that_is_none_is_no_report(text: str) -> None:
    with pytest.raises(ValueError, match="no XML"):
        reported(text)


def test_exit_codes_are_believed() -> None:
    good, bad = (f'<testcase classname="t.x" name="test_{name}">{more}</testcase>' for name, more in
                 (("a", ""), ("b", "<failure/>")))  # fmt: skip
    name = "t/x.py::test_a"
    alone, both = reported(f"<s>{good}</s>"), reported(f"<s>{good}{bad}</s>")
    assert [judged([name], code, "", alone).resolved for code in (0, 1, 2, 5, 137)] == [True, *[False] * 4]
    assert [judged([name], code, "", both).resolved for code in (0, 1, 2, 5, 137)] == [True, True, *[False] * 3]
    said = "test_a (t.X.test_a) ... ok\n"
    assert [judged(["t.X.test_a", name], code, said, both).resolved for code in (0, 1)] == [True, False]
    assert not judged(["t/x.py::test_b"], 0, "PASSED t/x.py::test_b", both).resolved


# --- rows --------------------------------------------------------------------------------------------------------


def test_a_row_holds_nothing_of_the_solution(image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks, out = tmp_path / "tasks.jsonl", tmp_path / "rows.jsonl"
    tasks.write_text(json.dumps(lamps.record(image)) + "\n")
    assert main([str(tasks), "--out", str(out)]) == 0
    (row,) = map(json.loads, out.read_text().splitlines())
    assert [one["role"] for one in row["prompt"]] == ["system", "user"]
    assert lamps.STATEMENT in row["prompt"][1]["content"]
    assert "bool(self.wick)" not in out.read_text()
    task = RolloutTask.model_validate_json(row["task"])
    assert task.fail_to_pass == ("tests.test_lamp.LampTest.test_lit",)
    assert task.test_command == "python -m unittest -v 'tests/test_lamp.py'"
    assert "1 rows; 0 left out" in capsys.readouterr().err


def test_rows_that_cannot_be_written_are_one_line(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks, out = tmp_path / "tasks.jsonl", tmp_path / "nowhere" / "rows.jsonl"
    tasks.write_text(json.dumps(lamps.record(image)) + "\n")
    assert main([str(tasks), "--out", str(out)]) == 1
    assert capsys.readouterr().err == f"{out}: cannot be written: No such file or directory\n"


def test_what_is_no_task_is_a_line_with_its_reason(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = tmp_path / "tasks.jsonl"
    rows = [lamps.record(image), lamps.record(image), {**lamps.record(image), "FAIL_TO_PASS": "[]"}, {}, 3]
    tasks.write_text("".join(f"{json.dumps(row)}\n" for row in rows) + "{\n")
    assert main([str(tasks), "--out", str(tmp_path / "rows.jsonl")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in said[:-1]] == ["line 2", "line 3", "line 4", "line 5", "line 6"]
    assert "fail_to_pass" in said[1]
    assert "instance_id" in said[2]
    tasks.write_text("")
    assert main([str(tasks), "--out", str(tmp_path / "rows.jsonl")]) == 1


def test_tasks_that_their_tests_do_not_tell_apart_are_left_out(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks, out, scaffold = tmp_path / "tasks.jsonl", tmp_path / "rows.jsonl", tmp_path / "mini.yaml"
    templates = {**Settings().templates(), "environment": lamps.ENVIRONMENT}
    scaffold.write_text(json.dumps(templates))
    rows = [
        lamps.record(image),
        lamps.record(image, instance_id="passes", FAIL_TO_PASS=["tests.test_lamp.LampTest.test_wick"]),
        lamps.record(image, instance_id="unsolved", patch=""),
        lamps.record(image, instance_id="misnamed", FAIL_TO_PASS=["tests.test_lamp.LampTest.test_none"]),
    ]
    tasks.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert main([str(tasks), "--out", str(out), "--check", "--scaffold", str(scaffold), "--workers", "2"]) == 2
    said = capsys.readouterr().err
    assert "passes: its tests pass without a patch" in said
    assert "unsolved: it has no patch of its own" in said
    assert "misnamed: its own patch does not resolve it" in said
    assert [json.loads(row["task"])["instance_id"] for row in map(json.loads, out.read_text().splitlines())] == [
        lamps.TASK_ID
    ]


def test_images_and_commands_of_known_data_sets() -> None:
    row = {**lamps.record(Path("x")), "image": None}
    assert task_of(row).image == "docker.io/swebench/sweb.eval.x86_64.tinkers_1776_lantern-12:latest"
    assert task_of({**row, "docker_image": "lamps:1"}).image == "lamps:1"
    row.pop("test_command")
    assert task_of(row).test_command.startswith("python -m pytest -rA")
    rebench = {**row, "install_config": {"test_cmd": "pytest -rA"}}
    assert task_of(rebench).test_command == "pytest -rA 'tests/test_lamp.py'"
    assert task_of(rebench, "tox").test_command == "tox 'tests/test_lamp.py'"
    assert files_of(lamps.GOLD + lamps.TEST_PATCH) == ("lamp.py", "tests/test_lamp.py")


def test_a_trainer_needs_nothing_of_ours_but_pydantic() -> None:
    """Its environment has swe-rm without what it depends on, and mini-swe-agent with what that depends on."""
    code = "import sys, swe_rm.rollouts.attempt; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"orjson", "zstandard", "numpy", "typer"} & set(done.stdout.split()) == set()
