"""Curves and stopping rules on the terminal: a spark line for an attempt, its turns or those that moved it; tables."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swe_rm.page import UNDEFINED, decimals
from swe_rm.printable import printable
from swe_rm.progress import Curve
from swe_rm.resampling import Interval
from swe_rm.stopping import Early, Row, Stopping
from swe_rm.trajectory import Outcome

BARS = "▁▂▃▄▅▆▇█"
BAR_WIDTH = 20
SPARK_WIDTH = 100
"""Columns of a spark line; a longer curve shows the last score of each stretch."""
END = " [with the patch]"
MOST_MOVED = 5
"""Turns named where not all are listed."""

EARLY_COLUMNS = ("after turn", "at work", "AUC", "95%", "at end", "of a task", "at end")
STOPPING_COLUMNS = ("stop by", "saved", "resolved lost", "over length")
STOPPING_LEGEND = (
    "AUC: of the attempts still at work after so many turns, pooled and over pairs of one task, beside that of their "
    "whole scores; saved: share of the logs' characters not written; resolved lost: share of the resolved attempts "
    "stopped; in brackets 95%; x3: at three points in a row; 5%: held to losing so much on the tasks it was chosen on, "
    "others than it is measured on (...: folds chose differently); over length: saved, less what a limit of turns saves"
)


def print_curves(curves: Sequence[tuple[Curve, Outcome]], console: Console) -> None:
    """Print each attempt's curve; of a single attempt every turn, of several the turns that moved the score most."""
    for curve, outcome in curves:
        for line in _lines(curve, outcome, every_turn=len(curves) == 1):
            console.print(line, soft_wrap=True)


def _lines(curve: Curve, outcome: Outcome, *, every_turn: bool) -> Iterator[Text]:
    known = "" if outcome is Outcome.UNKNOWN else f"  {outcome.value}"
    name = " / ".join(map(printable, (curve.instance_id, curve.policy, curve.attempt)))
    yield Text(f"{name}  {curve.attempt_id}{known}", style="bold")
    scores = [score for _, score in curve.points]
    yield Text(f"  {spark(scores)}  {scores[0]:.3f} to {scores[-1]:.3f} in {curve.n_turns} turns")
    if every_turn:
        yield from _turns(curve)
    else:
        yield from (Text(f"      {printable(str(move))}", style="dim") for move in curve.moved(MOST_MOVED))


def _turns(curve: Curve) -> Iterator[Text]:
    before = None
    named = {move.last for move in curve.moved(MOST_MOVED)}
    for step in curve.steps:
        change = "" if before is None else f"{step.score - before:+.3f}"
        bar = BARS[-1] * round(BAR_WIDTH * step.score)
        style = "bold" if step.turn in named else ""
        end = END if step is curve.steps[-1] else ""
        shown = f"  {step.turn:>4}  {step.score:.3f}  {bar:<{BAR_WIDTH}}  {change:<6}  {printable(step.did)}{end}"
        yield Text(shown, style=style)
        before = step.score


def spark(scores: Sequence[float], width: int = SPARK_WIDTH) -> str:
    """Scores in [0, 1] as a line of bars at most `width` long, on the scale from 0 to 1."""
    stretches = min(width, len(scores))
    shown = [scores[(place + 1) * len(scores) // stretches - 1] for place in range(stretches)]
    return "".join(BARS[min(len(BARS) - 1, int(score * len(BARS)))] for score in shown)


def headline(found: Stopping) -> str:
    """What the score adds to stopping by length, in words."""
    rows = [row for row in found.chosen if row.by == "score" and row.over_length_interval]
    better = [row for row in rows if row.over_length_interval and row.over_length_interval[0] > 0]
    said = f"{found.verifier}: stopping by its score "
    if not better:
        return f"{said}is not shown to save more than stopping by the number of turns"
    kept = sum(row.allowed is not None and row.lost <= row.allowed for row in better)
    held = f"; in {kept} of these it loses no more than it was allowed"
    return f"{said}saves more than a limit of turns at {len(better)} of {len(rows)} shares that it may lose{held}"


def print_stopping(found: Stopping, console: Console) -> None:
    """Print the finding, the pool, thresholds as they are, and rules chosen on other tasks with their controls."""
    console.print(Text(headline(found), style="bold"), soft_wrap=True)
    left_out = f"; {found.n_unknown} of unknown outcome left out" if found.n_unknown else ""
    console.print(
        Text(f"{found.n_attempts} attempts at {found.n_tasks} tasks, {found.resolve_rate:.1%} resolved{left_out}")
    )
    if found.early:
        console.print(_early(found.early))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(STOPPING_COLUMNS):
        table.add_column(name, justify="right" if place else "left", no_wrap=True)
    for row in (*found.fixed, *found.chosen):
        table.add_row(*map(Text, _cells(row)), style="bold" if row.by == "score" and row.allowed else "")
        if row == found.fixed[-1]:
            table.add_section()
    console.print(table)
    console.print(Text(STOPPING_LEGEND, style="dim"))


def _early(rows: Sequence[Early]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in EARLY_COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        auc = UNDEFINED if row.auc_interval is None else "{:.3f}-{:.3f}".format(*row.auc_interval)
        within = row.auc_within_task, row.auc_within_task_at_end
        table.add_row(
            str(row.turn), str(row.n_attempts), decimals(row.auc), auc, decimals(row.auc_at_end), *map(decimals, within)
        )
    return table


def _cells(row: Row) -> list[str]:
    held = "" if row.allowed is None else f"{row.allowed:>3.0%}: "
    like = " ..." if len(row.rules) > 1 else ""
    return [
        f"{held}{row.by} {row.rules[0]}{like}",
        _share(row.saved, row.saved_interval),
        _share(row.lost, row.lost_interval),
        "" if row.over_length is None else _share(row.over_length, row.over_length_interval, "+"),
    ]


def _share(value: float, interval: Interval | None, sign: str = "") -> str:
    """In per cent, with its interval."""
    bounds = "" if interval is None else " ({:{sign}.0f} {:{sign}.0f})".format(*(100 * b for b in interval), sign=sign)
    return f"{100 * value:{sign}.1f}%{bounds}"
