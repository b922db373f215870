"""Curves over K, over thresholds and over coverage, as figures with their numbers beside them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from swe_rm.evaluate import Report
from swe_rm.metrics import Flags, Floats, roc_curve
from swe_rm.page import figure, html_table
from swe_rm.pages.cited import cited, counted, spanned
from swe_rm.plot import SHARES, Axes, legend
from swe_rm.resampling import Interval


class Line(NamedTuple):
    """One line of a plot over K."""

    label: str
    css: str
    values: Mapping[int, float]
    bounds: Mapping[int, Interval | None]
    """95% intervals, drawn as a band."""


MIN_GROUPS = 10
"""A K that fewer groups have is in the table and not drawn: the curve would be about those few."""
AMONG = {"": "RM@K", "_same_policy": "RM@K among one policy's attempts"}
"""The two curves over K, by the end of their names."""
GROUPS = {"": "tasks", "_same_policy": "groups of one policy at one task"}
_CONTROLS = {
    "policy_prior": ("policy prior", "policy"),
    "task_prior": ("task prior", "task"),
    "shortest": ("shortest", "shortest"),
}
"""Controls drawn beside the verifier, with their labels and classes; constant is the random pick."""


def rm_at_k(report: Report, suffix: str) -> str:
    """The resolve rate of the best-scored of K, with its band, between a random pick and the oracle."""
    figures, controls = report.metrics, report.controls
    counts = report.n_cells_at_k if suffix else figures.n_tasks_at_k
    lines = [
        Line("oracle (pass@K)", "oracle", getattr(figures, f"pass_at_k{suffix}"), {}),
        *(
            Line(label, css, getattr(controls[name], f"rm_at_k{suffix}"), {})
            for name, (label, css) in _CONTROLS.items()
            if name in controls
        ),
        Line("random pick", "chance", getattr(figures, f"random_at_k{suffix}"), {}),
        Line(
            "verifier, with 95% interval",
            "verifier",
            getattr(figures, f"rm_at_k{suffix}"),
            {k: report.intervals.get(f"rm_at_k{suffix}.{k}") for k in counts},
        ),
    ]
    return figure(
        AMONG[suffix],
        over_k(AMONG[suffix], lines, counts),
        about=f"Numbers above the frame: {GROUPS[suffix]} with at least K attempts. Each K is over those, so a curve "
        f"may rise or fall because they change: <code>--k-max K</code> keeps them the same. A K that fewer than "
        f"{MIN_GROUPS} have is in the numbers only.",
        legend=legend({line.label: line.css for line in reversed(lines)}),
        numbers=_k_table(report, suffix, counts),
    )


def over_k(title: str, lines: Sequence[Line], counts: Mapping[int, int]) -> str:
    """The picture of such lines; the last one is drawn on top. `counts`: K -> groups it is over."""
    largest = max((k for k, n in counts.items() if n >= MIN_GROUPS), default=max(counts, default=1))
    axes = Axes(title, (1, max(2, largest)), (0, 1), "K", "resolve rate")
    step = math.ceil(largest / 8)
    shown = [1, *range(step if step > 1 else 2, largest + 1, step)]
    axes.ticks({float(k): str(k) for k in shown}, SHARES)
    axes.counts({k: counts[k] for k in shown if k in counts})
    for line in lines:
        drawn = {k: value for k, value in line.values.items() if k <= largest}
        known = [(k, pair) for k, pair in line.bounds.items() if pair and k <= largest]
        axes.band([(k, low) for k, (low, _) in known], [(k, high) for k, (_, high) in known], line.css)
        axes.line(drawn.items(), line.css)
        for k, value in drawn.items() if line.bounds else ():
            axes.dot(k, value, line.css, f"K={k}: {value:.3f} over {counts.get(k, 0)}")
    last = [f"{line.label} {line.values[largest]:.3f}" for line in lines if largest in line.values]
    return axes.svg(f"At K = {largest}: {', '.join(last)}. Every K stands in the table below the figure.")


def _k_table(report: Report, suffix: str, counts: Mapping[int, int]) -> str:
    rm, top, random = (f"{name}_at_k{suffix}" for name in ("rm", "pass", "random"))
    gap = f"gap_recovered{suffix}"
    rows = [
        [
            str(k),
            counted(n, "n_cells_at_k" if suffix else "n_tasks_at_k", k),
            cited(getattr(report.metrics, rm)[k], rm, k),
            spanned(report.intervals.get(f"{rm}.{k}"), "intervals", f"{rm}.{k}"),
            cited(getattr(report.metrics, random)[k], random, k),
            *(cited(getattr(report.controls[c], rm)[k], "controls", c, rm, k) for c in _drawn(report)),
            cited(getattr(report.metrics, top)[k], top, k),
            cited(getattr(report.metrics, gap)[k], gap, k, form=".0%"),
            spanned(report.intervals.get(f"{gap}.{k}"), "intervals", f"{gap}.{k}", form=".0%"),
        ]
        for k, n in counts.items()
    ]
    drawn = [_CONTROLS[c][0] for c in _drawn(report)]
    headings = ["K", "groups", "verifier", "95%", "random", *drawn, "oracle", "gap recovered", "95%"]
    return html_table(f"{AMONG[suffix]}; the gap is what the oracle adds to a random pick", headings, rows)


def _drawn(report: Report) -> list[str]:
    return [name for name in _CONTROLS if name in report.controls]


# --- ROC -------------------------------------------------------------------------------------------------------------


def roc_picture(curves: Iterable[tuple[str, Floats, Flags]], about: str) -> str:
    """Curves of (css, scores, resolved) above the diagonal of chance. Shapes (n,)."""
    axes = Axes("ROC", (0, 1), (0, 1), "share of unresolved attempts accepted", "share of resolved accepted")
    axes.ticks(SHARES, SHARES)
    axes.line([(0, 0), (1, 1)], "chance")
    for css, scores, resolved in curves:
        if resolved.any() and not resolved.all():
            axes.line([(float(x), float(y)) for x, y in roc_curve(scores, resolved)], css)
    return axes.svg(about)


def roc(report: Report, scores: Floats, resolved: Flags) -> str:
    """The pooled ROC curve, and beside its area what it owes to recognising policies and tasks. Shapes (n,)."""
    rows = [
        ["verifier", cited(report.metrics.auc, "auc"), spanned(report.intervals.get("auc"), "intervals", "auc")],
        *([label, cited(report.controls[c].auc, "controls", c, "auc"), ""] for c, (label, _) in _told(report)),
    ]
    auc = "undefined" if report.metrics.auc is None else f"{report.metrics.auc:.3f}"
    return figure(
        "ROC",
        roc_picture([("verifier", scores, resolved)], f"The area under the curve is {auc}; chance is 0.5."),
        about="All attempts pooled: what it shows may be whose attempt it is, or at which task. See the priors.",
        legend=legend({"verifier": "verifier", "chance": "chance"}),
        numbers=html_table("Area under the curve", ["scores", "AUC", "95%"], rows),
    )


def _told(report: Report) -> list[tuple[str, tuple[str, str]]]:
    return [(name, _CONTROLS[name]) for name in _drawn(report)]


# --- rejection -------------------------------------------------------------------------------------------------------


def rejection(report: Report) -> str:
    """What resolves of what is accepted, when only the best-scored share is."""
    found = report.rejection
    if found is None:
        return ""
    axes = Axes("Rejection curve", (0, 100), (0, 1), "per cent accepted, best scores first", "share resolved")
    axes.ticks({float(share): str(share) for share in range(0, 101, 20)}, SHARES)
    base = report.metrics.base_rate or 0.0
    axes.line([(0, base), (100, base)], "chance")
    curves: dict[str, tuple[str, Mapping[int, float]]] = {
        "each task's best-scored attempt": ("task", found.tasks),
        "attempts": ("verifier", found.attempts),
    }
    for label, (css, curve) in curves.items():
        axes.line([(float(share), value) for share, value in curve.items()], css)
        for share, value in curve.items() if css == "verifier" else ():
            axes.dot(float(share), value, css, f"{label}, {share}% accepted: {value:.3f}")
    rows = [
        [
            f"{share}%",
            cited(value, "rejection", "attempts", share),
            cited(found.tasks[share], "rejection", "tasks", share),
        ]
        for share, value in found.attempts.items()
    ]
    lines = {label: css for label, (css, _) in reversed(curves.items())}
    first, last = min(found.attempts), max(found.attempts)
    return figure(
        "Rejection curve",
        axes.svg(f"Of attempts {found.attempts[first]:.3f} at {first}% to {found.attempts[last]:.3f} at {last}%."),
        about="A useful score resolves more of what is accepted when less is.",
        legend=legend(lines | {"base rate": "chance"}),
        numbers=html_table("Share resolved of what is accepted", ["accepted", "attempts", "tasks"], rows),
    )
