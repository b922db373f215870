"""How a verb reads the attempts it is given."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swe_rm.outcome_rows import Table
    from swe_rm.scored import Gathering
    from swe_rm.sources import Pile
    from swe_rm.trajectory import Labelled


def read_attempts(paths: Sequence[Path], labels: Sequence[Path]) -> tuple["Pile", list["Labelled"]]:
    """The pile of these paths and all its attempts, in memory."""
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress

    pile = open_pile(paths, labels=labels)
    with Progress("reading") as progress:
        return pile, list(progress.over(pile.attempts()))


def gather(
    paths: Sequence[Path], labels: Sequence[Path], *, lengths: bool = True
) -> tuple["Pile | Table", "Gathering"]:
    """What measuring needs of a pile's attempts; their logs do not stay in memory.

    Tables of outcomes, as `swe-rm label --out` writes them, are taken for the attempts they name.
    """
    from swe_rm.outcome_rows import is_table
    from swe_rm.scored import Gathering
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress

    gathered = Gathering(lengths=lengths)
    if not labels and all(map(is_table, paths)):
        return _gather_rows(paths, gathered), gathered
    pile = open_pile(paths, labels=labels)
    with Progress("reading") as progress:
        for item in progress.over(pile.attempts()):
            gathered.add(item)
    return pile, gathered


def _gather_rows(paths: Sequence[Path], gathered: "Gathering") -> "Table":
    from swe_rm.outcome_rows import Table
    from swe_rm.terminal import Progress

    table = Table(paths)
    with Progress("reading") as progress:
        for row, key in progress.over(table.rows()):
            gathered.add_row(row, key)
    return table
