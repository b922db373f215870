"""What the arms came to, on the terminal: a table for each split, the differences, and the verifiers beside them."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swe_rm.page import UNDEFINED, decimals
from swe_rm.printable import printable
from swe_rm.resampling import Interval
from swe_rm.rl.foretold import GROUPS, PREDICTORS, Agreement
from swe_rm.rl.outcome import ArmsOutcome, Split
from swe_rm.rl.quality import EQUIVALENT, Apart, Pair, Quality
from swe_rm.rl.runs import HABITS, HELD_OUT
from swe_rm.spread import Figure

COLUMNS = ("arm, seeds", "start", "final", "gain", "area")
LEGEND = (
    "per cent of attempts whose outcome is known, mean over seeds, in brackets 95% over seeds, tasks or both; "
    "gain: final - start; area: mean height of the curve; of 20 differences that are none one is shown"
)
MANY = 15
"""With more pairs they are counted here; the JSON and the page have all."""


def print_outcome(found: ArmsOutcome, console: Console) -> None:
    """Print the rates and habits in each split, then how the arms differ in the end."""
    console.print(_rates(found))
    console.print(_habits(found))
    for line in differences(found):
        console.print(Text(printable(line)), soft_wrap=True)
    console.print(Text(printable(found.remembered)), soft_wrap=True)
    console.print(Text(LEGEND, style="dim"), soft_wrap=True)


def differences(found: ArmsOutcome) -> Iterator[str]:
    """A line for each pair of arms and held-out split, or how many are shown to differ where there are many."""
    for split in HELD_OUT:
        mine = [one for one in found.differences if (one.split, one.figure) == (split, "final")]
        if len(mine) <= MANY:
            yield from map(str, mine)
        else:
            yield f"{split} final: {sum(one.shown for one in mine)} of {len(mine)} pairs of arms are shown to differ"


def splits(found: ArmsOutcome) -> list[str]:
    """All that an arm has."""
    return list(dict.fromkeys(split for arm in found.arms.values() for split in arm.splits))


def _rates(found: ArmsOutcome) -> Table:
    table = _table("what the arms came to", *COLUMNS)
    for split in splits(found):
        table.add_row(Text(title(found, split), style="bold"))
        for name, part in _parts(found, split).items():
            figures = (share(part.start), percent(part.final), percent(part.gain, "+"), share(part.area))
            table.add_row(Text(f"  {printable(name)}, {len(found.arms[name].seeds)}"), *figures)
    return table


def _habits(found: ArmsOutcome) -> Table:
    headings = (habit.replace("_", " ") for habit in HABITS)
    table = _table("what a policy should not do, per cent of the attempts of the last look", "arm", *headings)
    for split in splits(found):
        table.add_row(Text(split, style="bold"))
        for name, part in _parts(found, split).items():
            table.add_row(Text(f"  {printable(name)}"), *(share(part.habits[habit].final) for habit in HABITS))
    return table


def _parts(found: ArmsOutcome, split: str) -> dict[str, Split]:
    return {name: arm.splits[split] for name, arm in found.arms.items() if split in arm.splits}


def _table(heading: str, first: str, *columns: str) -> Table:
    table = Table(title=Text(heading), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold", min_width=18)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def title(found: ArmsOutcome, split: str) -> str:
    """A split with what its intervals are over."""
    parts = _parts(found, split).values()
    tasks = next((f", {part.n_tasks} tasks" for part in parts if part.n_tasks), "")
    return f"{split}{tasks}, over {' or '.join(sorted({part.over for part in parts}))}"


def percent(figure: Figure, sign: str = "") -> str:
    """A figure in per cent with its interval; a dash where it is undefined."""
    if figure.value is None:
        return UNDEFINED
    return f"{100 * figure.value:{sign}.1f}{between(figure.interval, sign)}"


def share(figure: Figure) -> str:
    """The same without an interval."""
    return UNDEFINED if figure.value is None else f"{100 * figure.value:.1f}"


def between(bounds: Interval | None, sign: str = "") -> str:
    """An interval in per cent; nothing where there is none."""
    return "" if bounds is None else " [" + ", ".join(f"{100 * bound:{sign}.1f}" for bound in bounds) + "]"


# --- verifiers -------------------------------------------------------------------------------------------------------


def print_quality(rows: Sequence[Quality], pairs: Sequence[Pair], console: Console) -> None:
    """Print each verifier's figures, then every two of them, or those equivalent where there are many."""
    first = rows[0]
    heading = f"verifiers on logged attempts; a random pick {first.random_at_k:.1%}, an oracle {first.pass_at_k:.1%}"
    table = _table(heading, "verifier (arms)", f"RM@{first.k}", "AUC", "ECE", "by chance")
    for row in rows:
        rm = f"{100 * row.rm_at_k[row.k]:.1f}{between(row.intervals[f'rm_at_k.{row.k}'])}"
        name = printable(f"{row.verifier} ({', '.join(row.arms) or 'none'})")
        table.add_row(*map(Text, (name, rm, decimals(row.auc), decimals(row.ece), decimals(row.ece_noise_floor))))
    console.print(table)
    for line in pairs_told(pairs):
        console.print(Text(printable(line)), soft_wrap=True)


def pairs_told(pairs: Sequence[Pair]) -> Iterator[str]:
    """A line for each pair, or for those that are equivalent in TTS where there are many."""
    told = [pair for pair in pairs if pair.equivalent_at or len(pairs) <= MANY]
    yield from map(said_of_pair, told)
    if left := len(pairs) - len(told):
        yield f"{left} of {len(pairs)} pairs are not shown to be equivalent in TTS at any K"


def said_of_pair(pair: Pair) -> str:
    """What is known of two verifiers, in words."""
    curve = ", ".join(
        f"RM@{k} {100 * apart.difference:+.1f}{between(apart.interval, '+')}" for k, apart in pair.rm_at_k.items()
    )
    at = ", ".join(map(str, pair.equivalent_at))
    verdict = f"equivalent in TTS to {100 * EQUIVALENT:.0f} points at K = {at}" if at else "not shown to be equivalent"
    return f"{pair.one} - {pair.other}: {curve}: {verdict}; AUC {_plain(pair.auc)}; ECE {_plain(pair.ece)}"


def _plain(apart: Apart | None) -> str:
    if apart is None:
        return UNDEFINED
    return f"{apart.difference:+.3f}" + (
        "" if apart.interval is None else " [{:+.3f}, {:+.3f}]".format(*apart.interval)
    )


def print_foretold(found: Sequence[Agreement], console: Console) -> None:
    """Print which figure foretold the order of the arms, for each split and kind of group."""
    heading = "rank correlation with the final rate of a policy that the score alone rewards"
    table = _table(heading, "predictor", "verifiers", "Spearman", "simulated ahead by")
    for name, rows in groupby(found, lambda one: f"{one.split}, {GROUPS[one.part]}"):
        table.add_row(Text(name, style="bold"))
        for one in rows:
            told = correlation(one.spearman, one.interval), correlation(one.behind_simulated, one.behind_interval)
            table.add_row(f"  {PREDICTORS[one.predictor]}", str(one.n_verifiers), *told)
    console.print(table)


def correlation(value: float | None, bounds: Interval | None) -> str:
    """A rank correlation with its interval."""
    told = "" if bounds is None else " [{:+.2f}, {:+.2f}]".format(*bounds)
    return UNDEFINED if value is None else f"{value:+.2f}{told}"
