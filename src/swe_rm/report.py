"""A Report as a terminal table and as JSON, and the figures that tables of it show; `pages` draws it."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swe_rm.evaluate import Report
from swe_rm.figures import Curve, Metrics
from swe_rm.page import UNDEFINED, decimals
from swe_rm.printable import printable
from swe_rm.report_summary import SHOWN_K, slices_table, summary

ABOUT = {
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
"""The figures of a table, and what each is."""
CURVES = {
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
    table = Table(
        title=Text(printable(title(report))), title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False
    )
    table.add_column("", no_wrap=True)
    for heading in ("over", "value", "95%", *(_NARROW.get(control, control) for control in report.controls)):
        table.add_column(heading, justify="right")
    for key in keys(report):
        beside = [decimals(value_of(control, key)) for control in report.controls.values()]
        value = decimals(value_of(report.metrics, key))
        table.add_row(key, basis(report, key).partition(" ")[0], value, _bounds(report, key), *beside)
    return table


_NARROW = {
    "constant": "con-\nstant",
    "shortest": "short-\nest",
    "policy_prior": "policy\nprior",
    "task_prior": "task\nprior",
}


# --- figures as text -------------------------------------------------------------------------------------------------


def title(report: Report) -> str:
    """Who was measured on what."""
    figures = report.metrics
    return f"{figures.verifier or 'no verdict'} on {figures.n_attempts} attempts at {figures.n_tasks} tasks"


def keys(report: Report) -> list[str]:
    """The metrics that tables show, curves as `rm_at_k.4`."""
    curves = [f"{name}.{k}" for name in CURVES for k in SHOWN_K if k in getattr(report.metrics, name)]
    return [*ABOUT, *curves]


def value_of(figures: Metrics, key: str) -> float | None:
    """The figure of a key that `keys` gave."""
    name, _, k = key.partition(".")
    value: float | Curve | None = getattr(figures, name)
    return value.get(int(k)) if isinstance(value, dict) else value


def basis(report: Report, key: str) -> str:
    """What a figure rests on, where that is not the whole pool."""
    name, _, k = key.partition(".")
    counts = {
        "auc_same_policy_task": f"{report.metrics.n_pairs_same_policy_task} pairs",
        "auc_upset": f"{report.metrics.n_pairs_upset} pairs",
        "rm_at_k": f"{report.metrics.n_tasks_at_k.get(int(k or 0), 0)} tasks",
        "rm_at_k_same_policy": f"{report.n_cells_at_k.get(int(k or 0), 0)} groups",
    }
    return counts.get(name, "")


def _bounds(report: Report, key: str) -> str:
    bounds = report.intervals.get(key)
    return "{:.2f}-{:.2f}".format(*bounds) if bounds else UNDEFINED
