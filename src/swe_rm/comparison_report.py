"""A Comparison for people: who is better and whether that is known, the figures, and the paper's Table 4."""

from collections.abc import Iterator
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swe_rm.compare import Alone, Comparison
from swe_rm.printable import printable
from swe_rm.published import TABLE_4, TABLE_4_SOURCE

FIGURES = (
    "auc_same_policy_task", "auc_upset", "auc_within_policy", "auc_within_task", "auc", "average_precision", "ece",
    "ece_noise_floor", "brier",
)  # fmt: skip
MAX_POLICIES = 8
"""Policies the table spells out, the largest first."""
UNDEFINED = "\N{EN DASH}"


STYLES = {True: "green", False: "yellow", None: ""}
"""Of a headline, by whether it is shown to be above chance."""
CONTROLS = {
    "constant": "random pick",
    "policy_prior": "policy prior",
    "task_prior": "task prior",
    "oracle": "oracle",
}
"""The controls as tables name them; a constant's RM@K is a random pick's."""


def print_comparison(found: Comparison, console: Console) -> None:
    """Print what must be known first and who is better, then the figures, then Table 4 with its published rows."""
    for one in found.standings:
        console.print(Text(printable(f"{one.verifier}: {one.headline}"), style=STYLES[one.beats_chance]))
        console.print(Text(printable(f"  {one.counting}.")))
    for line in words(found):
        console.print(Text(printable(line)))
    console.print(_figures(found))
    console.print(_table_4(found.alone))
    if found.alone:
        console.print(Text(not_shown(found.alone), style="dim"))
    console.print(Text(f"published: {TABLE_4_SOURCE}", style="dim"))


def words(found: Comparison) -> Iterator[str]:
    """What is known of who is better, and what was left out."""
    if found.rows:
        common = "all judged" if found.all_judged else "are counted for all, judged or not"
        yield f"Paired on the {found.n_attempts} attempts at {found.n_tasks} tasks that {common}:"
        for name, n in found.left_out.items():
            if n:
                yield f"  {n} attempts of {name} are left out: another does not count them"
        for contest in found.contests:
            yield f"- {contest}"
            for margin in contest.margins:
                bounds = "no interval" if margin.interval is None else "{:+.3f} to {:+.3f}".format(*margin.interval)
                yield f"    {contest.best} - {margin.other}: {margin.difference:+.3f} ({bounds})"
    if found.apart:
        names = ", ".join(entry.name for entry in found.apart)
        yield f"Not paired, for want of attempts to pair: {names}. What differs there may be the pool."


def _figures(found: Comparison) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column("", no_wrap=True)
    rows, controls = figures_of(found), controls_of(found)
    for name in rows:
        table.add_column(Text(printable(name)), justify="right", overflow="fold")
    for name in controls:
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for key in keys(found):
        values = (value_of(row, key) for row in (*rows.values(), *controls.values()))
        table.add_row(key, *(UNDEFINED if value is None else f"{value:.3f}" for value in values))
    return table


def figures_of(found: Comparison) -> dict[str, dict[str, object]]:
    """Every verifier's figures by its name, as JSON has them; those that are not paired last."""
    return {row.name: row.to_json() for row in found.rows} | {one.name: one.figures for one in found.apart}


def controls_of(found: Comparison) -> dict[str, dict[str, object]]:
    """The figures of the controls on the common attempts, by the name that tables give them."""
    return {CONTROLS[name]: control.to_json() for name, control in found.controls.items()}


def keys(found: Comparison) -> list[str]:
    """The figures that tables show, curves as `rm_at_k.4`."""
    rows = figures_of(found).values()
    return [*FIGURES, *(f"rm_at_k.{k}" for k in (1, 2, 4, 8, 16, 32) if any(str(k) in _curve(row) for row in rows))]


def _curve(figures: dict[str, object]) -> dict[str, float]:
    curve = figures.get("rm_at_k")
    return {str(k): value for k, value in curve.items()} if isinstance(curve, dict) else {}


def value_of(figures: dict[str, object], key: str) -> float | None:
    """The figure of a key that `keys` gave; None where it is undefined or not there."""
    stem, _, k = key.partition(".")
    value = _curve(figures).get(k) if k else figures.get(stem)
    return float(value) if isinstance(value, float | int) else None


def _table_4(alone: tuple[Alone, ...]) -> Table:
    table = Table(title=TITLE_4, title_justify="left", box=box.SIMPLE_HEAD)
    first, *others = HEADINGS_4
    table.add_column(first, overflow="fold")
    for heading in others:
        table.add_column(heading, justify="right")
    for row in rows_of_table_4(alone):
        if isinstance(row, str):
            table.add_row(Text(printable(row), style="bold"))
        else:
            table.add_row(*map(Text, (f"  {printable(row.name)}", *row.cells)))
    return table


TITLE_4 = "Policy by policy, as in Table 4 of the paper"
HEADINGS_4 = ("", "type", "AUC", "ECE", "K", "RM@K")


class Row4(NamedTuple):
    """One line of Table 4."""

    name: str
    kind: str
    auc: float | None
    ece: float | None
    k: int
    rm: float

    @property
    def cells(self) -> list[str]:
        """All but the name, as text."""
        figures = (UNDEFINED if value is None else f"{value:.3f}" for value in (self.auc, self.ece))
        return [self.kind, *figures, str(self.k), f"{self.rm:.3f}"]


def rows_of_table_4(alone: tuple[Alone, ...]) -> Iterator[Row4 | str]:
    """The lines of Table 4, one's own above the published ones; a text is a heading over the lines that follow."""
    shown = list(dict.fromkeys(one.policy for one in alone if one.k > 1))
    for policy in shown[:MAX_POLICIES]:
        rows = [one for one in alone if one.policy == policy]
        yield f"{policy}: this pool, {rows[0].n_tasks} tasks"
        for what, value in (("pass@1", rows[0].random_at_k), (f"pass@{rows[0].k}", rows[0].pass_at_k)):
            yield Row4(f"({what})", "", None, None, rows[0].k, value)
        yield from (Row4(one.verifier, "", one.auc, one.ece, one.k, one.rm_at_k) for one in rows)
    for policy in dict.fromkeys(row.policy for row in TABLE_4):
        yield f"{policy}: published"
        yield from (Row4(r.verifier, r.kind, r.auc, r.ece, 32, r.rm_at_32) for r in TABLE_4 if r.policy == policy)


def not_shown(alone: tuple[Alone, ...]) -> str:
    """What the table leaves to the JSON."""
    policies = {one.policy for one in alone}
    several = {one.policy for one in alone if one.k > 1}
    left = len(policies) - min(MAX_POLICIES, len(several))
    return f"{left} more policies, with one attempt a task or beyond the first {MAX_POLICIES}, are in the JSON"
