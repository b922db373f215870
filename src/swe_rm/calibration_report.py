"""What calibrating did, out of fold: before and after, by group, for a new policy; on the terminal and as JSON."""

from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swe_rm.calibrate import BORROWED, MIN_GROUP, Method, Per, PerGroup
from swe_rm.evaluate import Bin, bins_of
from swe_rm.labels_needed import NewPolicy, Spread
from swe_rm.metrics import Flags, Floats, brier_loss, calibration_error, noise_floors
from swe_rm.page import UNDEFINED, decimals
from swe_rm.printable import printable
from swe_rm.trajectory import Noun
from swe_rm.verifiers.calibrated import Fit


class Side(Noun):
    """Calibration on one side of the map."""

    ece: float | None
    brier: float | None
    noise_floor: float | None
    """The ECE that a perfectly calibrated verifier shows with these scores."""
    bins: tuple[Bin, ...]

    @staticmethod
    def of(scores: Floats, resolved: Flags) -> "Side":
        """Of scores and outcomes (n,)."""
        width, _ = noise_floors(scores) or (None, None)
        return Side(
            ece=calibration_error(scores, resolved),
            brier=brier_loss(scores, resolved),
            noise_floor=width,
            bins=bins_of(resolved, scores),
        )


class Group(Noun):
    """One policy or source."""

    n: int
    base_rate: float
    has_own_map: bool
    ece_before: float | None
    ece_after: float | None


class Calibrating(Noun):
    """What a calibrator did to the scores it was fitted on, each by a map that saw no attempt at its task."""

    verifier: str
    """The calibrated one."""
    fitted_for: str
    method: Method
    per: Per | None
    n_attempts: int
    n_tasks: int
    base_rate: float
    before: Side
    after: Side
    groups: dict[str, Group]
    """By policy or source, as `per` says; by policy where there is one map for all."""
    labels_needed: tuple[NewPolicy, ...]

    @staticmethod
    def of(fit: Fit, new_policies: tuple[NewPolicy, ...] = ()) -> "Calibrating":
        """Of a fit, and what labels of new policies give."""
        calibration, examples = fit.calibration, fit.examples
        return Calibrating(
            verifier=calibration.name,
            fitted_for=calibration.verifier_name,
            method=calibration.calibrator.method,
            per=examples.per,
            n_attempts=len(examples.scores),
            n_tasks=len(calibration.tasks),
            base_rate=calibration.base_rate,
            before=Side.of(examples.scores, examples.resolved),
            after=Side.of(fit.after, examples.resolved),
            groups={name: _group(fit, name) for name in sorted(set(examples.groups))},
            labels_needed=new_policies,
        )

    def to_json(self) -> dict[str, Any]:
        """The document of `calibrate --json`."""
        return self.model_dump(mode="json")

    def __str__(self) -> str:
        return (
            f"{self.method} for {self.fitted_for}, {self.n_attempts} attempts at {self.n_tasks} tasks, ECE "
            f"{decimals(self.before.ece)} before and {decimals(self.after.ece)} after, out of fold; "
            f"{decimals(self.after.noise_floor)} of it is chance"
        )


def _group(fit: Fit, name: str) -> Group:
    mine = [group == name for group in fit.examples.groups]
    resolved, calibrator = fit.examples.resolved[mine], fit.calibration.calibrator
    return Group(
        n=len(resolved),
        base_rate=float(resolved.mean()),
        has_own_map=isinstance(calibrator, PerGroup) and name in calibrator.groups,
        ece_before=calibration_error(fit.examples.scores[mine], resolved),
        ece_after=calibration_error(fit.after[mine], resolved),
    )


def print_calibration(found: Calibrating, out: Path, console: Console) -> None:
    """Print what was written and what it does; groups and new policies where they were asked for."""
    console.print(Text(printable(f"{out}: {found}")), soft_wrap=True)
    if found.per:
        console.print(_groups_table(found))
        console.print(
            Text(
                f"A {found.per} with fewer than {MIN_GROUP} attempts, or not seen, takes the map of all; the others' "
                f"attempts weigh {BORROWED:g} together in a {found.per}'s own map",
                style="dim",
            )
        )
    if found.labels_needed:
        console.print(_needed_table(found))


def _groups_table(found: Calibrating) -> Table:
    table = _table(f"by {found.per}", "n", "resolved", "own map", "ECE before", "after")
    for name, group in found.groups.items():
        own = "yes" if group.has_own_map else "no"
        cells = (str(group.n), decimals(group.base_rate), own, decimals(group.ece_before), decimals(group.ece_after))
        table.add_row(Text(printable(name)), *cells)
    return table


def _needed_table(found: Calibrating) -> Table:
    sizes = list(found.labels_needed[0].by_labels)
    table = _table("ECE of a new policy", "tested", "as it is", *(f"{size} labels" for size in sizes), "chance")
    for one in found.labels_needed:
        cells = [_mean(one.before), *(_mean(one.by_labels[size]) for size in sizes), decimals(one.noise_floor)]
        table.add_row(Text(printable(one.policy)), f"{one.n_tested:.0f}", *cells)
    return table


def _mean(spread: Spread | None) -> str:
    return UNDEFINED if spread is None else decimals(spread.mean)


def _table(first: str, *headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right")
    return table
