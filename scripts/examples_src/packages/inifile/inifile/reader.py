"""Text to sections: one pass over the lines, values as they are written."""

import re

from .errors import ParseError

Sections = dict[str, dict[str, str]]

_SECTION = re.compile(r"\[([^\[\]]+)\]")
_QUOTES = "\"'"
_COMMENTS = "#;"


def read_sections(text: str) -> Sections:
    """The sections of ``text`` in order; raises ParseError."""
    sections: Sections = {}
    current: dict[str, str] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        line = strip_comment(line).strip()
        if not line:
            continue
        header = _SECTION.fullmatch(line)
        if header:
            current = sections.setdefault(header.group(1).strip(), {})
        elif current is None:
            raise ParseError(f"{number}: a value before the first section")
        else:
            key, value = _split(line, number)
            current[key] = value
    return sections


def strip_comment(line: str) -> str:
    """``line`` up to a ``#`` or ``;`` that starts it or follows a blank."""
    quote = ""
    for index, char in enumerate(line):
        if quote:
            if char == quote:
                quote = ""
        elif char in _QUOTES:
            quote = char
        elif char in _COMMENTS and (index == 0 or line[index - 1].isspace()):
            return line[:index]
    return line


def unquote(value: str) -> str:
    """``value`` without a pair of equal quotes around it."""
    if len(value) >= 2 and value[0] in _QUOTES and value[0] == value[-1]:
        return value[1:-1]
    return value


def _split(line: str, number: int) -> tuple[str, str]:
    match = re.match(r"([^=:]+)[=:](.*)", line)
    if match is None:
        raise ParseError(f"{number}: neither a section nor a value: {line!r}")
    return match.group(1).strip().lower(), unquote(match.group(2).strip())
