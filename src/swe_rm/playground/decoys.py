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

_COMPANIONS = 2
"""Edits of the same lines beside the fix, and beside one elsewhere."""


class _Spot(NamedTuple):
    """An edit of a file."""

    path: str
    edit: Edit


def decoys(task: PlaygroundTask, files: Mapping[str, str], dice: random.Random) -> Iterator[tuple[str, str]]:
    """Edits of the code that are not the fix, as path and patch.

    First come two of the lines that the fix changes. Then one elsewhere that adds, takes or swaps words as the fix
    does, and two of its lines. The rest is of any sort, near the fix and elsewhere in turn.
    """
    near, far = _elsewhere(task, files, dice)
    sort = _sort_of_patch(task.patch)
    path = target(task.patch)
    mended = _applied(files[path], task.patch)
    found = [(path, text) for text in _companions(files[path], mended, sort, dice)]
    for one in [*near, *far]:
        text = one.edit.applied(files[one.path])
        if _sort_of_edit(one.edit, files[one.path]) == sort and parses(text):
            found += [(one.path, other) for other in (text, *_companions(files[one.path], text, sort, dice))]
            break
    paired = itertools.chain.from_iterable(itertools.zip_longest(near, far))
    mixed = ((one.path, one.edit.applied(files[one.path])) for one in paired if one is not None)
    listed = {_changed(task.patch)}
    for place, text in itertools.chain(found, mixed):
        patch = diff({place: files[place]}, {place: text})
        if patch and parses(text) and _changed(patch) not in listed:
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


def _companions(before: str, after: str, sort: tuple[int, int], dice: random.Random) -> list[str]:
    """Other changes of the lines that `after` changes, at most two.

    They are other single edits, whose words differ from a fix's; or what `after` makes with further edits of as many
    words, which share its words, and among which `after` is as often between the two others as each of them. One gives
    the fix away by its words, one by its place: so it is now one, now the other. Only the latter can add lines.
    """
    if sort[1] > 0 or dice.random() < 1 / 2:
        versions = _texts(after, _changed_lines(after, before), (0, 0), before, dice)
        if len(versions) > 1 and dice.random() < 2 / 3:
            versions = [versions[0], *_texts(versions[0], _changed_lines(versions[0], before), (0, 0), after, dice)]
        return versions[:_COMPANIONS]
    return _texts(before, _changed_lines(before, after), sort, after, dice)[:_COMPANIONS]


def _texts(source: str, lines: range, sort: tuple[int, int], other: str, dice: random.Random) -> list[str]:
    """What edits of these lines make of a source, but for one text; those of a sort first."""
    found = [edit for edit in edits(source) if edit.line in lines and edit.applied(source) != other]
    dice.shuffle(found)
    found.sort(key=lambda edit: _sort_of_edit(edit, source) != sort)
    return [text for text in (edit.applied(source) for edit in found[: 2 * _COMPANIONS]) if parses(text)]


def _changed_lines(source: str, other: str) -> range:
    """The lines of a source that differ from those of another, from 1."""
    mine, others = source.splitlines(), other.splitlines()
    start = len(list(itertools.takewhile(_same, zip(mine, others, strict=False))))
    end = len(list(itertools.takewhile(_same, zip(mine[start:][::-1], others[start:][::-1], strict=False))))
    return range(start + 1, len(mine) - end + 1)


def _same(pair: tuple[str, str]) -> bool:
    return pair[0] == pair[1]


def _sort_of_edit(edit: Edit, source: str) -> tuple[int, int]:
    return _sort([source[edit.start : edit.end]], [edit.new])


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
