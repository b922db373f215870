"""Answers for rows that may not fit into memory: a row is halved until it fits, a single sequence is read in tiles.

What cannot be answered is given back with its reason, and the rest is answered all the same.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from swe_rm import batch, prefix
from swe_rm.decoder import Tiles
from swe_rm.errors import VerifierError

Pair = tuple[float, float]
"""(log P(YES), log P(NO))."""

Read = Callable[[batch.Row, Tiles], Sequence[Pair]]
"""What answers a row with so much of it worked on at once."""

LEAST_TILE = 1_024
"""Queries at once, below which a sequence is given up: smaller tiles save little more and are slower."""

_TOO_LARGE = "do not fit into memory"

log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """What came of one sequence: its log-probabilities, or why there are none."""

    pair: Pair | None
    reason: str = ""


def answers(
    trees: Sequence[prefix.Tree], sequences: Sequence[batch.Tokens], read: Read, tiles: Tiles
) -> Iterator[tuple[int, Answer]]:
    """The answer to each sequence of a row. A row that fails for one of them is halved, and each half read again."""
    row = prefix.row(trees, sequences)
    try:
        pairs = read(row, tiles)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        failure = _too_large(row)
    except VerifierError as error:
        failure = str(error)
    else:
        if tiles.queries is not None:
            log.info("%s whole: read in tiles of %s queries", _too_large(row), f"{tiles.queries:,}")
        yield from zip(row.members, map(Answer, pairs), strict=True)
        return
    yield from _again(trees, sequences, read, tiles, failure)


def _again(
    trees: Sequence[prefix.Tree], sequences: Sequence[batch.Tokens], read: Read, tiles: Tiles, failure: str
) -> Iterator[tuple[int, Answer]]:
    """After a failure; outside its except block, so that what the error holds on to is free."""
    _release()
    members = [index for tree in trees for index in tree.members]
    if len(members) > 1:
        log.info("%s: row of %d attempts halved", failure, len(members))
        for half in prefix.halves(trees):
            yield from answers(half, sequences, read, tiles)
    elif failure.endswith(_TOO_LARGE) and (smaller := _smaller(tiles, len(sequences[members[0]]))):
        yield from answers(trees, sequences, read, smaller)
    else:
        yield members[0], Answer(None, failure)


def _too_large(row: batch.Row) -> str:
    return f"{len(row.token_ids):,} tokens {_TOO_LARGE}"


def _smaller(tiles: Tiles, tokens: int) -> Tiles | None:
    """A quarter of the work at once; None where that is too little."""
    size = min(tiles.queries or tokens, tokens) // 4
    return Tiles(min(tiles.tokens, size), size) if size >= LEAST_TILE else None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch or Python could not get the memory asked for, on a GPU or a CPU."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return any(sign in str(error) for sign in ("can't allocate memory", "out of memory", "ALLOC_FAILED"))


def _release() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
