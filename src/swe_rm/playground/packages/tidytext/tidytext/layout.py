"""Paragraphs and tables of a given width."""

from collections.abc import Sequence


def wrap(text: str, width: int, hanging: int = 0) -> list[str]:
    """The lines of a paragraph; all but the first begin with so many spaces. Words that are too long are cut."""
    if width <= hanging:
        raise ValueError("the width must be more than the indent")
    lines: list[str] = []
    line = ""
    for word in text.split():
        while True:
            room = width - (hanging if lines else 0)
            if not line:
                line, word = word[:room], word[room:]
            elif len(line) + 1 + len(word) <= room:
                line, word = f"{line} {word}", ""
            if not word:
                break
            lines.append(" " * (hanging if lines else 0) + line)
            line = ""
    if line:
        lines.append(" " * (hanging if lines else 0) + line)
    return lines


def indent(text: str, by: int, first: bool = True) -> str:
    """The text with spaces before each line that is not empty; not before the first if so asked."""
    lines = text.split("\n")
    return "\n".join(
        " " * by + line if line.strip() and (first or number > 0) else line for number, line in enumerate(lines)
    )


def common_indent(text: str) -> int:
    """The least number of spaces that lines begin with; empty lines do not count."""
    widths = [len(line) - len(line.lstrip(" ")) for line in text.split("\n") if line.strip()]
    return min(widths, default=0)


def aligned(text: str, width: int, how: str) -> str:
    """A cell filled up with spaces: ``left``, ``right`` or ``center``; too long a text is cut with a dot."""
    if len(text) > width:
        text = text[: width - 1] + "."
    left = width - len(text)
    if how == "right":
        return " " * left + text
    if how == "center":
        return " " * (left // 2) + text + " " * (left - left // 2)
    if how != "left":
        raise ValueError(f"no such alignment: {how}")
    return text + " " * left


def table(rows: Sequence[Sequence[object]], header: Sequence[str] = (), most: int = 20) -> list[str]:
    """Rows as lines with columns apart by two spaces; numbers stand to the right, columns are cut at `most`."""
    if not rows:
        return ["  ".join(header)] if header else []
    columns = max(len(row) for row in rows)
    cells = [[*map(str, row), *[""] * (columns - len(row))] for row in rows]
    head = [*header, *[""] * (columns - len(header))] if header else []
    shown = [head, *cells] if head else cells
    widths = [min(most, max(len(row[place]) for row in shown)) for place in range(columns)]
    sides = [
        "right" if all(isinstance(row[place], (int, float)) for row in rows if place < len(row)) else "left"
        for place in range(columns)
    ]
    lines = ["  ".join(map(aligned, row, widths, sides)).rstrip() for row in shown]
    if head:
        lines.insert(1, "  ".join("-" * width for width in widths))
    return lines


def columns(items: Sequence[str], width: int) -> list[str]:
    """Items in as many columns of equal width as fit, going down before going right."""
    if not items:
        return []
    widest = max(len(item) for item in items)
    count = max(1, (width + 2) // (widest + 2))
    height = -(-len(items) // count)
    lines = []
    for row in range(height):
        lines.append("  ".join(item.ljust(widest) for item in items[row::height]).rstrip())
    return lines
