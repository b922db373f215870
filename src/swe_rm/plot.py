"""One plot as SVG: data coordinates in, a self-contained picture out, coloured by the page's classes."""

import re
from collections.abc import Iterable, Mapping, Sequence

from swe_rm.page import safe

_WIDTH, _HEIGHT = 420, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 26, 46
"""Pixels of a plot and of its margins; the top one holds a row of counts."""

_GLYPH = 7.5
"""Pixels of a digit, at most: a label that would leave the picture on the right is moved into it."""

Point = tuple[float, float]


class Axes:
    """One plot under construction: data coordinates in, SVG out. Its title is for those who cannot see it."""

    def __init__(self, title: str, x: Point, y: Point, x_label: str, y_label: str) -> None:
        self.title = title
        self._x, self._y = x, y
        middle = (_TOP + _HEIGHT - _BOTTOM) / 2
        self._parts = [
            f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{safe(x_label)}</text>',
            f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{safe(y_label)}</text>',
        ]

    def at(self, x: float, y: float) -> Point:
        """Pixels of a point."""
        across = (x - self._x[0]) / (self._x[1] - self._x[0])
        up = (y - self._y[0]) / (self._y[1] - self._y[0])
        return (
            round(_LEFT + across * (_WIDTH - _LEFT - _RIGHT), 1),
            round(_HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM), 1),
        )

    def ticks(self, xs: Mapping[float, str], ys: Mapping[float, str]) -> None:
        """Labels below and left, with a faint line for each y."""
        for x, label in xs.items():
            left, bottom = self.at(x, self._y[0])
            left = min(left, _WIDTH - _GLYPH * len(label) / 2)
            self._parts.append(f'<text x="{left}" y="{bottom + 16}" text-anchor="middle">{label}</text>')
        for y, label in ys.items():
            left, height = self.at(self._x[0], y)
            self._parts.append(f'<line class="grid" x1="{left}" y1="{height}" x2="{_WIDTH - _RIGHT}" y2="{height}"/>')
            self._parts.append(f'<text x="{left - 6}" y="{height + 4}" text-anchor="end">{label}</text>')

    def counts(self, counted: Mapping[float, int]) -> None:
        """A row of counts above the frame."""
        for x, n in counted.items():
            left, _ = self.at(x, self._y[0])
            self._parts.append(f'<text class="count" x="{left}" y="{_TOP - 10}" text-anchor="middle">{n}</text>')

    def line(self, points: Iterable[Point], css: str) -> None:
        """A line through points; those that a reader could not tell from the last one drawn are left out."""
        kept: list[Point] = []
        drawn = [self.at(*point) for point in points]
        for x, y in drawn:
            if not kept or abs(x - kept[-1][0]) >= _STEP or abs(y - kept[-1][1]) >= _STEP or (x, y) == drawn[-1]:
                kept.append((x, y))
        path = " ".join(f"{x},{y}" for x, y in kept)
        self._parts.append(f'<polyline class="line {css}" points="{path}"/>')

    def band(self, low: Sequence[Point], high: Sequence[Point], css: str) -> None:
        """The area between two lines."""
        path = " ".join(f"{x},{y}" for x, y in (self.at(*point) for point in [*low, *reversed(high)]))
        self._parts.append(f'<polygon class="band {css}" points="{path}"/>')

    def dot(self, x: float, y: float, css: str, about: str) -> None:
        """A point that tells its figures when pointed at."""
        left, height = self.at(x, y)
        self._parts.append(f'<circle class="{css}" cx="{left}" cy="{height}" r="3.6"><title>{about}</title></circle>')

    def bar(self, x: Point, y: float, css: str, about: str) -> None:
        """A bar from the axis up."""
        (left, top), (right, bottom) = self.at(x[0], y), self.at(x[1], self._y[0])
        size = f'width="{right - left:.1f}" height="{bottom - top:.1f}"'
        self._parts.append(f'<rect class="{css}" x="{left}" y="{top}" {size}><title>{about}</title></rect>')

    def svg(self, about: str = "", name: str = "") -> str:
        """The whole plot; `about` is what it shows, in words, for those who cannot see it.

        `name` tells plots of one title on one page apart.
        """
        name = re.sub(r"\W+", "-", f"{self.title} {name}".strip().lower())
        told = f'<title id="{name}-title">{safe(self.title)}</title><desc id="{name}-desc">{safe(about)}</desc>'
        role = f'role="img" aria-labelledby="{name}-title" aria-describedby="{name}-desc"'
        return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" {role}>{told}{"".join(self._parts)}</svg>'


_STEP = 0.5
"""Pixels: a curve of 16,000 attempts has as many corners, and a reader sees a thousand."""


def legend(lines: Mapping[str, str], areas: Mapping[str, str] | None = None) -> str:
    """What lines and areas mean: label -> css class; labels are text."""
    swatches = {label: f'<polyline class="line {css}" points="0,5 28,5"/>' for label, css in lines.items()}
    swatches |= {label: f'<rect class="{css}" x="9" width="10" height="10"/>' for label, css in (areas or {}).items()}
    entries = (
        f'<li><svg viewBox="0 0 28 10" aria-hidden="true">{drawn}</svg>{safe(label)}</li>'
        for label, drawn in swatches.items()
    )
    return f'<ul class="legend">{"".join(entries)}</ul>'


SHARES = {share / 5: f"{share / 5:.1f}" for share in range(6)}
"""Ticks from 0 to 1."""


def short(n: int) -> str:
    """A whole number that fits beside an axis."""
    for unit, name in ((10**9, "G"), (10**6, "M"), (1000, "k")):
        if n >= 10 * unit or (n >= unit and n % unit == 0):
            return f"{n / unit:g}{name}"
    return f"{n:,}"


def round_step(most: int) -> int:
    """The smallest of 1, 2, 5, 10, 20 ... four of which reach `most`."""
    power = 1
    while True:
        for part in (1, 2, 5):
            if 4 * part * power >= most:
                return part * power
        power *= 10
