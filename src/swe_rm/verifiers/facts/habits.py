"""Habits of an attempt: how it went about its work, how it ended, and what its patch and its issue look like."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from swe_rm import dialects
from swe_rm.verifiers.facts.apart import (
    ACTION_HEAD,
    EDIT,
    ERROR,
    FAILED,
    IDENTIFIER,
    PASSED,
    SCRIPT_RUN,
    TEST_FILE,
    Apart,
    acts,
    share,
)

_LOOK = re.compile(r"\b(?:cat|sed -n|nl|grep|rg|find|ls|head|tail|open|view|read|search\w*|glob)\b", re.IGNORECASE)
_GIT_HISTORY = re.compile(r"\bgit (?:log|show|blame)\b")
_REPRODUCE = re.compile(r"repro|test_fix|test_issue|verify|check_", re.IGNORECASE)
_REJECTED = re.compile(
    r"has introduced new syntax error|did not appear verbatim|not found in|No replacement was performed|No changes",
    re.I,
)
_CLAIM = re.compile(
    r"successful|all (?:the )?tests? pass|works? (?:correctly|as expected)|\bfixed\b|resolved|verified", re.IGNORECASE
)
_HEDGE = re.compile(
    r"unfortunately|however|unable|cannot|could not|couldn't|still fail|apolog|limitation"
    r"|given the (?:complexity|constraints)|\bstuck\b",
    re.IGNORECASE,
)
_HUNK = re.compile(r"^@@", re.MULTILINE)
_NEW_FILE = re.compile(r"^--- /dev/null", re.MULTILINE)


def _count(f: Apart, pattern: re.Pattern[str]) -> int:
    return sum(bool(pattern.search(action[:ACTION_HEAD])) for action in f.actions)


def _last_test(f: Apart) -> float:
    """1 passed, -1 failed, 0 none or unclear: what the last test run showed."""
    if not f.tests:
        return 0.0
    text = f.tests[-1][1].text[-4_000:]
    return -1.0 if FAILED.search(text) else 1.0 if PASSED.search(text) else 0.0


def _overlap(text: str, other: str) -> float:
    """Share of the identifiers of `text` that stand in `other`."""
    names = set(IDENTIFIER.findall(text))
    return share(len(names & set(IDENTIFIER.findall(other))), len(names))


def _repeats(f: Apart) -> float:
    return 1 - share(len(set(f.actions)), len(f.actions)) if f.actions else 0.0


def _mentioned(f: Apart) -> float:
    statement = f.trajectory.task.statement
    return share(sum(Path(file).stem in statement for file in f.files), len(f.files))


def _ending(f: Apart) -> str:
    return "\n".join(turn.text[-2_000:] for turn in f.turns[-4:])


HABITS: dict[str, tuple[str, Callable[[Apart], float]]] = {
    "turns": ("agent turns", lambda f: len(f.agent)),
    "actions": ("tool calls and commands", lambda f: len(f.actions)),
    "log_characters": ("log length, ln(1 + characters)", lambda f: np.log1p(sum(len(t.text) for t in f.turns))),
    "said_characters": (
        "mean length of what the agent said",
        lambda f: share(sum(len(t.text) for t in f.agent), len(f.agent)),
    ),
    "seen_characters": (
        "mean length of an observation",
        lambda f: share(sum(len(t.text) for t in f.seen), len(f.seen)),
    ),
    "edits": ("share of actions that edit", lambda f: share(_count(f, EDIT), len(f.actions))),
    "edit_actions": ("actions that edit", lambda f: _count(f, EDIT)),
    "looks": ("share of actions that only read", lambda f: share(_count(f, _LOOK), len(f.actions))),
    "test_runs": ("runs of a test suite", lambda f: len(f.tests)),
    "script_runs": ("runs of other Python code", lambda f: _count(f, SCRIPT_RUN)),
    "history_looks": ("looks into git history", lambda f: _count(f, _GIT_HISTORY)),
    "reproductions": ("actions on a reproduction script", lambda f: _count(f, _REPRODUCE)),
    "repeats": ("share of actions that repeat an earlier one word for word", _repeats),
    "errors": (
        "share of observations that show an error",
        lambda f: share(sum(bool(ERROR.search(t.text)) for t in f.seen), len(f.seen)),
    ),
    "failures": (
        "share of observations with a non-zero exit code",
        lambda f: share(sum(bool(t.exit_code) for t in f.seen), len(f.seen)),
    ),
    "rejections": ("edits the tool refused", lambda f: sum(bool(_REJECTED.search(t.text)) for t in f.seen)),
    "last_test": ("last test run: 1 passed, -1 failed, 0 none", _last_test),
    "tests_after_edit": ("test runs after the last edit", lambda f: sum(i > f.last_edit for i, _ in f.tests)),
    "failed_tests": (
        "share of test runs that failed",
        lambda f: share(sum(bool(FAILED.search(t.text)) for _, t in f.tests), len(f.tests)),
    ),
    "errors_after_edit": (
        "observations with an error after the last edit",
        lambda f: sum(bool(ERROR.search(t.text)) for t in f.after_edit()),
    ),
    "turns_after_edit": (
        "turns after the last edit",
        lambda f: len(f.turns) - 1 - f.last_edit if f.last_edit >= 0 else -1,
    ),
    "first_edit": (
        "where in the log the first edit is, 0 to 1",
        lambda f: share(
            next((i for i, t in enumerate(f.turns) if t.kind == "agent" and acts(t, EDIT)), 0), len(f.turns)
        ),
    ),
    "end_error": ("the last four turns show an error", lambda f: bool(ERROR.search(_ending(f)))),
    "end_failed": ("the last four turns show a failed test", lambda f: bool(FAILED.search(_ending(f)))),
    "end_passed": ("the last four turns show a passed test", lambda f: bool(PASSED.search(_ending(f)))),
    "final_characters": ("length of the agent's last words", lambda f: len(f.final)),
    "final_claims": ("claims of success in the last words", lambda f: len(_CLAIM.findall(f.final))),
    "final_hedges": ("hedges in the last words", lambda f: len(_HEDGE.findall(f.final))),
    "hedges": (
        "hedges for each agent turn",
        lambda f: share(sum(len(_HEDGE.findall(t.text)) for t in f.agent), len(f.agent)),
    ),
    "finished": ("the agent came to its own end with a patch", lambda f: f.trajectory.finished),
    "submitted": ("the last action submits", lambda f: bool(f.actions) and f.actions[-1] == dialects.SUBMIT.text),
    "patch_empty": ("there is no patch", lambda f: not f.trajectory.patch.strip()),
    "patch_files": ("files the patch touches", lambda f: len(f.files)),
    "patch_hunks": ("hunks of the patch", lambda f: len(_HUNK.findall(f.trajectory.patch))),
    "patch_added": ("lines added", lambda f: len(f.added)),
    "patch_removed": ("lines removed", lambda f: len(f.removed)),
    "patch_new_files": ("files the patch creates", lambda f: len(_NEW_FILE.findall(f.trajectory.patch))),
    "patch_tests": ("test files among those touched", lambda f: sum(bool(TEST_FILE.search(file)) for file in f.files)),
    "patch_sources": (
        "Python files touched that are no tests",
        lambda f: sum(file.endswith(".py") and not TEST_FILE.search(file) for file in f.files),
    ),
    "patch_scripts": (
        "new top-level Python files: scratch scripts left behind",
        lambda f: sum("/" not in file and file.endswith(".py") and file != "setup.py" for file in f.files),
    ),
    "patch_imports": (
        "imports added",
        lambda f: sum(line.strip().startswith(("import ", "from ")) for line in f.added),
    ),
    "patch_conditions": (
        "conditions added",
        lambda f: sum(line.strip().startswith(("if ", "elif ", "else")) for line in f.added),
    ),
    "patch_handlers": (
        "try, except and raise lines added",
        lambda f: sum(line.strip().startswith(("try", "except", "raise")) for line in f.added),
    ),
    "patch_comments": (
        "share of added lines that are comments",
        lambda f: share(sum(line.strip().startswith("#") for line in f.added), len(f.added)),
    ),
    "patch_definitions": (
        "functions and classes added",
        lambda f: sum(line.strip().startswith(("def ", "class ")) for line in f.added),
    ),
    "patch_kept": (
        "identifiers added that stood in removed lines, share",
        lambda f: _overlap("\n".join(f.added), "\n".join(f.removed)),
    ),
    "patch_in_issue": (
        "identifiers added that the issue names, share",
        lambda f: _overlap("\n".join(f.added), f.trajectory.task.statement),
    ),
    "patch_in_log": (
        "identifiers added that were seen in the log, share",
        lambda f: _overlap("\n".join(f.added), "\n".join(t.text[:20_000] for t in f.seen)),
    ),
    "files_in_issue": ("share of touched files that the issue names", _mentioned),
    "issue_characters": ("issue length, ln(1 + characters)", lambda f: np.log1p(len(f.trajectory.task.statement))),
    "issue_code": (
        "code blocks and prompts in the issue",
        lambda f: f.trajectory.task.statement.count("```") + f.trajectory.task.statement.count(">>> "),
    ),
    "issue_traceback": ("the issue shows a traceback", lambda f: "Traceback" in f.trajectory.task.statement),
    "issue_links": ("links in the issue", lambda f: f.trajectory.task.statement.count("http")),
}
"""name -> (what it says, how it is computed). Order is the order of the columns."""
