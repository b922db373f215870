"""The listed edits that are not the fix: other edits, several of its own lines, and none that its look gives away."""

import itertools
import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm.playground import decoys as decoying
from swe_rm.playground.bugs import edits, parses
from swe_rm.playground.checkouts import diff
from swe_rm.playground.decoys import decoys, target
from swe_rm.playground.world import PlaygroundTask, files_of, shipped_packages

LISTED = 6
"""With the fix and an edit of the tests, eight are listed."""


def broken(seed: int) -> tuple[PlaygroundTask, dict[str, str]]:
    """A task by a bug drawn from all packages, and its files; that tests see the bug is not asked."""
    dice = random.Random(seed)
    package = dice.choice(shipped_packages())
    files = {path: text for path, text in files_of(package).items() if path.endswith(".py")}
    path = dice.choice([path for path in files if path.startswith(f"{package}/") and edits(files[path])])
    kinds: dict[str, list[str]] = {}
    for edit in edits(files[path]):
        kinds.setdefault(edit.kind, []).append(edit.applied(files[path]))
    after = next(text for text in iter(lambda: dice.choice(kinds[dice.choice(sorted(kinds))]), None) if parses(text))
    task = PlaygroundTask.model_construct(patch=diff({path: after}, {path: files[path]}))
    return task, {**files, path: after}


def drawn(seed: int, most: int = LISTED) -> tuple[PlaygroundTask, dict[str, str], list[tuple[str, str]]]:
    task, files = broken(seed)
    return task, files, list(itertools.islice(decoys(task, files, random.Random(seed)), most))


def added(patch: str) -> int:
    """Characters that come, less those that go."""
    lines = [line for line in patch.splitlines() if line[:3] not in ("+++", "---")]
    return sum(len(line) * ((line[:1] == "+") - (line[:1] == "-")) for line in lines)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_each_is_another_edit_of_the_code_and_none_is_the_fix(seed: int) -> None:
    task, files, found = drawn(seed, 12)
    assert len(found) == 12
    changed = {decoying._changed(patch) for _, patch in found}
    assert len(changed) == 12
    assert decoying._changed(task.patch) not in changed
    for path, patch in found:
        assert path == target(patch)
        assert not path.startswith("tests/")
        after = decoying._applied(files[path], patch)
        assert parses(after)
        assert diff({path: files[path]}, {path: after}) == patch


def test_the_same_dice_give_the_same() -> None:
    assert drawn(3)[2] == drawn(3)[2]


def own_lines(task: PlaygroundTask, files: Mapping[str, str], found: list[tuple[str, str]]) -> int:
    """How many take out just the lines that the fix takes out, or put theirs at the same place."""
    gone = [line for line in task.patch.splitlines() if line[:1] == "-" and line[:3] != "---"]
    place = decoying.first_line(task.patch)
    return sum(
        path == target(task.patch)
        and decoying.first_line(patch) == place
        and [line for line in patch.splitlines() if line[:1] == "-" and line[:3] != "---"] == gone
        for path, patch in found
    )


def test_what_a_fix_looks_like_does_not_tell_it() -> None:
    """Chance is 1 in 7. When the other edits were bugs in sound code, what adds the most was the fix of one in two."""
    rows = [drawn(seed) for seed in range(60)]
    most = least = 0
    for task, _, found in rows:
        sizes = [added(patch) for _, patch in found]
        most += added(task.patch) > max(sizes)
        least += added(task.patch) < min(sizes)
    assert most <= 12
    assert least <= 12
    assert sum(own_lines(*row) >= 2 for row in rows) >= 40


@pytest.mark.parametrize(
    ("goes", "comes", "sort"),
    [
        ("a < b", "a <= b", (0, 0)),
        ("b", "not b", (1, 0)),
        ("sorted(a)", "a", (-1, 0)),
        ("", "    if a:\n        return b\n", (1, 1)),
        ("        total += 1\n", "", (-1, -1)),
    ],
)
def test_sorts(goes: str, comes: str, sort: tuple[int, int]) -> None:
    assert decoying._sort([goes], [comes]) == sort


def test_a_patch_says_the_sort_of_the_edit_it_is_made_of() -> None:
    source = "def lit(oil):\n    if not oil:\n        return 0\n    oil.burn(1)\n    return oil\n"
    for edit in edits(source):
        patch = diff({"lamp.py": source}, {"lamp.py": edit.applied(source)})
        assert decoying._sort_of_patch(patch) == decoying._sort_of_edit(edit, source)


def test_a_patch_that_changes_nothing_has_no_line() -> None:
    with pytest.raises(ValueError, match="changes no line"):
        decoying.first_line("--- a/x\n+++ b/x\n@@ -1 +1 @@\n same\n")
