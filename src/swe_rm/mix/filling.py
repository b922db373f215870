"""Free places, for any outcome or for each, and which attempts get them; a task's and policy's pair stays together."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from swe_rm.mix.facts import Facts
from swe_rm.trajectory import Outcome

Kind = Outcome | None
"""None stands for any outcome."""
Places = Mapping[Kind, int]
Group = tuple[str, str]
"""(task, policy)."""


def group_of(row: Facts) -> Group:
    """Whose attempts a pair is of."""
    return row.instance_id, row.policy


def mixed(table: Sequence[Facts]) -> set[Group]:
    """The tasks and policies with both outcomes."""
    seen = {(group_of(row), row.outcome) for row in table}
    return {group for group, outcome in seen if outcome is Outcome.RESOLVED and (group, Outcome.UNRESOLVED) in seen}


def counts(table: Sequence[Facts]) -> tuple[int, int]:
    """(resolved, unresolved)."""
    found = Counter(row.outcome for row in table)
    return found[Outcome.RESOLVED], found[Outcome.UNRESOLVED]


def places(resolved: int, unresolved: int) -> Places:
    """So many for each outcome."""
    return {Outcome.RESOLVED: resolved, Outcome.UNRESOLVED: unresolved}


class _Room:
    """Places that are still free."""

    def __init__(self, free: Places) -> None:
        self._free = dict(free)

    def take(self, *rows: Facts) -> bool:
        """Give the rows their places if there is one for each."""
        wanted = Counter(row.outcome if None not in self._free else None for row in rows)
        if any(self._free.get(kind, 0) < n for kind, n in wanted.items()):
            return False
        for kind, n in wanted.items():
            self._free[kind] -= n
        return True


def fill(table: Sequence[Facts], free: Places, pairs: bool) -> set[int]:
    """Ordinals of the rows that get a place, in order; with `pairs` first couples of one task and policy.

    Of a task and policy with both outcomes no other attempt is taken unless a couple of it is.
    """
    room = _Room(free)
    couples = _couples(table) if pairs else []
    both = {group_of(first) for first, _ in couples}
    taken: set[int] = set()
    opened: set[Group] = set()
    for couple in couples:
        if room.take(*couple):
            taken.update(row.ordinal for row in couple)
            opened.add(group_of(couple[0]))
    for row in table:
        is_free = row.ordinal not in taken and (group_of(row) not in both or group_of(row) in opened)
        if is_free and room.take(row):
            taken.add(row.ordinal)
    return taken


def _couples(table: Sequence[Facts]) -> list[tuple[Facts, Facts]]:
    """A resolved and an unresolved attempt of one task and policy, as many as there are.

    The first couple of each task and policy comes before the second of any: the more are begun, the more is allowed.
    """
    outcomes: dict[Group, dict[Outcome, list[Facts]]] = {}
    for row in table:
        outcomes.setdefault(group_of(row), defaultdict(list))[row.outcome].append(row)
    each = [zip(held[Outcome.RESOLVED], held[Outcome.UNRESOLVED], strict=False) for held in outcomes.values()]
    return [couple for rank in zip_longest(*each) for couple in rank if couple]
