"""Tasks: that tests fail by the bug and pass without it, that the same seed gives the same bytes, and what they say."""

import ast
import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm.collect.assignment import CollectConfig, read_assignments
from swe_rm.errors import RecordError, SweRmError
from swe_rm.playground import making, parsing, statements
from swe_rm.playground import world as worlds
from swe_rm.playground.checkouts import Checkouts, diff, write_repository
from swe_rm.playground.sandbox import Sandbox, scratch
from swe_rm.playground.world import PlaygroundTask, read_world

FIELDS = [
    "instance_id", "repo", "base_commit", "problem_statement", "patch", "test_patch", "FAIL_TO_PASS", "PASS_TO_PASS",
]  # fmt: skip


def git(folder: Path, *words: str, given: str = "") -> None:
    subprocess.run(["git", "-C", str(folder), *words], input=given, text=True, check=True, capture_output=True)


def failing(folder: Path, names: tuple[str, ...]) -> bool:
    """Whether any of the tests fails, as Python's own runner says."""
    command = [sys.executable, "-B", "-m", "unittest", *names]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode != 0


def test_sources_are_parsed_one_at_a_time() -> None:
    """Python 3.11.7 fails where two threads parse at once."""
    done = threading.Event()
    with parsing.ALONE:
        thread = threading.Thread(target=lambda: (parsing.parse("x = 1"), done.set()))
        thread.start()
        assert not done.wait(0.1)
    thread.join()
    assert done.is_set()


def test_there_are_packages_enough_for_400_tasks() -> None:
    packages = worlds.shipped_packages()
    assert len(packages) >= 8
    assert making.MakeConfig().per_package * len(packages) >= 400


@pytest.mark.parametrize("package", worlds.shipped_packages())
def test_a_shipped_package_passes_its_own_tests(package: str) -> None:
    """And leaves no file: `memory` takes it that a checkout's state follows from the edits made."""
    with Sandbox() as sandbox, scratch(worlds.PACKAGES / package) as within:
        before = sorted(within.root.rglob("*"))
        ran = sandbox.run_tests(within)
        assert sorted(within.root.rglob("*")) == before
    assert set(ran.tests.values()) == {"passed"}
    assert len(ran.tests) >= 30
    assert ran.code == 0


def test_each_task_is_what_it_says_by_git_and_the_plain_runner(world: Path, tmp_path: Path) -> None:
    """The slow twin of what the sandbox and the checkouts do."""
    tasks = list(read_world(world).values())
    assert [task.package for task in tasks] == ["ledgerbook"] * 3 + ["spanset"] * 3
    for task in tasks[::2]:
        folder = tmp_path / task.instance_id
        folder.mkdir()
        git(folder, "init", "--quiet")
        git(folder, "fetch", "--quiet", str(world / task.repo_path), task.base_commit)
        git(folder, "checkout", "--quiet", "FETCH_HEAD")
        git(folder, "apply", given=task.test_patch)
        assert all(failing(folder, (name,)) for name in task.fail_to_pass)
        assert not failing(folder, task.pass_to_pass)
        git(folder, "apply", given=task.patch)
        assert not failing(folder, (*task.fail_to_pass, *task.pass_to_pass))
        assert not failing(folder, ())


def test_the_agent_sees_half_of_the_failing_tests_and_no_history(world: Path) -> None:
    with Checkouts(world) as checkouts:
        for task in read_world(world).values():
            start = checkouts.start(task)
            text = "".join(file.read_text() for file in (start / "tests").glob("*.py"))
            hidden = [name for name in task.fail_to_pass if f"def {name.rpartition('.')[2]}(" not in text]
            assert len(hidden) >= (len(task.fail_to_pass) + 1) // 2 - 1  # a name may be that of another class's test
            log = subprocess.run(
                ["git", "-C", str(start), "log", "--all", "--oneline"], capture_output=True, check=True
            )
            assert len(log.stdout.splitlines()) == 1


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(world: Path, tmp_path: Path) -> None:
    config = making.MakeConfig(per_package=3, packages=("ledgerbook", "spanset"))
    again = making.make(config, tmp_path / "again", workers=2)
    assert (tmp_path / "again" / "tasks.jsonl").read_bytes() == (world / "tasks.jsonl").read_bytes()
    assert (again.kept, sum(again.splits.values())) == (6, 6)
    other = making.make(config.model_copy(update={"seed": 1, "packages": ("spanset",)}), tmp_path / "other")
    assert other.kept == 3
    assert not set(read_world(tmp_path / "other")) & set(read_world(world))


def test_rows_have_the_fields_of_swe_bench_and_come_back_equal(world: Path) -> None:
    for line, task in zip((world / "tasks.jsonl").read_text().splitlines(), read_world(world).values(), strict=True):
        row = json.loads(line)
        assert set(FIELDS) < set(row)
        assert PlaygroundTask.model_validate(row) == task


def test_collect_takes_the_tasks_as_they_are(world: Path) -> None:
    config = CollectConfig(model="m", environment="local", base_url="http://localhost:1/v1")
    found = read_assignments(world / "tasks.jsonl", config, [])
    assert [one.commit for one in found] == [task.base_commit for task in read_world(world).values()]


def test_an_issue_shows_a_symptom_and_no_patch(world: Path) -> None:
    for task in read_world(world).values():
        assert "```python" in task.problem_statement
        assert "What comes instead:" in task.problem_statement
        added = [line[1:].strip() for line in task.patch.splitlines() if line.startswith("+") and line[1:2] != "+"]
        assert not any(line in task.problem_statement for line in added if len(line) > 20)


def test_whole_packages_are_held_out_where_there_are_enough() -> None:
    packages = worlds.shipped_packages()
    assert making._held_out(packages[:2], 0) == set()
    held = {seed: frozenset(making._held_out(packages, seed)) for seed in range(5)}
    assert {len(one) for one in held.values()} == {len(packages) // 3}
    assert len(set(held.values())) > 1


def function_of(task: PlaygroundTask, checkouts: Checkouts) -> str:
    """The file and the innermost function or class that a task's own patch begins in, by no word of the makers."""
    (path,) = re.findall(r"^--- a/(.+)$", task.patch, re.MULTILINE)
    (first,) = re.findall(r"^@@ -(\d+)", task.patch, re.MULTILINE)
    lines = task.patch[task.patch.index("\n@@") + 1 :].splitlines()[1:]
    line = int(first) + next(place for place, text in enumerate(lines) if text[0] in "+-")
    within = [
        node
        for node in ast.walk(ast.parse((checkouts.code(task) / path).read_text()))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    return f"{path}:{max((node.lineno for node in within), default=0)}"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough bugs of one package that some functions have several."""
    folder = tmp_path_factory.mktemp("playground") / "many"
    making.make(making.MakeConfig(per_package=24, packages=("semrange",)), folder, workers=2)
    return folder


def test_no_function_and_no_set_of_failing_tests_is_in_two_splits(many: Path) -> None:
    tasks = list(read_world(many).values())
    assert {task.split for task in tasks} == {"train", "held_out_tasks"}
    with Checkouts(many) as checkouts:
        functions = {task.instance_id: function_of(task, checkouts) for task in tasks}
    for key in (lambda task: functions[task.instance_id], lambda task: task.fail_to_pass):
        sides = {split: {key(task) for task in tasks if task.split == split} for split in ("train", "held_out_tasks")}
        assert not sides["train"] & sides["held_out_tasks"]
        assert len(sides["train"] | sides["held_out_tasks"]) < len(tasks)  # or nothing would have been tried


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from("rstuvwxyz")), min_size=1, max_size=20))
def test_bugs_are_split_apart_by_function_and_by_failing_tests(world: Path, pairs: list[tuple[str, str]]) -> None:
    """The slow twin: walk from bug to bug by either thing they have in common."""
    task = next(iter(read_world(world).values()))
    kept = [making._Kept(task.model_copy(update={"fail_to_pass": (test,)}), {}, name) for name, test in pairs]
    splits = making._splits(kept, "0", held_out=False)
    for start in range(len(pairs)):
        reached, waiting = {start}, [start]
        while waiting:
            name, test = pairs[waiting.pop()]
            near = {at for at, (other, by) in enumerate(pairs) if other == name or by == test}
            waiting += near - reached
            reached |= near
        assert len({splits[at] for at in reached}) == 1
    backwards = making._splits(kept[::-1], "0", held_out=False)
    assert backwards == splits[::-1]
    assert set(making._splits(kept, "0", held_out=True)) == {"held_out_packages"}


def test_about_a_fifth_is_held_out(world: Path) -> None:
    task = next(iter(read_world(world).values()))
    kept = [making._Kept(task.model_copy(update={"fail_to_pass": (str(n),)}), {}, str(n)) for n in range(400)]
    assert 50 < making._splits(kept, "0", held_out=False).count("held_out_tasks") < 110


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("base_commit", "--upload-pack=touch x; git-upload-pack"),
        ("base_commit", "main"),
        ("instance_id", "../../escape"),
        ("instance_id", "a/b"),
        ("repo", "../lamp"),
        ("repo_path", "/etc"),
        ("repo_path", "repos/../../lamp.git"),
    ],
)
def test_tasks_that_others_wrote_name_no_path_and_no_option_of_git(
    key: str, value: str, world: Path, tmp_path: Path
) -> None:
    first = json.loads((world / "tasks.jsonl").read_text().splitlines()[0])
    (tmp_path / "tasks.jsonl").write_text(json.dumps({**first, key: value}) + "\n")
    with pytest.raises(RecordError, match=f"line 1: {key}: String should match pattern"):
        read_world(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("patch", "", "patch: Value error, is no diff that changes a line of a file"),
        ("patch", "take it out", "patch: Value error, is no diff"),
        ("patch", "--- a/lamp.py\n+++ b/lamp.py\n@@ -1 +1 @@\n lit\n", "patch: Value error, is no diff"),
        ("FAIL_TO_PASS", [], "FAIL_TO_PASS: Tuple should have at least 1 item"),
        ("FAIL_TO_PASS", ["test_lamp"], r"FAIL_TO_PASS\.0: String should match pattern"),
        ("FAIL_TO_PASS", ["tests.a.B.test_c", "tests.a.B.test_c"], r"name tests\.a\.B\.test_c twice"),
    ],
)
def test_an_edited_task_that_cannot_be_right_is_named(
    key: str, value: object, why: str, world: Path, tmp_path: Path
) -> None:
    first = json.loads((world / "tasks.jsonl").read_text().splitlines()[0])
    (tmp_path / "tasks.jsonl").write_text(json.dumps({**first, key: value}) + "\n")
    with pytest.raises(RecordError, match=rf"tasks\.jsonl: line 1: .*{why}"):
        read_world(tmp_path)


def test_some_tasks_are_chosen(world: Path) -> None:
    tasks = read_world(world)
    assert [task.package for task in worlds.chosen(tasks, most=1)] == ["ledgerbook", "spanset"]
    assert len(worlds.chosen(tasks, packages=["spanset"])) == 3
    splits = [worlds.chosen(tasks, split) for split in ("train", "held_out_tasks", "held_out_packages")]
    assert sum(map(len, splits)) == 6


def test_an_unknown_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(SweRmError, match="lamps: no such package"):
        making.make(making.MakeConfig(packages=("lamps",)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_task_that_is_there_twice_is_refused(world: Path, tmp_path: Path) -> None:
    line = (world / "tasks.jsonl").read_text().splitlines()[0]
    (tmp_path / "tasks.jsonl").write_text(f"{line}\n{line}\n")
    with pytest.raises(RecordError, match=r"task 2: .* is there already"):
        read_world(tmp_path)


@pytest.mark.parametrize("line", ["{}", "[1]", '{"instance_id": 5}'])
def test_a_row_that_is_no_task_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_text(f"{line}\n")
    with pytest.raises(RecordError, match=r"tasks\.jsonl: line 1"):
        read_world(tmp_path)


def test_a_folder_without_tasks(tmp_path: Path) -> None:
    with pytest.raises(SweRmError, match="playground make"):
        read_world(tmp_path)
    (tmp_path / "tasks.jsonl").touch()
    with pytest.raises(SweRmError, match="holds no task"):
        read_world(tmp_path)


TESTS = """import unittest


class TestA(unittest.TestCase):
    def test_one(self):
        pass

    def test_two(self):
        pass


class TestB(unittest.TestCase):
    def test_one(self):
        pass
"""


def test_tests_are_taken_out_and_classes_that_have_none_left() -> None:
    def cut(*names: str) -> str:
        return statements.without_tests({"tests/test_x.py": TESTS}, [f"tests.test_x.{name}" for name in names])[
            "tests/test_x.py"
        ]

    assert cut() == TESTS
    assert cut("TestA.test_two") == TESTS.replace("\n    def test_two(self):\n        pass\n", "")
    assert cut("TestB.test_one") == TESTS[: TESTS.index("\n\nclass TestB")]
    assert cut("TestA.test_one", "TestA.test_two", "TestB.test_one") == "import unittest\n"


def test_a_diff_is_one_that_git_applies(tmp_path: Path) -> None:
    before = {"a.py": "1\n2\n3\n", "gone.py": "x\n", "same.py": "s\n"}
    after = {"a.py": "1\nzwei\n3\n", "new/b.py": "y\n", "same.py": "s\n"}
    for path, text in before.items():
        (tmp_path / path).write_text(text)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "apply", given=diff(before, after))
    found = {str(f.relative_to(tmp_path)): f.read_text() for f in tmp_path.rglob("*.py")}
    assert found == after
    assert diff(before, before) == ""


def test_a_repository_has_a_branch_for_each_content(tmp_path: Path) -> None:
    contents = {"one": {"a/b.py": "x = 1\n"}, "two": {"c.txt": ""}}
    commits = write_repository(tmp_path / "r.git", contents)
    assert commits == write_repository(tmp_path / "s.git", contents)
    shown = subprocess.run(
        ["git", "-C", str(tmp_path / "r.git"), "show", f"{commits['one']}:a/b.py"], capture_output=True, check=True
    )
    assert shown.stdout == b"x = 1\n"
