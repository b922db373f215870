"""The edits that are listed beside a task's fix: drawn so that the fix is not known by its look."""

import ast
import itertools
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from swe_rm.playground.bugs import Edit, edits, parses
from swe_rm.playground.checkouts import TESTS, diff
from swe_rm.playground.parsing import parse
from swe_rm.playground.world import PlaygroundTask

_OTHERWISE = 2
"""Edits of the same lines beside one of them."""


class _Spot(NamedTuple):
    """An edit of a file."""

    path: str
    edit: Edit


def decoys(task: PlaygroundTask, files: Mapping[str, str], dice: random.Random) -> Iterator[tuple[str, str]]:
    """Edits of the code that are not the fix, as path and patch.

    First come two that make the fix's own lines otherwise. Then one elsewhere that adds, takes or swaps words as the
    fix does, and two that make its lines otherwise. The rest is of any sort, near the fix and elsewhere in turn.
    """
    near, far = _elsewhere(task, files, dice)
    path = target(task.patch)
    found = [(path, text) for text in _otherwise(files[path], _applied(files[path], task.patch), dice)]
    for one in [*near, *far]:
        text = one.edit.applied(files[one.path])
        if _sort_of_edit(one, files) == _sort_of_patch(task.patch) and parses(text):
            found += [(one.path, other) for other in (text, *_otherwise(files[one.path], text, dice))]
            break
    paired = itertools.chain.from_iterable(itertools.zip_longest(near, far))
    mixed = ((one.path, one.edit.applied(files[one.path])) for one in paired if one is not None)
    listed = {_changed(task.patch)}
    for place, text in itertools.chain(found, mixed):
        patch = diff({place: files[place]}, {place: text})
        if parses(text) and _changed(patch) not in listed:
            listed.add(_changed(patch))
            yield place, patch


def target(patch: str) -> str:
    """The file that a patch changes."""
    found = re.search(r"^--- a/(.+)$", patch, re.MULTILINE)
    assert found is not None
    return found[1]


def first_line(patch: str) -> int:
    """The first line that a patch changes, in the file as it is before."""
    number = 0
    for line in patch.splitlines():
        if found := re.match(r"@@ -(\d+)", line):
            number = int(found[1])
        elif number and line[:1] in "+-":
            return number
        elif number:
            number += 1
    raise ValueError("a patch changes no line")


def definitions(tree: ast.AST, within: str = "") -> list[tuple[ast.FunctionDef | ast.ClassDef, str]]:
    """Every function and class with its name, as `Class.method`."""
    found: list[tuple[ast.FunctionDef | ast.ClassDef, str]] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name = f"{within}.{node.name}" if within else node.name
            found += [(node, name), *definitions(node, name)]
    return found


def _elsewhere(task: PlaygroundTask, files: Mapping[str, str], dice: random.Random) -> tuple[list[_Spot], list[_Spot]]:
    """Every edit we know of the files as they are: those in the function that is broken, and the others."""
    near: list[_Spot] = []
    far: list[_Spot] = []
    for path, text in files.items():
        if path.startswith(f"{TESTS}/"):
            continue
        broken = _function_at(text, first_line(task.patch)) if path == target(task.patch) else None
        for edit in edits(text):
            (near if edit.function == broken else far).append(_Spot(path, edit))
    dice.shuffle(near)
    dice.shuffle(far)
    return near, far


def _function_at(source: str, line: int) -> str:
    """The innermost function or class at a line; empty at the top of the module."""
    found = ""
    for node, name in definitions(parse(source)):
        if node.lineno <= line <= (node.end_lineno or node.lineno):
            found = name
    return found


def _otherwise(before: str, after: str, dice: random.Random) -> list[str]:
    """Texts that change the same lines as `after` does, each with another bug in what then stands there.

    Those of as many words come first: more, or fewer, would tell them from `after`.
    """
    old, new = before.splitlines(), after.splitlines()
    start = len(list(itertools.takewhile(_same, zip(old, new, strict=False))))
    end = len(list(itertools.takewhile(_same, zip(old[start:][::-1], new[start:][::-1], strict=False))))
    lines = range(start + 1, len(new) - end + 1)
    found = [edit for edit in edits(after) if edit.line in lines and edit.applied(after) != before]
    dice.shuffle(found)
    found.sort(key=lambda edit: _sort([after[edit.start : edit.end]], [edit.new]) != (0, 0))
    texts = (edit.applied(after) for edit in found)
    return list(itertools.islice((text for text in texts if parses(text)), _OTHERWISE))


def _same(pair: tuple[str, str]) -> bool:
    return pair[0] == pair[1]


def _sort_of_edit(spot: _Spot, files: Mapping[str, str]) -> tuple[int, int]:
    return _sort([files[spot.path][spot.edit.start : spot.edit.end]], [spot.edit.new])


def _sort_of_patch(patch: str) -> tuple[int, int]:
    changed = _changed(patch)
    return _sort(*([f"{line[1:]}\n" for line in changed if line[0] == sign] for sign in "-+"))


def _sort(goes: Sequence[str], comes: Sequence[str]) -> tuple[int, int]:
    """Whether words, and lines, become more (1), fewer (-1), or as many others (0)."""
    (words_go, lines_go), (words_come, lines_come) = (_size("".join(parts)) for parts in (goes, comes))
    return _sign(words_come - words_go), _sign(lines_come - lines_go)


def _size(text: str) -> tuple[int, int]:
    return len(re.findall(r"\w+|[^\w\s]+", text)), text.count("\n")


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _changed(patch: str) -> tuple[str, ...]:
    return tuple(line for line in patch.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---"))


def _applied(text: str, patch: str) -> str:
    """A file with a patch of it, which must fit exactly."""
    old, new = text.splitlines(keepends=True), []
    place = 0
    for line in patch.splitlines(keepends=True):
        if found := re.match(r"@@ -(\d+)(?:,(\d+))?", line):
            # Where no line goes, the number is that of the line before.
            start = int(found[1]) - (found[2] != "0")
            new += old[place:start]
            place = start
        elif line[:1] in " -" and line[:4] != "--- ":
            assert old[place] == line[1:]
            new += [line[1:]] if line[0] == " " else []
            place += 1
        elif line[:1] == "+" and line[:4] != "+++ ":
            new.append(line[1:])
    return "".join([*new, *old[place:]])
