"""What can be done with a tree: its value, its names, a shorter tree, its text, its derivative."""

import math
from collections.abc import Mapping
from typing import Any

from .reading import PRECEDENCE, UNARY, parse

CONSTANTS = {"pi": math.pi, "e": math.e}
FUNCTIONS: dict[str, tuple[int, Any]] = {
    "sqrt": (1, math.sqrt),
    "abs": (1, abs),
    "floor": (1, math.floor),
    "max": (-1, max),
    "min": (-1, min),
    "log": (2, lambda value, base: math.log(value) / math.log(base)),
}


def evaluate(text: str, names: Mapping[str, float] | None = None) -> float:
    """The value of an expression, given values of its names."""
    return value_of(parse(text), {**CONSTANTS, **(names or {})})


def value_of(tree: Any, names: Mapping[str, float]) -> float:
    """The value of a tree."""
    if isinstance(tree, float):
        return tree
    if isinstance(tree, str):
        if tree not in names:
            raise NameError(f"no such name: {tree}")
        return names[tree]
    if tree[0] == "neg":
        return -value_of(tree[1], names)
    if tree[0] == "call":
        return called(tree[1], [value_of(inner, names) for inner in tree[2]])
    sign, left, right = tree[0], value_of(tree[1], names), value_of(tree[2], names)
    if sign == "+":
        return left + right
    if sign == "-":
        return left - right
    if sign == "*":
        return left * right
    if sign == "^":
        return float(left**right)
    if right == 0:
        raise ZeroDivisionError("division by nothing")
    return left / right if sign == "/" else left % right


def called(name: str, values: list[float]) -> float:
    """The value of a function."""
    if name not in FUNCTIONS:
        raise NameError(f"no such function: {name}")
    wanted, function = FUNCTIONS[name]
    if wanted != len(values) and wanted >= 0:
        raise TypeError(f"{name} takes {wanted}, not {len(values)}")
    if not values:
        raise TypeError(f"{name} takes one at least")
    return float(function(*values))


def variables(text: str) -> list[str]:
    """The names of an expression that are no constants, in the order of the alphabet."""
    found = set()
    waiting = [parse(text)]
    while waiting:
        tree = waiting.pop()
        if isinstance(tree, str):
            found.add(tree)
        elif isinstance(tree, tuple):
            waiting += tree[2] if tree[0] == "call" else tree[1:]
    return sorted(found - set(CONSTANTS))


def shortened(tree: Any) -> Any:
    """The tree without what changes nothing: added zeros, factors of one, powers of one, signs undone."""
    if not isinstance(tree, tuple) or tree[0] == "call":
        return tree
    if tree[0] == "neg":
        inner = shortened(tree[1])
        if isinstance(inner, float):
            return -inner
        return inner[1] if isinstance(inner, tuple) and inner[0] == "neg" else ("neg", inner)
    sign, left, right = tree[0], shortened(tree[1]), shortened(tree[2])
    if isinstance(left, float) and isinstance(right, float) and not (sign in "/%" and right == 0):
        return value_of((sign, left, right), {})
    if sign == "*" and 0.0 in (left, right):
        return 0.0
    if (sign in "+-" and right == 0.0) or (sign in "*/^" and right == 1.0):
        return left
    if (sign == "+" and left == 0.0) or (sign == "*" and left == 1.0):
        return right
    return (sign, left, right)


def derivative(tree: Any, name: str) -> Any:
    """The derivative of a tree of + - * and powers of whole numbers, shortened."""
    if isinstance(tree, float):
        return 0.0
    if isinstance(tree, str):
        return 1.0 if tree == name else 0.0
    if tree[0] == "neg":
        return shortened(("neg", derivative(tree[1], name)))
    if tree[0] in ("+", "-"):
        return shortened((tree[0], derivative(tree[1], name), derivative(tree[2], name)))
    if tree[0] == "*":
        first = ("*", derivative(tree[1], name), tree[2])
        second = ("*", tree[1], derivative(tree[2], name))
        return shortened(("+", first, second))
    if tree[0] == "^" and isinstance(tree[2], float):
        power = ("*", tree[2], ("^", tree[1], tree[2] - 1))
        return shortened(("*", power, derivative(tree[1], name)))
    raise ValueError(f"no rule for {tree[0]}")


def written(tree: Any, least: int = 0) -> str:
    """The text of a tree, with no more brackets than it needs."""
    if isinstance(tree, float):
        return str(int(tree)) if tree == int(tree) else str(tree)
    if isinstance(tree, str):
        return tree
    if tree[0] == "call":
        return f"{tree[1]}({', '.join(written(inner) for inner in tree[2])})"
    if tree[0] == "neg":
        text, binds = f"-{written(tree[1], UNARY)}", UNARY
    else:
        binds = PRECEDENCE[tree[0]]
        right_first = tree[0] == "^"
        left = written(tree[1], binds + right_first)
        right = written(tree[2], binds + (not right_first))
        text = f"{left} {tree[0]} {right}"
    return f"({text})" if binds < least else text
