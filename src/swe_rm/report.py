"""A Report for people: a terminal table, and one self-contained HTML page with plots."""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swe_rm.evaluate import Bin, Report, Slice
from swe_rm.figures import Curve, Metrics
from swe_rm.metrics import N_BINS
from swe_rm.trajectory import Outcome
from swe_rm.verdict import Candidate, Ranking

SHOWN_K = (1, 2, 4, 8, 16, 32, 64, 128)
"""The K of the tables; plots have every K."""

MAX_TASKS = 500
"""Tasks whose ranking the page spells out; it says how many more there are."""

_ROWS = {
    "auc_same_policy_task": "the headline: pairs of one policy at one task, ½ is chance",
    "auc_upset": "pairs of one task won by the weaker policy",
    "auc_within_policy": "AUC inside each policy, size-weighted",
    "auc_within_task": "pairs of one task",
    "auc": "all attempts pooled: knowing the policy earns much of it",
    "ece": "calibration error, 10 bins; lower is better",
    "brier": "mean squared error of the score; lower is better",
    "base_rate": "share of resolved attempts",
}
_CURVES = {
    "rm_at_k": "resolve rate of the best-scored of K at a task",
    "rm_at_k_same_policy": "the same among one policy's attempts at a task",
}


# --- terminal --------------------------------------------------------------------------------------------------------


def print_report(report: Report, console: Console) -> None:
    """Print in words what the headline says, then the figures. Warnings are the caller's to print."""
    console.print(Text(report.headline, style="green" if report.beats_chance else "yellow"))
    console.print(metrics_table(report))
    console.print(Text(f"ECE of a perfectly calibrated verifier with these scores: {_number(report.ece_noise_floor)}"))


def metrics_table(report: Report) -> Table:
    """Every headline figure with its interval, and each control beside it; fits 80 columns."""
    title = Text(_printable(_title(report)))
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("", no_wrap=True)
    for heading in ("over", "value", "95%", *(_NARROW.get(control, control) for control in report.controls)):
        table.add_column(heading, justify="right")
    for key in _keys(report):
        cells = [_number(_value(report.metrics, key)), _bounds(report, key, "{:.2f}-{:.2f}"), *_beside(report, key)]
        table.add_row(key, _basis(report, key).partition(" ")[0], *cells)
    return table


_NARROW = {
    "constant": "con-\nstant",
    "shortest": "short-\nest",
    "policy_prior": "policy\nprior",
    "task_prior": "task\nprior",
}


def _printable(text: str) -> str:
    """Text that cannot move the cursor or colour a terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


# --- figures as text -------------------------------------------------------------------------------------------------


def _title(report: Report) -> str:
    figures = report.metrics
    return f"{figures.verifier or 'no verdict'} on {figures.n_attempts} attempts at {figures.n_tasks} tasks"


def _keys(report: Report) -> list[str]:
    """The metrics that tables show, curves as `rm_at_k.4`."""
    curves = [f"{name}.{k}" for name in _CURVES for k in SHOWN_K if k in getattr(report.metrics, name)]
    return [*_ROWS, *curves]


def _value(figures: Metrics, key: str) -> float | None:
    name, _, k = key.partition(".")
    value: float | Curve | None = getattr(figures, name)
    return value.get(int(k)) if isinstance(value, dict) else value


def _basis(report: Report, key: str) -> str:
    """What a figure rests on, where that is not the whole pool."""
    name, _, k = key.partition(".")
    counts = {
        "auc_same_policy_task": f"{report.metrics.n_pairs_same_policy_task} pairs",
        "auc_upset": f"{report.metrics.n_pairs_upset} pairs",
        "rm_at_k": f"{report.metrics.n_tasks_at_k.get(int(k or 0), 0)} tasks",
        "rm_at_k_same_policy": f"{report.n_cells_at_k.get(int(k or 0), 0)} groups",
    }
    return counts.get(name, "")


def _bounds(report: Report, key: str, form: str) -> str:
    bounds = report.intervals.get(key)
    return form.format(*bounds) if bounds else _UNDEFINED


def _beside(report: Report, key: str) -> list[str]:
    """The controls' figures."""
    return [_number(_value(control, key)) for control in report.controls.values()]


_UNDEFINED = "\N{EN DASH}"


def _number(value: float | None) -> str:
    return _UNDEFINED if value is None else f"{value:.3f}"


# --- HTML ------------------------------------------------------------------------------------------------------------


def write_html(report: Report, path: str | Path) -> None:
    """Write the report as one page that needs nothing from elsewhere, readable in light and dark.

    Names of tasks, policies and attempts come from files nobody vouches for and are escaped.
    """
    Path(path).write_text(_page(report), encoding="utf-8")


def _page(report: Report) -> str:
    sections = [
        f"<h1>{_safe(_title(report))}</h1>",
        f'<p class="{"good" if report.beats_chance else "bad"} verdict">{_safe(report.headline)}</p>',
        *(f'<p class="warning">{_safe(warning)}</p>' for warning in report.warnings),
        _metrics_section(report),
        f'<h2>Plots</h2><div class="plots">{_plots(report)}</div>{_CURVES_NOTE}',
        "<h2>By part of the pool</h2>",
        *(_slice_section(name, slices) for name, slices in report.slices.items()),
        _ranking_section(report.rankings, report.outcomes),
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += f"<title>{_safe(_title(report))}</title><style>{_STYLE}</style>"
    body = "\n".join(sections)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _safe(text: object) -> str:
    """Untrusted text as HTML text or attribute."""
    return html.escape(_printable(str(text)))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already; the first column is text, the others are figures."""
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _metrics_section(report: Report) -> str:
    rows = []
    for key in _keys(report):
        name, _, k = key.partition(".")
        basis, about = _basis(report, key), (_ROWS | _CURVES)[name] if k in ("", "1") else ""
        label = f"<b>{key}</b>{f' ({basis})' if basis else ''}{f'<br><small>{about}</small>' if about else ''}"
        value, bounds = _number(_value(report.metrics, key)), _bounds(report, key, "{:.3f} to {:.3f}")
        rows.append([label, value, bounds, *_beside(report, key)])
    headings = ["", "verifier", "95% interval", *(f"<i>{_safe(name)}</i>" for name in report.controls)]
    cost, floor = report.cost, _number(report.ece_noise_floor)
    tokens = _UNDEFINED if cost.prompt_tokens is None else f"{cost.prompt_tokens:,}"
    seconds = _UNDEFINED if cost.seconds is None else f"{cost.seconds:,.1f}"
    return (
        f"<h2>Figures, and what knows nothing or everything beside them</h2>{_table(headings, rows)}{_CONTROLS_NOTE}"
        f"<p>A perfectly calibrated verifier with these scores would show an ECE of {floor} from chance alone. "
        f"Prompt tokens: {tokens}. Seconds: {seconds}. Policy names: {report.policy}.</p>"
    )


def _slice_section(name: str, slices: Mapping[str, Slice]) -> str:
    ordered = sorted(slices.items(), key=lambda item: -item[1].n)
    rows = [
        [_safe(value), str(part.n), *map(_number, (part.base_rate, part.mean_score, part.auc, part.ece))]
        for value, part in ordered
    ]
    table = _table([name, "attempts", "base rate", "mean score", "AUC", "ECE"], rows)
    return f"<details{' open' if name == 'policy' else ''}><summary>{name} ({len(rows)})</summary>{table}</details>"


def _ranking_section(rankings: Sequence[Ranking], outcomes: Mapping[str, Outcome]) -> str:
    shown = "".join(_task_section(ranking, outcomes) for ranking in rankings[:MAX_TASKS])
    left = len(rankings) - MAX_TASKS
    more = (
        f"<p>{left} more tasks are not shown here; the JSON of <code>swe-rm rank</code> has them.</p>"
        if left > 0
        else ""
    )
    return f"<h2>Attempts at each task, best first</h2>{shown}{more}"


def _task_section(ranking: Ranking, outcomes: Mapping[str, Outcome]) -> str:
    def row(candidate: Candidate) -> list[str]:
        outcome = outcomes[candidate.attempt_id]
        badge = f'<span class="{_CLASS[outcome]}">{outcome}</span>'
        who = f"{_safe(candidate.policy)} / {_safe(candidate.attempt)}"
        return [who, str(candidate.rank), _number(candidate.score), badge]

    best = [outcomes[c.attempt_id] for c in ranking.candidates if c.rank == 1]
    everyone = [outcomes[c.attempt_id] for c in ranking.candidates]
    n_resolved = everyone.count(Outcome.RESOLVED)
    first = (
        f"first choice {best[0]}"
        if len(best) == 1
        else f"{best.count(Outcome.RESOLVED)} of {len(best)} tied first resolved"
    )
    summary = f"{_safe(ranking.instance_id)}: {first}; {n_resolved} of {len(everyone)} resolved"
    table = _table(["policy / attempt", "rank", "score", "outcome"], map(row, ranking.candidates))
    return f"<details><summary>{summary}</summary>{table}</details>"


_CLASS = {Outcome.RESOLVED: "good", Outcome.UNRESOLVED: "bad", Outcome.UNKNOWN: "unknown"}

_CURVES_NOTE = """<p><small>Each K is over the groups that have so many attempts, so a curve may rise or fall because
the tasks change: <code>--k-max K</code> keeps them the same.</small></p>"""

_CONTROLS_NOTE = """<p><small><b>constant</b>: 0.5 for all, so its RM@K is a random pick. <b>shortest</b>: fewest
characters. <b>policy_prior</b>: the policy's resolve rate on the other tasks, knowing only whose attempt it is.
<b>task_prior</b>: how the other policies fared at the task, knowing only its difficulty. <b>oracle</b>: the outcome
itself, so its RM@K is pass@K. A prior leaves the attempt's own task or policy out, which turns its order around where
that is all that varies: well below ½ in such a row it says nothing. Intervals: bootstrap by task.</small></p>"""


# --- plots -----------------------------------------------------------------------------------------------------------

_WIDTH, _HEIGHT = 420, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 44, 40
"""Pixels of a plot and of its margins; the top one holds the title and a row of counts."""


class _Axes:
    """One plot under construction: data coordinates in, SVG out."""

    def __init__(self, title: str, x: tuple[float, float], y: tuple[float, float], x_label: str, y_label: str) -> None:
        self._x, self._y = x, y
        middle = (_TOP + _HEIGHT - _BOTTOM) / 2
        self._parts = [
            f'<text class="title" x="{_LEFT}" y="16">{title}</text>',
            f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{x_label}</text>',
            f'<text transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">{y_label}</text>',
        ]

    def at(self, x: float, y: float) -> tuple[float, float]:
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
            self._parts.append(f'<text x="{left}" y="{bottom + 14}" text-anchor="middle">{label}</text>')
        for y, label in ys.items():
            left, height = self.at(self._x[0], y)
            self._parts.append(f'<line class="grid" x1="{left}" y1="{height}" x2="{_WIDTH - _RIGHT}" y2="{height}"/>')
            self._parts.append(f'<text x="{left - 5}" y="{height + 4}" text-anchor="end">{label}</text>')

    def counts(self, counted: Mapping[float, int]) -> None:
        """A row of counts above the frame."""
        for x, n in counted.items():
            left, _ = self.at(x, self._y[0])
            self._parts.append(f'<text class="count" x="{left}" y="{_TOP - 8}" text-anchor="middle">{n}</text>')

    def line(self, points: Iterable[tuple[float, float]], css: str) -> None:
        """A line through points."""
        path = " ".join(f"{x},{y}" for x, y in (self.at(*point) for point in points))
        self._parts.append(f'<polyline class="line {css}" points="{path}"/>')

    def band(self, low: Sequence[tuple[float, float]], high: Sequence[tuple[float, float]], css: str) -> None:
        """The area between two lines."""
        path = " ".join(f"{x},{y}" for x, y in (self.at(*point) for point in [*low, *reversed(high)]))
        self._parts.append(f'<polygon class="band {css}" points="{path}"/>')

    def dot(self, x: float, y: float, css: str, about: str) -> None:
        """A point that tells its figures when pointed at."""
        left, height = self.at(x, y)
        self._parts.append(f'<circle class="{css}" cx="{left}" cy="{height}" r="4"><title>{about}</title></circle>')

    def bar(self, x: tuple[float, float], y: float, css: str, about: str) -> None:
        """A bar from the axis up."""
        (left, top), (right, bottom) = self.at(x[0], y), self.at(x[1], self._y[0])
        size = f'width="{right - left:.1f}" height="{bottom - top:.1f}"'
        self._parts.append(f'<rect class="{css}" x="{left}" y="{top}" {size}><title>{about}</title></rect>')

    def legend(self, entries: Mapping[str, str]) -> None:
        """What the colours mean: label -> css class, in a row at the title's right."""
        right = _WIDTH - _RIGHT
        for label, css in reversed(list(entries.items())):
            right -= round(5.6 * len(label))
            box = f'<rect class="{css}" x="{right - 13}" y="7" width="10" height="10"/>'
            self._parts.append(f'{box}<text x="{right}" y="16">{label}</text>')
            right -= 22

    def svg(self) -> str:
        """The whole plot."""
        return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(self._parts)}</svg>'


def _plots(report: Report) -> str:
    if not report.metrics.n_attempts:
        return "<p>There is nothing to plot.</p>"
    return "".join(
        [
            _reliability_plot(report.bins),
            _histogram_plot(report.bins),
            _curve_plot(report, "", "RM@K", report.metrics.n_tasks_at_k),
            _curve_plot(report, "_same_policy", "RM@K in policy", report.n_cells_at_k),
        ]
    )


_SHARES = {share / 5: f"{share / 5:.1f}" for share in range(6)}


def _reliability_plot(bins: Sequence[Bin]) -> str:
    axes = _Axes("Reliability", (0, 1), (0, 1), "score (attempts in each bin above)", "share resolved")
    axes.ticks(_SHARES, _SHARES)
    axes.line([(0, 0), (1, 1)], "chance")
    axes.counts({(i + 0.5) / N_BINS: b.n_resolved + b.n_unresolved for i, b in enumerate(bins)})
    points = []
    for found in bins:
        if found.mean_score is not None:
            n = found.n_resolved + found.n_unresolved
            points.append((found.mean_score, found.n_resolved / n))
            about = f"mean score {points[-1][0]:.3f}, {found.n_resolved} of {n} resolved"
            axes.dot(*points[-1], "verifier", about)
    axes.line(points, "verifier")
    return axes.svg()


def _histogram_plot(bins: Sequence[Bin]) -> str:
    most = max(max(b.n_resolved, b.n_unresolved) for b in bins)
    step = next(part * 10**power for power in count() for part in (1, 2, 5) if 4 * part * 10**power >= most)
    axes = _Axes("Scores by outcome", (0, 1), (0, 4 * step), "score", "attempts")
    axes.ticks(_SHARES, {step * part: str(step * part) for part in range(5)})
    axes.legend({"resolved": "good", "unresolved": "bad"})
    for number, found in enumerate(bins):
        left, middle, right = ((number + part) / N_BINS for part in (0.08, 0.5, 0.92))
        axes.bar((left, middle), found.n_unresolved, "bad", f"{found.n_unresolved} unresolved")
        axes.bar((middle, right), found.n_resolved, "good", f"{found.n_resolved} resolved")
    return axes.svg()


def _curve_plot(report: Report, suffix: str, title: str, counted: Mapping[int, int]) -> str:
    largest = max(counted)
    axes = _Axes(title, (1, max(2, largest)), (0, 1), "K (groups with at least K attempts above)", "resolve rate")
    shown = range(1, largest + 1, math.ceil(largest / 8))
    axes.ticks({float(k): str(k) for k in shown}, _SHARES)
    axes.counts({k: counted[k] for k in shown})
    axes.legend({"oracle": "oracle", "verifier": "verifier", "policy": "policy", "random": "chance"})
    bounds = {k: report.intervals.get(f"rm_at_k{suffix}.{k}") for k in counted}
    known = [(k, pair) for k, pair in bounds.items() if pair]
    axes.band([(k, low) for k, (low, _) in known], [(k, high) for k, (_, high) in known], "verifier")
    figures, controls = report.metrics, report.controls
    for css, curve in {
        "oracle": getattr(figures, f"pass_at_k{suffix}"),
        "chance": getattr(controls["constant"], f"rm_at_k{suffix}"),
        "policy": getattr(controls["policy_prior"], f"rm_at_k{suffix}"),
        "verifier": getattr(figures, f"rm_at_k{suffix}"),
    }.items():
        axes.line(curve.items(), css)
    for k, value in getattr(figures, f"rm_at_k{suffix}").items():
        axes.dot(k, value, "verifier", f"K={k}: {value:.3f} over {counted[k]}")
    return axes.svg()


_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2128; --soft: #59636e; --rule: #d5dae0; --good: #1a6fb5;
  --bad: #b3530b; --verifier: #6f3fc0; --oracle: #1f7a4d; --policy: #b3530b; --chance: #7a828c; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181d; --ink: #e4e8ec; --soft: #9aa4af; --rule: #343c45;
  --good: #6db3f2; --bad: #f0a35e; --verifier: #b79bf5; --oracle: #63c394; --policy: #f0a35e; --chance: #8b949e; } }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; max-width: 68rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
small, summary::marker { color: var(--soft); }
.verdict { border-left: 4px solid; padding: .5rem .9rem; font-size: 1.05rem; }
.verdict.good, td .good { color: var(--good); } .verdict.bad, td .bad, .warning { color: var(--bad); }
td .unknown { color: var(--soft); }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: .6rem 0; }
th, td { border-bottom: 1px solid var(--rule); padding: .3rem .7rem; text-align: right; vertical-align: top; }
th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere; }
td { font-variant-numeric: tabular-nums; } th { color: var(--soft); font-weight: 600; }
td:nth-child(3), th:nth-child(3) { white-space: nowrap; }
summary { cursor: pointer; padding: .2rem 0; overflow-wrap: anywhere; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1.2rem; }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; } svg text { fill: var(--ink); }
svg .title { font-weight: 600; font-size: 13px; } svg .count { fill: var(--soft); font-size: 10px; }
.grid { stroke: var(--rule); } .line { fill: none; stroke-width: 2; } .band { opacity: .16; }
.line.verifier { stroke: var(--verifier); } .line.oracle { stroke: var(--oracle); }
.line.policy { stroke: var(--policy); stroke-dasharray: 5 4; }
.line.chance { stroke: var(--chance); stroke-dasharray: 2 4; }
circle.verifier, rect.verifier, polygon.verifier { fill: var(--verifier); } rect.oracle { fill: var(--oracle); }
rect.policy { fill: var(--policy); } rect.chance { fill: var(--chance); }
rect.good { fill: var(--good); } rect.bad { fill: var(--bad); }
"""
