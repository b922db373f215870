"""An attempt taken apart once, for every fact to look at."""

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise

from swe_rm import dialects
from swe_rm.dialects import Turn
from swe_rm.trajectory import Trajectory

EDIT = re.compile(
    r"str_replace|insert\b|\bedit\b|apply_patch|\bsed -i|\bcat >|\btee \b|write|create|search_replace|EditCode"
    r"|<<<<<<< SEARCH|<patched>|request_for_change",
    re.IGNORECASE,
)
TEST_RUN = re.compile(
    r"\bpytest\b|\bunittest\b|runtests|\btox\b|bin/test\b|\bnosetests\b|manage\.py test|run_tests?\b", re.I
)
SCRIPT_RUN = re.compile(r"\bpython3?\b(?! -m (?:pytest|unittest))", re.IGNORECASE)
PASSED = re.compile(r"\b(\d+) passed\b|^OK\b|\bRan \d+ tests?\b[^\n]*\n+OK\b", re.MULTILINE)
FAILED = re.compile(r"\b([1-9]\d*) (?:failed|errors?)\b|^FAILED\b|^FAIL:|\bFAILED \(", re.MULTILINE)
ERROR = re.compile(
    r"Traceback \(most recent call last\)|\b\w+Error\b[:\n]|command not found|No such file", re.MULTILINE
)
TEST_FILE = re.compile(r"(?:^|/)tests?(?:/|_|\.)|_test\.|conftest")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{3,}")

_PATCHED_FILE = re.compile(r"^\+\+\+ (?:b/)?(\S+)", re.MULTILINE)
_ADDED = re.compile(r"^\+(?!\+\+)(.*)$", re.MULTILINE)
_REMOVED = re.compile(r"^-(?!--)(.*)$", re.MULTILINE)
_CONTEXT = re.compile(r"^ (.*)$", re.MULTILINE)

ACTION_HEAD = 400
"""Characters of an action that say what kind it is."""
SEEN_TEXT = 20_000
"""Characters of an observation that facts read."""


class Apart:
    """The parts of an attempt; each is made when a fact first asks for it."""

    def __init__(self, trajectory: Trajectory) -> None:
        self.trajectory = trajectory
        self.issue = trajectory.task.statement
        self.turns = dialects.turns(trajectory)
        self.agent = [turn for turn in self.turns if turn.kind == "agent"]
        self.seen = [turn for turn in self.turns if turn.kind == "observation"]
        self.actions = [action.text for turn in self.agent for action in turn.actions]
        self.files = _PATCHED_FILE.findall(trajectory.patch)
        self.added = _ADDED.findall(trajectory.patch)
        self.removed = _REMOVED.findall(trajectory.patch)

    @cached_property
    def edits(self) -> list[int]:
        """Index in `turns` of every turn that edits."""
        return [i for i, turn in enumerate(self.turns) if turn.kind == "agent" and acts(turn, EDIT)]

    @property
    def last_edit(self) -> int:
        """Index in `turns` of the last turn that edits, -1 without one."""
        return self.edits[-1] if self.edits else -1

    @cached_property
    def tests(self) -> list[tuple[int, Turn]]:
        """(index in `turns`, what was seen) of every test run."""
        return self.answers_to(TEST_RUN)

    @cached_property
    def scripts(self) -> list[tuple[int, Turn]]:
        """(index in `turns`, what was seen) of every run of Python code that is no test suite."""
        return [(i, seen) for i, seen in self.answers_to(SCRIPT_RUN) if not acts(self.turns[i - 1], TEST_RUN)]

    @cached_property
    def sources(self) -> list[str]:
        """Python files the patch touches that are no tests."""
        return [file for file in self.files if file.endswith(".py") and not TEST_FILE.search(file)]

    @cached_property
    def context(self) -> list[str]:
        """Lines of the patch that it leaves alone."""
        return _CONTEXT.findall(self.trajectory.patch)

    @cached_property
    def added_names(self) -> frozenset[str]:
        """Identifiers of the added lines."""
        return names(self.added)

    @cached_property
    def issue_names(self) -> frozenset[str]:
        """Identifiers of the issue."""
        return names([self.issue])

    @property
    def final(self) -> str:
        """The agent's last words."""
        return self.agent[-1].text if self.agent else ""

    def answers_to(self, pattern: re.Pattern[str]) -> list[tuple[int, Turn]]:
        """(index in `turns`, what was seen) after every agent turn with such an action."""
        return [
            (i, seen)
            for i, (turn, seen) in enumerate(pairwise(self.turns), 1)
            if seen.kind == "observation" and turn.kind == "agent" and acts(turn, pattern)
        ]

    def after_edit(self) -> list[Turn]:
        """What was seen after the last edit."""
        return [turn for turn in self.turns[self.last_edit + 1 :] if turn.kind == "observation"]


def acts(turn: Turn, pattern: re.Pattern[str]) -> bool:
    """Whether an action of the turn is of this kind."""
    return any(pattern.search(action.text[:ACTION_HEAD]) for action in turn.actions)


def names(texts: Iterable[str]) -> frozenset[str]:
    """Identifiers of four characters and more."""
    return frozenset(name for text in texts for name in IDENTIFIER.findall(text))


def share(part: float, whole: float) -> float:
    """`part` of `whole`, 0 of nothing."""
    return part / whole if whole else 0.0


def share_of(lines: Sequence[str], pattern: re.Pattern[str]) -> float:
    """Share of the lines in which the pattern stands."""
    return share(sum(bool(pattern.search(line)) for line in lines), len(lines))
