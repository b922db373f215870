"""An audit as one page: the alarm or its absence, AUC and calibration over time with their bands, scores that moved."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from swe_rm.audit import Audited, Point
from swe_rm.audit_report import remarks
from swe_rm.drift import Block
from swe_rm.page import figure, html_table, page, safe
from swe_rm.pages.cited import cited, counted, spanned
from swe_rm.plot import SHARES, Axes, legend
from swe_rm.resampling import Interval

MAX_PSI = 0.5
"""Top of the plot of score drift unless a block goes further."""


def write_audit(found: Audited, path: Path) -> None:
    """Write the page; it needs nothing from elsewhere, and names that come from files are escaped."""
    name = found.verifier or "verifier"
    sections = [
        f"<h1>{safe(name)} in use</h1>",
        f'<p class="{"bad" if found.alarms else "good"} verdict">{safe(found.headline)}</p>',
        "<ul>" + "".join(f"<li>{safe(line)}</li>" for line in remarks(found)) + "</ul>",
        _alarms(found) if found.alarms else "",
        f'<div class="plots">{_over_time(found)}{_scores(found.blocks)}</div>',
    ]
    path.write_text(page(f"Audit of {name}", sections), encoding="utf-8")


def _alarms(found: Audited) -> str:
    rows = [
        [
            counted(alarm.n_outcomes, "alarms", place, "n_outcomes"),
            counted(alarm.verdict, "alarms", place, "verdict"),
            counted(alarm.stretch, "alarms", place, "stretch"),
            cited(alarm.auc, "alarms", place, "auc"),
        ]
        for place, alarm in enumerate(found.alarms)
    ]
    headings = ["at outcome", "of verdict", "over the last", "AUC there"]
    return f"<h2>Alarms</h2>{html_table('After each the test starts anew', headings, rows)}"


def _over_time(found: Audited) -> str:
    if not found.points:
        return "<p>Too few outcomes for a curve: a point is drawn every 50 outcomes.</p>"
    was = found.watching.reference_auc if found.watching else None
    lows = [value for point in found.points for value in (point.auc, *(point.auc_interval or ())) if value is not None]
    bottom = 0.0 if min(lows, default=0.0) < 0.5 else 0.5
    return _curve(found, "AUC", (bottom, 1.0), lambda p: (p.auc, p.auc_interval, was)) + _curve(
        found, "ECE", (0.0, 0.5), lambda p: (p.ece, p.ece_interval, p.ece_noise_floor)
    )


Told = Callable[[Point], tuple[float | None, Interval | None, float | None]]
"""A figure at a point, its interval, and what to hold it against."""


def _curve(found: Audited, title: str, between: tuple[float, float], told: Told) -> str:
    """A figure over the outcomes, with its band, a line to hold it against, and the alarms."""
    points = found.points
    first, last = points[0].n_outcomes, max(points[-1].n_outcomes, points[0].n_outcomes + 1)
    axes = Axes(f"{title} over time", (first, last), between, "outcomes so far", title)
    shown = [points[round(part / 4 * (len(points) - 1))].n_outcomes for part in range(5)]
    low, high = between
    ys = [low + share * (high - low) for share in SHARES]
    axes.ticks({float(n): f"{n:,}" for n in shown}, {y: f"{y:.2f}" for y in ys})
    against = [(p.n_outcomes, level) for p in points if (level := told(p)[2]) is not None]
    axes.line(against, "chance")
    bands = [(p.n_outcomes, np.clip(bounds, low, high)) for p in points if (bounds := told(p)[1])]
    axes.band([(n, float(end[0])) for n, end in bands], [(n, float(end[1])) for n, end in bands], "verifier")
    known = [(p.n_outcomes, float(np.clip(value, low, high))) for p in points if (value := told(p)[0]) is not None]
    axes.line(known, "verifier")
    for n, value in known:
        axes.dot(n, value, "verifier", f"outcome {n}: {value:.3f}")
    for alarm in found.alarms:
        if first <= alarm.n_outcomes <= last:
            axes.line([(alarm.n_outcomes, low), (alarm.n_outcomes, high)], "policy")
    said = f"From {known[0][1]:.3f} to {known[-1][1]:.3f}; {len(found.alarms)} alarms." if known else "Undefined."
    beside = "of the reference" if title == "AUC" else "from chance alone"
    return figure(
        axes.title,
        axes.svg(said),
        about=f"Each point is over the last {points[-1].n} outcomes, the band is 95%.",
        legend=legend({title: "verifier", beside: "chance"} | ({"alarm": "policy"} if found.alarms else {})),
        numbers=_numbers(found, title, told),
    )


def _numbers(found: Audited, title: str, told: Told) -> str:
    key = title.lower()
    rows = [
        [
            counted(point.n_outcomes, "points", place, "n_outcomes"),
            counted(point.verdict, "points", place, "verdict"),
            cited(told(point)[0], "points", place, key),
            spanned(told(point)[1], "points", place, f"{key}_interval"),
            cited(point.base_rate, "points", place, "base_rate"),
            cited(point.mean_score, "points", place, "mean_score"),
        ]
        for place, point in enumerate(found.points)
    ]
    return html_table(f"{title} over time", ["outcome", "verdict", title, "95%", "resolved", "mean score"], rows)


def _scores(blocks: Sequence[Block]) -> str:
    if not blocks:
        return "<p>Too few verdicts to compare their scores with the reference's.</p>"
    top = max(MAX_PSI, *(block.psi for block in blocks))
    first, last = blocks[0].until, max(blocks[-1].until, blocks[0].until + 1)
    axes = Axes("Scores against the reference", (first, last), (0, top), "verdicts so far", "PSI")
    axes.ticks(
        {float(n): f"{n:,}" for n in (first, (first + last) // 2)},
        {share * top: f"{share * top:.2f}" for share in SHARES},
    )
    axes.line([(first, 0.2), (last, 0.2)], "chance")
    axes.line([(block.until, block.psi) for block in blocks], "verifier")
    for block in blocks:
        axes.dot(block.until, block.psi, "bad" if block.has_moved else "verifier", f"PSI {block.psi:.3f}")
    rows = [
        [
            counted(block.until, "blocks", place, "until"),
            cited(block.mean_score, "blocks", place, "mean_score"),
            cited(block.psi, "blocks", place, "psi"),
            cited(block.ks, "blocks", place, "ks"),
            cited(block.ks_limit, "blocks", place, "ks_limit"),
            "yes" if block.has_moved else "no",
        ]
        for place, block in enumerate(blocks)
    ]
    return figure(
        axes.title,
        axes.svg(f"{sum(block.has_moved for block in blocks)} of {len(blocks)} blocks have moved."),
        about=f"{blocks[0].n:,} verdicts at a time, no outcome needed. Moved: from 0.2 on, and beyond chance.",
        legend=legend({"population stability index": "verifier", "a shift to act on": "chance"}),
        numbers=html_table(
            "Scores block by block", ["verdict", "mean score", "PSI", "KS", "KS by chance", "moved"], rows
        ),
    )
