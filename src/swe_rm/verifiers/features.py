"""The cheap baseline `features`: documented facts about an attempt, judged by gradient-boosted trees."""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from swe_rm import dialects
from swe_rm.dialects import Turn
from swe_rm.errors import CheckpointError
from swe_rm.trajectory import Labelled, Noun, Outcome, Trajectory
from swe_rm.verdict import Verdict
from swe_rm.verifiers.arrays import judged, read_arrays, read_card
from swe_rm.verifiers.forest import Floats, Forest, fit_forest

FILE = "features.json"
ARRAYS = "forest.npz"

# --- what is looked at -----------------------------------------------------------------------------------------------

_EDIT = re.compile(
    r"str_replace|insert\b|\bedit\b|apply_patch|\bsed -i|\bcat >|\btee \b|write|create|search_replace|EditCode"
    r"|<<<<<<< SEARCH|<patched>|request_for_change",
    re.IGNORECASE,
)
_TEST_RUN = re.compile(
    r"\bpytest\b|\bunittest\b|runtests|\btox\b|bin/test\b|\bnosetests\b|manage\.py test|run_tests?\b", re.I
)
_SCRIPT_RUN = re.compile(r"\bpython3?\b(?! -m (?:pytest|unittest))", re.IGNORECASE)
_LOOK = re.compile(r"\b(?:cat|sed -n|nl|grep|rg|find|ls|head|tail|open|view|read|search\w*|glob)\b", re.IGNORECASE)
_GIT_HISTORY = re.compile(r"\bgit (?:log|show|blame)\b")
_REPRODUCE = re.compile(r"repro|test_fix|test_issue|verify|check_", re.IGNORECASE)
_PASSED = re.compile(r"\b(\d+) passed\b|^OK\b|\bRan \d+ tests?\b[^\n]*\n+OK\b", re.MULTILINE)
_FAILED = re.compile(r"\b([1-9]\d*) (?:failed|errors?)\b|^FAILED\b|^FAIL:|\bFAILED \(", re.MULTILINE)
_ERROR = re.compile(
    r"Traceback \(most recent call last\)|\b\w+Error\b[:\n]|command not found|No such file", re.MULTILINE
)
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
_PATCHED_FILE = re.compile(r"^\+\+\+ (?:b/)?(\S+)", re.MULTILINE)
_NEW_FILE = re.compile(r"^--- /dev/null", re.MULTILINE)
_ADDED = re.compile(r"^\+(?!\+\+)(.*)$", re.MULTILINE)
_REMOVED = re.compile(r"^-(?!--)(.*)$", re.MULTILINE)
_TEST_FILE = re.compile(r"(?:^|/)tests?(?:/|_|\.)|_test\.|conftest")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{3,}")


class _Facts(NamedTuple):
    """An attempt taken apart once, for all features to look at."""

    trajectory: Trajectory
    turns: tuple[Turn, ...]
    agent: list[Turn]
    seen: list[Turn]
    actions: list[str]
    files: list[str]
    added: list[str]
    removed: list[str]
    last_edit: int
    """Index in `turns` of the last turn that edits, -1 without one."""
    tests: list[tuple[int, Turn]]
    """(index in `turns`, what was seen) of every test run."""


def _facts(trajectory: Trajectory) -> _Facts:
    turns = dialects.turns(trajectory)
    agent = [turn for turn in turns if turn.kind == "agent"]
    edits = [i for i, turn in enumerate(turns) if turn.kind == "agent" and _acts(turn, _EDIT)]
    tests = [
        (i, seen)
        for i, (turn, seen) in enumerate(pairwise(turns), 1)
        if seen.kind == "observation" and turn.kind == "agent" and _acts(turn, _TEST_RUN)
    ]
    return _Facts(
        trajectory=trajectory,
        turns=turns,
        agent=agent,
        seen=[turn for turn in turns if turn.kind == "observation"],
        actions=[action.text for turn in agent for action in turn.actions],
        files=_PATCHED_FILE.findall(trajectory.patch),
        added=_ADDED.findall(trajectory.patch),
        removed=_REMOVED.findall(trajectory.patch),
        last_edit=edits[-1] if edits else -1,
        tests=tests,
    )


def _acts(turn: Turn, pattern: re.Pattern[str]) -> bool:
    return any(pattern.search(action.text[:400]) for action in turn.actions)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _count(facts: _Facts, pattern: re.Pattern[str]) -> int:
    return sum(bool(pattern.search(action[:400])) for action in facts.actions)


def _after_edit(facts: _Facts) -> list[Turn]:
    return [turn for turn in facts.turns[facts.last_edit + 1 :] if turn.kind == "observation"]


def _last_test(facts: _Facts) -> float:
    """1 passed, -1 failed, 0 none or unclear: what the last test run showed."""
    if not facts.tests:
        return 0.0
    text = facts.tests[-1][1].text[-4_000:]
    return -1.0 if _FAILED.search(text) else 1.0 if _PASSED.search(text) else 0.0


def _overlap(text: str, other: str) -> float:
    """Share of the identifiers of `text` that stand in `other`."""
    names = set(_IDENTIFIER.findall(text))
    return _share(len(names & set(_IDENTIFIER.findall(other))), len(names))


def _repeats(facts: _Facts) -> float:
    return 1 - _share(len(set(facts.actions)), len(facts.actions)) if facts.actions else 0.0


def _final(facts: _Facts) -> str:
    return facts.agent[-1].text if facts.agent else ""


def _mentioned(facts: _Facts) -> float:
    statement = facts.trajectory.task.statement
    return _share(sum(Path(file).stem in statement for file in facts.files), len(facts.files))


def _ending(facts: _Facts) -> str:
    return "\n".join(turn.text[-2_000:] for turn in facts.turns[-4:])


FEATURES: dict[str, tuple[str, Callable[[_Facts], float]]] = {
    "turns": ("agent turns", lambda f: len(f.agent)),
    "actions": ("tool calls and commands", lambda f: len(f.actions)),
    "log_characters": ("log length, ln(1 + characters)", lambda f: np.log1p(sum(len(t.text) for t in f.turns))),
    "said_characters": (
        "mean length of what the agent said",
        lambda f: _share(sum(len(t.text) for t in f.agent), len(f.agent)),
    ),
    "seen_characters": (
        "mean length of an observation",
        lambda f: _share(sum(len(t.text) for t in f.seen), len(f.seen)),
    ),
    "edits": ("share of actions that edit", lambda f: _share(_count(f, _EDIT), len(f.actions))),
    "edit_actions": ("actions that edit", lambda f: _count(f, _EDIT)),
    "looks": ("share of actions that only read", lambda f: _share(_count(f, _LOOK), len(f.actions))),
    "test_runs": ("runs of a test suite", lambda f: len(f.tests)),
    "script_runs": ("runs of other Python code", lambda f: _count(f, _SCRIPT_RUN)),
    "history_looks": ("looks into git history", lambda f: _count(f, _GIT_HISTORY)),
    "reproductions": ("actions on a reproduction script", lambda f: _count(f, _REPRODUCE)),
    "repeats": ("share of actions that repeat an earlier one word for word", _repeats),
    "errors": (
        "share of observations that show an error",
        lambda f: _share(sum(bool(_ERROR.search(t.text)) for t in f.seen), len(f.seen)),
    ),
    "failures": (
        "share of observations with a non-zero exit code",
        lambda f: _share(sum(bool(t.exit_code) for t in f.seen), len(f.seen)),
    ),
    "rejections": ("edits the tool refused", lambda f: sum(bool(_REJECTED.search(t.text)) for t in f.seen)),
    "last_test": ("last test run: 1 passed, -1 failed, 0 none", _last_test),
    "tests_after_edit": ("test runs after the last edit", lambda f: sum(i > f.last_edit for i, _ in f.tests)),
    "failed_tests": (
        "share of test runs that failed",
        lambda f: _share(sum(bool(_FAILED.search(t.text)) for _, t in f.tests), len(f.tests)),
    ),
    "errors_after_edit": (
        "observations with an error after the last edit",
        lambda f: sum(bool(_ERROR.search(t.text)) for t in _after_edit(f)),
    ),
    "turns_after_edit": (
        "turns after the last edit",
        lambda f: len(f.turns) - 1 - f.last_edit if f.last_edit >= 0 else -1,
    ),
    "first_edit": (
        "where in the log the first edit is, 0 to 1",
        lambda f: _share(
            next((i for i, t in enumerate(f.turns) if t.kind == "agent" and _acts(t, _EDIT)), 0), len(f.turns)
        ),
    ),
    "end_error": ("the last four turns show an error", lambda f: bool(_ERROR.search(_ending(f)))),
    "end_failed": ("the last four turns show a failed test", lambda f: bool(_FAILED.search(_ending(f)))),
    "end_passed": ("the last four turns show a passed test", lambda f: bool(_PASSED.search(_ending(f)))),
    "final_characters": ("length of the agent's last words", lambda f: len(_final(f))),
    "final_claims": ("claims of success in the last words", lambda f: len(_CLAIM.findall(_final(f)))),
    "final_hedges": ("hedges in the last words", lambda f: len(_HEDGE.findall(_final(f)))),
    "hedges": (
        "hedges for each agent turn",
        lambda f: _share(sum(len(_HEDGE.findall(t.text)) for t in f.agent), len(f.agent)),
    ),
    "finished": ("the agent came to its own end with a patch", lambda f: f.trajectory.finished),
    "submitted": ("the last action submits", lambda f: bool(f.actions) and f.actions[-1] == dialects.SUBMIT.text),
    "patch_empty": ("there is no patch", lambda f: not f.trajectory.patch.strip()),
    "patch_files": ("files the patch touches", lambda f: len(f.files)),
    "patch_hunks": ("hunks of the patch", lambda f: len(_HUNK.findall(f.trajectory.patch))),
    "patch_added": ("lines added", lambda f: len(f.added)),
    "patch_removed": ("lines removed", lambda f: len(f.removed)),
    "patch_new_files": ("files the patch creates", lambda f: len(_NEW_FILE.findall(f.trajectory.patch))),
    "patch_tests": ("test files among those touched", lambda f: sum(bool(_TEST_FILE.search(file)) for file in f.files)),
    "patch_sources": (
        "Python files touched that are no tests",
        lambda f: sum(file.endswith(".py") and not _TEST_FILE.search(file) for file in f.files),
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
        lambda f: _share(sum(line.strip().startswith("#") for line in f.added), len(f.added)),
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


def features(trajectory: Trajectory) -> Floats:
    """The facts of one attempt, float64 [len(FEATURES)], all finite. Origin is never looked at."""
    facts = _facts(trajectory)
    return np.array([float(compute(facts)) for _, compute in FEATURES.values()], dtype=np.float64)


def feature_matrix(trajectories: Sequence[Trajectory]) -> Floats:
    """`features` of each attempt as a row, [attempts, features]."""
    return np.array([features(t) for t in trajectories], dtype=np.float64).reshape(-1, len(FEATURES))


# --- the verifier ----------------------------------------------------------------------------------------------------


class FeaturesCard(Noun):
    """What stands beside the arrays."""

    format: Literal[1] = 1
    name: str = "features"
    version: str
    columns: tuple[str, ...]
    """Names of the features the trees were fitted on, in order."""
    training: dict[str, Any] = Field(default_factory=dict)


class Features:
    """Scores by boosted trees over `FEATURES`. Reads the whole log; needs numpy only."""

    def __init__(self, card: FeaturesCard, forest: Forest) -> None:
        """Raises CheckpointError when the trees were fitted on other features than this version computes."""
        if card.columns != tuple(FEATURES):
            raise CheckpointError(
                "the features verifier was fitted on other features than this version of swe-rm computes"
            )
        self.card = card
        self.forest = forest

    @property
    def name(self) -> str:
        """name@version."""
        return f"{self.card.name}@{self.card.version}"

    @classmethod
    def load(cls, folder: Path) -> "Features":
        """Read `features.json` and `forest.npz`. Raises CheckpointError when one is missing or damaged."""
        return cls(read_card(folder / FILE, FeaturesCard), Forest(**read_arrays(folder / ARRAYS, Forest._fields)))

    @classmethod
    def fit(cls, labelled: Sequence[Labelled], weights: Sequence[float], *, version: str, seed: int = 0) -> "Features":
        """Fit on labelled attempts (outcomes known), each with its weight."""
        resolved = np.array([item.outcome is Outcome.RESOLVED for item in labelled])
        matrix = feature_matrix([item.trajectory for item in labelled])
        card = FeaturesCard(version=version, columns=tuple(FEATURES), training={"attempts": len(labelled)})
        return cls(card, fit_forest(matrix, resolved, np.asarray(weights, dtype=np.float64), seed))

    def save(self, folder: Path) -> None:
        """Write card and arrays."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = self.forest._asdict()
        np.savez_compressed(folder / ARRAYS, **arrays)
        (folder / FILE).write_text(self.card.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """One verdict for each trajectory."""
        return judged(trajectories, lambda t: float(self.forest.logits(features(t)[None])[0]), self.name)

    def explain(self, trajectory: Trajectory) -> list[str]:
        """The features that move the score most, by what each would change if it took its neutral value 0."""
        values = features(trajectory)
        matrix = np.repeat(values[None], len(values) + 1, axis=0)
        matrix[np.arange(len(values)), np.arange(len(values))] = 0
        logits = self.forest.logits(matrix)
        effects = logits[-1] - logits[:-1]
        top = np.argsort(-np.abs(effects))[:5]
        names = list(FEATURES)
        return [f"{names[i]} = {values[i]:.3g} ({FEATURES[names[i]][0]}): {effects[i]:+.2f} log-odds" for i in top]
