"""How a verb reads the attempts it is given."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


def gather(paths: Sequence[Path], labels: Sequence[Path], *, lengths: bool = True) -> tuple["Pile", "Gathering"]:
    """What measuring needs of a pile's attempts; their logs do not stay in memory."""
    from swe_rm.scored import Gathering
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress

    pile, gathered = open_pile(paths, labels=labels), Gathering(lengths=lengths)
    with Progress("reading") as progress:
        for item in progress.over(pile.attempts()):
            gathered.add(item)
    return pile, gathered
