"""A Comparison as one self-contained HTML page: who is better, if that is known, and all verifiers drawn together."""

from pathlib import Path

from swe_rm.compare import Comparison, Contest
from swe_rm.comparison_report import (
    CONTROLS,
    HEADINGS_4,
    TITLE_4,
    figures_of,
    keys,
    not_shown,
    rows_of_table_4,
    value_of,
    words,
)
from swe_rm.evaluate import bins_of
from swe_rm.page import UNDEFINED, decimals, figure, html_table, page, safe
from swe_rm.pages.bins import reliability_picture
from swe_rm.pages.cited import cited, spanned
from swe_rm.pages.curves import AMONG, GROUPS, Line, over_k, roc_picture
from swe_rm.plot import legend
from swe_rm.published import TABLE_4_SOURCE

MAX_DRAWN = 6
"""Verifiers that are drawn: more lines cannot be told apart. The tables have all."""


def write_comparison(found: Comparison, path: str | Path) -> None:
    """Write the comparison as one page that needs nothing from elsewhere; names are escaped."""
    names = ", ".join(figures_of(found))
    title = f"{names} on {found.n_attempts} common attempts at {found.n_tasks} tasks" if found.rows else names
    headings = {
        "standings": ("What must be known first", _standings(found)),
        "contests": ("Who is better", _contests(found)),
        "plots": ("Plots", _plots(found)),
        "figures": ("Figures", _figures(found)),
        "table-4": ("Table 4", _table_4(found)),
    }
    sections = {name: one for name, one in headings.items() if one[1]}
    links = "".join(f'<li><a href="#{name}">{heading}</a></li>' for name, (heading, _) in sections.items())
    body = "".join(
        f'<section aria-labelledby="{name}"><h2 id="{name}">{heading}</h2>{told}</section>'
        for name, (heading, told) in sections.items()
    )
    head = f'<a class="skip" href="#main">Skip to the comparison</a><header><h1>{safe(title)}</h1></header>'
    nav = f'<nav aria-label="Contents"><ul>{links}</ul></nav>'
    whole = page(title, [head, f'<main id="main">{nav}{body}</main>'])
    Path(path).write_text(whole, encoding="utf-8")


def _standings(found: Comparison) -> str:
    """Each verifier's headline, and how its attempts without a verdict count."""
    return "".join(
        f'<p class="{_CLASSES[one.beats_chance]}"><b>{safe(one.verifier)}</b>: {safe(one.headline)}<br>'
        f"<small>{safe(one.counting)}.</small></p>"
        for one in found.standings
    )


_CLASSES = {True: "verdict good", False: "verdict bad", None: "verdict"}


def _contests(found: Comparison) -> str:
    lines = "".join(f"<p>{safe(line.strip())}</p>" for line in words(found) if not line.startswith(("-", "    ")))
    rows = []
    for place, contest in enumerate(found.contests):
        rows.append([f"<b>{safe(contest.figure)}</b>: {safe(_verdict(contest))}"])
        rows += [
            [
                f"over {safe(margin.other)}",
                cited(margin.difference, "contests", place, "margins", other, "difference", form="+.3f"),
                spanned(margin.interval, "contests", place, "margins", other, "interval", form="+.3f"),
                cited(margin.detectable, "contests", place, "margins", other, "detectable"),
            ]
            for other, margin in enumerate(contest.margins)
        ]
    caption = "The lead of the best, paired; detectable: the smallest difference this pool would show"
    return lines + (html_table(caption, ["", "lead", "95% interval", "detectable"], rows) if rows else "")


def _verdict(contest: Contest) -> str:
    if contest.winner:
        return f"{contest.winner} wins"
    ahead = any(margin.difference for margin in contest.margins)
    return f"no significant winner{f'; ahead is {contest.best}' if ahead else ''}"


# --- plots -----------------------------------------------------------------------------------------------------------


def _plots(found: Comparison) -> str:
    if not found.rows:
        return ""
    rows = found.rows[:MAX_DRAWN]
    css = {row.name: f"v{number}" for number, row in enumerate(rows, 1)}
    key = legend(css | {"chance": "chance"})
    left = len(found.rows) - len(rows)
    note = f"<p>{left} more verifiers are in the tables only.</p>" if left else ""
    aucs = ", ".join(f"{row.name} {decimals(row.figures.auc)}" for row in rows)
    eces = ", ".join(f"{row.name} {decimals(row.figures.ece)}" for row in rows)
    drawn = [
        _over_k(found, ""),
        _over_k(found, "_same_policy"),
        figure(
            "ROC",
            roc_picture(((css[row.name], row.scores, row.resolved) for row in rows), f"AUC: {aucs}."),
            about="All common attempts pooled; the areas stand in the table below.",
            legend=key,
        ),
        figure(
            "Reliability",
            reliability_picture([(css[r.name], bins_of(r.resolved, r.scores)) for r in rows], f"ECE: {eces}."),
            about="Ten bins of equal width; the errors stand in the table below.",
            legend=legend(css | {"perfectly calibrated": "chance"}),
        ),
    ]
    return f'<div class="plots">{"".join(drawn)}</div>{note}'


def _over_k(found: Comparison, suffix: str) -> str:
    rows = found.rows[:MAX_DRAWN]
    figures, name = rows[0].figures, f"rm_at_k{suffix}"
    ends = [
        Line("oracle (pass@K)", "oracle", getattr(figures, f"pass_at_k{suffix}"), {}),
        Line("random pick", "chance", getattr(figures, f"random_at_k{suffix}"), {}),
    ]
    lines = [
        Line(row.name, f"v{number}", getattr(row.figures, name), {k: row.intervals.get(f"{name}.{k}") for k in ks})
        for number, row in enumerate(rows, 1)
        for ks in [getattr(row.figures, name)]
    ]
    counts = found.n_cells_at_k if suffix else figures.n_tasks_at_k
    table = [
        [str(k), *(cited(getattr(r.figures, name).get(k), "figures", r.name, name, k) for r in found.rows)]
        for k in getattr(figures, name)
    ]
    return figure(
        AMONG[suffix],
        over_k(AMONG[suffix], [*ends, *lines], counts),
        about=f"Numbers above the frame: {GROUPS[suffix]} with at least K attempts. Bands are 95% intervals of each "
        "alone: whether two differ is said above, by the interval of their difference.",
        legend=legend({line.label: line.css for line in (*lines, *ends)}),
        numbers=html_table(AMONG[suffix], ["K", *(safe(row.name) for row in found.rows)], table),
    )


# --- tables ----------------------------------------------------------------------------------------------------------


def _figures(found: Comparison) -> str:
    intervals = {row.name: row.intervals for row in found.rows}
    rows = []
    for key in keys(found):
        cells = []
        for name, figures in figures_of(found).items():
            place = ("figures", name) if name in intervals else ("apart", name)
            bounds = intervals.get(name, {}).get(key)
            told = f"<br><small>{spanned(bounds, *place, 'intervals', key)}</small>" if bounds else ""
            cells.append(_cell(figures, key, *place) + told)
        beside = (_cell(one.to_json(), key, "controls", name) for name, one in found.controls.items())
        rows.append([f"<b>{key}</b>", *cells, *beside])
    caption = "Figures with 95% intervals, on the common attempts where they are paired; beside them the controls"
    headings = ["figure", *map(safe, figures_of(found)), *(CONTROLS[name] for name in found.controls)]
    return html_table(caption, headings, rows)


def _cell(figures: dict[str, object], key: str, *place: str) -> str:
    """A figure; a plain dash where its document has no such key."""
    keys = key.split(".")
    return cited(value_of(figures, key), *place, *keys) if keys[0] in figures else UNDEFINED


def _table_4(found: Comparison) -> str:
    rows = [
        [safe(row)] if isinstance(row, str) else [safe(row.name), *map(safe, row.cells)]
        for row in rows_of_table_4(found.alone)
    ]
    left = f"<p>{safe(not_shown(found.alone))}</p>" if found.alone else ""
    return (
        html_table(TITLE_4, ["verifier", *HEADINGS_4[1:]], rows)
        + f'{left}<p class="note">EF: execution-free. EB: execution-based. Published: {safe(TABLE_4_SOURCE)}.</p>'
    )
