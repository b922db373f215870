"""A calibration as one page: reliability before and after, group by group, and what labels of a new policy give."""

from pathlib import Path

from swe_rm.calibration_report import Calibrating
from swe_rm.metrics import N_BINS
from swe_rm.page import figure, html_table, page, safe
from swe_rm.pages.bins import reliability_picture
from swe_rm.pages.cited import cited, counted
from swe_rm.plot import legend


def write_calibration(found: Calibrating, path: Path) -> None:
    """Write the page; it needs nothing from elsewhere, and names that come from files are escaped."""
    sections = [
        f"<h1>{safe(found.verifier)}</h1>",
        f'<p class="verdict">{safe(found)}.</p>',
        f'<div class="plots">{_reliability(found)}</div>',
        _sides(found),
        _groups(found),
        _new_policies(found) if found.labels_needed else "",
    ]
    path.write_text(page(f"Calibration of {found.fitted_for}", sections), encoding="utf-8")


def _reliability(found: Calibrating) -> str:
    about = f"{found}. Every score is calibrated by a map that saw no attempt at its task."
    series = {"before": ("raw", found.before.bins), "after": ("verifier", found.after.bins)}
    rows = [
        [f"{i / N_BINS:.1f} to {(i + 1) / N_BINS:.1f}", *(cell for side in series for cell in _bin(found, side, i))]
        for i in range(N_BINS)
    ]
    headings = [f"{what} {side}" for side in series for what in ("resolved", "unresolved", "mean score")]
    return figure(
        "Reliability before and after",
        reliability_picture(list(series.values()), about, found.after.bins),
        about="Numbers above the frame: attempts in the bin, after. On the dotted line a score means what it says.",
        legend=legend({"after": "verifier", "before": "raw", "perfectly calibrated": "chance"}),
        numbers=html_table("Attempts in ten bins of equal width", ["score", *headings], rows),
    )


def _bin(found: Calibrating, side: str, place: int) -> list[str]:
    one = getattr(found, side).bins[place]
    return [
        counted(one.n_resolved, side, "bins", place, "n_resolved"),
        counted(one.n_unresolved, side, "bins", place, "n_unresolved"),
        cited(one.mean_score, side, "bins", place, "mean_score"),
    ]


def _sides(found: Calibrating) -> str:
    rows = [
        [side, *(cited(getattr(getattr(found, side), name), side, name) for name in ("ece", "brier", "noise_floor"))]
        for side in ("before", "after")
    ]
    return html_table("Figures, out of fold by task", ["", "ECE", "Brier loss", "ECE from chance alone"], rows)


def _groups(found: Calibrating) -> str:
    rows = [
        [
            safe(name),
            counted(group.n, "groups", name, "n"),
            cited(group.base_rate, "groups", name, "base_rate"),
            "yes" if group.has_own_map else "no",
            cited(group.ece_before, "groups", name, "ece_before"),
            cited(group.ece_after, "groups", name, "ece_after"),
        ]
        for name, group in sorted(found.groups.items(), key=lambda item: -item[1].n)
    ]
    what = found.per or "policy"
    headings = [what, "attempts", "base rate", "own map", "ECE before", "ECE after"]
    return f"<h2>By {what}</h2>{html_table(f'Each {what}, largest first', headings, rows)}"


def _new_policies(found: Calibrating) -> str:
    sizes = list(found.labels_needed[0].by_labels)
    rows = []
    for place, one in enumerate(found.labels_needed):
        at = ("labels_needed", place)
        spreads = [(one.before, (*at, "before")), *((one.by_labels[n], (*at, "by_labels", n)) for n in sizes)]
        means = [cited(spread.mean if spread else None, *place_of, "mean") for spread, place_of in spreads]
        rows.append([safe(one.policy), f"{one.n_tested:.0f}", *means, cited(one.noise_floor, *at, "noise_floor")])
    headings = ["policy", "tested on", "as it is", *(f"{size} labels" for size in sizes), "chance"]
    return (
        "<h2>A new policy</h2><p>ECE on tasks that nothing was fitted on, when the map is fitted on the other policies "
        "and so many labelled attempts of this one; the mean of 20 splits. A dash: too few attempts.</p>"
        f"{html_table('Each policy taken for new', headings, rows)}"
    )
