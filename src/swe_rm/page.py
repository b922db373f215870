"""One self-contained HTML page, readable in light and dark: its style, its tables, and untrusted text made harmless."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from swe_rm.printable import printable


def page(title: str, sections: Iterable[str]) -> str:
    """The document around sections that are HTML already; the title is text."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += f"<title>{safe(title)}</title><style>\n{style}</style>"
    body = "\n".join(sections)
    return f"{HEAD}{head}</head>\n<body>\n{body}\n</body></html>\n"


HEAD = '<!doctype html>\n<html lang="en"><head><meta name="generator" content="swe-rm">'
"""How a page of ours begins: what begins otherwise is not overwritten by one."""


def safe(text: object) -> str:
    """Untrusted text as HTML text or attribute, on one line."""
    return html.escape(printable(str(text)))


def safe_lines(text: str) -> str:
    """Untrusted text of several lines as HTML text; what no terminal would show as text is a replacement mark."""
    return "\n".join(safe(line.expandtabs(4)) for line in text.split("\n"))


def html_table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], css: str = "") -> str:
    """A table of cells that are HTML already, in a box of its own that scrolls where it is too wide.

    The first cell of a row is its heading. A row of one cell is a heading over the rows that follow. The caption is
    text.
    """
    head = "".join(f'<th scope="col">{heading}</th>' if heading else "<td></td>" for heading in headings)
    body = "".join(_row(row, len(headings)) for row in rows)
    name = safe(caption)
    style = f' class="{css}"' if css else ""
    parts = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    table = f"<table{style}><caption><span>{name}</span></caption>{parts}</table>"
    return f'<div class="wide" role="region" aria-label="{name}" tabindex="0">{table}</div>'


def _row(cells: Sequence[str], width: int) -> str:
    first, *others = cells
    if not others:
        return f'<tr class="part"><th colspan="{width}" scope="colgroup"><span>{first}</span></th></tr>'
    return f'<tr><th scope="row">{first}</th>{"".join(map(_cell, others))}</tr>'


def _cell(cell: str) -> str:
    """A cell, unless the caller made one with classes of its own."""
    return cell if cell.startswith("<td") else f"<td>{cell}</td>"


def figure(title: str, picture: str, *, about: str = "", legend: str = "", numbers: str = "") -> str:
    """A picture with its title, what it shows, and its numbers as a table that opens; all HTML but the title."""
    note = f"<figcaption>{about}</figcaption>" if about else ""
    opened = f"<details><summary>Numbers: {safe(title)}</summary>{numbers}</details>" if numbers else ""
    return f"<figure><h3>{safe(title)}</h3>{picture}{legend}{note}{opened}</figure>"


UNDEFINED = "\N{EN DASH}"


def decimals(value: float | None) -> str:
    """A figure with three decimals; a dash where it is undefined."""
    return UNDEFINED if value is None else f"{value:.3f}"
