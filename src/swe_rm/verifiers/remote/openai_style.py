"""Any OpenAI-compatible server that shows its likeliest tokens: /v1/completions, or /v1/chat/completions."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from swe_rm.verifiers.remote.asking import Asker, EngineAnswerError
from swe_rm.verifiers.remote.question import Answer, Missing, Question, cached, check_read, dig, listed, logprob, usage
from swe_rm.verifiers.remote.shown import read_shown

Route = Literal["completions", "chat"]
SHOWN = 20
"""Tokens an OpenAI-style server shows at most."""


class TopLogprobs:
    """Reads the two answers, by their spellings, among the tokens shown where the answer stands.

    That is the first token after the prompt, or, where `after` is given, the token after the last place in the reply
    where it stands: the place is looked for, never counted.
    """

    together = 1
    name = "openai"

    def __init__(
        self,
        asker: Asker,
        model: str,
        yes: Sequence[str],
        no: Sequence[str],
        *,
        route: Route = "completions",
        missing: Missing = "error",
        shown: int = SHOWN,
        after: str = "",
        max_tokens: int = 1,
    ) -> None:
        self._asker, self._model, self._yes, self._no = asker, model, tuple(yes), tuple(no)
        self._route, self._missing, self._shown = route, missing, shown
        self._after, self._max_tokens = after, max_tokens

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """See `Engine`."""
        (question,) = questions
        body: dict[str, Any] = {"model": self._model, "max_tokens": self._max_tokens, "temperature": 0}
        if self._route == "chat":
            body |= {"messages": list(question.messages), "logprobs": True, "top_logprobs": self._shown}
            document = self._asker.post("/v1/chat/completions", body)
            places = places_of_chat(document)
        else:
            body |= {"prompt": question.prompt, "logprobs": self._shown}
            document = self._asker.post("/v1/completions", body)
            check_read(usage(document), questions)
            places = _of_completion(document)
        shown = self._place(places)
        more = {"prompt_tokens": usage(document), "cached_tokens": cached(document)}
        written = usage(document, "completion_tokens") or 0
        return [read_shown(shown, self._yes, self._no, self._missing, completion_tokens=written, **more)]

    def _place(self, places: "Sequence[Place]") -> Mapping[str, float]:
        shown = at_place(places, self._after)
        if shown is None:
            text = "".join(place.token for place in places)
            raise EngineAnswerError(f"the reply has no answer after {self._after!r}: {text[:80]!r}")
        if not shown:
            raise EngineAnswerError(f"{self._asker.where}: shows no tokens beside the one it chose")
        return shown


class Place(NamedTuple):
    """One token of a reply."""

    token: str
    shown: dict[str, float]
    """The likeliest tokens there, with their log-probabilities."""


def at_place(places: Sequence[Place], after: str) -> dict[str, float] | None:
    """What is shown for the first token, or, with `after`, for the token after the last place where that stands.

    The last, because a reply that reasons may quote the form of its answer before it gives it.
    """
    if not after:
        return places[0].shown if places else None
    text, found = "", None
    for place in places:
        if text.endswith(after):
            found = place.shown
        text += place.token
    return found


def places_of_chat(document: Any) -> list[Place]:
    """The tokens of a chat reply. Raises EngineAnswerError where the server gives no log-probabilities."""
    return [_of_chat(place) for place in _given(document, "content")]


def _of_chat(place: Any) -> Place:
    shown = {str(dig(row, "token")): logprob(dig(row, "logprob"), "logprob") for row in listed(place, "top_logprobs")}
    return Place(str(dig(place, "token")), shown)


def _of_completion(document: Any) -> list[Place]:
    tokens, tops = _given(document, "tokens"), _given(document, "top_logprobs")
    if len(tokens) != len(tops):
        raise EngineAnswerError("the answer shows likeliest tokens for other places than it has")
    return [Place(str(token), _numbers(top)) for token, top in zip(tokens, tops, strict=True)]


def _numbers(top: Any) -> dict[str, float]:
    if not isinstance(top, dict | None):
        raise EngineAnswerError(f"the likeliest tokens are {top!r:.40}")
    return {str(key): logprob(value, "logprob") for key, value in (top or {}).items()}


def _given(document: Any, name: str) -> list[Any]:
    """Log-probabilities by place. Raises EngineAnswerError where the server gives none."""
    found = dig(document, "choices", 0, "logprobs")
    if found is None:
        raise EngineAnswerError("the answer has no log-probabilities: the server does not give them")
    return listed(found, name)
