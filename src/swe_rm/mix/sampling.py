"""Which clean attempts are drawn: weights, caps, ratio, pairs and total, by hash of seed and id, never by place."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from swe_rm.errors import SweRmError
from swe_rm.mix import ratios
from swe_rm.mix.config import Sample
from swe_rm.mix.facts import Facts
from swe_rm.mix.filling import counts, fill, group_of, mixed, places
from swe_rm.mix.sharing import Cell, Unmet, cells, share_out
from swe_rm.mix.steps import Dropped
from swe_rm.mix.weights import cell_of, check_left, weight_of
from swe_rm.trajectory import Outcome


class Drawn(NamedTuple):
    """A sample of one part."""

    kept: list[Facts]
    dropped: dict[int, Dropped]
    cells: tuple[Cell, ...]
    """Where there are weights."""


def draw(table: Sequence[Facts], sample: Sample, seed: int) -> Drawn:
    """Choose among the attempts. Raises SweRmError saying what could be met when a number cannot."""
    ordered = sorted(table, key=lambda facts: (_number(seed, facts.attempt_id), facts.attempt_id))
    dropped: dict[int, Dropped] = {}
    left = _weighed(ordered, sample, dropped)
    if sample.patch_only is not None:
        bare = [facts for facts in left if not facts.logged]
        stays = fill(bare, {None: sample.patch_only}, sample.keep_pairs)
        left = _only(left, lambda row: row.logged or row.ordinal in stays, "patch_only", sample.patch_only, dropped)
    if sample.per_task is not None:
        capped = {o for task in _by(left, _task) for o in _capped(task, sample.per_task, sample, seed)}
        left = _only(left, lambda row: row.ordinal in capped, "per_task", sample.per_task, dropped)
    if sample.keep_pairs:
        left = _without_halves(ordered, left, dropped)
    check_left(sample, ordered, left)
    if sample.balance_policies:
        left = _balanced(left, sample, dropped)
    elif sample.positives_per_negative and sample.total is None:
        left = _at_ratio(left, sample, dropped)
    return _total(left, sample.total, sample, dropped) if sample.total else Drawn(left, dropped, ())


def _number(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()


def _task(row: Facts) -> str:
    return row.instance_id


def _by(table: Sequence[Facts], key: Callable[[Facts], str]) -> list[list[Facts]]:
    groups: dict[str, list[Facts]] = {}
    for row in table:
        groups.setdefault(key(row), []).append(row)
    return list(groups.values())


# --- what goes before a total is drawn -------------------------------------------------------------------------------


def _weighed(table: Sequence[Facts], sample: Sample, dropped: dict[int, Dropped]) -> list[Facts]:
    left: list[Facts] = []
    for row in table:
        cell = cell_of(sample, row)
        if cell is None:
            dropped[row.ordinal] = Dropped("sample", "no weight", f"no pattern matches {row.source} / {row.policy}")
        elif not weight_of(sample, cell):
            dropped[row.ordinal] = Dropped("sample", "weight 0", str(cell))
        else:
            left.append(row)
    return left


def _only(
    left: Sequence[Facts], stays: Callable[[Facts], bool], rule: str, limit: object, dropped: dict[int, Dropped]
) -> list[Facts]:
    why = Dropped("sample", rule, f"at most {limit}")
    dropped.update((facts.ordinal, why) for facts in left if not stays(facts))
    return [facts for facts in left if stays(facts)]


def _capped(task: Sequence[Facts], most: int, sample: Sample, seed: int) -> set[int]:
    """Ordinals of the attempts at one task that stay; with a ratio as near it as the task allows."""
    if sample.positives_per_negative is None:
        return fill(task, {None: most}, sample.keep_pairs)
    chance = Fraction(int.from_bytes(_number(seed, task[0].instance_id)), 1 << 64)
    wanted = ratios.parted_within(most, sample.positives_per_negative, *counts(task), chance)
    if sample.keep_pairs and mixed(task) and not all(wanted):
        wanted = (1, most - 1) if not wanted[0] else (most - 1, 1)
    return fill(task, places(*wanted), sample.keep_pairs)


def _without_halves(before: Sequence[Facts], left: Sequence[Facts], dropped: dict[int, Dropped]) -> list[Facts]:
    """Without the attempts whose task and policy had both outcomes and has one now."""
    halves = mixed(before) - mixed(left)
    why = Dropped("sample", "keep_pairs", "its task and policy has both outcomes, and the other one was dropped")
    dropped.update((row.ordinal, why) for row in left if group_of(row) in halves)
    return [row for row in left if group_of(row) not in halves]


def _balanced(table: Sequence[Facts], sample: Sample, dropped: dict[int, Dropped]) -> list[Facts]:
    kept: set[int] = set()
    for policy in _by(table, lambda row: row.policy):
        chosen = _most(policy, sample, ratios.in_units)
        kept |= chosen
        there, taken = counts(policy), counts([row for row in policy if row.ordinal in chosen])
        said = f"{there[0]:,} resolved and {there[1]:,} unresolved of its policy give {taken[0]:,} and {taken[1]:,}"
        why = Dropped("sample", "balance_policies", said)
        dropped.update((row.ordinal, why) for row in policy if row.ordinal not in kept)
    return [row for row in table if row.ordinal in kept]


def _at_ratio(table: Sequence[Facts], sample: Sample, dropped: dict[int, Dropped]) -> list[Facts]:
    kept = _most(table, sample, ratios.at_ratio)
    said = "of {:,} resolved and {:,} unresolved attempts".format(*counts(table))
    if not kept:
        pairs = " with pairs kept together" if sample.keep_pairs else ""
        raise SweRmError(
            f"sample.positives_per_negative: {sample.positives_per_negative:g} cannot be met{pairs} {said}"
        )
    left = [row for row in table if row.ordinal in kept]
    why = Dropped("sample", "positives_per_negative", "{:,} and {:,} are drawn {}".format(*counts(left), said))
    dropped.update((row.ordinal, why) for row in table if row.ordinal not in kept)
    return left


def _most(table: Sequence[Facts], sample: Sample, allowed: Callable[[int, int, float], tuple[int, int]]) -> set[int]:
    """The most attempts at the ratio; where pairs forbid as many as there are, as many as they allow."""
    ratio, there = sample.positives_per_negative or 1.0, counts(table)
    while any(wanted := allowed(*there, ratio)):
        kept = fill(table, places(*wanted), sample.keep_pairs)
        there = counts([row for row in table if row.ordinal in kept])
        if there == wanted:
            return kept
    return set()


# --- the total -------------------------------------------------------------------------------------------------------


def _total(table: Sequence[Facts], total: int, sample: Sample, dropped: dict[int, Dropped]) -> Drawn:
    try:
        kept = share_out(table, total, sample)
    except Unmet as unmet:
        best = _best(table, total, sample)
        can = f"a total of {best:,} can" if best else "no smaller total can"
        pairs = " with pairs kept together" if sample.keep_pairs else ""
        raise SweRmError(f"sample.total: {total:,} cannot be met{pairs}: {unmet}; {can}") from None
    there: Mapping[Outcome, int] = Counter(row.outcome for row in table)
    drawn = Counter(row.outcome for row in table if row.ordinal in kept)
    why = {o: Dropped("sample", "total", f"{drawn[o]:,} of {n:,} {o} attempts are drawn") for o, n in there.items()}
    dropped.update((row.ordinal, why[row.outcome]) for row in table if row.ordinal not in kept)
    return Drawn([row for row in table if row.ordinal in kept], dropped, cells(table, kept, sample))


def _best(table: Sequence[Facts], total: int, sample: Sample) -> int:
    """The largest total found that is met, by halving; 0 for none. What it says has been tried."""
    step = ratios.unit(sample.positives_per_negative or 1.0) if sample.balance_policies else 1
    low, high = 0, min(len(table), total) // step + 1
    while high - low > 1:
        middle = (low + high) // 2
        try:
            share_out(table, middle * step, sample)
        except Unmet:
            high = middle
        else:
            low = middle
    return low * step
