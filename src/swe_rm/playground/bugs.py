"""Bugs put into a Python source by procedure: one small edit each, of the kinds that SWE-smith names.

An edit replaces a stretch of the text, so what is around it stays as it was written. Nothing here knows whether an edit
breaks anything: `making` runs the tests.
"""

import ast
import itertools
import textwrap
from collections.abc import Callable, Iterator
from typing import Literal

from swe_rm.playground.parsing import parse
from swe_rm.trajectory import Noun

Kind = Literal[
    "operator",
    "boundary",
    "condition",
    "constant",
    "call",
    "order",
    "guard",
    "statement",
    "branch",
    "slice",
    "addition",
]


class Edit(Noun):
    """A stretch of a source and what stands there instead."""

    kind: Kind
    start: int
    """Offset in the text."""
    end: int
    new: str
    function: str
    """Whose it is: `Class.method`, `function`, or empty at the top of the module."""
    line: int

    def applied(self, source: str) -> str:
        """The source with the edit."""
        return source[: self.start] + self.new + source[self.end :]


class _Text:
    """A source, its tree, and where in the text a node stands."""

    def __init__(self, source: str) -> None:
        if not source.isascii():
            raise ValueError("offsets of a tree are those of the text in ASCII only")
        self.source = source
        self.tree = parse(source)
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self._starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._starts[node.end_lineno - 1] + node.end_col_offset

    def of(self, node: ast.expr | ast.stmt) -> str:
        return self.source[self.start(node) : self.end(node)]

    def lines(self, node: ast.stmt) -> tuple[int, int]:
        """From the start of a statement's first line to the end of its last."""
        assert node.end_lineno is not None
        return self._starts[node.lineno - 1], self._starts[min(node.end_lineno, len(self._starts) - 1)]


Change = tuple[Kind, int, int, str]


def edits(source: str) -> list[Edit]:
    """Every edit we know for a source, in the order of the text; each gives another source.

    A few of those cannot be parsed (`parses`), which would take most of the time to find out of all. Raises SyntaxError
    when the source itself cannot be, ValueError when it is not ASCII.
    """
    text = _Text(source)
    found: dict[str, Edit] = {}
    for function, node in _within(text.tree, ""):
        for kind, start, end, new in _changes(node, text):
            edit = Edit(
                kind=kind, start=start, end=end, new=new, function=function, line=source.count("\n", 0, start) + 1
            )
            changed = edit.applied(source)
            if changed != source and changed not in found:
                found[changed] = edit
    return sorted(found.values(), key=lambda edit: (edit.start, edit.end, edit.new))


def parses(source: str) -> bool:
    """Whether it is Python."""
    try:
        parse(source)
    except SyntaxError:
        return False
    return True


def _within(node: ast.AST, function: str) -> Iterator[tuple[str, ast.AST]]:
    """Every node below, with the function it is in; annotations, decorators and docstrings are left out."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            # Before Python 3.12 the nodes within an f-string do not know where they stand.
            if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr) or _is_docstring(child):
                continue
            inner = function
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inner = f"{function}.{child.name}" if function else child.name
            yield inner, child
            yield from _within(child, inner)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _changes(node: ast.AST, text: _Text) -> Iterator[Change]:
    for kind, maker in _MAKERS.items():
        for start, end, new in maker(node, text):
            yield kind, start, end, new


Spot = Iterator[tuple[int, int, str]]


def _between(left: ast.expr, right: ast.expr, old: str, new: str, text: _Text) -> Spot:
    """The sign that stands between two operands replaced."""
    start, end = text.end(left), text.start(right)
    middle = text.source[start:end]
    if old in middle:
        yield start, end, middle.replace(old, new, 1)


_SIGNS: dict[type[ast.operator], tuple[str, tuple[str, ...]]] = {
    ast.Add: ("+", ("-",)), ast.Sub: ("-", ("+",)), ast.Mult: ("*", ("+", "//")), ast.Div: ("/", ("*",)),
    ast.FloorDiv: ("//", ("%", "*")), ast.Mod: ("%", ("//",)), ast.BitAnd: ("&", ("|",)), ast.BitOr: ("|", ("&",)),
    ast.Pow: ("**", ("*",)),
}  # fmt: skip


def _operator(node: ast.AST, text: _Text) -> Spot:
    if isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
        old, others = _SIGNS[type(node.op)]
        for new in others:
            yield from _between(node.left, node.right, old, new, text)
    if isinstance(node, ast.AugAssign) and type(node.op) in _SIGNS:
        old, others = _SIGNS[type(node.op)]
        yield from _between(node.target, node.value, f"{old}=", f"{others[0]}=", text)
        yield from _between(node.target, node.value, f"{old}=", "=", text)


_BOUNDARIES: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
}  # fmt: skip
_OPPOSITES: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", ">"), ast.LtE: ("<=", ">="), ast.Gt: (">", "<"), ast.GtE: (">=", "<="), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"), ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
}  # fmt: skip


def _compared(node: ast.AST, text: _Text, signs: dict[type[ast.cmpop], tuple[str, str]]) -> Spot:
    if isinstance(node, ast.Compare):
        operands = [node.left, *node.comparators]
        for left, right, sign in zip(operands, operands[1:], node.ops, strict=False):
            if type(sign) in signs:
                yield from _between(left, right, *signs[type(sign)], text)


def _boundary(node: ast.AST, text: _Text) -> Spot:
    yield from _compared(node, text, _BOUNDARIES)


def _condition(node: ast.AST, text: _Text) -> Spot:
    yield from _compared(node, text, _OPPOSITES)
    if isinstance(node, ast.BoolOp):
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield from _between(left, right, old, new, text)
            yield text.start(left), text.start(right), ""
            yield text.end(left), text.end(right), ""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield text.start(node), text.end(node), text.of(node.operand)


def _constant(node: ast.AST, text: _Text) -> Spot:
    if not isinstance(node, ast.Constant):
        return
    value = node.value
    if isinstance(value, bool):
        yield text.start(node), text.end(node), str(not value)
    elif isinstance(value, int):
        for other in (value + 1, value - 1):
            yield text.start(node), text.end(node), str(other)
    elif isinstance(value, str) and len(value) == 1 and value in ".,-:":
        yield text.start(node), text.end(node), repr({".": ",", ",": ".", "-": "_", ":": ";"}[value])


_CALLS = {
    "min": "max", "max": "min", "any": "all", "all": "any", "startswith": "endswith", "endswith": "startswith",
    "lower": "upper", "upper": "lower", "strip": "lstrip", "lstrip": "rstrip", "rstrip": "lstrip", "ljust": "rjust",
    "rjust": "ljust", "popleft": "pop", "sorted": "list", "partition": "rpartition", "append": "remove",
    "items": "values", "isdigit": "isalpha", "isalnum": "isalpha", "isalpha": "isalnum", "setdefault": "get",
    "fullmatch": "match", "match": "search", "bisect_right": "bisect_left", "discard": "add", "abs": "int",
    "removesuffix": "removeprefix", "add": "discard", "floor": "ceil", "split": "rsplit", "index": "count",
}  # fmt: skip


def _call(node: ast.AST, text: _Text) -> Spot:
    if not isinstance(node, ast.Call):
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in _CALLS:
        yield text.end(node.func) - len(name), text.end(node.func), _CALLS[name]
    given = sorted([*node.args, *(word.value for word in node.keywords)], key=text.start)
    for word in node.keywords:
        place = given.index(word.value)
        if place and word.arg:
            yield text.end(given[place - 1]), text.end(word.value), ""
    if name in ("abs", "sorted", "int", "reversed", "round") and len(node.args) == 1 and not node.keywords:
        yield text.start(node), text.end(node), text.of(node.args[0])


def _order(node: ast.AST, text: _Text) -> Spot:
    if isinstance(node, ast.Call) and len(node.args) == 2 and not any(isinstance(a, ast.Starred) for a in node.args):
        yield from _swapped(node.args[0], node.args[1], text)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Div | ast.FloorDiv | ast.Mod | ast.Pow):
        yield from _swapped(node.left, node.right, text)
    if isinstance(node, ast.IfExp):
        yield from _swapped(node.body, node.orelse, text)
    if isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.ctx, ast.Load):
        yield from _swapped(node.elts[0], node.elts[1], text)
    for body in _bodies(node):
        for first, second in itertools.pairwise(body):
            if isinstance(first, _SIMPLE) and isinstance(second, _SIMPLE) and not _is_docstring(first):
                between = text.source[text.end(first) : text.start(second)]
                yield text.start(first), text.end(second), text.of(second) + between + text.of(first)


_SIMPLE = (ast.Assign, ast.AugAssign, ast.Expr)


def _swapped(left: ast.expr, right: ast.expr, text: _Text) -> Spot:
    between = text.source[text.end(left) : text.start(right)]
    if "(" not in between and ")" not in between:
        yield text.start(left), text.end(right), text.of(right) + between + text.of(left)


def _bodies(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        body = getattr(node, field, None)
        if isinstance(body, list) and body and not isinstance(node, ast.Module | ast.ClassDef):
            yield body


_LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)


def _guard(node: ast.AST, text: _Text) -> Spot:
    """An `if` that leaves early, gone with all it does."""
    for body in _bodies(node):
        for one in body:
            if isinstance(one, ast.If) and not one.orelse and isinstance(one.body[-1], _LEAVES) and len(body) > 1:
                yield (*text.lines(one), "")


def _statement(node: ast.AST, text: _Text) -> Spot:
    """A statement that changes something, gone."""
    for body in _bodies(node):
        for one in body:
            changes = isinstance(one, ast.AugAssign) or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Call))
            if changes and len(body) > 1:
                yield (*text.lines(one), "")


def _branch(node: ast.AST, text: _Text) -> Spot:
    """An `else`, or the condition before a statement, gone."""
    if isinstance(node, ast.IfExp):
        yield text.start(node), text.end(node), text.of(node.body)
        yield text.start(node), text.end(node), text.of(node.orelse)
    if isinstance(node, ast.If) and node.orelse and not isinstance(node.orelse[0], ast.If):
        yield text.end(node.body[-1]), text.end(node.orelse[-1]), ""


def _slice(node: ast.AST, text: _Text) -> Spot:
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) and isinstance(node.ctx, ast.Load):
        if node.slice.lower is not None:
            yield text.start(node.slice.lower), text.end(node.slice.lower), f"{text.of(node.slice.lower)} + 1"
        if node.slice.upper is not None:
            yield text.start(node.slice.upper), text.end(node.slice.upper), f"{text.of(node.slice.upper)} - 1"


_PLAIN = (ast.Name, ast.Attribute, ast.Call, ast.Compare, ast.Subscript)


def _addition(node: ast.AST, text: _Text) -> Spot:
    """What nobody needs, put in: `not`, a second condition, a statement done twice, a guard at another place."""
    for body in _bodies(node):
        for one in body:
            if isinstance(one, ast.AugAssign) or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Call)):
                start, end = text.lines(one)
                yield end, end, text.source[start:end]
    if isinstance(node, ast.FunctionDef):
        tests = [one.test for one in ast.walk(node) if isinstance(one, ast.If | ast.While)]
        for test in tests:
            if isinstance(test, _PLAIN):
                yield text.start(test), text.start(test), "not "
            for other in tests:
                if isinstance(other, _PLAIN) and text.of(other) != text.of(test):
                    yield text.end(test), text.end(test), f" and {text.of(other)}"
        yield from _guards_elsewhere(node, text)


def _guards_elsewhere(function: ast.FunctionDef, text: _Text) -> Spot:
    bodies = [body for one in ast.walk(function) for body in _bodies(one)]
    guards = [one for body in bodies for one in body if isinstance(one, ast.If) and isinstance(one.body[-1], _LEAVES)]
    for guard in guards:
        start, end = text.lines(guard)
        lines = textwrap.dedent(text.source[start:end])
        for body in bodies:
            for one in body[1:]:
                if one is not guard and one.col_offset and not isinstance(one, ast.FunctionDef):
                    at = text.lines(one)[0]
                    yield at, at, textwrap.indent(lines, " " * one.col_offset)


_MAKERS: dict[Kind, Callable[[ast.AST, _Text], Spot]] = {
    "operator": _operator,
    "boundary": _boundary,
    "condition": _condition,
    "constant": _constant,
    "call": _call,
    "order": _order,
    "guard": _guard,
    "statement": _statement,
    "branch": _branch,
    "slice": _slice,
    "addition": _addition,
}
