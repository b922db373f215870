"""The most likely tokens a server shows, read for two answers: one that is not among them is bounded, never guessed."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from swe_rm.verifiers.remote.asking import EngineAnswerError
from swe_rm.verifiers.remote.question import Answer, Missing, of_logprobs, share, total

WIDEST = 0.05
"""Widest interval that still counts as an answer."""


def read_shown(
    shown: Mapping[Any, float], yes: Collection[Any], no: Collection[Any], missing: Missing = "error", **more: Any
) -> Answer:
    """The answer that a list of tokens and their log-probabilities gives; `yes` and `no` are spellings or ids.

    A token that is not shown is no likelier than the last one that is, nor than what all shown ones leave over. With
    `missing` "bound" the score is then the least certain one that this allows, and both ends of what it allows are
    kept. Raises EngineAnswerError where an answer is missing otherwise, both are, or the ends lie WIDEST apart.
    """
    found_yes = [shown[key] for key in yes if key in shown]
    found_no = [shown[key] for key in no if key in shown]
    if found_yes and found_no:
        return of_logprobs(total(found_yes), total(found_no), **more)
    if not found_yes and not found_no:
        raise EngineAnswerError(f"neither answer is among the {len(shown)} likeliest tokens")
    lacking = "YES" if not found_yes else "NO"
    if missing == "error":
        raise EngineAnswerError(f"{lacking} is not among the {len(shown)} likeliest tokens")
    known = total(found_yes or found_no)
    at_most = math.log(max(_most(shown.values()), 5e-324))
    ends = (share(known, at_most), 1.0) if found_yes else (0.0, share(at_most, known))
    if ends[1] - ends[0] > WIDEST:
        raise EngineAnswerError(
            f"{lacking} is not among the {len(shown)} likeliest tokens, and the score lies between {ends[0]:.3f} and "
            f"{ends[1]:.3f}: too wide"
        )
    return Answer(ends[0] if found_yes else ends[1], bounds=ends, **more)


def _most(logprobs: Collection[float]) -> float:
    """The largest probability of a token that is not shown."""
    left = 1.0 - math.fsum(math.exp(value) for value in logprobs)
    return max(0.0, min(math.exp(min(logprobs)), left))
