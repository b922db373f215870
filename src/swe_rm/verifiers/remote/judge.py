"""A chat model asked whether an attempt resolves its issue: each reply is a value in [0, 1], the score their mean."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from swe_rm.verifiers.remote.asking import Asker, EngineAnswerError
from swe_rm.verifiers.remote.naming import in_a_name
from swe_rm.verifiers.remote.openai_style import SHOWN, at_place, places_of_chat
from swe_rm.verifiers.remote.question import Answer, Missing, Question, cached, check_sum, dig, probability, usage
from swe_rm.verifiers.remote.shown import WIDEST


class Said(NamedTuple):
    """What one reply says: its value lies between the two ends, which are one where nothing is hidden."""

    low: float
    high: float


class Reading(Protocol):
    """How the value of a reply is found."""

    wants_logprobs: bool

    def __call__(self, document: Any) -> Said | None:
        """The value; None for a reply that gives none. Raises EngineAnswerError for what is no reply at all."""
        ...


class Words:
    """A predicate's answer in words: the last line of the reply holds one of the two, and not both."""

    wants_logprobs = False

    def __init__(self, yes: Sequence[str], no: Sequence[str]) -> None:
        self._yes, self._no = _whole(yes), _whole(no)

    def __call__(self, document: Any) -> Said | None:
        """See `Reading`."""
        lines = str(dig(document, "choices", 0, "message", "content") or "").strip().splitlines()
        last = lines[-1] if lines else ""
        yes, no = bool(self._yes.search(last)), bool(self._no.search(last))
        return Said(float(yes), float(yes)) if yes != no else None


class Scale:
    """The expectation over the letters of a scale, read behind the last `after` in the reply.

    Spellings of one value add up. What the shown tokens leave over may belong to either end of the scale.
    """

    wants_logprobs = True

    def __init__(self, values: Mapping[str, float], after: str) -> None:
        self._values, self._after = dict(values), after

    def __call__(self, document: Any) -> Said | None:
        """See `Reading`."""
        shown = at_place(places_of_chat(document), self._after)
        if shown is None:
            return None
        check_sum(shown.values())
        seen = {token: math.exp(logprob) for token, logprob in shown.items()}
        weights = [(self._values[token.strip()], mass) for token, mass in seen.items() if token.strip() in self._values]
        mass = math.fsum(weight for _, weight in weights)
        if not mass:
            return None
        value = math.fsum(value * weight for value, weight in weights)
        hidden = max(0.0, 1.0 - math.fsum(seen.values()))
        if all(any(token.strip() == word for token in seen) for word in self._values):
            hidden = 0.0
        return Said(value / (mass + hidden), min(1.0, (value + hidden) / (mass + hidden)))


class Judge:
    """Asks a chat model the same several times, at a temperature, and takes the mean of what it says."""

    together = 1

    def __init__(
        self,
        asker: Asker,
        model: str,
        reading: Reading,
        *,
        repeats: int = 4,
        temperature: float = 1.0,
        max_tokens: int = 2_048,
        missing: Missing = "error",
    ) -> None:
        self.name = f"chat-{in_a_name(model)}"
        self._asker, self._model, self._reading, self._missing = asker, model, reading, missing
        self._repeats, self._temperature, self._max_tokens = repeats, temperature, max_tokens

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """See `Engine`.

        A reply without an answer is an error, or, with `missing` "bound", may have meant either; then the score is the
        mean of the two ends, and the ends must not lie WIDEST apart.
        """
        (question,) = questions
        documents = [self._reply(question, number) for number in range(self._repeats)]
        said = [self._reading(document) for document in documents]
        unread = sum(value is None for value in said)
        if unread and (self._missing == "error" or unread == len(said)):
            raise EngineAnswerError(f"{unread} of {len(said)} replies give no answer")
        ends = [value or Said(0.0, 1.0) for value in said]
        low, high = (math.fsum(end[side] for end in ends) / len(ends) for side in (0, 1))
        if high - low > WIDEST:
            raise EngineAnswerError(f"the score lies between {low:.3f} and {high:.3f}: too wide")
        return [
            Answer(
                (low + high) / 2,
                bounds=(low, high) if high > low else None,
                prompt_tokens=_sum(usage(document) for document in documents),
                completion_tokens=_sum(usage(document, "completion_tokens") for document in documents) or 0,
                cached_tokens=sum(map(cached, documents)),
            )
        ]

    def _reply(self, question: Question, number: int) -> Any:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": list(question.messages),
            "max_tokens": self._max_tokens,
            "temperature": self._temperature,
            "seed": number,
        }
        if self._reading.wants_logprobs:
            body |= {"logprobs": True, "top_logprobs": SHOWN}
        return self._asker.post("/v1/chat/completions", body)


class Decisions:
    """POST /v1/decisions, the predicate form that the server itself puts into words and answers with a probability."""

    together = 1

    def __init__(self, asker: Asker, model: str, predicate: str) -> None:
        self.name = f"decisions-{in_a_name(model)}"
        self._asker, self._model, self._predicate = asker, model, predicate

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """See `Engine`. A refusal is an error."""
        (question,) = questions
        asked = {"type": "predicate", "instructions": self._predicate}
        text = question.text or "\n\n".join(message["content"] for message in question.messages)
        document = self._asker.post("/v1/decisions", {"model": self._model, "input": text, "questions": [asked]})
        kind = dig(document, "answers", 0, "type")
        if kind != "predicate":
            raise EngineAnswerError(f"the server answered with a {kind}")
        found = probability(dig(document, "answers", 0, "probability"), "probability")
        return [Answer(found, prompt_tokens=usage(document, "input_tokens") or usage(document))]


def _whole(words: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in words))


def _sum(values: Any) -> int | None:
    known = list(values)
    return sum(known) if all(value is not None for value in known) else None
