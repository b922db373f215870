"""A model's verdicts on one attempt that grows: what its states begin with in common is read once."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from swe_rm import batch, decoder, fitting, prefix
from swe_rm.model import VerdictModel
from swe_rm.render import Renderer
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Verdict, Verifier
from swe_rm.verifiers.local import ROW_TOKENS, answered
from swe_rm.vocabulary import Encoder

Ids = npt.NDArray[np.int32]

OWN_SHARE = 0.5
"""A state is read as a branch of a longer one where no more than this share of it is its own."""


class Growing:
    """Scores the states of one attempt, given in the order in which it grew: all in one call, or one in each.

    States given together are branches of one row; what is given later finds keys and values of what was read before.
    """

    def __init__(self, anew: Verifier, model: VerdictModel, renderer: Renderer) -> None:
        """`anew` is the same model without a memory: it reads what does not fit into memory together."""
        self._anew = anew
        self._model = model
        self._renderer = renderer
        self._encoder = Encoder(renderer.vocabulary)
        self._kept = decoder.Kept()

    @property
    def name(self) -> str:
        """name@version of the model."""
        return self._anew.name

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """One verdict for each state. Raises VerifierError where the model answers with NaN, and as `anew` does."""
        started = time.perf_counter()
        prompts = self._renderer.prompts(trajectories, self._encoder)
        pairs = self._answers([np.array(prompt.token_ids, np.int32) for prompt in prompts])
        if pairs is None:
            return self._anew(trajectories)
        seconds = (time.perf_counter() - started) / max(1, len(prompts))
        return [answered(prompt, *pair, seconds, self.name) for prompt, pair in zip(prompts, pairs, strict=True)]

    def _answers(self, states: Sequence[Ids]) -> list[fitting.Pair] | None:
        """The answer to each; None where they do not fit into memory."""
        try:
            return [self._next(states[0])] if len(states) == 1 else self._together(states)
        except (RuntimeError, MemoryError) as error:
            if not fitting.is_out_of_memory(error):
                raise
        return None

    def _next(self, state: Ids) -> fitting.Pair:
        kept, self._kept = self._kept, decoder.Kept()  # a reading that fails leaves none behind
        kept.begin(state)
        (pair,) = self._model.logprobs(batch.row([0], [state]), kept=kept)
        self._kept = kept
        return pair

    def _together(self, states: Sequence[Ids]) -> list[fitting.Pair]:
        found: dict[int, fitting.Pair] = {}
        alone: list[int] = []
        for trunk in _trunks(states):
            if len(trunk.members) == 1:
                alone += trunk.members
                continue
            suffixes = [states[member][end:] for member, end in zip(trunk.members, trunk.ends, strict=True)]
            answers = self._model.turn_logprobs(states[trunk.members[0]], trunk.ends, suffixes)
            found |= zip(trunk.members, answers, strict=True)
        for row in batch.rows(states, alone, ROW_TOKENS):
            found |= zip(row.members, self._model.logprobs(row), strict=True)
        return [found[member] for member in range(len(states))]


class _Trunk(NamedTuple):
    """A state that is read whole, the first member, and earlier ones that branch off it."""

    members: list[int]
    ends: list[int]
    """How much of the first one each member begins with, at least one token less than it has."""


def _trunks(states: Sequence[Ids]) -> Iterator[_Trunk]:
    """Every state in one trunk, from the last on; branches have at most as many tokens as a tree of `prefix` may."""
    open_: _Trunk | None = None
    room = 0
    for number in reversed(range(len(states))):
        state = states[number]
        end = prefix.alike(state, states[open_.members[0]]) if open_ else 0
        own = len(state) - end
        if open_ and end and own <= OWN_SHARE * len(state) and own <= room:
            open_.members.append(number)
            open_.ends.append(end)
            room -= own
            continue
        if open_:
            yield open_
        open_, room = _Trunk([number], [len(state) - 1]), prefix.TREE_ROWS * ROW_TOKENS
    if open_:
        yield open_
