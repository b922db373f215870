"""A simulation on the terminal: what the scores would teach, in words, beside controls, and by which traits."""

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from swe_rm.page import decimals
from swe_rm.printable import printable
from swe_rm.simulate import Simulated, Simulation, Taught

LESSONS = 6
"""Traits told of each kind of group."""

FALLEN = 0.01
"""A curve that ends so far below its best point is said to."""

COLUMNS = ("reward", "resolve rate", "gain in points", "best, step", "own mean")
LEGEND = (
    "resolve rate: of what the policy takes at held-out tasks after training; gain: over a blind choice, in brackets "
    "95%, bootstrap by task; best: the highest point on the way; own mean: what it takes by the reward itself, before "
    "and after; oracle: outcomes as the reward"
)


def headline(found: Simulated) -> str:
    """What is predicted, in words."""
    said = f"{found.verifier or 'no verifier'}: {_prediction(found.task.taught)}"
    own = found.same_policy
    return f"{said}. Among one policy's attempts: {_prediction(own.taught)}." if own else f"{said}."


def _prediction(taught: Taught) -> str:
    bounds = taught.intervals["gain"]
    rates = f"{taught.start:.1%} to {taught.final:.1%} of held-out groups resolved"
    if bounds and bounds[0] > 0:
        said = f"its scores would teach a policy to resolve more, {rates}"
    elif bounds and bounds[1] < 0:
        said = f"its scores would teach a policy to resolve LESS, {rates}"
    else:
        said = f"its scores are not shown to teach anything of use, {rates}"
    fallen = taught.best - taught.final
    return f"{said}, {fallen:.1%} below its best at step {taught.best_step}" if fallen >= FALLEN else said


def print_simulation(found: Simulated, console: Console) -> None:
    """Print the prediction, a table and the lessons of each kind of group."""
    console.print(Text(printable(headline(found)), style="bold"), soft_wrap=True)
    parts = {"attempts at a task": found.task, "one policy's attempts at a task": found.same_policy}
    for name, part in parts.items():
        if part is None:
            continue
        title = f"{name}: {part.n_attempts} in {part.n_groups} groups at {part.n_tasks} tasks, {part.n_mixed} mixed"
        console.print(_table(title, found.verifier or "", part))
        for line in _lessons(part):
            console.print(Text(printable(line)), soft_wrap=True)
    console.print(Text(LEGEND, style="dim"), soft_wrap=True)


def _table(title: str, verifier: str, part: Simulation) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for place, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if place else "left", no_wrap=place > 0, overflow="fold")
    for name, taught in {verifier: part.taught, **part.controls}.items():
        table.add_row(*map(Text, _cells(name, taught)), style="bold" if name == verifier else "")
    return table


def _cells(name: str, taught: Taught) -> list[str]:
    bounds = taught.intervals["gain"]
    between = "" if bounds is None else f" [{100 * bounds[0]:+.1f}, {100 * bounds[1]:+.1f}]"
    return [
        printable(name),
        decimals(taught.final),
        f"{100 * taught.gain:+.1f}{between}",
        f"{decimals(taught.best)}, {taught.best_step}",
        f"{decimals(taught.reward[0])} {decimals(taught.final_reward)}",
    ]


def _lessons(part: Simulation) -> Iterator[str]:
    yield f"Taught first, in standard deviations inside a group (in brackets what outcomes teach), {LESSONS} of them:"
    for lesson in part.lessons[:LESSONS]:
        yield f"  {lesson.shift:+.2f} ({lesson.shift_by_outcomes:+.2f})  {lesson.trait}: {lesson.about}"
