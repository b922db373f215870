"""What rules of selection are worth, on the terminal: a row each, random pick first and oracle last."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swe_rm.page import UNDEFINED
from swe_rm.printable import printable
from swe_rm.resampling import Interval
from swe_rm.selection.expectation import Selected, Selection

COLUMNS = ("resolved", "95%", "gain", "95%", "gap", "lots")
LEGEND = "gain: above a random pick; gap: share of the way to the oracle; lots: tasks at which a lot among ties decides"


def print_selection(found: Selection, console: Console) -> None:
    """Print what the rows are over, then the rows."""
    console.print(Text(headline(found), style="bold"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("rule", overflow="fold", min_width=11)
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in found.rows:
        table.add_row(*map(Text, _cells(row)))
    console.print(table)
    console.print(Text(LEGEND, style="dim"))


def headline(found: Selection) -> str:
    """What the rows are over and whether any rule is shown to be better than picking at random, in words."""
    left_out = f"; {found.n_unknown} tasks with unknown outcomes left out" if found.n_unknown else ""
    return (
        f"resolve rate of the picks at {found.n_tasks} tasks with {found.mean_candidates:.1f} candidates on average, "
        f"{found.n_mixed} of them mixed{left_out}. {found.verdict}"
    )


def _cells(row: Selected) -> list[str]:
    return [
        printable(row.rule),
        f"{row.resolve_rate:.3f}",
        _interval(row.interval, "{:.3f}-{:.3f}"),
        f"{row.above_random:+.3f}",
        _interval(row.above_random_interval, "{:+.3f} {:+.3f}"),
        UNDEFINED if row.of_the_gap is None else f"{row.of_the_gap:+.0%}",
        str(row.n_tied),
    ]


def _interval(interval: Interval | None, form: str) -> str:
    return UNDEFINED if interval is None else form.format(*interval)
