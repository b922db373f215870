"""Inspect: the scorer `swe_rm/swe_rm`, in tasks and for logs: `inspect score LOG --scorer swe_rm/swe_rm -S url=URL`."""

from typing import Any

from inspect_ai.scorer import Score, Scorer, Target, mean, scorer
from inspect_ai.solver import TaskState

from swe_rm.client import Client, ClientError, attempt


@scorer(metrics=[mean()])
def swe_rm(url: str = "", deadline: float = 240.0) -> Scorer:
    """P(resolved) of each sample. One without a score is unscored, with the reason, and counts in no metric.

    `model_patch` of the store, or else of the metadata, is the attempt's diff.
    """
    client = Client(url, deadline=deadline)

    async def score(state: TaskState, target: Target) -> Score:
        row = attempt(
            [_plain(message) for message in state.messages],
            patch=state.store.get("model_patch") or state.metadata.get("model_patch"),
            instance_id=str(state.sample_id),
            statement=state.metadata.get("problem_statement"),
        )
        try:
            (probability,) = await client.ascore([row])
        except ClientError as error:
            return Score.unscored(reason="scoring_failed", explanation=f"{type(error).__name__}: {error}")
        return Score(value=probability, metadata={"verifier": client.verifier})

    return score


def _plain(message: Any) -> dict[str, Any]:
    """A message as chat interfaces write it."""
    held = message.model_dump()
    calls = [{"name": call["function"], "arguments": call["arguments"]} for call in held.get("tool_calls") or ()]
    error = (held.get("error") or {}).get("message")
    return {"role": held["role"], "content": held["content"] or error, "tool_calls": calls}
