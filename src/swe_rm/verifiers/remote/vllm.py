"""vLLM: the log-probabilities of two token ids on completions, /generative_scoring, and /classify.

Shapes read in vLLM 0.33.0 (entrypoints/openai/completion, generative scoring and pooling/classify).
"""

from collections.abc import Sequence
from typing import Any, Literal

from swe_rm.errors import VerifierError
from swe_rm.verifiers.remote.asking import Asker, EngineAnswerError
from swe_rm.verifiers.remote.question import (
    Answer,
    Question,
    cached,
    check_read,
    dig,
    logprob,
    of_logprobs,
    probability,
    rows,
    shared_prefix,
    total,
    usage,
    whole,
)

Route = Literal["completions", "generative_scoring", "classify"]


class Completions:
    """POST /v1/completions with `logprob_token_ids`: exact for any two ids, however unlikely they are."""

    together = 1

    def __init__(self, asker: Asker, model: str, yes: Sequence[int], no: Sequence[int], version: str = "") -> None:
        self.name = f"vllm{version and '-'}{version}"
        self._asker, self._model, self._yes, self._no = asker, model, tuple(yes), tuple(no)

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """See `Engine`."""
        (question,) = questions
        body: dict[str, Any] = {
            "model": self._model,
            "prompt": question.prompt,
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": 1,
            "logprob_token_ids": [*self._yes, *self._no],
            "return_tokens_as_token_ids": True,
        }
        document = self._asker.post("/v1/completions", body)
        told = usage(document)
        check_read(told, questions)
        shown = dig(document, "choices", 0, "logprobs", "top_logprobs", 0)
        yes, no = (total([self._logprob(shown, id_) for id_ in ids]) for ids in (self._yes, self._no))
        return [of_logprobs(yes, no, prompt_tokens=told, completion_tokens=1, cached_tokens=cached(document))]

    def _logprob(self, shown: Any, id_: int) -> float:
        value = shown.get(f"token_id:{id_}") if isinstance(shown, dict) else None
        if value is None:
            raise EngineAnswerError(
                f"{self._asker.where}: no log-probability of token {id_}, which was asked for: this server does not "
                "know logprob_token_ids; route generative_scoring, or kind openai, needs none"
            )
        return logprob(value, f"the log-probability of token {id_}")


class GenerativeScoring:
    """POST /generative_scoring: all candidates of a task in one request, what they begin with sent once."""

    together = 16

    def __init__(self, asker: Asker, model: str, yes: Sequence[int], no: Sequence[int], limit: int, version: str = ""):
        """`limit` is the longest prompt: the route cuts longer ones on the right and says nothing."""
        if len(yes) != 1 or len(no) != 1:
            raise VerifierError("/generative_scoring knows one token for each answer, and several are given")
        self.name = f"vllm{version and '-'}{version}"
        self._asker, self._model, self._labels, self._limit = asker, model, [*yes, *no], limit

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """See `Engine`. Raises EngineAnswerError before anything is sent for a prompt that would be cut."""
        for question in questions:
            if not 1 < len(question.token_ids) <= self._limit:
                raise EngineAnswerError(
                    f"a prompt of {len(question.token_ids)} tokens is not sent: {self._asker.where} reads "
                    f"{self._limit} and would cut its end"
                )
        begin = shared_prefix(questions)
        body = {
            "model": self._model,
            "query": list(questions[0].token_ids[:begin]),
            "items": [list(question.token_ids[begin:]) for question in questions],
            "label_token_ids": self._labels,
            "apply_softmax": True,
        }
        document = self._asker.post("/generative_scoring", body)
        check_read(usage(document), questions)
        found = {whole(dig(row, "index"), "index"): row for row in rows(document, "data", len(questions))}
        return [
            Answer(probability(dig(found, place, "score"), "score"), prompt_tokens=len(question.token_ids))
            for place, question in enumerate(questions)
        ]


class Classify:
    """POST /classify: a head of one label or more. `input` is ids where there are any, else text.

    A YES/NO language model is served so with `--runner pooling` and the override `classifier_from_token`.
    """

    together = 1

    def __init__(self, asker: Asker, model: str, index: int = 0, count: int = 1, version: str = "") -> None:
        """`index` is of the label that means resolved; an answer of another number of labels than `count` is none."""
        self.name = f"vllm{version and '-'}{version}"
        self._asker, self._model, self._index, self._count = asker, model, index, count

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """See `Engine`."""
        (question,) = questions
        document = self._asker.post("/classify", {"model": self._model, "input": question.prompt})
        told = usage(document)
        check_read(told, questions)
        (row,) = rows(document, "data", 1)
        probs = rows(row, "probs", self._count)
        return [Answer(probability(probs[self._index], "probs"), prompt_tokens=told)]
