"""A swe-rm server: attempts go there as they are, and its own verifier reads them."""

from collections.abc import Mapping, Sequence
from typing import Any

from swe_rm.export import attempts_row
from swe_rm.trajectory import Labelled, Trajectory
from swe_rm.verifiers.remote.asking import Asker, EngineAnswerError
from swe_rm.verifiers.remote.question import (
    Answer,
    Question,
    count_of,
    dig,
    listed,
    logprob,
    probability,
    rows,
)


class Attempts:
    """The reader of a swe-rm server: an attempt is sent whole and without its outcome; the server cuts it."""

    def __init__(self, name: str) -> None:
        self.name = name
        """What the server calls its verifier."""

    def __call__(self, trajectory: Trajectory) -> Question:
        """See `Reader`."""
        row = attempts_row(Labelled(trajectory=trajectory))
        return Question(trajectory.attempt_id, trajectory.task.instance_id, document=row)


class Served:
    """POST /v1/score: attempts of one task in one request, verdicts joined by attempt id."""

    name = ""
    together = 16

    def __init__(self, asker: Asker, verifier: str) -> None:
        """`verifier` is whose verdicts are expected: a server begun anew with another one is refused."""
        self._asker, self._verifier = asker, verifier

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """See `Engine`."""
        document = self._asker.post("/v1/score", {"attempts": [question.document for question in questions]})
        found = {str(dig(row, "attempt_id")): row for row in listed(document, "verdicts")}
        missing = sum(question.attempt_id not in found for question in questions)
        if missing:
            reasons = [*listed(document, "unscored"), *listed(document, "refused")]
            told = "; ".join(str(row.get("reason")) for row in reasons if isinstance(row, Mapping)) or "no word"
            raise EngineAnswerError(f"{self._asker.where}: no verdict on {missing} of {len(questions)}: {told}")
        return [self._answer(found[question.attempt_id]) for question in questions]

    def _answer(self, row: Mapping[str, Any]) -> Answer:
        if dig(row, "verifier") != self._verifier:
            raise EngineAnswerError(f"{self._asker.where}: now answers as {row['verifier']}, it was {self._verifier}")
        told = [row.get("logprob_yes"), row.get("logprob_no")]
        yes, no = (None if None in told else min(0.0, logprob(value, "a log-probability")) for value in told)
        return Answer(
            probability(dig(row, "score"), "score"),
            yes,
            no,
            raw=probability(dig(row, "raw_score"), "raw_score"),
            bounds=_bounds(row),
            prompt_tokens=count_of(row.get("prompt_tokens")),
            cut=count_of(row.get("truncated_tokens")),
        )


def _bounds(row: Mapping[str, Any]) -> tuple[float, float] | None:
    if row.get("bounds") is None:
        return None
    low, high = (probability(end, "bounds") for end in rows(row, "bounds", 2))
    if low > high:
        raise EngineAnswerError(f"bounds are {low} and {high}, the low one first")
    return low, high
