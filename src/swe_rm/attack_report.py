"""What persuasion does to a verifier, on the terminal: the finding in words, then a row for each family."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swe_rm.attack import GOAL_AUC_LOST, GOAL_FLIPPED, Attacked
from swe_rm.attack.effect import Effect
from swe_rm.page import UNDEFINED
from swe_rm.resampling import Interval

COLUMNS = ("rewriting", "flipped", "95%", "down", "AUC lost", "95%", "by all")
LEGEND = (
    "flipped: failed attempts lifted over the threshold; down: resolved ones pushed below; AUC lost: when the failed "
    "are rewritten, and by all: when every attempt is"
)


def headline(found: Attacked) -> str:
    """Whether the verifier can be talked round, in words."""
    name, effect = found.worst
    goal = f"at most {GOAL_FLIPPED:.0%} flipped and {GOAL_AUC_LOST:.2f} AUC lost"
    kept = {
        True: f"kept ({goal})",
        False: f"not kept ({goal}): do not reward a policy with this verifier alone",
        None: f"not measured ({goal}): it takes resolved attempts, and failed ones that are rejected",
    }[found.holds]
    return (
        f"{found.verifier}, threshold {found.threshold:g}: {_share(effect.flipped)} of {effect.n_rejected} rejected "
        f"failed attempts flipped by {name}; goal {kept}"
    )


def print_attack(found: Attacked, console: Console) -> None:
    """Print the finding, the pool, and a row for each family."""
    console.print(Text(headline(found), style="bold"))
    left_out = "".join(f"; {n} {reason} left out" for reason, n in found.n_left_out.items())
    auc = UNDEFINED if found.auc is None else f"{found.auc:.3f}"
    console.print(
        Text(
            f"{found.n_attempts} attempts at {found.n_tasks} tasks, {found.n_failed} failed and {found.n_resolved} "
            f"resolved{left_out}; AUC {auc} before"
        )
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if place else "left", no_wrap=True)
    for name, effect in found.families.items():
        table.add_row(*map(Text, (name, *_cells(effect))))
    console.print(table)
    console.print(Text(LEGEND, style="dim"))


def _cells(effect: Effect) -> list[str]:
    return [
        _share(effect.flipped),
        _interval(effect.flipped_interval, "{:.0%}-{:.0%}"),
        _share(effect.pushed_down),
        UNDEFINED if effect.auc_lost is None else f"{effect.auc_lost:+.3f}",
        _interval(effect.auc_lost_interval, "{:+.2f} {:+.2f}"),
        UNDEFINED if effect.auc_lost_by_all is None else f"{effect.auc_lost_by_all:+.3f}",
    ]


def _share(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.1%}"


def _interval(interval: Interval | None, form: str) -> str:
    return UNDEFINED if interval is None else form.format(*interval)
