"""Templates: ``{name}``, ``{name|filter}``, ``{name.key}``, ``{% for x in xs %}`` and ``{% if x %}`` with else."""

import re
from collections.abc import Mapping
from typing import Any

PIECE = re.compile(r"(\{%.*?%\}|\{\{|\}\}|\{[^{}%]*\})")

FILTERS = {
    "upper": str.upper,
    "lower": str.lower,
    "title": str.title,
    "trim": str.strip,
    "size": lambda value: str(len(value)),
}


class TemplateError(ValueError):
    """A template that cannot be filled."""


def fill(template: str, values: Mapping[str, Any]) -> str:
    """The template with values in the places of names."""
    pieces = PIECE.split(template)
    text, at = block(pieces, 0, dict(values), True)
    if at < len(pieces):
        raise TemplateError(f"unexpected {pieces[at]}")
    return text


def block(pieces: list[str], at: int, values: dict[str, Any], shown: bool) -> tuple[str, int]:
    """The text up to the end of a block, and where that end is; nothing is looked up when it is not shown."""
    found: list[str] = []
    while at < len(pieces):
        piece = pieces[at]
        if piece.startswith("{%"):
            words = piece[2:-2].split()
            if words and words[0] in ("end", "else"):
                break
            text, at = statement(words, pieces, at + 1, values, shown)
            found.append(text)
        else:
            if piece in ("{{", "}}"):
                found.append(piece[0])
            elif piece.startswith("{"):
                found.append(lookup(piece[1:-1], values) if shown else "")
            else:
                found.append(piece)
            at += 1
    return ("".join(found) if shown else ""), at


def statement(words: list[str], pieces: list[str], at: int, values: dict[str, Any], shown: bool) -> tuple[str, int]:
    """The text of a loop or a condition that begins before `at`, and where it goes on."""
    if len(words) == 4 and words[0] == "for" and words[2] == "in":
        items = raw(words[3], values) if shown else []
        parts = [block(pieces, at, {**values, words[1]: item}, True)[0] for item in items]
        end = block(pieces, at, values, False)[1]
        return "".join(parts), closed(pieces, end)
    if words and words[0] == "if" and len(words) in (2, 3):
        negated = words[1] == "not"
        if negated != (len(words) == 3):
            raise TemplateError(f"not a condition: {' '.join(words)}")
        holds = shown and bool(raw(words[-1], values)) != negated
        text, end = block(pieces, at, values, holds)
        if end < len(pieces) and pieces[end].strip("{% }") == "else":
            other, end = block(pieces, end + 1, values, shown and not holds)
            text += other
        return text, closed(pieces, end)
    raise TemplateError(f"no such statement: {' '.join(words)}")


def closed(pieces: list[str], at: int) -> int:
    """Where it goes on behind the end of a block."""
    if at >= len(pieces) or pieces[at].strip("{% }") != "end":
        raise TemplateError("a block is not ended")
    return at + 1


def raw(path: str, values: Mapping[str, Any]) -> Any:
    """The value of a name, or of a name within another."""
    found: Any = values
    for name in path.split("."):
        if isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        elif isinstance(found, Mapping) and name in found:
            found = found[name]
        else:
            raise TemplateError(f"no such name: {path}")
    return found


def lookup(text: str, values: Mapping[str, Any]) -> str:
    """The text of a name with its filters; ``or`` gives what is shown when there is no such name."""
    path, *filters = [part.strip() for part in text.split("|")]
    value: Any = ""
    default = [one[3:].strip() for one in filters if one.startswith("or ")]
    try:
        value = raw(path, values)
    except TemplateError:
        if not default:
            raise
        value = default[0]
    for name in filters:
        if name.startswith("or "):
            continue
        if name not in FILTERS:
            raise TemplateError(f"no such filter: {name}")
        value = FILTERS[name](value if name == "size" else str(value))
    return str(value)
