"""What the arms came to as one self-contained HTML page: curves, rates, habits, differences, verifiers."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from swe_rm.page import figure, html_table, page, safe
from swe_rm.pages.cited import cited, spanned
from swe_rm.plot import legend
from swe_rm.rl.curves import MAX_DRAWN, classes, panels
from swe_rm.rl.foretold import GROUPS, PREDICTORS, Agreement
from swe_rm.rl.outcome import ArmsOutcome
from swe_rm.rl.quality import Pair, Quality
from swe_rm.rl.report_text import pairs_told, splits, title
from swe_rm.rl.runs import HABITS
from swe_rm.spread import Figure

_RATES = {"start": ".1%", "final": ".1%", "gain": "+.1%", "area": ".1%"}
"""Figures of a table, and how they are shown."""


def write_outcome(
    found: ArmsOutcome, path: Path, rows: Sequence[Quality], pairs: Sequence[Pair], told: Sequence[Agreement]
) -> None:
    """Write the page; names are escaped, and figures say where in the JSON they stand."""
    headings = {
        "curves": ("Learning curves", _curves(found)),
        "rates": ("Resolve rates", _rates(found)),
        "differences": ("Differences", _differences(found)),
        "habits": ("What a policy should not do", _habits(found)),
        "verifiers": ("Verifiers on logged attempts", _verifiers(rows, pairs)),
        "foretold": ("What foretold it", _foretold(told)),
        "arms": ("What the arms differ in", _settings(found)),
    }
    body = "".join(
        f'<section aria-labelledby="{name}"><h2 id="{name}">{heading}</h2>{made}</section>'
        for name, (heading, made) in headings.items()
        if made
    )
    names = ", ".join(found.arms)
    head = f'<a class="skip" href="#main">Skip to the report</a><header><h1>{safe(f"Rewards: {names}")}</h1></header>'
    remembered = f"<p>{safe(found.remembered)}</p>"
    warned = list(found.left_out)
    if found.anew and found.anew.differ:
        remembered = ""
        warned.append(found.remembered)
    lines = "".join(f"<li>{safe(line)}</li>" for line in warned)
    warnings = f'<ul class="warnings">{lines}</ul>' if lines else ""
    whole = page(f"Rewards: {names}", [head, f'<main id="main">{warnings}{remembered}{body}</main>'])
    path.write_text(whole, encoding="utf-8")


def _curves(found: ArmsOutcome) -> str:
    css = classes(found)
    drawn = []
    for panel in panels(found):
        arms = {name: found.arms[name].splits[panel.split] for name in css if panel.split in found.arms[name].splits}
        ends = ", ".join(f"{name} {_plain(part.final)}" for name, part in arms.items())
        rows = [
            [f"{safe(name)}, {x:,}", _cell(one, "arms", name, "splits", panel.split, "curve", place)]
            for name, part in arms.items()
            for place, (x, one) in enumerate(zip(part.trained_on, part.curve, strict=True))
        ]
        drawn.append(
            figure(
                panel.title,
                panel.axes.svg(f"At the end: {ends}."),
                about=safe(title(found, panel.split)),
                legend=legend({name: css[name] for name in arms}),
                numbers=html_table(panel.title, ["arm, attempts trained on", "resolved"], rows),
            )
        )
    left = len(found.arms) - len(css)
    note = f"<p>{left} more arms are in the tables only: {MAX_DRAWN} lines can be told apart.</p>" if left else ""
    return f'<div class="plots">{"".join(drawn)}</div>{note}'


def _plain(one: Figure) -> str:
    return "undefined" if one.value is None else f"{one.value:.1%}"


def _cell(one: Figure, *place: str | int, form: str = ".1%") -> str:
    told = f"<br><small>{spanned(one.interval, *place, 'interval', form=form)}</small>" if one.interval else ""
    return cited(one.value, *place, "value", form=form) + told


def _rates(found: ArmsOutcome) -> str:
    rows: list[list[str]] = []
    for split in splits(found):
        rows.append([safe(title(found, split))])
        for name, arm in found.arms.items():
            if part := arm.splits.get(split):
                place = ("arms", name, "splits", split)
                cells = [_cell(getattr(part, key), *place, key, form=form) for key, form in _RATES.items()]
                rows.append([safe(name), ", ".join(map(str, arm.seeds)), *cells])
    caption = "Resolved of those known, mean over seeds with 95% intervals; area: mean height of the curve"
    return html_table(caption, ["arm", "seeds", *_RATES], rows)


def _differences(found: ArmsOutcome) -> str:
    rows = [
        [
            f"{safe(one.split)} {one.figure}: {safe(one.one)} less {safe(one.other)}",
            ", ".join(map(str, one.seeds)),
            cited(one.value, "differences", place, "value", form="+.1%"),
            spanned(one.interval, "differences", place, "interval", form="+.1%"),
            "" if one.shown else "no difference shown",
        ]
        for place, one in enumerate(found.differences)
    ]
    caption = "Paired by seed; each interval is at 95% by itself, so of 20 without a difference one leaves 0 out"
    return html_table(caption, ["", "seeds", "difference", "95% interval", ""], rows) if rows else ""


def _habits(found: ArmsOutcome) -> str:
    rows: list[list[str]] = []
    for split in splits(found):
        rows.append([safe(split)])
        for name, arm in found.arms.items():
            if part := arm.splits.get(split):
                place = ("arms", name, "splits", split, "habits")
                cells = (
                    f"{cited(habit.start.value, *place, key, 'start', 'value', form='.1%')} to "
                    + _cell(habit.final, *place, key, "final")
                    for key, habit in part.habits.items()
                )
                rows.append([safe(name), *cells])
    caption = "Share of attempts before and after training, mean over seeds; 95% intervals over seeds"
    return html_table(caption, ["arm", *(habit.replace("_", " ") for habit in HABITS)], rows)


def _verifiers(rows: Sequence[Quality], pairs: Sequence[Pair]) -> str:
    if not rows:
        return ""
    k = rows[0].k
    cells = []
    for place, row in enumerate(rows):
        at = ("verifiers", place)
        bounds = spanned(row.intervals[f"rm_at_k.{k}"], *at, "intervals", f"rm_at_k.{k}", form=".1%")
        cells.append(
            [
                safe(row.verifier),
                safe(", ".join(row.arms)),
                f"{cited(row.rm_at_k[k], *at, 'rm_at_k', k, form='.1%')}<br><small>{bounds}</small>",
                *(cited(getattr(row, name), *at, name) for name in ("auc", "ece", "ece_noise_floor")),
            ]
        )
    caption = f"A random pick resolves {rows[0].random_at_k:.1%}, an oracle {rows[0].pass_at_k:.1%}"
    table = html_table(caption, ["verifier", "reward of", f"RM@{k}", "AUC", "ECE", "ECE by chance"], cells)
    return table + "".join(f"<p>{safe(line)}</p>" for line in pairs_told(pairs))


def _foretold(told: Sequence[Agreement]) -> str:
    rows: list[list[str]] = []
    for heading, found in groupby(enumerate(told), lambda item: f"{item[1].split}, {GROUPS[item[1].part]}"):
        rows.append([safe(heading)])
        for place, one in found:
            at = ("foretold", place)
            cells = (
                cited(value, *at, key, form="+.2f")
                + (f"<br><small>{spanned(bounds, *at, inner, form='+.2f')}</small>" if bounds else "")
                for key, value, inner, bounds in (
                    ("spearman", one.spearman, "interval", one.interval),
                    ("behind_simulated", one.behind_simulated, "behind_interval", one.behind_interval),
                )
            )
            rows.append([safe(PREDICTORS[one.predictor]), str(one.n_verifiers), *cells])
    caption = (
        "Rank correlation with the final rate of a policy that the score alone rewards; 95% over verifiers and seeds"
    )
    return html_table(caption, ["predictor", "verifiers", "Spearman", "simulated ahead by"], rows) if rows else ""


def _settings(found: ArmsOutcome) -> str:
    answered = {name: arm.verifier or "none" for name, arm in found.arms.items()}
    rows = [
        [safe(key), *(safe(values[name]) for name in found.arms)]
        for key, values in {**found.settings, "verifier that answered": answered}.items()
    ]
    return html_table("Keys of the config in which arms differ", ["key", *map(safe, found.arms)], rows)
