"""Packing loses nothing, keeps order, and respects the budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm import batch

SEQUENCES = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=20).map(tuple), max_size=30)


@given(sequences=SEQUENCES, budget=st.integers(1, 40))
def test_every_sequence_comes_out_once_whole_and_in_order(sequences: list[tuple[int, ...]], budget: int) -> None:
    order = batch.by_length(sequences)
    rows = list(batch.rows(sequences, order, budget))
    assert [index for row in rows for index in row.members] == order
    for row in rows:
        starts = [0, *row.ends[:-1]]
        assert row.ends[-1] == len(row.token_ids) == len(row.position_ids)
        assert len(row.token_ids) <= budget or len(row.members) == 1
        for index, a, b in zip(row.members, starts, row.ends, strict=True):
            assert tuple(row.token_ids[a:b]) == sequences[index]
            assert row.position_ids[a:b] == list(range(b - a))


@given(sequences=SEQUENCES)
def test_longest_first_and_stable(sequences: list[tuple[int, ...]]) -> None:
    order = batch.by_length(sequences)
    assert order == sorted(range(len(sequences)), key=lambda i: (-len(sequences[i]), i))


def test_an_empty_sequence_is_refused() -> None:
    with pytest.raises(ValueError, match="sequence 1 is empty"):
        list(batch.rows([(1,), ()], [0, 1], 8))
