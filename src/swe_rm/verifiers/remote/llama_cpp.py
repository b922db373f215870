"""llama.cpp's server: POST /completion, its tokens matched by id. Shape of tools/server/README.md."""

from collections.abc import Sequence
from typing import Any

from swe_rm.verifiers.remote.asking import Asker, EngineAnswerError
from swe_rm.verifiers.remote.question import Answer, Question, check_read, count_of, dig, listed, logprob, whole
from swe_rm.verifiers.remote.shown import read_shown

FIRST = 64
"""Tokens asked for at first: a trained verifier's two are among them."""
ALL = 1 << 20
"""More than any vocabulary has: the server then shows it whole, about 10 MB, and no answer can be missing."""


class Completion:
    """Asks for the likeliest tokens, and for all of them where an answer is not among those."""

    together = 1

    def __init__(self, asker: Asker, yes: Sequence[int], no: Sequence[int], version: str = "") -> None:
        self.name = f"llama.cpp{version and '-'}{version}"
        self._asker, self._yes, self._no = asker, tuple(yes), tuple(no)

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """See `Engine`."""
        (question,) = questions
        shown, told = self._shown(question, FIRST)
        if not all(id_ in shown for id_ in (*self._yes, *self._no)):
            shown, told = self._shown(question, ALL)
        return [read_shown(shown, self._yes, self._no, prompt_tokens=told, completion_tokens=1)]

    def _shown(self, question: Question, count: int) -> tuple[dict[int, float], int | None]:
        body = {
            "prompt": question.prompt,
            "n_predict": 1,
            "n_probs": count,
            "temperature": 0,
            "cache_prompt": True,
            "post_sampling_probs": False,
        }
        document: Any = self._asker.post("/completion", body)
        if isinstance(document, dict) and document.get("truncated"):
            raise EngineAnswerError(f"{self._asker.where}: the server cut the prompt")
        told = count_of(document.get("tokens_evaluated")) if isinstance(document, dict) else None
        check_read(told, [question])
        top = listed(document, "completion_probabilities", 0, "top_logprobs")
        return {whole(dig(row, "id"), "id"): logprob(dig(row, "logprob"), "logprob") for row in top}, told
