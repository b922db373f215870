"""A Report in lines: what stands below its table of figures on a terminal."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from swe_rm.cost import Money
from swe_rm.evaluate import Report
from swe_rm.page import decimals
from swe_rm.printable import printable
from swe_rm.rejection import Rejection
from swe_rm.resampling import Interval
from swe_rm.slices import Mistake, Slice
from swe_rm.trajectory import Outcome
from swe_rm.unscored import Unscored

SHOWN_K = (1, 2, 4, 8, 16, 32, 64, 128)
"""The K of the tables; plots have every K."""
MISTAKES = 3
"""Confident wrong verdicts shown on either side; the JSON has ten."""
POLICIES = 5
"""Policies shown, the largest first; the JSON and the page have all."""


def summary(report: Report) -> list[str]:
    """What stands below the figures: calibration, what picking recovers, RL, attempts without a verdict, cost."""
    lines = [
        f"ECE of a perfectly calibrated verifier with these scores: {decimals(report.ece_noise_floor)} "
        f"(equal mass {decimals(report.ece_mass_noise_floor)})",
    ]
    if parts := report.metrics.brier_parts:
        lines.append("Brier loss: " + ", ".join(f"{name} {decimals(value)}" for name, value in parts.items()))
    k = report.metrics.widest_k
    if (share := report.metrics.gap_recovered.get(k)) is not None:
        bounds = _bounds(report.intervals.get(f"gap_recovered.{k}"))
        lines.append(f"Of what an oracle adds to a random pick from {k} it recovers {share:.0%} ({bounds})")
    lines += _rejection_lines(report.rejection)
    lines += [f"As an RL reward: {line}" for line in report.readiness.in_words()]
    lines.append(str(report.unscored))
    lines += _unscored_lines(report.unscored)
    lines += _money_lines(report.money)
    return lines + _mistake_lines(report.mistakes)


def _bounds(interval: Interval | None) -> str:
    return "{:.2f} to {:.2f}".format(*interval) if interval else "no interval"


def _rejection_lines(found: Rejection | None) -> list[str]:
    if found is None:
        return []
    shares = {"attempts": found.attempts, "tasks, by their best attempt": found.tasks}
    return [
        f"Accepting the top 10%, 50%, all {what}: {', '.join(f'{curve[s]:.3f}' for s in (10, 50, 100))} resolved"
        for what, curve in shares.items()
    ]


def _mistake_lines(mistakes: Sequence[Mistake]) -> list[str]:
    lines = []
    for outcome in (Outcome.UNRESOLVED, Outcome.RESOLVED):
        some = [one for one in mistakes if one.outcome is outcome][:MISTAKES]
        lines += [f"Confident and wrong, {outcome}:"] * bool(some)
        lines += [f"  {one.score:.3f} {one.instance_id} / {one.policy} / {one.attempt}" for one in some]
    return lines


def slices_table(report: Report) -> Table:
    """The largest policies, and every part by difficulty, length and what was cut, where it is known."""
    table = Table(title="By part of the pool", title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("", overflow="fold")
    for heading in ("n", "base", "mean", "AUC", "same\npolicy", "ECE"):
        table.add_column(f" {heading}", justify="right")
    for dimension in ("policy", "difficulty", "length", "cut"):
        parts = report.slices[dimension]
        names = sorted(parts, key=lambda name: -parts[name].n)[:POLICIES] if dimension == "policy" else list(parts)
        for name in [] if names == ["unknown"] else names:
            table.add_row(Text(printable(f"{dimension} {name}")), *_part(parts[name]))
    return table


def _part(part: Slice) -> list[str]:
    figures = (part.base_rate, part.mean_score, part.auc, part.auc_same_policy_task, part.ece)
    return [f" {part.n}", *(f" {decimals(figure)}" for figure in figures)]


def _unscored_lines(unscored: Unscored) -> list[str]:
    return [
        f"  {name}: " + ", ".join(f"RM@{k} {moved.rm_at_k[k]:.3f}" for k in SHOWN_K if k in moved.rm_at_k)
        for name, moved in unscored.rules.items()
    ]


def _money_lines(money: Money | None) -> list[str]:
    if money is None:
        return []
    if money.per_1000_attempts is None:
        return ["Cost: no verdict says how long it took"]
    return [
        f"Judging 1,000 attempts costs {money.per_1000_attempts:.2f}; a unit of money buys "
        f"{decimals(money.resolved_tasks_per_unit)} resolved tasks, {decimals(money.gained_tasks_per_unit)} more than "
        "a random pick (the attempts' own cost is not in it)"
    ]
