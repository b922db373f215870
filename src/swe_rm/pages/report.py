"""A Report as one self-contained HTML page: what must be known first, figures, plots, tables, and pages of attempts."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from swe_rm.evaluate import Report
from swe_rm.page import page, safe
from swe_rm.pages import bins, curves
from swe_rm.pages.attempts import bound
from swe_rm.pages.chosen import RULE, Choice
from swe_rm.pages.cited import cited, counted, spanned
from swe_rm.pages.rankings import heat_map, ranking_lists
from swe_rm.pages.tables import (
    CONTROLS_NOTE,
    calibration_words,
    cost_table,
    explained_table,
    figures_table,
    linked,
    marked,
    mistakes_table,
    readiness_table,
    slice_tables,
    unscored_table,
)
from swe_rm.report import title


def write_report(
    report: Report,
    path: str | Path,
    choices: Mapping[str, Choice] | None = None,
    sheets: Mapping[str, str] | None = None,
) -> None:
    """Write the report as one page that needs nothing from elsewhere, readable in light and dark.

    `sheets` are pages of attempts by attempt id, as `attempts.sheets` makes them of `choices`. Names of tasks, policies
    and attempts come from files nobody vouches for and are escaped.
    """
    Path(path).write_text(_page(report, choices or {}, sheets or {}), encoding="utf-8")


def _page(report: Report, choices: Mapping[str, Choice], sheets: Mapping[str, str]) -> str:
    sections = _sections(report, choices, sheets)
    links = "".join(f'<li><a href="#{name}">{heading}</a></li>' for name, (heading, body) in sections.items() if body)
    body = "".join(
        f'<section aria-labelledby="{name}"><h2 id="{name}">{heading}</h2>{body}</section>'
        for name, (heading, body) in sections.items()
        if body
    )
    return page(
        title(report),
        [
            '<a class="skip" href="#report">Skip to the report</a>',
            f"<header><h1>{safe(title(report))}</h1></header>",
            f'<main><div class="report" id="report" tabindex="-1">{_top(report)}',
            f'<nav aria-label="Contents"><ul>{links}</ul></nav>{_tiles(report)}{body}</div>',
            *bound(sheets),
            "</main>",
        ],
    )


def _sections(report: Report, choices: Mapping[str, Choice], sheets: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Heading and body of every section by the id of its heading; a section without a body is left out."""
    words = "".join(f"<li>{safe(line)}</li>" for line in report.readiness.in_words())
    return {
        "figures": ("Figures", figures_table(report) + CONTROLS_NOTE + calibration_words(report)),
        "plots": ("Plots", _plots(report)),
        "confounds": ("What the AUC is made of", explained_table(report)),
        "readiness": ("As an RL reward", f"<ul>{words}</ul>{readiness_table(report)}"),
        "wrong": ("Confident and wrong", mistakes_table(report, sheets)),
        "map": ("Tasks and attempts", heat_map(report, sheets)),
        "parts": ("Parts of the pool", slice_tables(report)),
        "unscored": ("Attempts without a verdict", unscored_table(report)),
        "cost": ("Cost", cost_table(report)),
        "lists": ("Attempts at each task, best first", ranking_lists(report, sheets)),
        "pages": ("Attempts with a page", _contents(choices, sheets)),
    }


def _top(report: Report) -> str:
    """What must be known before any figure is believed."""
    found = [f'<p class="verdict {"good" if report.beats_chance else "bad"}">{safe(report.headline)}</p>']
    if lines := [*report.pitfalls, *report.warnings]:
        found.append(f'<ul class="warnings">{"".join(f"<li>{safe(line)}</li>" for line in lines)}</ul>')
    found.append(f'<p class="note">{_POLICIES[report.policy]} {safe(report.unscored)}.</p>')
    return "".join(found)


_POLICIES = {
    "exact": "Policies are told apart by their exact names.",
    "family": "Configurations of a policy count as one policy.",
}


def _tiles(report: Report) -> str:
    """The few figures a reader looks for first."""
    figures, k = report.metrics, report.metrics.widest_k
    tiles = [
        (
            "AUC, same policy and task",
            cited(figures.auc_same_policy_task, "auc_same_policy_task"),
            f"95%: {spanned(report.intervals.get('auc_same_policy_task'), 'intervals', 'auc_same_policy_task')}",
        ),
        (
            "AUC, all attempts pooled",
            cited(figures.auc, "auc"),
            f"95%: {spanned(report.intervals.get('auc'), 'intervals', 'auc')}",
        ),
        (
            "ECE",
            cited(figures.ece, "ece"),
            f"{cited(report.ece_noise_floor, 'ece_noise_floor')} if perfectly calibrated",
        ),
        (
            "attempts",
            counted(figures.n_attempts, "n_attempts"),
            f"at {counted(figures.n_tasks, 'n_tasks')} tasks, {cited(figures.base_rate, 'base_rate')} resolved",
        ),
    ]
    if k > 1:
        random, best = (cited(getattr(figures, f"{name}_at_k")[k], f"{name}_at_k", k) for name in ("random", "pass"))
        rm = cited(figures.rm_at_k[k], "rm_at_k", k)
        gap = cited(figures.gap_recovered[k], "gap_recovered", k, form=".0%")
        tiles.insert(2, (f"RM@{k}", rm, f"random {random}, oracle {best}: {gap} of the gap"))
    drawn = "".join(f"<div><dt>{name}</dt><dd>{value}</dd><dd>{more}</dd></div>" for name, value, more in tiles)
    return f'<dl class="tiles">{drawn}</dl>'


def _plots(report: Report) -> str:
    if not report.metrics.n_attempts:
        return "<p>There is nothing to plot.</p>"
    scores, resolved = np.array(report.measured.scores), np.array(report.measured.resolved, dtype=np.bool_)
    drawn = [
        curves.rm_at_k(report, ""),
        curves.rm_at_k(report, "_same_policy") if 2 in report.n_cells_at_k else "",
        curves.roc(report, scores, resolved),
        bins.reliability(report),
        bins.histogram(report),
        curves.rejection(report),
    ]
    return f'<div class="plots">{"".join(drawn)}</div>'


def _contents(choices: Mapping[str, Choice], sheets: Collection[str]) -> str:
    """The attempts that have a page, and by what rule."""
    if not choices:
        return ""
    items = "".join(
        f"<li>{linked(id_, f'{one.instance_id}: {one.policy} / {one.attempt}', sheets)} {one.score:.3f}, "
        f"{marked(one.outcome)}</li>"
        for id_, one in choices.items()
    )
    lost = len(choices) - len(sheets)
    note = f"<p>{lost:,} of them could not be read a second time and have none.</p>" if lost else ""
    return f"<p>Chosen are {safe(RULE)}, <code>--pages N</code> in all.</p>{note}<ol>{items}</ol>"
