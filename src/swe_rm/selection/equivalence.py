"""When two patches at one task are one vote: they change the same code, whatever their whitespace and comments."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

_NAME = re.compile(r"^(?:---|\+\+\+) (?:[ab]/)?([^\t\n]*).*")
_NO_FILE = "/dev/null"
_MOVED = ("Binary files ", "GIT binary patch", "rename ", "copy ", "old mode ", "new mode ")
"""Lines of a diff's head that change something although no line does."""
_TEST_FILE = re.compile(r"(?:^|/)(?:(?:tests?|testing)/|(?:test_[^/]*|conftest\.py)$)|(?:_test|\.test|\.spec)\.\w+$")

_STRING = r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
_HASH = re.compile(_STRING + r"|\#.*|\s+")
_SLASHES = re.compile(_STRING + r"|//.*|/\*.*?\*/|\s+")
_PLAIN = re.compile(_STRING + r"|\s+")
_HASH_FILES = frozenset(
    (".py", ".pyi", ".pyx", ".sh", ".yml", ".yaml", ".toml", ".rb", ".pl", ".r", ".cfg", ".ini", ".mk", ".cmake")
)
_SLASH_FILES = frozenset(
    (".c", ".h", ".cc", ".cpp", ".hpp", ".java", ".js", ".jsx", ".ts", ".tsx", ".go", ".rs", ".kt", ".scala", ".swift",
     ".cs", ".php", ".css", ".scss", ".proto")
)  # fmt: skip
_IN_COMMENT = re.compile(r"\s*(?:/\*|\*(?:\s|/|$))")
"""How a line inside a block comment begins."""
_INDENTED = frozenset((".py", ".pyi", ".pyx", ".yml", ".yaml"))
"""Files in which indentation is code."""


class _Block(NamedTuple):
    """Lines next to one another that a diff takes out and puts in; `before` is the nearest line that stays."""

    before: str
    removed: list[str]
    added: list[str]


def patch_class(patch: str) -> str:
    """A digest that patches share when they make the same change; empty for one that changes no code.

    Per file, in the order of names: the lines taken out and put in, without comments, blank lines and whitespace
    outside strings. Where indentation is code its order stays, its width does not. A block that only adds also has the
    line before it, for the same line elsewhere is another change. Files of tests count only where nothing else is
    changed, for they are replaced when an attempt is tested. Text that is no diff is compared without its whitespace.
    """
    files = dict(_files(patch.replace("\r\n", "\n").split("\n")))
    if not files:
        return _digest(["".join(patch.split())])
    code = {name: body for name, body in files.items() if not _TEST_FILE.search(name)}
    changed = {name: text for name, body in sorted((code or files).items()) if (text := _canonical(name, body))}
    return _digest([part for name, text in changed.items() for part in (name, *text)])


def _digest(parts: Sequence[str]) -> str:
    text = "\n".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12] if text else ""


def _files(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """(name, the lines of its hunks and of its head that change something) of each file of a diff."""
    bodies: dict[str, list[str]] = {}
    head: list[str] = []
    body, skip = head, False
    for line, following in zip(lines, (*lines[1:], ""), strict=True):
        if skip:
            skip = False
        elif line.startswith("diff --git "):
            body = head = bodies.setdefault(line.removeprefix("diff --git "), [])
        elif line.startswith("--- ") and following.startswith("+++ "):
            old, new = _NAME.sub(r"\1", line), _NAME.sub(r"\1", following)
            body = bodies.setdefault(old if new == _NO_FILE else new, [])
            skip = True
        elif line.startswith(_MOVED):
            head.append(line)
        elif line[:1] in ("+", "-", " ", "@") or not line.strip():
            body.append(line)
    yield from ((name, body) for name, body in bodies.items() if body)


def _canonical(name: str, body: Sequence[str]) -> list[str]:
    """What the diff of one file changes, one line of text each."""
    suffix = PurePosixPath(name).suffix.lower()
    depths = _depths(body) if suffix in _INDENTED else {}
    found = [line for line in body if line.startswith(_MOVED)]
    for block in _blocks(body, suffix, depths):
        removed, added = _different(block.removed, block.added)
        if removed or added:
            found += ["@@", *([] if removed else [f" {block.before}"])]
            found += [*(f"-{line}" for line in removed), *(f"+{line}" for line in added)]
    return found


def _blocks(body: Sequence[str], suffix: str, depths: dict[int, int]) -> Iterator[_Block]:
    block = _Block("", [], [])
    for line in body:
        code = _code(line[1:], suffix)
        if line.startswith("@@") or (line.startswith(" ") and code):
            yield block
            block = _Block("" if line.startswith("@@") else code, [], [])
        elif code and line[0] in "+-":
            depth = depths.get(_indent(line), 0)
            (block.added if line[0] == "+" else block.removed).append(f"{depth}:{code}")
    yield block


def _code(line: str, suffix: str) -> str:
    """A line without comments and without whitespace outside strings; empty where it is no code."""
    if suffix in _SLASH_FILES:
        return "" if _IN_COMMENT.match(line) else _SLASHES.sub(_kept, line)
    return (_HASH if suffix in _HASH_FILES else _PLAIN).sub(_kept, line)


def _kept(found: re.Match[str]) -> str:
    return found[1] or ""


def _indent(line: str) -> int:
    text = line[1:].expandtabs(8)
    return len(text) - len(text.lstrip(" "))


def _depths(body: Sequence[str]) -> dict[int, int]:
    """Width of indentation -> its place among the widths of the file's changed lines."""
    widths = {_indent(line) for line in body if line[:1] in ("+", "-") and line[1:].strip()}
    return {width: place for place, width in enumerate(sorted(widths))}


def _different(removed: list[str], added: list[str]) -> tuple[list[str], list[str]]:
    """Both without the lines they begin and end with alike: those were only written anew."""
    while removed and added and removed[0] == added[0]:
        removed, added = removed[1:], added[1:]
    while removed and added and removed[-1] == added[-1]:
        removed, added = removed[:-1], added[:-1]
    return removed, added
