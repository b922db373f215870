"""The line: nobody is lost or taken twice, batches keep their budget, tasks stay together, nobody waits for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.serve.waiting import Waiter, Waiting, rank

PACE = 0.001


def waiter(key: int, tokens: int, task: str = "", arrived: float = 0.0, ageing: float = 0.0) -> Waiter[int]:
    return Waiter(str(key), task or str(key), tokens, rank(arrived, tokens, PACE, ageing, 60.0), key)


def emptied(line: Waiting[int]) -> list[list[int]]:
    batches = []
    while line:
        batches.append([one.load for one in line.take()])
    return batches


@given(
    sizes=st.lists(st.integers(1, 300), max_size=30),
    tasks=st.lists(st.sampled_from("abc"), min_size=30, max_size=30),
    budget=st.integers(1, 400),
    most=st.integers(1, 6),
    gone=st.sets(st.integers(0, 29)),
)
def test_each_comes_out_once_within_the_budget(
    sizes: list[int], tasks: list[str], budget: int, most: int, gone: set[int]
) -> None:
    line: Waiting[int] = Waiting(budget, most)
    for key, tokens in enumerate(sizes):
        line.add(waiter(key, tokens, tasks[key], key, 2.0))
    left = [key for key in range(len(sizes)) if key not in gone]
    for key in gone & set(range(len(sizes))):
        line.remove(str(key))
    assert (len(line), line.tokens) == (len(left), sum(sizes[key] for key in left))
    batches = emptied(line)
    assert sorted(key for batch in batches for key in batch) == left
    assert line.tokens == 0
    for batch in batches:
        assert len(batch) <= most
        assert len(batch) == 1 or sum(sizes[key] for key in batch) <= budget


@given(sizes=st.lists(st.integers(1, 300), min_size=1, max_size=20), ageing=st.floats(0, 10))
def test_whose_turn_it_is_is_never_left_out(sizes: list[int], ageing: float) -> None:
    line: Waiting[int] = Waiting(256, 4)
    waiters = [waiter(key, tokens, "", key / 10, ageing) for key, tokens in enumerate(sizes)]
    for one in waiters:
        line.add(one)
    while line:
        first = min(waiters, key=lambda one: one.rank)
        taken = {one.key for one in line.take()}
        assert first.key in taken
        waiters = [one for one in waiters if one.key not in taken]


def test_the_attempts_of_one_task_go_together() -> None:
    line: Waiting[int] = Waiting(100, 8)
    for key in range(6):
        line.add(waiter(key, 30, "ab"[key % 2], key))
    assert [[key % 2 for key in batch] for batch in emptied(line)] == [[0, 0, 0], [1, 1, 1]]


def test_a_long_one_does_not_ride_ahead_with_a_short_one_of_its_task() -> None:
    line: Waiting[int] = Waiting(100, 8)
    line.add(waiter(0, 80, "a", arrived=2.0))
    line.add(waiter(1, 10, "a", arrived=0.0))
    line.add(waiter(2, 30, "b", arrived=1.0))
    line.add(waiter(3, 40, "a", arrived=3.0))
    assert emptied(line) == [[1, 3, 2], [0]]


def test_short_ones_overtake_a_long_one_only_until_its_moment() -> None:
    line: Waiting[int] = Waiting(100, 8)
    line.add(waiter(0, 1000, arrived=0.0, ageing=4.0))  # its moment is at 4 s
    line.add(waiter(1, 60, arrived=1.0, ageing=4.0))
    line.add(waiter(2, 60, arrived=5.0, ageing=4.0))
    assert emptied(line) == [[1], [0], [2]]


def test_nobody_stands_back_longer_than_the_most() -> None:
    assert rank(5.0, 1_000_000, PACE, 20.0, 75.0) == 80.0


def test_without_ageing_it_is_first_come_first_served() -> None:
    line: Waiting[int] = Waiting(100, 8)
    for key, tokens in enumerate((1000, 60, 60)):
        line.add(waiter(key, tokens, arrived=key))
    assert emptied(line) == [[0], [1], [2]]


def test_nobody_waits_twice() -> None:
    line: Waiting[int] = Waiting(100, 8)
    line.add(waiter(1, 10))
    assert "1" in line
    with pytest.raises(ValueError, match="waits already"):
        line.add(waiter(1, 10))
    with pytest.raises(KeyError):
        line.remove("2")
