"""A Report for people: a terminal table, and one self-contained HTML page with plots."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swe_rm.evaluate import Bin, Report
from swe_rm.figures import Curve, Metrics
from swe_rm.metrics import N_BINS
from swe_rm.page import UNDEFINED, decimals, html_table, page, safe
from swe_rm.plot import Axes, round_step
from swe_rm.printable import printable
from swe_rm.report_summary import SHOWN_K, slices_table, summary
from swe_rm.slices import Slice
from swe_rm.trajectory import Outcome
from swe_rm.verdict import Candidate, Ranking

_ROWS = {
    "auc_same_policy_task": "the headline: pairs of one policy at one task, ½ is chance",
    "auc_upset": "pairs of one task won by the weaker policy",
    "auc_within_policy": "AUC inside each policy, size-weighted",
    "auc_within_task": "pairs of one task",
    "auc": "all attempts pooled: knowing the policy earns much of it",
    "average_precision": "area under precision and recall; the base rate is chance",
    "ece": "calibration error, 10 bins of equal width; lower is better",
    "ece_mass": "the same, 10 bins of equal mass",
    "brier": "mean squared error of the score; lower is better",
    "base_rate": "share of resolved attempts",
}
_CURVES = {
    "rm_at_k": "resolve rate of the best-scored of K at a task",
    "rm_at_k_same_policy": "the same among one policy's attempts at a task",
}


# --- terminal --------------------------------------------------------------------------------------------------------


def document(report: Report) -> dict[str, Any]:
    """The JSON of a report, ready for orjson: the attempts stand on one line, however the rest is indented."""
    import orjson

    whole = report.to_json()
    return {**whole, "measured": orjson.Fragment(orjson.dumps(whole["measured"]))}


def print_report(report: Report, console: Console) -> None:
    """Print in words what must be known first, then the figures. Warnings are the caller's to print."""
    console.print(Text(report.headline, style="green" if report.beats_chance else "yellow"))
    for pitfall in report.pitfalls:
        console.print(Text(printable(f"- {pitfall}"), style="yellow"))
    console.print(metrics_table(report))
    for line in summary(report):
        console.print(Text(printable(line)))
    console.print(slices_table(report))


def metrics_table(report: Report) -> Table:
    """Every headline figure with its interval, and each control beside it; fits 80 columns."""
    title = Text(printable(_title(report)))
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("", no_wrap=True)
    for heading in ("over", "value", "95%", *(_NARROW.get(control, control) for control in report.controls)):
        table.add_column(heading, justify="right")
    for key in _keys(report):
        cells = [decimals(_value(report.metrics, key)), _bounds(report, key, "{:.2f}-{:.2f}"), *_beside(report, key)]
        table.add_row(key, _basis(report, key).partition(" ")[0], *cells)
    return table


_NARROW = {
    "constant": "con-\nstant",
    "shortest": "short-\nest",
    "policy_prior": "policy\nprior",
    "task_prior": "task\nprior",
}


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
    return form.format(*bounds) if bounds else UNDEFINED


def _beside(report: Report, key: str) -> list[str]:
    """The controls' figures."""
    return [decimals(_value(control, key)) for control in report.controls.values()]


# --- HTML ------------------------------------------------------------------------------------------------------------


def write_html(report: Report, path: str | Path) -> None:
    """Write the report as one page that needs nothing from elsewhere, readable in light and dark.

    Names of tasks, policies and attempts come from files nobody vouches for and are escaped.
    """
    Path(path).write_text(_page(report), encoding="utf-8")


def _page(report: Report) -> str:
    sections = [
        f"<h1>{safe(_title(report))}</h1>",
        f'<p class="{"good" if report.beats_chance else "bad"} verdict">{safe(report.headline)}</p>',
        *(f'<p class="warning">{safe(line)}</p>' for line in (*report.pitfalls, *report.warnings)),
        _metrics_section(report),
        f'<h2>Plots</h2><div class="plots">{_plots(report)}</div>{_CURVES_NOTE}',
        "<h2>By part of the pool</h2>",
        *(_slice_section(name, slices) for name, slices in report.slices.items()),
        _ranking_section(report),
    ]
    return page(_title(report), sections)


def _metrics_section(report: Report) -> str:
    rows = []
    for key in _keys(report):
        name, _, k = key.partition(".")
        basis, about = _basis(report, key), (_ROWS | _CURVES)[name] if k in ("", "1") else ""
        label = f"<b>{key}</b>{f' ({basis})' if basis else ''}{f'<br><small>{about}</small>' if about else ''}"
        value, bounds = decimals(_value(report.metrics, key)), _bounds(report, key, "{:.3f} to {:.3f}")
        rows.append([label, value, bounds, *_beside(report, key)])
    headings = ["", "verifier", "95% interval", *(f"<i>{safe(name)}</i>" for name in report.controls)]
    cost, floor = report.cost, decimals(report.ece_noise_floor)
    tokens = UNDEFINED if cost.prompt_tokens is None else f"{cost.prompt_tokens:,}"
    seconds = UNDEFINED if cost.seconds is None else f"{cost.seconds:,.1f}"
    return (
        "<h2>Figures, and what knows nothing or everything beside them</h2>"
        f"{html_table(headings, rows)}{_CONTROLS_NOTE}"
        f"<p>A perfectly calibrated verifier with these scores would show an ECE of {floor} from chance alone. "
        f"Prompt tokens: {tokens}. Seconds: {seconds}. Policy names: {report.policy}.</p>"
    )


def _slice_section(name: str, slices: Mapping[str, Slice]) -> str:
    ordered = sorted(slices.items(), key=lambda item: -item[1].n)
    rows = [
        [safe(value), str(part.n), *map(decimals, (part.base_rate, part.mean_score, part.auc, part.ece))]
        for value, part in ordered
    ]
    table = html_table([name, "attempts", "base rate", "mean score", "AUC", "ECE"], rows)
    return f"<details{' open' if name == 'policy' else ''}><summary>{name} ({len(rows)})</summary>{table}</details>"


def _ranking_section(report: Report) -> str:
    shown = "".join(_task_section(ranking, report.outcomes) for ranking in report.rankings)
    left = report.n_ranked - len(report.rankings)
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
        who = f"{safe(candidate.policy)} / {safe(candidate.attempt)}"
        return [who, str(candidate.rank), decimals(candidate.score), badge]

    best = [outcomes[c.attempt_id] for c in ranking.candidates if c.rank == 1]
    everyone = [outcomes[c.attempt_id] for c in ranking.candidates]
    n_resolved = everyone.count(Outcome.RESOLVED)
    first = (
        f"first choice {best[0]}"
        if len(best) == 1
        else f"{best.count(Outcome.RESOLVED)} of {len(best)} tied first resolved"
    )
    summary = f"{safe(ranking.instance_id)}: {first}; {n_resolved} of {len(everyone)} resolved"
    table = html_table(["policy / attempt", "rank", "score", "outcome"], map(row, ranking.candidates))
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
    axes = Axes("Reliability", (0, 1), (0, 1), "score (attempts in each bin above)", "share resolved")
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
    step = round_step(most)
    axes = Axes("Scores by outcome", (0, 1), (0, 4 * step), "score", "attempts")
    axes.ticks(_SHARES, {step * part: str(step * part) for part in range(5)})
    axes.legend({"resolved": "good", "unresolved": "bad"})
    for number, found in enumerate(bins):
        left, middle, right = ((number + part) / N_BINS for part in (0.08, 0.5, 0.92))
        axes.bar((left, middle), found.n_unresolved, "bad", f"{found.n_unresolved} unresolved")
        axes.bar((middle, right), found.n_resolved, "good", f"{found.n_resolved} resolved")
    return axes.svg()


def _curve_plot(report: Report, suffix: str, title: str, counted: Mapping[int, int]) -> str:
    largest = max(counted)
    axes = Axes(title, (1, max(2, largest)), (0, 1), "K (groups with at least K attempts above)", "resolve rate")
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
