"""What a policy can do at a task: look, search, run the tests, make one of some listed edits, hand in."""

import ast
import hashlib
import itertools
import random
import re
import shlex
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from swe_rm.playground import statements
from swe_rm.playground.checkouts import Checkouts, diff
from swe_rm.playground.decoys import decoys, definitions, first_line, target
from swe_rm.playground.parsing import parse
from swe_rm.playground.world import PlaygroundTask
from swe_rm.trajectory import Noun

SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git add -A && git diff --cached"
TEST = "python -m unittest 2>&1 | tail -n 25"
UNDO = "git checkout -- ."
EDIT = "git apply - <<'EOF'\n"
"""What the command of an edit begins with."""
_REFUSED = ": no such action"
_AROUND = 7
"""Lines shown before and behind the place of an edit."""
_SHOWN = 4
"""Lines shown of an edit."""
_WORDS = 80
"""Characters of an answer that is no action, as it is told back."""
_NAMES = 4
"""Searches offered at most: functions and classes that the issue names."""


class Choice(Noun):
    """One edit that may be made."""

    number: int
    """As the policy knows it, from 1."""
    path: str
    line: int
    patch: str
    role: Literal["fix", "code", "tests"]
    """What it is: the fix, another edit of the code, or failing tests deleted. A policy that learns must not see it."""

    @property
    def summary(self) -> str:
        """The edit in a line or a few: what goes, what comes."""
        changed = [line for line in self.patch.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
        shown = [f"{line[0]} {line[1:].strip()}" for line in changed if line[1:].strip()]
        more = [f"  ({len(shown) - _SHOWN} more lines)"] if len(shown) > _SHOWN else []
        return "\n".join([f"edit {self.number}, {self.path}:{self.line}", *(shown[:_SHOWN]), *more])

    @property
    def view(self) -> str:
        """The command that shows the place."""
        return f"sed -n '{max(1, self.line - _AROUND)},{self.line + _AROUND}p' {self.path}"

    @property
    def make(self) -> str:
        """The command that makes the edit."""
        return f"{EDIT}{self.patch}EOF"


class Options(Noun):
    """All that a policy is offered at a task."""

    choices: tuple[Choice, ...]
    names: tuple[str, ...]
    """Worth a search."""
    reproduction: str
    """The command that runs the issue's code; empty where that needs more than the issue shows."""

    @property
    def commands(self) -> dict[str, str]:
        """The shell command of each action, by the words a policy chooses it with."""
        found = {f"view {one.number}": one.view for one in self.choices}
        found |= {f"search {name}": f"git grep -n '{name}' '*.py'" for name in self.names}
        found |= {"reproduce": self.reproduction} if self.reproduction else {}
        found |= {"test": TEST, "undo": UNDO, "submit": SUBMIT}
        return found | {f"edit {one.number}": one.make for one in self.choices}

    def by_role(self, role: str) -> list[Choice]:
        """The edits that are such."""
        return [one for one in self.choices if one.role == role]


def refusal(words: str) -> str:
    """The command that an answer stands for which is no action: it says so and fails."""
    return f"echo {shlex.quote(words[:_WORDS] + _REFUSED)}; false"


def is_refusal(command: str) -> bool:
    """Whether it is such a command, and no more."""
    said = shlex.split(command.removesuffix("; false"))[1:] if command.startswith("echo ") else []
    return len(said) == 1 and command == refusal(said[0].removesuffix(_REFUSED))


def options(task: PlaygroundTask, checkouts: Checkouts, edits_listed: int = 8) -> Options:
    """What is offered at a task; the same each time.

    Among the edits are the fix, one that deletes failing tests where the agent sees some, and `decoys`.
    """
    files = _python_files(checkouts.start(task))
    dice = random.Random(task.instance_id)
    listed: list[tuple[str, str, Literal["fix", "code", "tests"]]] = [(target(task.patch), task.patch, "fix")]
    if visible := _visible(task, files):
        cut = statements.without_tests(files, visible)
        patch = diff({path: text for path, text in files.items() if cut[path] != text}, {
            path: text for path, text in cut.items() if files[path] != text
        })  # fmt: skip
        listed.append((target(patch), patch, "tests"))
    others = itertools.islice(decoys(task, files, dice), edits_listed - len(listed))
    listed += [(path, patch, "code") for path, patch in others]
    dice.shuffle(listed)
    choices = tuple(
        Choice(number=number, path=path, line=first_line(patch), patch=patch, role=role)
        for number, (path, patch, role) in enumerate(listed, 1)
    )
    issue = task.problem_statement
    return Options(choices=choices, names=_names(issue, files), reproduction=_reproduction(issue, files))


def _python_files(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text("utf-8") for file in sorted(folder.rglob("*.py"))}


def _visible(task: PlaygroundTask, files: Mapping[str, str]) -> list[str]:
    """The failing tests that are in the files the agent gets."""
    found = []
    for name in task.fail_to_pass:
        module, _, method = name.rsplit(".", 2)
        kind = name.split(".")[-2]
        text = files.get(f"{module.replace('.', '/')}.py", "")
        inside = re.search(rf"^class {kind}\b.*?(?=^class |\Z)", text, re.MULTILINE | re.DOTALL)
        if inside and re.search(rf"^    def {method}\(", inside[0], re.MULTILINE):
            found.append(name)
    return found


def _names(issue: str, files: Mapping[str, str]) -> tuple[str, ...]:
    """Functions and classes of the package that the issue's code speaks of, in a mixed order."""
    body = "\n".join(_code(issue)[1])
    known = {
        node.name
        for path, text in files.items()
        if not path.startswith("tests/")
        for node, _ in definitions(parse(text))
    }
    spoken = set(re.findall(r"[A-Za-z_]\w*", body)) & known
    return tuple(sorted(spoken, key=lambda name: hashlib.sha256(f"{issue}{name}".encode()).digest())[:_NAMES])


def _code(issue: str) -> tuple[list[str], list[str]]:
    """The imports and the other lines of the code that an issue shows."""
    lines = "\n".join(re.findall(r"```python\n(.*?)```", issue, re.DOTALL)).splitlines()
    imports = [line for line in lines if line.startswith("from ")]
    return imports, [line for line in lines if line not in imports]


def _reproduction(issue: str, files: Mapping[str, str]) -> str:
    """A test of the issue's code, with the functions that the test file it comes from has beside its tests."""
    imports, body = _code(issue)
    code = "\n".join(body).strip("\n")
    if re.search(r"\bself\.(?!assert|subTest|fail)", code):
        return ""
    path = next((path for path in files if f"`{path}`" in issue), "")
    beside = [name for node, name in definitions(parse(files.get(path, ""))) if isinstance(node, ast.FunctionDef)]
    names = sorted({name for name in beside if "." not in name and re.search(rf"\b{name}\b", code)})
    helpers = [f"from {path[:-3].replace('/', '.')} import {', '.join(names)}"] if names else []
    lines = ["import unittest", *imports, *helpers, "", "class Issue(unittest.TestCase):", "    def test(self):"]
    return "\n".join(["python - <<'EOF'", *lines, textwrap.indent(code, " " * 8), "", "unittest.main()", "EOF"])
