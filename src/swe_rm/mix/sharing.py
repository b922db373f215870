"""A total shared out among cells by weight, within each outcome alike, and within a cell among its policies."""

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction

from swe_rm.mix import ratios
from swe_rm.mix.config import Sample
from swe_rm.mix.facts import Facts
from swe_rm.mix.filling import Group, Kind, Places, fill, group_of, places
from swe_rm.mix.weights import CellName, cell_of, shares, weight_of
from swe_rm.trajectory import Noun, Outcome

_UNLIMITED = 1 << 62

Stock = dict[Kind, dict[str, int]]
"""How many a policy of a cell can give, by kind; the name is empty where policies are not told apart."""


class Unmet(Exception):  # noqa: N818  # an answer, told as SweRmError with what can be met
    """A total cannot be met; the text says what is missing."""


class Cell(Noun):
    """Attempts that match the same patterns, and what was taken of them."""

    sources: str
    policies: str
    repos: str = "*"
    weight: float
    there: int
    taken: int


def share_out(table: Sequence[Facts], total: int, sample: Sample) -> set[int]:
    """Ordinals of exactly `total` attempts. Raises Unmet."""
    by_cell = _by_cell(table, sample)
    strata = {cell: _by_policy(rows, sample) for cell, rows in by_cell.items()}
    stocks = {cell: _stock(rows, sample) for cell, rows in strata.items()}
    wanted = _wanted(total, sample)
    while True:
        quotas = _quotas(wanted, stocks, sample)
        kept: set[int] = set()
        short = False
        for cell, rows in strata.items():
            taken, is_short = _fill_cell(rows, {kind: quotas[kind][cell] for kind in wanted}, stocks[cell], sample)
            kept |= taken
            short |= is_short
        if not short:
            return kept


def _wanted(total: int, sample: Sample) -> dict[Kind, int]:
    """How many of which kind; with balanced policies one kind, attempts in units of the ratio."""
    ratio = sample.positives_per_negative
    if ratio is None:
        return {None: total}
    if sample.balance_policies:
        if total % ratios.unit(ratio):
            raise Unmet(f"balanced policies at {ratio:g} come {ratios.unit(ratio)} attempts at a time")
        return {None: total}
    positives, negatives = ratios.parted(total, ratio)
    if not (positives and negatives):
        raise Unmet(f"{ratio:g} resolved to one unresolved leave one outcome")
    return {Outcome.RESOLVED: positives, Outcome.UNRESOLVED: negatives}


def _quotas(
    wanted: Mapping[Kind, int], stocks: Mapping[CellName, Stock], sample: Sample
) -> dict[Kind, dict[CellName, int]]:
    """How many of each kind every cell gives. Raises Unmet."""
    step = ratios.unit(sample.positives_per_negative or 1.0) if sample.balance_policies else 1
    weights = {cell: Fraction(repr(weight_of(sample, cell))) for cell in stocks}
    quotas: dict[Kind, dict[CellName, int]] = {}
    for kind, total in wanted.items():
        there = {cell: sum(stock[kind].values()) // step for cell, stock in stocks.items()}
        if sum(there.values()) * step < total:
            raise Unmet(f"{_many(sum(there.values()) * step, kind)} are there and {total:,} are wanted")
        limits = there if sample.fill_up else dict.fromkeys(there, _UNLIMITED)
        given = shares(total // step, weights, limits)
        for cell, n in given.items():
            if n > there[cell]:
                raise Unmet(
                    f"{cell} has {_many(there[cell] * step, kind)}, its weight asks for {n * step:,} "
                    "(fill_up takes the rest from the others)"
                )
        quotas[kind] = {cell: n * step for cell, n in given.items()}
    return quotas


def _many(n: int, kind: Kind) -> str:
    return f"{n:,} attempts" if kind is None else f"{n:,} {kind} attempts"


def _fill_cell(
    strata: Mapping[str, Sequence[Facts]], quota: Mapping[Kind, int], stock: Stock, sample: Sample
) -> tuple[set[int], bool]:
    """What a cell gives, and whether it gave less than its quota; its stock is then what it can give."""
    rooms = _rooms(quota, strata, stock, sample)
    kept: set[int] = set()
    short = False
    for name, rows in strata.items():
        taken = fill(rows, rooms[name], sample.keep_pairs)
        for kind, n in _given([row for row in rows if row.ordinal in taken], sample).items():
            wanted = sum(rooms[name].values()) if kind is None else rooms[name][kind]
            if n < wanted:
                stock[kind][name] = n
                short = True
        kept |= taken
    return kept, short


def _rooms(
    quota: Mapping[Kind, int], strata: Mapping[str, Sequence[Facts]], stock: Stock, sample: Sample
) -> dict[str, Places]:
    """The places of each policy of a cell: policies share as they are in the pool."""
    step = ratios.unit(sample.positives_per_negative or 1.0) if sample.balance_policies else 1
    weights = {name: Fraction(len(rows)) for name, rows in strata.items()}
    found: dict[str, dict[Kind, int]] = {name: {} for name in strata}
    for kind, total in quota.items():
        there = {name: n // step for name, n in stock[kind].items()}
        for name, n in shares(total // step, weights, there).items():
            found[name][kind] = n * step
    if sample.balance_policies and sample.positives_per_negative:
        return {name: places(*ratios.parted(of[None], sample.positives_per_negative)) for name, of in found.items()}
    return dict(found)


def _given(rows: Sequence[Facts], sample: Sample) -> dict[Kind, int]:
    """Attempts by kind; of balanced policies what is in whole units."""
    outcomes = Counter(row.outcome for row in rows)
    resolved, unresolved = outcomes[Outcome.RESOLVED], outcomes[Outcome.UNRESOLVED]
    if sample.positives_per_negative is None:
        return {None: len(rows)}
    if sample.balance_policies:
        return {None: sum(ratios.in_units(resolved, unresolved, sample.positives_per_negative))}
    return {Outcome.RESOLVED: resolved, Outcome.UNRESOLVED: unresolved}


def _stock(strata: Mapping[str, Sequence[Facts]], sample: Sample) -> Stock:
    stock: Stock = {}
    for name, rows in strata.items():
        for kind, n in _given(rows, sample).items():
            stock.setdefault(kind, {})[name] = n
    return stock


def _by_cell(table: Sequence[Facts], sample: Sample) -> dict[CellName, list[Facts]]:
    """Rows by cell; with pairs a task and policy stays together in its first row's."""
    homes: dict[Group, CellName] = {}
    found: dict[CellName, list[Facts]] = {}
    for row in table:
        own = cell_of(sample, row) or CellName()
        home = homes.setdefault(group_of(row), own) if sample.keep_pairs else own
        found.setdefault(home, []).append(row)
    return dict(sorted(found.items()))


def _by_policy(rows: Sequence[Facts], sample: Sample) -> dict[str, list[Facts]]:
    """Rows by policy where policies are balanced, else all under one name."""
    found: dict[str, list[Facts]] = {}
    for row in rows:
        found.setdefault(row.policy if sample.balance_policies else "", []).append(row)
    return dict(sorted(found.items()))


def cells(table: Sequence[Facts], kept: set[int], sample: Sample) -> tuple[Cell, ...]:
    """What each cell had and gave; none without weights."""
    if not (sample.sources or sample.policies or sample.repos):
        return ()
    return tuple(
        Cell(
            sources=cell.source or "*",
            policies=cell.policy or "*",
            repos=cell.repo or "*",
            weight=weight_of(sample, cell),
            there=len(rows),
            taken=sum(row.ordinal in kept for row in rows),
        )
        for cell, rows in _by_cell(table, sample).items()
    )
