"""What each optimiser step of a run is made of, and its learning rate: decided before the first step, by seed."""

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from swe_rm import batch
from swe_rm.recipe import TrainConfig
from swe_rm.training_data import TrainingExample

LENGTHS = 4
"""Groups of equal size that `even: [length]` sorts the examples into."""

Unit = tuple[int, ...]
"""Examples, by their index, that go into one step together."""


class Step(NamedTuple):
    """What one optimiser step is made of."""

    number: int
    """Counts from 1."""
    rows: list[tuple[int, ...]]
    """The examples of each row, by their index."""
    tokens: int

    @property
    def members(self) -> list[int]:
        """The step's examples, row by row."""
        return [index for row in self.rows for index in row]


def plan(examples: Sequence[TrainingExample], config: TrainConfig) -> list[Step]:
    """Every step over these examples: each epoch is a shuffle of its own, the last may be a part of one."""
    known = [example._replace(token_ids=()) for example in examples]  # tokens stay on disk
    lengths = [len(example.token_ids) for example in examples]
    steps: list[Step] = []
    whole, part = divmod(config.epochs, 1)
    for epoch in range(math.ceil(config.epochs)):
        units = _units(known, lengths, epoch, config)
        if epoch == whole:
            units = _first(units, round(part * len(lengths)))
        for rows in _steps(units, lengths, epoch, config):
            steps.append(Step(len(steps) + 1, rows, sum(lengths[index] for row in rows for index in row)))
    return steps


def learning_rate(step: int, steps: int, config: TrainConfig) -> float:
    """Rate of step 1..steps: linear rise, then a cosine down to a tenth of the peak."""
    rise = max(1, round(config.warmup_share * steps))
    if step <= rise:
        return config.learning_rate * step / rise
    progress = (step - rise) / max(1, steps - rise)
    return config.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * progress)))


def shares(lengths: Sequence[int], processes: int) -> list[list[int]]:
    """Which rows, by their index, each process takes: as even as rows can be dealt, the longest rows first.

    All have equally many (a collective waits for the last); a process that would have fewer is given the first row
    once more as -1: to be read and to count for nothing.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    order += [-1] * (-len(order) % processes)
    return [order[process::processes] for process in range(processes)]


def pairs(members: Sequence[int], examples: Sequence[TrainingExample], yes: int) -> list[tuple[int, int]]:
    """(place of a resolved, place of an unresolved attempt at the same task) among a step's members, every one."""
    tasks: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for place, index in enumerate(members):
        example = examples[index]
        if example.task:
            tasks[example.task][example.verdict_id != yes].append(place)
    return [(good, bad) for goods, bads in tasks.values() for good in goods for bad in bads]


def _units(known: Sequence[TrainingExample], lengths: Sequence[int], epoch: int, config: TrainConfig) -> list[Unit]:
    """The epoch's units, in its order."""
    order = list(range(len(known)))
    dice = random.Random(f"{config.seed}/{epoch}")
    dice.shuffle(order)
    units: list[Unit] = _paired(known, order) if config.pairwise_weight else [(index,) for index in order]
    if not config.even:
        return units
    ranks = {index: rank for rank, index in enumerate(sorted(order, key=lambda index: lengths[index]))}
    groups: dict[tuple[object, ...], list[Unit]] = defaultdict(list)
    for unit in units:
        length = ranks[unit[0]] * LENGTHS // len(ranks) if "length" in config.even else 0
        groups[length, known[unit[0]].policy if "policy" in config.even else ""].append(unit)
    return _spread(groups.values(), dice)


def _spread(groups: Iterable[Sequence[Unit]], dice: random.Random) -> list[Unit]:
    """Units in an order in which every stretch has each group's share: a group's n units stand 1/n apart."""
    places = []
    for group in groups:
        start = dice.random()
        places += [((start + number) / len(group), unit) for number, unit in enumerate(group)]
    return [unit for _, unit in sorted(places)]


def _paired(known: Sequence[TrainingExample], order: Sequence[int]) -> list[Unit]:
    """The examples in that order, a resolved and an unresolved attempt at one task together while there are both."""
    waiting: dict[tuple[str, int], list[int]] = defaultdict(list)
    units: dict[int, Unit] = {}
    verdicts = {example.verdict_id for example in known}
    for index in order:
        task, verdict = known[index].task, known[index].verdict_id
        other = next((waiting[task, v] for v in verdicts - {verdict} if task and waiting[task, v]), None)
        if other:
            first = other.pop(0)
            units[first] = (first, index)
        else:
            waiting[task, verdict].append(index)
            units[index] = (index,)
    return list(units.values())


def _first(units: Sequence[Unit], count: int) -> list[Unit]:
    """The first units that hold `count` examples (one more where the last unit is a pair)."""
    kept: list[Unit] = []
    for unit in units:
        if count <= 0:
            break
        kept.append(unit)
        count -= len(unit)
    return kept


def _steps(
    units: Sequence[Unit], lengths: Sequence[int], epoch: int, config: TrainConfig
) -> Iterator[list[tuple[int, ...]]]:
    """Rows of each step. Where it matters what a step shows, examples are dealt to steps, then packed."""
    if config.even or config.pairwise_weight:
        sizes = [sum(lengths[index] for index in unit) for unit in units]
        for chosen in batch.in_order(sizes, range(len(units)), config.tokens_per_step):
            yield _rows(lengths, [index for number in chosen for index in units[number]], config)
        return
    rows = _rows(lengths, [index for unit in units for index in unit], config)
    if config.packing == "best_fit":
        random.Random(f"{config.seed}/{epoch}/rows").shuffle(rows)
    held: list[tuple[int, ...]] = []
    tokens = 0
    for row in rows:
        held.append(row)
        tokens += sum(lengths[index] for index in row)
        if tokens + config.tokens_per_row > config.tokens_per_step:
            yield held
            held, tokens = [], 0
    if held:
        yield held


def _rows(lengths: Sequence[int], order: Sequence[int], config: TrainConfig) -> list[tuple[int, ...]]:
    pack = batch.best_fit if config.packing == "best_fit" else batch.in_order
    return list(pack(lengths, order, config.tokens_per_row))
