"""SGLang: POST /v1/score, all candidates of a task in one request. Shape read in SGLang 0.5.23."""

import math
from collections.abc import Sequence
from typing import Any

from swe_rm.verifiers.remote.asking import Asker, EngineAnswerError
from swe_rm.verifiers.remote.question import (
    Answer,
    Question,
    check_read,
    logprob,
    of_logprobs,
    probability,
    rows,
    shared_prefix,
    total,
    usage,
)


class Score:
    """Asks for log-probabilities; a server of before it told them answers with probabilities over all tokens."""

    together = 16

    def __init__(self, asker: Asker, model: str, yes: Sequence[int], no: Sequence[int], version: str = "") -> None:
        self.name = f"sglang{version and '-'}{version}"
        self._asker, self._model, self._yes, self._no = asker, model, tuple(yes), tuple(no)

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """See `Engine`."""
        if not all(question.token_ids for question in questions):
            raise EngineAnswerError("/v1/score is asked with token ids: a tokenizer is needed")
        begin = shared_prefix(questions)
        body = {
            "model": self._model,
            "query": list(questions[0].token_ids[:begin]),
            "items": [list(question.token_ids[begin:]) for question in questions],
            "label_token_ids": [*self._yes, *self._no],
            "apply_softmax": False,
            "item_first": False,
            "return_token_logprobs": True,
        }
        document = self._asker.post("/v1/score", body)
        check_read(usage(document), questions)
        found = [self._logprobs(document, place, len(questions)) for place in range(len(questions))]
        return [
            of_logprobs(
                total(values[: len(self._yes)]), total(values[len(self._yes) :]), prompt_tokens=len(question.token_ids)
            )
            for question, values in zip(questions, found, strict=True)
        ]

    def _logprobs(self, document: Any, place: int, count: int) -> list[float]:
        labels = len(self._yes) + len(self._no)
        told = document.get("token_logprobs") if isinstance(document, dict) else None
        if told is not None:
            row = rows(document, "token_logprobs", count)[place]
            return [logprob(value, "token_logprobs") for value in _of_length(row, labels)]
        row = _of_length(rows(document, "scores", count)[place], labels)
        return [math.log(max(probability(value, "scores"), 5e-324)) for value in row]


def _of_length(row: Any, count: int) -> list[Any]:
    if not isinstance(row, list) or len(row) != count:
        raise EngineAnswerError(f"the answer has no {count} numbers for a prompt")
    return row
