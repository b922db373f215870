"""An Inspection as one self-contained HTML page with pictures: the pile's shape, and every finding with its cases."""

from collections.abc import Mapping, Sequence
from math import log10
from pathlib import Path

from swe_rm.inspection import Inspection, Run
from swe_rm.inspection.findings import Finding, findings, remarks, shown
from swe_rm.inspection_report import facts, headline
from swe_rm.page import UNDEFINED, figure, html_table, page, safe
from swe_rm.plot import SHARES, Axes, round_step, short

MAX_CASES = 200
"""Cases of a finding the page spells out; the JSON has all."""


def write_page(found: Inspection, path: str | Path) -> None:
    """Write the inspection as one page that needs nothing from elsewhere; whatever files said is escaped."""
    listed = findings(found)
    sections = [
        f"<h1>{safe(headline(found))}</h1>",
        _findings_section(listed),
        "<ul>" + "".join(f"<li>{safe(remark)}</li>" for remark in remarks(found)) + "</ul>",
        f'<h2>Pictures</h2><div class="plots">{"".join(_plots(found))}</div>',
        "<h2>The pile</h2>",
        html_table("The pile as a whole", ["what", "value"], [[*map(safe, fact)] for fact in facts(found).items()]),
        _runs_section(found.runs),
        "<h2>Every finding</h2>",
        *map(_cases_section, listed),
    ]
    Path(path).write_text(page("What is in the pile", sections), encoding="utf-8")


def _findings_section(listed: Sequence[Finding]) -> str:
    if not listed:
        return '<p class="good verdict">Nothing suspicious was found.</p>'
    rows = [
        [
            f"<b>{finding.key}</b><br><small>{safe(finding.about)}</small>",
            f"{finding.n:,} of {finding.of:,} {finding.unit}",
            f"{finding.n / finding.of:.2%}" if finding.of else UNDEFINED,
            "<br>".join(_source(name, *part) for name, part in list(finding.by_source.items())[:_SOURCES]),
        ]
        for finding in listed
    ]
    table = html_table("Findings", ["finding", "how many", "share", "most in"], rows)
    return f"<h2>What to know before using it</h2>{table}"


_SOURCES = 4


def _source(name: str, n: int, of: int) -> str:
    share = f" ({n / of:.1%})" if of else ""
    return f"{safe(name)}: {n:,}{share}"


def _runs_section(runs: Sequence[Run]) -> str:
    headings = [
        "policy and source",
        "attempts",
        "tasks",
        "positive",
        "characters",
        "messages",
        "no patch",
        "gold-equal",
    ]
    rows = [
        [
            f"{safe(run.policy)}<br><small>{safe(run.source)}</small>",
            f"{run.tally.n:,}",
            f"{run.n_tasks:,}",
            _percent(run.tally.positive_rate),
            _count(run.median_characters),
            _count(run.median_messages),
            f"{run.n_without_patch:,}",
            _percent(run.n_gold_equal / run.n_gold_known if run.n_gold_known else None),
        ]
        for run in sorted(runs, key=lambda run: -run.tally.n)
    ]
    return f"<h2>Policies and sources</h2>{html_table('Runs, largest first; lengths are medians', headings, rows)}"


def _percent(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.1%}"


def _count(value: int | None) -> str:
    return UNDEFINED if value is None else f"{value:,}"


def _cases_section(finding: Finding) -> str:
    cases = shown(finding.cases, MAX_CASES)
    lines = "".join(f"<li>{safe(case)}</li>" for case in cases)
    left = len(finding.cases) - len(cases)
    more = f"<p>{left:,} more are in the JSON of <code>swe-rm inspect --json</code>.</p>" if left else ""
    summary = f"{finding.key} ({finding.n:,}): {safe(finding.about)}"
    return f'<details><summary>{summary}</summary><ul class="cases">{lines}</ul>{more}</details>'


# --- plots -----------------------------------------------------------------------------------------------------------


def _plots(found: Inspection) -> list[str]:
    plots = []
    if found.attempts_per_task:
        plots.append(_bars("Attempts per task", "attempts at a task", "tasks", found.attempts_per_task))
    if found.characters:
        plots.append(_quantiles("Length of logs", "characters", found.characters))
        plots.append(_quantiles("Length of logs", "messages", found.messages))
    if any(run.tally.positive_rate is not None for run in found.runs):
        plots.append(_rates(found.runs))
    return plots


def _bars(title: str, x_label: str, y_label: str, counted: Mapping[int, int]) -> str:
    """Counts by a whole number, in at most 24 bars."""
    first, last = min(counted), max(counted)
    width = (last - first) // _MAX_BARS + 1
    bars = [
        (left, sum(n for x, n in counted.items() if left <= x < left + width)) for left in range(first, last + 1, width)
    ]
    step = round_step(max(n for _, n in bars))
    end = bars[-1][0] + width
    axes = Axes(title, (first, end), (0, 4 * step), x_label, y_label)
    every = -(-len(bars) // 8)
    axes.ticks(
        {left + width / 2: str(left) for left, _ in bars[::every]},
        {part * step: short(part * step) for part in range(5)},
    )
    for left, n in bars:
        last_of = left + width - 1
        where = str(left) if width == 1 else f"{left} to {last_of}"
        axes.bar((left + 0.1 * width, left + 0.9 * width), n, "verifier", f"{where}: {n:,} {y_label}")
    return figure(axes.title, axes.svg())


_MAX_BARS = 24


def _quantiles(title: str, unit: str, quantiles: Mapping[int, int]) -> str:
    """Powers of ten upwards, percent of the logs across."""
    top = len(str(max(quantiles.values())))
    bottom = len(str(max(1, min(quantiles.values())))) - 1
    axes = Axes(f"{title} in {unit}", (0, 100), (bottom, max(top, bottom + 1)), "percent of the logs are shorter", unit)
    axes.ticks(
        {float(percent): str(percent) for percent in range(0, 101, 25)},
        {float(power): short(10**power) for power in range(bottom, top + 1)},
    )
    points = [(float(percent), _log10(value)) for percent, value in quantiles.items()]
    axes.line(points, "verifier")
    for (percent, height), value in zip(points, quantiles.values(), strict=True):
        axes.dot(percent, max(height, bottom), "verifier", f"{percent:.0f}%: {value:,} {unit}")
    return figure(axes.title, axes.svg())


def _log10(value: int) -> float:
    return log10(max(1, value))


def _rates(runs: Sequence[Run]) -> str:
    """One dot a run: how many attempts, and which share of them resolved."""
    known = [(run, run.tally.positive_rate) for run in runs if run.tally.positive_rate is not None]
    top = len(str(max(run.tally.n for run, _ in known)))
    axes = Axes("Positive rate of each policy in a source", (0, top), (0, 1), "attempts", "share resolved")
    axes.ticks(
        {float(power): short(10**power) for power in range(top + 1)},
        SHARES,
    )
    for run, rate in known:
        about = f"{safe(run.source)} / {safe(run.policy)}: {rate:.1%} of {run.tally.n:,}"
        axes.dot(_log10(run.tally.n), rate or 0.0, "verifier", about)
    return figure(axes.title, axes.svg())
