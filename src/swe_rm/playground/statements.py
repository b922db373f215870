"""What a task's issue says, written from a test that fails; and the tests with some taken out."""

import ast
import hashlib
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from swe_rm.playground.parsing import parse

_OPENINGS = (
    "This does not hold, though it should",
    "I expected all of this to pass",
    "The following used to work",
    "Something is off here. With the current code this fails",
)
_MOST_LINES = 6
"""Of an error's text; long differences of two lists help nobody."""


def problem(files: Mapping[str, str], failing: Sequence[str], said: str, name: str) -> str:
    """The issue of a bug: its symptom as code, and the error that comes of it.

    The test that is shown and the words around it follow from the task's name. `said` is what the run of all tests
    printed.
    """
    dice = hashlib.sha256(name.encode()).digest()
    test = failing[dice[0] % len(failing)]
    module, _, method = test.rsplit(".", 2)
    path = f"{module.replace('.', '/')}.py"
    source = files[path]
    node = _methods(source)[test.removeprefix(f"{module}.")]
    imports = [line for line in source.splitlines() if line.startswith("from ") and "unittest" not in line]
    body = ast.get_source_segment(source, node.body[0], padded=True) or ""
    rest = [ast.get_source_segment(source, one, padded=True) or "" for one in node.body[1:]]
    code = textwrap.dedent("\n".join([body, *rest]))
    title = f"{imports[0].split()[1]}: {method.removeprefix('test_').replace('_', ' ')}"
    opening = f"{_OPENINGS[dice[1] % len(_OPENINGS)]} (with what `{path}` has around it)"
    parts = [title, "", opening, "", "```python", *imports, "", code, "```"]
    if error := _error(test, said):
        parts += ["", "What comes instead:", "", "```", error, "```"]
    return "\n".join(parts)


def without_tests(files: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The files with some tests taken out, and classes that have none left."""
    gone: dict[str, set[str]] = {}
    for name in names:
        module, kind, method = name.rsplit(".", 2)
        gone.setdefault(f"{module.replace('.', '/')}.py", set()).add(f"{kind}.{method}")
    return {path: _cut(text, gone[path]) if path in gone else text for path, text in files.items()}


def _methods(source: str) -> dict[str, ast.FunctionDef]:
    """The tests of a module as `Class.method`."""
    return {
        f"{kind.name}.{one.name}": one
        for kind in parse(source).body
        if isinstance(kind, ast.ClassDef)
        for one in kind.body
        if isinstance(one, ast.FunctionDef) and one.name.startswith("test")
    }


def _cut(source: str, names: set[str]) -> str:
    """The module without these tests, and without the empty lines before them."""
    tree, lines = parse(source), source.splitlines(keepends=True)
    methods = _methods(source)
    doomed: list[ast.stmt] = []
    for kind in tree.body:
        if isinstance(kind, ast.ClassDef):
            own = {name for name in methods if name.startswith(f"{kind.name}.")}
            doomed += [kind] if own and own <= names else [methods[name] for name in own & names]
    for node in sorted(doomed, key=lambda one: one.lineno, reverse=True):
        first = node.lineno - 1
        while first > 0 and not lines[first - 1].strip():
            first -= 1
        del lines[first : node.end_lineno]
    return "".join(lines)


def _error(test: str, said: str) -> str:
    """The end of a test's traceback: the error and what it says; empty where the output was cut before it."""
    found = re.search(rf"^FAIL: {re.escape(test)}(?: .*)?\n(.*?)(?=^FAIL: |\Z)", said, re.MULTILINE | re.DOTALL)
    lines = found[1].rstrip().splitlines() if found else []
    ends = [place for place, line in enumerate(lines) if re.match(r"[A-Za-z][\w.]*(?:Error|Exception)\b", line)]
    return "\n".join(lines[ends[-1] :][:_MOST_LINES]).rstrip() if ends else ""
