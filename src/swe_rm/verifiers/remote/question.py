"""What an engine is asked about an attempt, and what it can answer."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from swe_rm.trajectory import Trajectory
from swe_rm.verifiers.remote.asking import EngineAnswerError

Missing = Literal["error", "bound"]

OVER = 1e-2
"""How far probabilities may add up to more than 1: engines that compute in bf16 are off by less."""
FAINT = math.log(2.0**-126)
"""Below the least number that fp32 holds in full: servers write zeros or a floor (-9999) for what lies there."""


class Question(NamedTuple):
    """One attempt as an engine is to read it: as token ids where the engine takes them, else as text or messages."""

    attempt_id: str
    task: str
    token_ids: tuple[int, ...] = ()
    text: str = ""
    messages: tuple[Mapping[str, str], ...] = ()
    document: Mapping[str, Any] | None = None
    """The attempt itself, for a server that lays it out."""
    cut: int = 0
    """Tokens of the attempt that were cut before it left."""

    @property
    def prompt(self) -> list[int] | str:
        """The ids, or the text where there is no tokenizer for it."""
        return list(self.token_ids) or self.text


class Answer(NamedTuple):
    """What an engine said of one question."""

    score: float
    logprob_yes: float | None = None
    logprob_no: float | None = None
    bounds: tuple[float, float] | None = None
    """Where the engine did not show all it needed to: the score lies between these."""
    prompt_tokens: int | None = None
    """Tokens the engine says it read, all repeats together; None where it does not say."""
    completion_tokens: int = 0
    cached_tokens: int = 0
    raw: float | None = None
    """The score before the server calibrated it, where it did."""
    cut: int | None = None
    """Tokens that the server cut, where it is the one to do so."""


class Reader(Protocol):
    """Turns an attempt into what an engine is asked."""

    @property
    def name(self) -> str:
        """name@version of whose verifier it is."""
        ...

    def __call__(self, trajectory: Trajectory) -> Question:
        """The question; raises VerifierError for an attempt that cannot be brought under the limit."""
        ...


class Engine(Protocol):
    """Answers questions."""

    name: str
    """Kind and version, as it stands after the verifier's name; "" where another name says it all."""
    together: int
    """Questions of one task that may go in one request."""

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """One answer for each, in their order; at most `together`.

        Raises EngineError; where several were asked and it is not that the engine is down, each is then asked alone.
        """
        ...


def of_logprobs(yes: float, no: float, **more: Any) -> Answer:
    """P(YES) / (P(YES) + P(NO)) of two log-probabilities.

    Raises EngineAnswerError where they cannot be of one distribution, or both are too faint to be told from each other.
    """
    if not (math.isfinite(yes) and math.isfinite(no)) or max(yes, no) > math.log1p(OVER):
        raise EngineAnswerError(f"log-probabilities {yes} and {no} are none")
    check_sum([yes, no])
    if max(yes, no) < FAINT:
        raise EngineAnswerError(f"log-probabilities {yes:.6g} and {no:.6g}: both answers are as good as impossible")
    yes, no = min(yes, 0.0), min(no, 0.0)
    return Answer(share(yes, no), yes, no, **more)


def check_sum(logprobs: Iterable[float]) -> None:
    """Raise EngineAnswerError where probabilities of different tokens add up to more than 1."""
    found = math.fsum(map(math.exp, logprobs))
    if found > 1 + OVER:
        raise EngineAnswerError(f"the probabilities of different tokens add up to {found:.3f}")


def share(yes: float, no: float) -> float:
    """P(YES) over both, of two log-probabilities; an infinity is a probability of zero."""
    if yes == -math.inf:
        return 0.0
    return 1 / (1 + math.exp(min(700.0, no - yes)))


def total(logprobs: Sequence[float]) -> float:
    """The log of a sum of probabilities: an answer of several spellings."""
    top = max(logprobs)
    return top + math.log(sum(math.exp(value - top) for value in logprobs)) if top > -math.inf else top


def probability(value: Any, what: str) -> float:
    """A number in [0, 1]. Raises EngineAnswerError for anything else, NaN and truth values among it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise EngineAnswerError(f"{what} is {value!r}, no probability")
    return float(value)


def usage(document: Any, of: str = "prompt_tokens") -> int | None:
    """Tokens that an OpenAI-style answer says it read or wrote; None where it does not say."""
    told = document.get("usage") if isinstance(document, dict) else None
    return count_of(told.get(of)) if isinstance(told, dict) else None


def cached(document: Any) -> int:
    """Tokens of them that the server had read before."""
    told = document.get("usage") if isinstance(document, dict) else None
    details = told.get("prompt_tokens_details") if isinstance(told, dict) else None
    return (count_of(details.get("cached_tokens")) if isinstance(details, dict) else None) or 0


def count_of(value: Any) -> int | None:
    """A number of tokens; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def check_read(told: int | None, questions: Sequence[Question]) -> None:
    """Raise EngineAnswerError where an engine read other than it was sent: it cut the prompt, or put tokens before."""
    sent = sum(len(question.token_ids) for question in questions)
    if told is not None and sent and all(question.token_ids for question in questions) and told != sent:
        raise EngineAnswerError(f"the engine read {told} tokens of {sent} sent")


def dig(document: Any, *path: str | int) -> Any:
    """What stands at a path in an answer. Raises EngineAnswerError where nothing does."""
    for part in path:
        try:
            document = document[part]
        except (KeyError, IndexError, TypeError):
            where = ".".join(map(str, path))
            raise EngineAnswerError(f"the answer has no {where}") from None
    return document


def listed(document: Any, *path: str | int) -> list[Any]:
    """The list at a path in an answer. Raises EngineAnswerError where there is none."""
    found = dig(document, *path)
    if not isinstance(found, list):
        raise EngineAnswerError(f"{'.'.join(map(str, path))} of the answer is no list")
    return found


def rows(document: Any, name: str, count: int) -> list[Any]:
    """A list of the answer with as many rows as there were questions. Raises EngineAnswerError for any other."""
    found = listed(document, name)
    if len(found) != count:
        raise EngineAnswerError(f"{name} holds {len(found)} rows for {count}")
    return found


def whole(value: Any, what: str) -> int:
    """A number that counts or names something. Raises EngineAnswerError for anything else."""
    found = count_of(value)
    if found is None:
        raise EngineAnswerError(f"{what} is {value!r}, no whole number")
    return found


def number(value: Any, what: str) -> float:
    """A finite number. Raises EngineAnswerError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise EngineAnswerError(f"{what} is {value!r}, no number")
    return float(value)


def logprob(value: Any, what: str) -> float:
    """The logarithm of a probability, but for rounding. Raises EngineAnswerError for anything else."""
    found = number(value, what)
    if found > math.log1p(OVER):
        raise EngineAnswerError(f"{what} is {value!r}, no logarithm of a probability")
    return found


def shared_prefix(questions: Sequence[Question]) -> int:
    """Tokens that all questions begin with, one less than the shortest has at most: each keeps something of its own."""
    first, *others = [question.token_ids for question in questions]
    length = len(first) - 1
    for other in others:
        length = min(length, len(other) - 1)
        low, high = 0, length
        while low < high:  # by halves, compared as tuples: candidates of one task share thousands of tokens
            middle = (low + high + 1) // 2
            low, high = (middle, high) if first[:middle] == other[:middle] else (low, middle - 1)
        length = low
    return max(0, length)
