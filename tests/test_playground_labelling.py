"""Outcomes by running tests: what an attempt does to itself is unresolved, what goes wrong with us is unknown."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from swe_rm.__main__ import main
from swe_rm.errors import SweRmError
from swe_rm.playground.checkouts import Checkouts, diff
from swe_rm.playground.labelling import Labeller, label_all
from swe_rm.playground.sandbox import Limits, Ran, Sandbox, Scratch
from swe_rm.playground.world import PlaygroundTask, read_world, write_tasks
from swe_rm.trajectory import Outcome

TIGHT = Limits(cpu_seconds=1, wall_seconds=3, memory_mb=256, file_mb=1, disk_mb=4, processes=16)
FILE = "ledgerbook/book.py"


@pytest.fixture(scope="module")
def task(world: Path) -> PlaygroundTask:
    return next(task for task in read_world(world).values() if task.package == "ledgerbook")


@pytest.fixture(scope="module")
def checkouts(world: Path) -> Iterator[Checkouts]:
    with Checkouts(world) as made:
        yield made


@pytest.fixture(scope="module")
def labeller(checkouts: Checkouts) -> Iterator[Labeller]:
    with Sandbox(TIGHT) as sandbox:
        yield Labeller(checkouts, sandbox)


def beginning(checkouts: Checkouts, task: PlaygroundTask, code: str) -> str:
    """A patch that puts lines at the beginning of the package, beside the task's own patch."""
    path = "ledgerbook/__init__.py"
    text = (checkouts.start(task) / path).read_text()
    return task.patch + diff({path: text}, {path: f"{code}\n{text}"})


def test_the_tasks_own_patch_resolves_it(labeller: Labeller, task: PlaygroundTask) -> None:
    tested = labeller.label(task, task.patch)
    assert (tested.outcome, tested.applied) == (Outcome.RESOLVED, True)
    assert set(tested.tests) == {*task.fail_to_pass, *task.pass_to_pass}


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ("", "there is no patch"),
        ("  \n", "there is no patch"),
        ("no patch at all", "does not apply"),
        ("diff --git a/x b/../../x\n--- a/x\n+++ b/../../x\n@@ -0,0 +1 @@\n+x\n", "does not apply"),
        (
            "diff --git a/n.md b/n.md\nnew file mode 100644\n--- /dev/null\n+++ b/n.md\n@@ -0,0 +1 @@\n+x\n",
            "do not pass",
        ),
    ],
)
def test_what_does_not_mend_it(labeller: Labeller, task: PlaygroundTask, patch: str, why: str) -> None:
    tested = labeller.label(task, patch)
    assert tested.outcome is Outcome.UNRESOLVED
    assert why in tested.why


HOSTILE = {
    "a crash": ("import os; os.abort()", "ends with code -6 before"),
    "an early end": ("import os; os._exit(0)", "ends with code 0 before"),
    "a polite end": ("raise SystemExit(0)", "ends with code 0 before"),
    "a busy loop": ("while True: pass", "too much processor time|does not end in time"),
    "a hang": ("import time; time.sleep(60)", "does not end in time"),
    "a kill": ("import os; os.kill(os.getpid(), 9)", "ends with code -9 before"),
    "all memory": ("x = bytearray(10**9)", "before"),
    "a full disk": (
        "import time\nfor n in range(60):\n    open(f'f{n}', 'wb').write(bytes(10**6)); time.sleep(0.02)",
        "fill the disk",
    ),
    "forks": ("import os\nwhile True:\n    os.fork()", "before"),
    "other rules": (
        "import unittest\nunittest.TestCase.assertEqual = lambda *_, **__: None",
        "rewrites unittest's TestCase",
    ),
    "another road to an end": (
        "import contextlib, unittest.case\n"
        "@contextlib.contextmanager\n"
        "def well(self, *a, **k):\n"
        "    with contextlib.suppress(BaseException):\n"
        "        yield\n"
        "unittest.case._Outcome.testPartExecutor = well",
        "rewrites unittest's _Outcome",
    ),
    "another class": (
        "import unittest.case\nclass Well(unittest.case._Outcome):\n    pass\nunittest.case._Outcome = Well",
        "rewrites unittest's unittest.case",
    ),
    "skips": (
        "import unittest\nunittest.TestCase.setUp = lambda self: self.skipTest('')",
        "rewrites unittest's TestCase",
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize("what", HOSTILE)
def test_what_an_attempt_does_to_itself_is_unresolved(
    what: str, labeller: Labeller, checkouts: Checkouts, task: PlaygroundTask
) -> None:
    code, why = HOSTILE[what]
    tested = labeller.label(task, beginning(checkouts, task, code))
    assert tested.outcome is Outcome.UNRESOLVED
    assert re.search(why, tested.why)
    assert labeller.label(task, task.patch).outcome is Outcome.RESOLVED


def test_tests_are_put_back_whatever_was_done_to_them(
    labeller: Labeller, checkouts: Checkouts, task: PlaygroundTask
) -> None:
    start = checkouts.start(task)
    tests = {f"tests/{file.name}": file.read_text() for file in (start / "tests").glob("*.py")}
    deleted = diff(tests, {})
    assert labeller.label(task, deleted).outcome is Outcome.UNRESOLVED
    assert labeller.label(task, task.patch + deleted).outcome is Outcome.RESOLVED
    link = "diff --git a/tests b/tests\nnew file mode 120000\n--- /dev/null\n+++ b/tests\n@@ -0,0 +1 @@\n+/etc\n"
    assert labeller.label(task, deleted + link + "\\ No newline at end of file\n").outcome is Outcome.UNRESOLVED


class Slow(Sandbox):
    """A machine on which tests take longer than they may, the right ones too."""

    def run_tests(self, within: Scratch, names: Sequence[str] | None = None) -> Ran:
        return super().run_tests(within, names).model_copy(update={"ended": "wall", "code": -signal.SIGKILL})


def test_where_the_gold_patch_does_not_end_either_the_machine_is_at_fault(
    checkouts: Checkouts, task: PlaygroundTask
) -> None:
    with Slow(TIGHT) as sandbox:
        for patch in (task.patch, task.patch.replace("ledgerbook/", "ledgerbook/", 1) + "\n"):
            tested = Labeller(checkouts, sandbox).label(task, patch)
            assert tested.outcome is Outcome.UNKNOWN
            assert "the machine is too slow" in tested.why


class WithoutGit(Sandbox):
    """A machine on which git does not run."""

    found: Ran

    def run(self, within: Scratch, command: str) -> Ran:
        return self.found


@pytest.mark.parametrize(("ended", "code"), [("wall", -9), ("", 127), ("", -9)])
def test_where_git_does_not_run_the_outcome_is_unknown(
    ended: Any, code: int, checkouts: Checkouts, task: PlaygroundTask
) -> None:
    with WithoutGit(TIGHT) as sandbox:
        sandbox.found = Ran(ended=ended, code=code, output="git: not found", tests={}, seconds=1, cpu_seconds=0)
        judged = Labeller(checkouts, sandbox).label(task, task.patch)
    assert judged.outcome is Outcome.UNKNOWN
    assert judged.why.startswith("git could not be run: ")


def test_where_the_watcher_is_gone_the_outcome_is_unknown_and_the_next_is_known(
    checkouts: Checkouts, task: PlaygroundTask
) -> None:
    with Sandbox(TIGHT) as sandbox:
        labeller = Labeller(checkouts, sandbox)
        labeller.label(task, task.patch)
        assert sandbox._process is not None
        os.kill(sandbox._process.pid, signal.SIGKILL)
        tested = labeller.label(task, task.patch)
        assert (tested.outcome, "watches over runs" in tested.why) == (Outcome.UNKNOWN, True)
        assert labeller.label(task, task.patch).outcome is Outcome.RESOLVED


MISSING = "tests.test_book.TestBook.test_nowhere"


@pytest.mark.parametrize("field", ["fail_to_pass", "pass_to_pass"])
@pytest.mark.parametrize("name", [MISSING, "tests.test_nowhere.TestBook.test_it", "tests.test_book.TestNone.test_it"])
def test_where_a_test_does_not_exist_the_task_is_broken_and_no_attempt_failed(
    field: str, name: str, labeller: Labeller, checkouts: Checkouts, task: PlaygroundTask
) -> None:
    broken = task.model_copy(update={field: (*getattr(task, field), name)})
    mends_nothing = beginning(checkouts, task, "pass").removeprefix(task.patch)
    for patch in (mends_nothing, task.patch, mends_nothing):
        tested = labeller.label(broken, patch)
        assert tested.outcome is Outcome.UNKNOWN
        assert tested.why == f"the task is broken: of its own patch, the run ends with code 1 before {name}"
    assert labeller.label(broken, "").outcome is Outcome.UNRESOLVED
    assert labeller.label(broken, "no patch").why == "the patch does not apply"


def test_a_patch_by_which_tests_cannot_be_loaded_is_unresolved(
    labeller: Labeller, checkouts: Checkouts, task: PlaygroundTask
) -> None:
    tested = labeller.label(task, beginning(checkouts, task, "def"))
    assert (tested.outcome, tested.applied) == (Outcome.UNRESOLVED, True)
    assert tested.why.startswith("the run ends with code 1 before ")


class Counting(Sandbox):
    """Counts the runs of tests."""

    count = 0

    def run_tests(self, within: Scratch, names: Sequence[str] | None = None) -> Ran:
        self.count += 1
        return super().run_tests(within, names)


def test_a_tasks_own_patch_is_tried_once_and_only_where_tests_were_not_reached(
    checkouts: Checkouts, task: PlaygroundTask
) -> None:
    with Counting(TIGHT) as sandbox:
        labeller = Labeller(checkouts, sandbox)
        counts = []
        for code in ("pass", "def", "class"):
            labeller.label(task, beginning(checkouts, task, code).removeprefix(task.patch))
            counts.append(sandbox.count)
    assert counts == [1, 3, 4]


@pytest.mark.parametrize("field", ["patch", "test_patch"])
def test_where_a_patch_of_the_task_does_not_apply_the_task_is_broken(
    field: str, labeller: Labeller, task: PlaygroundTask
) -> None:
    text = getattr(task, field)
    (path,) = re.findall(r"^--- a/(.+)$", text, re.MULTILINE)
    broken = task.model_copy(update={field: text.replace("\n ", "\n other ")})
    tested = labeller.label(broken, task.patch)
    assert tested.outcome is Outcome.UNKNOWN
    assert tested.why.startswith(
        "the task is broken: its own patch and its test_patch do not apply: git apply failed: error: patch failed: "
        f"{path}"
    )
    assert "\n" not in tested.why


def test_the_verb_names_a_broken_task_in_one_line(
    world: Path, task: PlaygroundTask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = task.model_copy(update={"fail_to_pass": (*task.fail_to_pass, MISSING)})
    write_tasks([broken], tmp_path)
    (tmp_path / "repos").symlink_to(world / "repos")
    (tmp_path / "preds.jsonl").write_text(
        json.dumps({"instance_id": task.instance_id, "model_name_or_path": "m", "model_patch": task.patch}) + "\n"
    )
    out = tmp_path / "labels.jsonl"
    words = ["playground", "label", str(tmp_path / "preds.jsonl"), "--tasks", str(tmp_path), "--out", str(out)]
    assert main(words) == 2
    said = capsys.readouterr()
    assert f"{tmp_path / 'tasks.jsonl'}: {task.instance_id}: the task is broken: of its own patch, " in said.err
    assert "1  the task is broken" in said.out
    assert json.loads(out.read_text())["resolved"] is None


def test_what_is_not_known_to_be_handed_in_is_unknown(
    world: Path, task: PlaygroundTask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A chat log has no place for a patch."""
    said = [{"role": "user", "content": "Mend it."}, {"role": "assistant", "content": "I mended it."}]
    chat, predictions, out = (tmp_path / name for name in ("chat.jsonl", "preds.jsonl", "labels.jsonl"))
    chat.write_text(json.dumps({"instance_id": task.instance_id, "model": "talker", "messages": said}) + "\n")
    row = {"instance_id": task.instance_id, "model_name_or_path": "m", "model_patch": task.patch}
    predictions.write_text(json.dumps(row) + "\n")
    words = ["playground", "label", str(chat), str(predictions), "--tasks", str(world), "--out", str(out)]
    assert main(words) == 0
    found = {row["policy"]: row for row in map(json.loads, out.read_text().splitlines())}
    assert found["talker"]["resolved"] is None
    assert found["talker"]["provenance"] == (
        "the playground's tests: no patch is recorded, and its format need not keep one"
    )
    shown = capsys.readouterr().out
    assert "1  no patch recorded" in shown
    assert re.search(r"^ the playground's tests +1 +\d", shown, re.MULTILINE)
    assert "its own record" not in shown


def test_many_are_labelled_in_their_order_and_equal_ones_once(world: Path) -> None:
    tasks = list(read_world(world).values())
    patches = [(task, patch) for task in tasks for patch in (task.patch, "", task.patch)]
    counted: list[int] = []
    tested = label_all(patches, world, TIGHT, workers=2, progress=counted.append)
    assert [one.outcome for one in tested] == [Outcome.RESOLVED, Outcome.UNRESOLVED, Outcome.RESOLVED] * len(tasks)
    assert sum(counted) == 2 * len(tasks)


def test_a_repository_that_is_gone_is_an_error_and_no_outcome(
    world: Path, labeller: Labeller, task: PlaygroundTask
) -> None:
    with pytest.raises(SweRmError, match="is no folder"):
        labeller.label(task.model_copy(update={"repo_path": "repos/none.git"}), task.patch)
    with pytest.raises(SweRmError, match="git archive failed"):
        labeller.label(task.model_copy(update={"base_commit": "0" * 40}), task.patch)
