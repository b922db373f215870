"""A plot keeps what it draws inside its frame."""

import re

from swe_rm.plot import Axes


def test_the_last_label_stays_inside_the_picture() -> None:
    axes = Axes("Outcomes", (50, 12_000), (0, 1), "outcomes", "AUC")
    axes.ticks({50.0: "50", 6_000.0: "6,000", 12_000.0: "12,000"}, {})
    drawn = axes.svg()
    (width,) = re.findall(r'viewBox="0 0 (\d+)', drawn)
    places = re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="middle">([\d,]+)</text>', drawn)
    assert [label for _, label in places] == ["50", "6,000", "12,000"]
    assert all(float(x) + 3.5 * len(label) <= float(width) for x, label in places)
