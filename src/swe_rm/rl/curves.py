"""Learning curves of the arms with bands, a panel for what is trained on and one for each held-out split."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from swe_rm.page import safe
from swe_rm.plot import Axes, round_step, short
from swe_rm.rl.outcome import ArmsOutcome
from swe_rm.rl.runs import BATCHES

MAX_DRAWN = 6
"""Arms that are drawn: more lines cannot be told apart. The tables have all."""
PANELS = {
    BATCHES: "training attempts",
    "held_out_tasks": "held-out tasks",
    "held_out_packages": "held-out packages",
}
"""Split -> its title."""
_PANEL = (420, 300)
"""Pixels of a plot of `Axes`."""
_TITLE, _LEGEND, _MARGIN = 24, 26, 58.0
"""Pixels above the panels, of a row below them, and left of its first word."""
_GLYPH = 7.5
"""Pixels of a letter, at most."""
_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b2027; --rule: #d6dce2; --v1: #6a3ab8; --v2: #a1480a;
  --v3: #1b7045; --v4: #a52a74; --v5: #155fa0; --v6: #6b6a12; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181d; --ink: #e4e8ec; --rule: #37404a; --v1: #b79bf5;
  --v2: #f0a35e; --v3: #63c394; --v4: #ee8fc4; --v5: #6db3f2; --v6: #c9c860; } }
text { fill: var(--ink); font: 13px system-ui, sans-serif; } .title { font-weight: 600; } .paper { fill: var(--paper); }
.grid { stroke: var(--rule); } .line { fill: none; stroke-width: 2.2; } .band { opacity: .14; }
.v2.line { stroke-dasharray: 7 4; } .v3.line { stroke-dasharray: 2 3; } .v4.line { stroke-dasharray: 9 3 2 3; }
.v5.line { stroke-dasharray: 12 4; } .v6.line { stroke-dasharray: 4 2 1 2 1 2; }
"""
"""Of a picture by itself; on a page `page.css` says the same."""


class Panel(NamedTuple):
    """One plot."""

    split: str
    title: str
    axes: Axes


def classes(found: ArmsOutcome) -> dict[str, str]:
    """Arm -> the class of its line, of those that are drawn."""
    return {arm: f"v{number}" for number, arm in enumerate(list(found.arms)[:MAX_DRAWN], 1)}


def panels(found: ArmsOutcome) -> list[Panel]:
    """A plot for each split that an arm has."""
    return [
        Panel(split, title, _axes(found, split, title))
        for split, title in PANELS.items()
        if any(split in arm.splits for arm in found.arms.values())
    ]


def _axes(found: ArmsOutcome, split: str, title: str) -> Axes:
    drawn = {name: found.arms[name].splits[split] for name in classes(found) if split in found.arms[name].splits}
    end = max((part.trained_on[-1] for part in drawn.values()), default=1)
    top = _top(found)
    axes = Axes(title, (0, end), (0, top), "attempts trained on", "% resolved, mean of seeds")
    step = round_step(end)
    parts = 5 if round(top * 10) % 2 else round(top * 5)
    axes.ticks(
        {float(x): short(x) for x in range(0, end + 1, step)},
        {top * tick / parts: f"{100 * top * tick / parts:.0f}" for tick in range(parts + 1)},
    )
    for name, part in drawn.items():
        css = classes(found)[name]
        bounds = [(x, one.interval) for x, one in zip(part.trained_on, part.curve, strict=True)]
        low, high = ([(x, ends[side]) for x, ends in bounds if ends] for side in (0, 1))
        if len(low) > 1:
            axes.band(low, [(x, min(y, top)) for x, y in high], css)
        axes.line(
            [(x, one.value) for x, one in zip(part.trained_on, part.curve, strict=True) if one.value is not None], css
        )
    return axes


def _top(found: ArmsOutcome) -> float:
    """The end of all y axes: the first tenth above all means and the ends of their bands, or 1."""
    highest = max(
        (max(one.value or 0, one.interval[1] if one.interval else 0)
         for name in classes(found) for split, part in found.arms[name].splits.items() if split in PANELS
         for one in part.curve),
        default=1.0,
    )  # fmt: skip
    return min(1.0, max(0.1, math.ceil(10 * highest - 1e-9) / 10))


def draw(found: ArmsOutcome, file: Path) -> None:
    """Write all panels as one picture that needs no page."""
    width, height = _PANEL
    drawn, css = panels(found), classes(found)
    across = width * len(drawn)
    key, rows = _key(css, across, _TITLE + height)
    down = _TITLE + height + rows * _LEGEND
    parts = [f'<rect class="paper" width="{across}" height="{down}"/>']
    for place, panel in enumerate(drawn):
        left = place * width
        inner = f'<svg x="{left}" y="{_TITLE}" width="{width}" height="{height}" '
        title = f'<text class="title" x="{left + width / 2}" y="18" text-anchor="middle">{safe(panel.title)}</text>'
        parts += [title, panel.axes.svg().replace("<svg ", inner, 1)]
    colours = " ".join(
        f".{name}.line {{ stroke: var(--{name}); }} .band.{name} {{ fill: var(--{name}); }}" for name in css.values()
    )
    size = f'width="{across}" height="{down}" viewBox="0 0 {across} {down}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{_STYLE}{colours}\n</style>'
    file.write_text("\n".join([head, *parts, *key, "</svg>"]) + "\n", encoding="utf-8")


def _key(css: Mapping[str, str], across: int, top: int) -> tuple[list[str], int]:
    """What the lines mean, below the panels, and in how many rows it stands."""
    parts = []
    left, row = _MARGIN, 0
    for arm, name in css.items():
        wide = 34 + _GLYPH * len(arm) + 24
        if left > _MARGIN and left + wide > across:
            left, row = _MARGIN, row + 1
        bottom = top + row * _LEGEND + 16
        parts.append(f'<polyline class="line {name}" points="{left},{bottom - 4} {left + 28},{bottom - 4}"/>')
        parts.append(f'<text x="{left + 34}" y="{bottom}">{safe(arm)}</text>')
        left += wide
    return parts, row + 1
