"""Issues: a package with a bug put into it, the report of the bug, and what each scripted agent will try."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ORGANISATION = "swe-rm"

Tree = dict[str, str]
"""Path inside the package -> text of the file."""


class IssueError(Exception):
    """An issue file is wrong; the message names the issue."""


@dataclass(frozen=True)
class Change:
    """Whole lines of one file, and what they become."""

    file: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        """`text` with the lines replaced; IssueError unless they are there exactly once."""
        if text.count(self.old) != 1:
            raise IssueError(f"{self.file} holds the lines to change {text.count(self.old)} times:\n{self.old}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Edit:
    """A named way of changing the package, with the reason an agent gives for it."""

    why: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Action:
    """One thing an agent says and does at a fixed place of its script."""

    thought: str
    command: str


@dataclass(frozen=True)
class Plan:
    """What one agent will try at one issue. Whether it works is found out by running the tests."""

    edits: tuple[Edit, ...]
    claim: str
    """Its last words."""
    test: str
    """A test it adds to the package's test file; may be empty."""
    check: str
    """A program by which `careful` judges its own edit."""
    bend: Edit | None
    """How `test_editing` changes a test."""
    reproduces: bool
    """Whether `hasty` runs the example of the issue."""
    test_command: str
    """How `test_editing` runs the tests; empty for any of the usual ways."""
    actions: tuple[Action, ...]


@dataclass(frozen=True)
class Issue:
    """One task: the clean package, the bug, the report and the four plans."""

    instance_id: str
    package: str
    source: str
    tests: str
    symbol: str
    statement: str
    diagnosis: tuple[str, ...]
    reproduce: str
    bug: tuple[Change, ...]
    visible_failing: tuple[str, ...]
    plans: Mapping[str, Plan]

    @property
    def repo(self) -> str:
        """Owner and name, as a forge would write it."""
        return f"{ORGANISATION}/{self.package}"

    def clean_tree(self) -> Tree:
        """The package as it should be, with all its tests."""
        root = HERE / "packages" / self.package
        files = [path for path in sorted(root.rglob("*")) if path.suffix in (".py", ".md")]
        return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in files}

    def broken_tree(self) -> Tree:
        """The package with the bug in it and all its tests."""
        tree = self.clean_tree()
        for change in self.bug:
            tree[change.file] = change.apply(tree[change.file])
        return tree


def issue_ids() -> list[str]:
    """The ids of all issues, sorted."""
    return sorted(path.stem for path in (HERE / "issues").glob("*.toml"))


def load_issue(instance_id: str) -> Issue:
    """The issue of that id; IssueError where the file is missing or wrong."""
    path = HERE / "issues" / f"{instance_id}.toml"
    if not path.is_file():
        raise IssueError(f"no such issue: {instance_id}")
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    bug = tuple(Change(part["file"], part["clean"], part["broken"]) for part in raw["bug"])
    edits = {name: _edit(part, bug) for name, part in raw["edits"].items()}
    try:
        plans = {temper: _plan(part, edits) for temper, part in raw["plans"].items()}
    except KeyError as error:
        raise IssueError(f"{instance_id}: no {error} in the file") from error
    return Issue(
        instance_id=instance_id,
        package=raw["package"],
        source=raw["source"],
        tests=raw["tests"],
        symbol=raw["symbol"],
        statement=raw["statement"].strip(),
        diagnosis=tuple(raw["diagnosis"]),
        reproduce=raw["reproduce"],
        bug=bug,
        visible_failing=tuple(raw.get("visible_failing", ())),
        plans=plans,
    )


def _edit(raw: Mapping[str, Any], bug: Sequence[Change]) -> Edit:
    """An edit of the file; without changes of its own it takes the bug back."""
    changes = tuple(Change(part["file"], part["old"], part["new"]) for part in raw.get("changes", ()))
    return Edit(raw["why"], changes or tuple(Change(part.file, part.new, part.old) for part in bug))


def _plan(raw: Mapping[str, Any], edits: Mapping[str, Edit]) -> Plan:
    return Plan(
        edits=tuple(edits[name] for name in raw.get("edits", ())),
        claim=raw["claim"],
        test=raw.get("test", ""),
        check=raw.get("check", ""),
        bend=edits[raw["bend"]] if "bend" in raw else None,
        reproduces=raw.get("reproduces", False),
        test_command=raw.get("test_command", ""),
        actions=tuple(Action(part["thought"], part["command"]) for part in raw.get("actions", ())),
    )
