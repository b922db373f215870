"""What a verb says on stderr, and the exit code it leaves."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from swe_rm.verbs.options import STDOUT

if TYPE_CHECKING:
    from swe_rm.outcome_rows import Table
    from swe_rm.sources import Pile


def complain(pile: "Pile | Table") -> int:
    """Print what was refused and noticed while reading; the number of refusals."""
    say_all(pile.notes)
    refused = say_all(pile.refusals)
    if refused or pile.side_files:
        say(
            f"{pile.n_read} attempts in {len(pile.files_read)} files; {len(pile.side_files)} side files; "
            f"{refused} refused{f', {len(pile.files_refused)} of them whole files' if refused else ''}"
        )
    return refused


def say_all(items: Iterable[Any]) -> int:
    """A line on stderr for each; how many there were."""
    lines = [str(item) for item in items]
    for line in lines:
        say(line)
    return len(lines)


def say(line: str) -> None:
    """One line on stderr, whatever hostile text a file put into it."""
    typer.echo("".join(c if c.isprintable() else " " for c in line), err=True)


def exit_code(done: int, refused: int) -> int:
    """0 all was read, 2 something was refused, 1 nothing could be done."""
    if not done:
        say("swe-rm: nothing could be done")
        return 1
    return 2 if refused else 0


def console_for(json: Path | None) -> Any:
    """Where tables go: not among the JSON when that goes to stdout. It takes no text for markup or an emoji's code:
    names come from files."""
    from rich.console import Console

    return Console(stderr=json == STDOUT, markup=False, emoji=False)
