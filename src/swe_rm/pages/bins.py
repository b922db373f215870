"""What the ten calibration bins hold, as figures: reliability before and after calibration, scores by outcome."""

from collections.abc import Sequence

from swe_rm.evaluate import Bin, Report
from swe_rm.metrics import N_BINS
from swe_rm.page import decimals, figure, html_table
from swe_rm.pages.cited import cited, counted
from swe_rm.plot import SHARES, Axes, Point, legend, round_step, short


def reliability(report: Report) -> str:
    """Share resolved against mean score in each bin; before calibration too, where it moved anything."""
    before = report.uncalibrated
    series = [("verifier", "verifier", report.bins)]
    if before:
        series = [("before calibration", "raw", before.bins), ("after calibration", "verifier", report.bins)]
    floor = f"{decimals(report.ece_noise_floor)} if perfectly calibrated"
    ece = f"ECE {decimals(report.metrics.ece)} ({floor})"
    was = f"; before calibration {before.ece:.3f}" if before else ""
    return figure(
        "Reliability",
        reliability_picture([(css, bins) for _, css, bins in series], f"{ece}{was}.", report.bins),
        about=f"{ece}{was}. Numbers above the frame: attempts in the bin.",
        legend=legend({label: css for label, css, _ in reversed(series)} | {"perfectly calibrated": "chance"}),
        numbers=_bin_table(report),
    )


def reliability_picture(series: Sequence[tuple[str, Sequence[Bin]]], about: str, counts: Sequence[Bin] = ()) -> str:
    """Lines of (css, bins), the last on top; the counts of one verifier's bins stand above the frame."""
    axes = Axes("Reliability", (0, 1), (0, 1), "mean score of the bin", "share resolved")
    axes.ticks(SHARES, SHARES)
    axes.line([(0, 0), (1, 1)], "chance")
    if counts:
        axes.counts({(i + 0.5) / N_BINS: _n(found) for i, found in enumerate(counts)})
    for css, bins in series:
        points = [(point, found) for found in bins if (point := _point(found))]
        axes.line([point for point, _ in points], css)
        for point, found in points:
            axes.dot(*point, css, f"mean score {point[0]:.3f}, {found.n_resolved} of {_n(found)} resolved")
    return axes.svg(about)


def _n(found: Bin) -> int:
    return found.n_resolved + found.n_unresolved


def _point(found: Bin) -> Point | None:
    return None if found.mean_score is None else (found.mean_score, found.n_resolved / _n(found))


def _bin_table(report: Report) -> str:
    headings = ["score", "resolved", "unresolved", "mean score"]
    rows = [[f"{i / N_BINS:.1f} to {(i + 1) / N_BINS:.1f}", *_bin(b, "bins", i)] for i, b in enumerate(report.bins)]
    if before := report.uncalibrated:
        headings += [f"{heading} before" for heading in headings[1:]]
        rows = [
            [*row, *_bin(b, "uncalibrated", "bins", i)]
            for i, (row, b) in enumerate(zip(rows, before.bins, strict=True))
        ]
    return html_table("Attempts in the ten bins of equal width", headings, rows)


def _bin(found: Bin, *place: str | int) -> list[str]:
    return [
        counted(found.n_resolved, *place, "n_resolved"),
        counted(found.n_unresolved, *place, "n_unresolved"),
        cited(found.mean_score, *place, "mean_score"),
    ]


def histogram(report: Report) -> str:
    """Attempts by score and outcome."""
    bins = report.bins
    step = round_step(max(max(b.n_resolved, b.n_unresolved) for b in bins))
    axes = Axes("Scores by outcome", (0, 1), (0, 4 * step), "score", "attempts")
    axes.ticks(SHARES, {step * part: short(step * part) for part in range(5)})
    for number, found in enumerate(bins):
        left, middle, right = ((number + part) / N_BINS for part in (0.08, 0.5, 0.92))
        axes.bar((left, middle), found.n_unresolved, "bad", f"{found.n_unresolved} unresolved")
        axes.bar((middle, right), found.n_resolved, "good", f"{found.n_resolved} resolved")
    n_resolved = sum(b.n_resolved for b in bins)
    n_unresolved = sum(b.n_unresolved for b in bins)
    return figure(
        "Scores by outcome",
        axes.svg(f"{n_resolved} resolved and {n_unresolved} unresolved attempts in ten bins of equal width."),
        about="A verifier that separates them has the two hills apart.",
        legend=legend({}, {"unresolved": "bad", "resolved": "good"}),
        numbers=html_table(
            "Attempts by score and outcome",
            ["score", "resolved", "unresolved"],
            [
                [f"{i / N_BINS:.1f} to {(i + 1) / N_BINS:.1f}", *_bin(found, "bins", i)[:2]]
                for i, found in enumerate(bins)
            ],
        ),
    )
