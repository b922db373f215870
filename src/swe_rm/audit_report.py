"""An audit on the terminal: the alarm or its absence in words, then figures over time, and scores that moved."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swe_rm.audit import Audited, Point
from swe_rm.page import UNDEFINED, decimals
from swe_rm.printable import printable
from swe_rm.resampling import Interval

SHOWN = 10
"""Points in the table, spread over the time; the JSON and the page have all."""


def remarks(found: Audited) -> list[str]:
    """What stands below the headline: what came in, what could not be used, what the test can see."""
    lines = [
        f"{found.n_verdicts:,} verdicts, {found.n_outcomes:,} outcomes of them; {found.n_unmatched} outcomes of "
        f"verdicts that are not here, {found.n_unknown} that say nothing"
    ]
    if found.n_forgotten:
        lines.append(f"{found.n_forgotten:,} verdicts waited too long for an outcome and are forgotten")
    if watching := found.watching:
        lines.append(
            f"The test: any {watching.within} outcomes without a fall raise an alarm with a chance of "
            f"{watching.false_alarms:.0%}; a fall by {watching.power.drop:g} from the start is found within "
            f"{watching.within} outcomes in {watching.power.at_start:.0%} of cases, a later one in "
            f"{watching.power.later:.0%} (reference: {watching.n_reference:,} attempts)"
        )
    if found.blocks:
        n, last = len(found.moved), found.blocks[-1]
        lines.append(
            f"Scores without outcomes: {n} of {len(found.blocks)} blocks moved from the reference; the last has PSI "
            f"{last.psi:.3f}, KS {last.ks:.3f} (chance reaches {last.ks_limit:.3f}), mean score {last.mean_score:.3f}"
        )
    return lines


def print_audit(found: Audited, console: Console) -> None:
    """Print the state of an audit."""
    console.print(Text(printable(found.headline), style="bold red" if found.alarms else "bold"))
    for alarm in found.alarms:
        console.print(Text(f"- {alarm}", style="red"))
    for line in remarks(found):
        console.print(Text(printable(line)))
    if found.points:
        console.print(_table(found))


def _table(found: Audited) -> Table:
    table = Table(title=f"{found.points[-1].n} outcomes at a time", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("outcome", "verdict", "resolved", "AUC", "95%", "ECE", "95%"):
        table.add_column(heading, justify="right")
    every = -(-len(found.points) // SHOWN)
    for point in found.points[::-every][::-1]:
        table.add_row(*_cells(point))
    return table


def _cells(point: Point) -> list[str]:
    return [
        f"{point.n_outcomes:,}",
        f"{point.verdict:,}",
        decimals(point.base_rate),
        decimals(point.auc),
        _bounds(point.auc_interval),
        decimals(point.ece),
        _bounds(point.ece_interval),
    ]


def _bounds(interval: Interval | None) -> str:
    return "{:.2f}-{:.2f}".format(*interval) if interval else UNDEFINED
