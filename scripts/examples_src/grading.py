"""Grading: the tests of a task, found and judged by running them, as SWE-bench does it."""

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .issues import Issue, IssueError, Tree
from .sandbox import Sandbox, sandbox

# Runs every test and writes {test id: passed} to the file named by its argument: what is printed cannot forge a result.
_RUNNER = """
import json, sys, unittest

class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.passed = {}
    def startTest(self, test):
        super().startTest(test)
        self.passed[test.id()] = False
    def addSuccess(self, test):
        self.passed[test.id()] = True

sys.path.insert(0, ".")
result = Result()
unittest.defaultTestLoader.discover("tests", top_level_dir=".").run(result)
with open(sys.argv[1], "w") as file:
    json.dump(result.passed, file)
"""


@dataclass(frozen=True)
class Task:
    """What a task's tests are, and the copy its agents are given."""

    issue: Issue
    base: Tree
    hidden_tests: Tree
    fail_to_pass: tuple[str, ...]
    pass_to_pass: tuple[str, ...]
    patch: str
    test_patch: str

    def row(self) -> dict[str, Any]:
        """The task as a row of `tasks.jsonl`, keyed as SWE-bench keys its instances."""
        return {
            "instance_id": self.issue.instance_id,
            "repo": self.issue.repo,
            "problem_statement": self.issue.statement,
            "patch": self.patch,
            "test_patch": self.test_patch,
            "FAIL_TO_PASS": list(self.fail_to_pass),
            "PASS_TO_PASS": list(self.pass_to_pass),
        }


def build_task(issue: Issue) -> Task:
    """Find FAIL_TO_PASS and PASS_TO_PASS by running all tests on the broken and on the clean package."""
    clean, broken = issue.clean_tree(), issue.broken_tree()
    before, after = _outcomes(broken), _outcomes(clean)
    if not all(after.values()):
        raise IssueError(f"{issue.instance_id}: the clean package fails its own tests")
    fail_to_pass = tuple(sorted(test for test in after if not before.get(test, False)))
    if not fail_to_pass:
        raise IssueError(f"{issue.instance_id}: no test notices the bug")
    hidden = [test for test in fail_to_pass if test.rpartition(".")[2] not in issue.visible_failing]
    base = _without_tests(broken, hidden)
    seen = {test.rpartition(".")[2] for test, passed in _outcomes(base).items() if not passed}
    if seen != set(issue.visible_failing):
        raise IssueError(f"{issue.instance_id}: the agents' copy fails {sorted(seen)}, not {issue.visible_failing}")
    tests = {file: text for file, text in clean.items() if file.startswith("tests/")}
    with sandbox(base, commit_message(issue)) as box:
        box.write({file: text for file, text in clean.items() if file not in tests})
        patch = box.git("diff")
        box.git("checkout", "--quiet", "--", ".")
        box.write(tests)
        test_patch = box.git("diff")
    pass_to_pass = tuple(sorted(set(after) - set(fail_to_pass)))
    return Task(issue, base, tests, fail_to_pass, pass_to_pass, patch, test_patch)


def commit_message(issue: Issue) -> str:
    """The one line `git log` shows in the copy."""
    return f"{issue.package}: import"


def grade(task: Task, patch: str) -> dict[str, Any]:
    """The report of one attempt: the patch on a fresh copy, the hidden tests over it, every test run."""
    with sandbox(task.base, commit_message(task.issue)) as box:
        applied = bool(patch.strip()) and box.apply(patch)
        box.write(task.hidden_tests)
        passed = run_tests(box) if applied else {}
    status = {
        "FAIL_TO_PASS": _status(task.fail_to_pass, passed),
        "PASS_TO_PASS": _status(task.pass_to_pass, passed),
    }
    report: dict[str, Any] = {
        "patch_is_None": False,
        "patch_exists": bool(patch.strip()),
        "patch_successfully_applied": applied,
        "resolved": applied and not any(part["failure"] for part in status.values()),
        "tests_status": status,
    }
    return {task.issue.instance_id: report}


def run_tests(box: Sandbox) -> dict[str, bool]:
    """Test id -> passed, of every test that could be started; empty where the run died."""
    results = box.root.parent / "results.json"
    runner = box.root.parent / "runner.py"
    runner.write_text(_RUNNER)
    box.run(f"python {runner} {results}")
    if not results.is_file():
        return {}
    passed: dict[str, bool] = json.loads(results.read_text())
    return passed


def _outcomes(tree: Tree) -> dict[str, bool]:
    with sandbox(tree, "all tests") as box:
        return run_tests(box)


def _status(tests: Sequence[str], passed: dict[str, bool]) -> dict[str, list[str]]:
    return {
        "success": [test for test in tests if passed.get(test, False)],
        "failure": [test for test in tests if not passed.get(test, False)],
    }


def _without_tests(tree: Tree, tests: Sequence[str]) -> Tree:
    """`tree` without the test methods of those ids (`tests.test_x.Class.test_y`)."""
    result = dict(tree)
    for test in tests:
        module, group, name = test.rsplit(".", 2)
        file = module.replace(".", "/") + ".py"
        result[file] = _cut(result[file], group, name)
    return result


def _cut(text: str, group: str, name: str) -> str:
    """`text` without method `name` of class `group` and the blank line before it."""
    lines = text.splitlines(keepends=True)
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and node.name == group:
            for part in node.body:
                if isinstance(part, ast.FunctionDef) and part.name == name:
                    start = part.lineno - 1
                    del lines[start - (not lines[start - 1].strip()) : part.end_lineno]
                    return "".join(lines)
    raise IssueError(f"no test {group}.{name} to hide")
