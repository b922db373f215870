"""What does not fit is halved, then tiled, then reported; everything else is answered."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from swe_rm import batch, fitting, prefix
from swe_rm.decoder import Tiles
from swe_rm.errors import VerifierError
from swe_rm.fitting import Answer


class Reader:
    """Answers a row with the length of each sequence; fails where too many tokens are worked on at once."""

    def __init__(self, room: int, poison: int = -1, error: Exception | None = None) -> None:
        self.room = room
        self.poison = poison
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 64 GiB")
        self.tiles: list[int | None] = []

    def __call__(self, row: batch.Row, tiles: Tiles) -> Sequence[fitting.Pair]:
        self.tiles.append(tiles.queries)
        if self.poison in row.token_ids:
            raise VerifierError("the model answered with NaN")
        if min(len(row.token_ids), tiles.queries or len(row.token_ids)) > self.room:
            raise self.error
        return [(-float(end), -1.0) for end in row.ends]


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    budget=st.integers(1, 100),
    room=st.integers(1, 60),
    share=st.booleans(),
)
def test_all_that_fit_are_answered_and_the_others_named(
    lengths: list[int], budget: int, room: int, share: bool
) -> None:
    sequences = [tuple(range(length)) for length in lengths]
    groups = [0] * len(lengths) if share else None
    found = {}
    for trees in prefix.rows(sequences, budget, groups=groups):
        found |= dict(fitting.answers(trees, sequences, Reader(room), Tiles()))
    assert found.keys() == set(range(len(lengths)))
    for index, answer in found.items():
        assert (answer.pair is None) == (lengths[index] > room)
        assert answer.pair or answer.reason == f"{lengths[index]:,} tokens do not fit into memory"


def test_a_single_sequence_is_read_in_smaller_tiles_before_it_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "swe_rm.fitting")
    sequence = tuple(range(100_000))
    reader = Reader(room=7_000)
    ((_, answer),) = fitting.answers([prefix.Tree((0,))], [sequence], reader, Tiles())
    assert answer.pair
    assert reader.tiles == [None, 25_000, 6_250]
    assert caplog.messages == ["100,000 tokens do not fit into memory whole: read in tiles of 6,250 queries"]
    stuck = Reader(room=100)
    ((_, answer),) = fitting.answers([prefix.Tree((0,))], [sequence], stuck, Tiles())
    assert answer == Answer(None, "100,000 tokens do not fit into memory")
    assert stuck.tiles == [None, 25_000, 6_250, 1_562]
    assert len(caplog.messages) == 1, "nothing was read"


def test_one_bad_answer_costs_only_itself() -> None:
    sequences = [(1, 2), (99, 1), (3,)]
    trees = tuple(prefix.Tree((index,)) for index in range(3))
    found = dict(fitting.answers(trees, sequences, Reader(room=10, poison=99), Tiles()))
    assert found[1] == Answer(None, "the model answered with NaN")
    assert found[0].pair
    assert found[2].pair


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")]
)
def test_a_cpu_runs_out_of_memory_too(error: Exception) -> None:
    trees = (prefix.Tree((0,)), prefix.Tree((1,)))
    found = dict(fitting.answers(trees, [(1, 2), (3,)], Reader(room=2, error=error), Tiles()))
    assert all(answer.pair for answer in found.values())


def test_our_own_bugs_are_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        list(fitting.answers([prefix.Tree((0,))], [(1, 2)], Reader(room=1, error=RuntimeError("shapes")), Tiles()))
