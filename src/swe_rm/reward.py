"""The float that RL sees, made of a verifier's score and of what the tests said: standard library only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Kind = Literal["hybrid", "mix", "execution-free", "execution-based"]
Tested = bool | str | None
"""What the tests said: True, False and None (not tested), or the words of `Outcome`."""

RESOLVED, UNFINISHED, FAILED = 1.0, -0.5, 0.0
"""The execution-based part as published (SWE-RM, equation 1)."""

_KNOWN: dict[Tested, bool | None] = {True: True, False: False, None: None}
_KNOWN |= {"resolved": True, "unresolved": False, "unknown": None}


@dataclass(frozen=True)
class Reward:
    """One way to make a reward; calling it makes one.

    hybrid: 1 + s if resolved, -0.5 + s if not finished, 0 + s otherwise (SWE-RM, equation 1).
    mix: gamma * resolved + (1 - gamma) * s; with gamma above one half no failed attempt gets as much as a resolved one.
    execution-free: s alone. execution-based: what hybrid has beside s.
    """

    kind: Kind = "hybrid"
    gamma: float = 0.75
    """Of mix."""
    clip: tuple[float, float] = (0.0, 1.0)
    """The score is held between these before anything else."""
    centre: float = 0.0
    """Taken from the score after that: with 0.5 a verifier that does not know adds nothing."""

    def __post_init__(self) -> None:
        if self.kind not in ("hybrid", "mix", "execution-free", "execution-based"):
            raise ValueError(f"{self.kind!r} is no kind of reward")
        if not 0.5 < self.gamma <= 1:
            raise ValueError(
                f"gamma is {self.gamma}: above 0.5, or a failed attempt could pass a resolved one; at most 1"
            )
        if not 0 <= self.clip[0] <= self.clip[1] <= 1 or not 0 <= self.centre <= 1:
            raise ValueError(f"clip {self.clip} and centre {self.centre} must lie in [0, 1]")

    def __call__(self, score: float | None, tested: Tested = None, *, finished: bool = True) -> float:
        """The reward of one attempt.

        Raises ValueError where it needs a score in [0, 1] or an outcome and gets none: an attempt that is finished and
        not tested has not failed. One that is not finished needs no test.
        """
        if self.kind == "execution-free":
            return self._shaped(score)
        executed = self.executed(tested, finished=finished)
        if self.kind == "execution-based":
            return executed
        return executed + (1 - self.gamma if self.kind == "mix" else 1) * self._shaped(score)

    def executed(self, tested: Tested, *, finished: bool = True) -> float:
        """What the tests give beside the score; nothing where they are not asked. Raises ValueError as a call does."""
        if self.kind == "execution-free":
            return 0.0
        resolved = _resolved(tested, finished=finished)
        if self.kind == "mix":
            return self.gamma * resolved
        return RESOLVED if resolved else FAILED if finished else UNFINISHED

    def _shaped(self, score: float | None) -> float:
        if score is None or not 0 <= score <= 1:  # NaN is not either
            raise ValueError(f"{score} is no score: P(resolved), from 0 to 1")
        return min(max(float(score), self.clip[0]), self.clip[1]) - self.centre


def is_finished(told: Mapping[str, Any]) -> bool:
    """Whether an attempt was handed in, by what a trainer carries along: its word `finished`, else whether there is a
    `model_patch`."""
    finished = told.get("finished")
    return bool(told.get("model_patch") if finished is None else finished)


class GroupRewards(NamedTuple):
    """The rewards of several attempts at one task."""

    rewards: list[float]
    is_uniform: bool
    """Whether the tests gave all the same. Log such groups apart: advantages that are divided by the group's own
    spread make a full-size update of whatever small part of the reward the score is."""


def group_rewards(
    scores: Sequence[float | None],
    tested: Sequence[Tested],
    finished: Sequence[bool],
    reward: Reward | None = None,
) -> GroupRewards:
    """The reward of each attempt of a group, by position, as published unless `reward` says otherwise.

    Raises ValueError as `Reward` does, and for lists of different lengths.
    """
    reward = reward or Reward()
    rows = list(zip(scores, tested, finished, strict=True))
    rewards = [reward(score, said, finished=whole) for score, said, whole in rows]
    return GroupRewards(rewards, len({reward.executed(said, finished=whole) for _, said, whole in rows}) == 1)


def _resolved(tested: Tested, *, finished: bool) -> bool:
    known = _known(tested)
    if known is None and finished:
        raise ValueError("a finished attempt that was not tested has no outcome, and this reward needs one")
    return known is True


def _known(tested: Tested) -> bool | None:
    if tested not in _KNOWN:
        raise ValueError(f"{tested!r} is no outcome: True, False, None, or resolved, unresolved, unknown")
    return _KNOWN[tested]
