"""The most likely tokens a server shows, read for two answers: one that is not among them is bounded, never guessed."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from swe_rm.verifiers.remote.asking import EngineAnswerError
from swe_rm.verifiers.remote.question import FAINT, Answer, Missing, check_sum, of_logprobs, total

WIDEST = 0.05
"""Widest interval that still counts as an answer."""


def read_shown(
    shown: Mapping[Any, float], yes: Collection[Any], no: Collection[Any], missing: Missing = "error", **more: Any
) -> Answer:
    """The answer that a list of tokens and their log-probabilities gives; `yes` and `no` are spellings or ids.

    A token that is not shown is no likelier than the last one that is, and all of them together have no more than the
    shown ones leave over. Where a spelling is not shown, the score is the least certain one that this allows, and both
    ends of what it allows are kept. Raises EngineAnswerError where the ends lie WIDEST apart, where no spelling of
    either answer is shown, or none of one of them and `missing` is "error".
    """
    check_sum(shown.values())
    found_yes = [shown[key] for key in yes if key in shown]
    found_no = [shown[key] for key in no if key in shown]
    if not found_yes and not found_no:
        raise EngineAnswerError(f"neither answer is among the {len(shown)} likeliest tokens")
    lacking = "" if found_yes and found_no else "NO" if found_yes else "YES"
    if lacking and missing == "error":
        raise EngineAnswerError(f"{lacking} is not among the {len(shown)} likeliest tokens")
    hidden = len(yes) - len(found_yes), len(no) - len(found_no)
    if not any(hidden):
        return of_logprobs(total(found_yes), total(found_no), **more)
    if total([*found_yes, *found_no]) < FAINT:
        raise EngineAnswerError("what is shown of the answers is as good as impossible")
    low, high = ends_of(_mass(found_yes), _mass(found_no), hidden, shown.values())
    if high - low > WIDEST:
        raise EngineAnswerError(
            f"{lacking or 'a spelling'} is not among the {len(shown)} likeliest tokens, and the score lies between "
            f"{low:.3f} and {high:.3f}: too wide"
        )
    return Answer(min(max(low, 0.5), high), bounds=(low, high), **more)


def ends_of(yes: float, no: float, hidden: tuple[int, int], shown: Collection[float]) -> tuple[float, float]:
    """The least and the largest P(YES) over both that the tokens shown allow.

    `yes` and `no` are the probabilities that are shown of each answer, `hidden` how many spellings of each are not, and
    `shown` the log-probabilities of all tokens that are. Each end gives one answer all that its spellings may have
    and the other none.
    """
    left = max(0.0, 1.0 - math.fsum(map(math.exp, shown)))
    each = math.exp(min(shown))
    more_yes, more_no = (min(count * each, left) for count in hidden)
    return yes / (yes + no + more_no), (yes + more_yes) / (yes + more_yes + no)


def _mass(logprobs: Collection[float]) -> float:
    return math.fsum(map(math.exp, logprobs))
