"""Attempts that wait for the verifier: short ones first but not for ever, those of one task together, in batches."""

from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

Load = TypeVar("Load")

LONGER = 4
"""How many times as long as the first of its task an attempt may be to go with it before its turn."""


class Waiter(NamedTuple, Generic[Load]):
    """One attempt in the line."""

    key: str
    """Its attempt id: no two in the line are equal."""
    task: str
    tokens: int
    """Estimated; at least 1."""
    rank: float
    """The moment (seconds) by which it is its turn: see `rank`."""
    load: Load


def rank(arrived: float, tokens: int, pace: float, ageing: float, most: float) -> float:
    """When it is the turn of an attempt that arrived then, on a clock in seconds; the earlier goes first.

    It stands back by `ageing` times what reading it takes (`pace` seconds a token), but no more than `most` seconds. A
    shorter one that comes later goes first, but nobody who comes after that moment does: its wait is bounded.
    """
    return arrived + min(most, ageing * tokens * pace)


class Waiting(Generic[Load]):
    """The line. It knows no clock and no thread, so that what it does can be tested by itself."""

    def __init__(self, batch_tokens: int, batch_attempts: int) -> None:
        self._batch_tokens = batch_tokens
        self._batch_attempts = batch_attempts
        self._waiters: dict[str, Waiter[Load]] = {}
        self.tokens = 0
        """Of all that wait."""

    def __len__(self) -> int:
        return len(self._waiters)

    def __contains__(self, key: str) -> bool:
        return key in self._waiters

    def add(self, waiter: Waiter[Load]) -> None:
        """Put an attempt into the line. Raises ValueError where it stands there already."""
        if waiter.key in self._waiters:
            raise ValueError(f"{waiter.key} waits already")
        self._waiters[waiter.key] = waiter
        self.tokens += waiter.tokens

    def remove(self, key: str) -> None:
        """Take an attempt out of the line. Raises KeyError where it does not stand there."""
        self.tokens -= self._waiters.pop(key).tokens

    def take(self) -> list[Waiter[Load]]:
        """The next batch, out of the line: whoever's turn it is, its task's attempts, then others while they fit.

        The first is never left out, so none waits for ever, and one that is longer than a batch goes alone.
        """
        batch: list[Waiter[Load]] = []
        room = self._batch_tokens
        for waiter in self._in_turn(self._waiters.values()):
            if len(batch) == self._batch_attempts:
                break
            if not batch or waiter.tokens <= room:
                batch.append(waiter)
                room -= waiter.tokens
        for waiter in batch:
            self.remove(waiter.key)
        return batch

    def _in_turn(self, waiters: Iterable[Waiter[Load]]) -> list[Waiter[Load]]:
        """By rank, but attempts of one task behind the first of them, unless they are very much longer than it."""
        groups: dict[str, list[list[Waiter[Load]]]] = {}
        order: list[list[Waiter[Load]]] = []
        for waiter in sorted(waiters, key=lambda waiter: waiter.rank):
            of_task = groups.setdefault(waiter.task, [])
            group = next((group for group in of_task if waiter.tokens <= LONGER * group[0].tokens), None)
            if group is None:
                group = []
                of_task.append(group)
                order.append(group)
            group.append(waiter)
        return [waiter for group in order for waiter in group]
