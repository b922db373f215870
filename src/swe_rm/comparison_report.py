"""A Comparison for people: who is better and whether that is known, the figures, and the paper's Table 4."""

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swe_rm.compare import Alone, Comparison
from swe_rm.printable import printable
from swe_rm.published import TABLE_4, TABLE_4_SOURCE

FIGURES = (
    "auc_same_policy_task", "auc_upset", "auc_within_policy", "auc_within_task", "auc", "average_precision", "ece",
    "brier",
)  # fmt: skip
MAX_POLICIES = 8
"""Policies the table spells out, the largest first."""
UNDEFINED = "\N{EN DASH}"


def print_comparison(found: Comparison, console: Console) -> None:
    """Print what is known of who is better, then the figures, then Table 4's layout with its published rows."""
    for line in _words(found):
        console.print(Text(printable(line)))
    console.print(_figures(found))
    console.print(_table_4(found.alone))
    if found.alone:
        console.print(Text(_not_shown(found.alone), style="dim"))
    console.print(Text(f"published: {TABLE_4_SOURCE}", style="dim"))


def _words(found: Comparison) -> Iterator[str]:
    if found.rows:
        yield f"Paired on the {found.n_attempts} attempts at {found.n_tasks} tasks that all judged:"
        for name, n in found.left_out.items():
            if n:
                yield f"  {n} attempts of {name} are left out: another did not judge them"
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
    table.add_column("")
    rows = {row.name: row.figures.to_json() for row in found.rows} | {one.name: one.figures for one in found.apart}
    for name in rows:
        table.add_column(printable(name), justify="right", overflow="fold")
    ks = [f"rm_at_k.{k}" for k in (1, 2, 4, 8, 16, 32) if any(str(k) in _curve(row) for row in rows.values())]
    for key in (*FIGURES, *ks):
        table.add_row(key, *(_cell(row, key) for row in rows.values()))
    return table


def _curve(figures: dict[str, object]) -> dict[str, float]:
    curve = figures.get("rm_at_k")
    return {str(k): value for k, value in curve.items()} if isinstance(curve, dict) else {}


def _cell(figures: dict[str, object], key: str) -> str:
    stem, _, k = key.partition(".")
    value = _curve(figures).get(k) if k else figures.get(stem)
    return f"{value:.3f}" if isinstance(value, float | int) else UNDEFINED


def _table_4(alone: tuple[Alone, ...]) -> Table:
    table = Table(title="Policy by policy, as in Table 4 of the paper", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("", overflow="fold")
    for heading in ("type", "AUC", "ECE", "K", "RM@K"):
        table.add_column(heading, justify="right")
    shown = list(dict.fromkeys(one.policy for one in alone if one.k > 1))
    for policy in shown[:MAX_POLICIES]:
        rows = [one for one in alone if one.policy == policy]
        table.add_row(Text(f"{printable(policy)}: this pool, {rows[0].n_tasks} tasks", style="bold"))
        for what, value in (("pass@1", rows[0].random_at_k), (f"pass@{rows[0].k}", rows[0].pass_at_k)):
            table.add_row(f"  ({what})", *_figures_of("", None, None, rows[0].k, value))
        for one in rows:
            table.add_row(f"  {printable(one.verifier)}", *_figures_of("", one.auc, one.ece, one.k, one.rm_at_k))
    for policy in dict.fromkeys(row.policy for row in TABLE_4):
        table.add_row(Text(f"{policy}: published", style="bold"))
        for row in TABLE_4:
            if row.policy == policy:
                table.add_row(f"  {row.verifier}", *_figures_of(row.kind, row.auc, row.ece, 32, row.rm_at_32))
    return table


def _figures_of(kind: str, auc: float | None, ece: float | None, k: int, rm: float) -> list[str]:
    return [kind, *(UNDEFINED if value is None else f"{value:.3f}" for value in (auc, ece)), str(k), f"{rm:.3f}"]


def _not_shown(alone: tuple[Alone, ...]) -> str:
    """What the table leaves to the JSON."""
    policies = {one.policy for one in alone}
    several = {one.policy for one in alone if one.k > 1}
    left = len(policies) - min(MAX_POLICIES, len(several))
    return f"{left} more policies, with one attempt a task or beyond the first {MAX_POLICIES}, are in the JSON"
