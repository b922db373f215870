"""TRL: `GRPOTrainer(reward_funcs=SweRm(url))` or AsyncSweRm, AsyncGRPOTrainer the same; a batch is one request."""

from collections.abc import Sequence
from typing import Any

from swe_rm.client import Client, attempt

COLUMNS = ("model_patch", "instance_id", "problem_statement")
"""Read where they are there, one value an attempt. `patch` is not: in data sets of tasks it is the solution."""


class SweRm:
    """P(resolved) of each completion; tests are a second function with a weight of its own (`reward_weights`).

    Raises where there is no score. With `or_none` those get None, which TRL leaves out of the batch where no other
    function has a reward for them; where one has, it adds up what there is, and None counts as 0: keep to raising then.
    An environment's `get_reward` asks `client.ascore([attempt(messages, patch=...)])` itself.
    """

    __name__ = "swe_rm"

    def __init__(self, url: str = "", *, or_none: bool = False, deadline: float = 240.0, **client: Any) -> None:
        """See `client.Client`. TRL waits for a reward as long as it takes."""
        self.client = Client(url, deadline=deadline, **client)
        self.or_none = or_none

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """See TRL's reward functions."""
        rows = attempts(prompts, completions, columns)
        return self.client.score_or_none(rows) if self.or_none else [*self.client.score(rows)]


class AsyncSweRm(SweRm):
    """The same for an event loop: the other reward functions need not wait for it."""

    async def __call__(  # type: ignore[override]  # TRL awaits what such a call returns
        self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any
    ) -> list[float | None]:
        """See TRL's reward functions."""
        rows = attempts(prompts, completions, columns)
        return await self.client.ascore_or_none(rows) if self.or_none else [*await self.client.ascore(rows)]


def attempts(prompts: Sequence[Any], completions: Sequence[Any], columns: dict[str, Any]) -> list[dict[str, Any]]:
    """What TRL hands over, as attempts: a whole chat each, tool calls included."""
    beside = [columns.get(name) or [None] * len(prompts) for name in COLUMNS]
    return [
        attempt(_chat(prompt, completion), patch=patch, instance_id=task, statement=issue)
        for prompt, completion, patch, task, issue in zip(prompts, completions, *beside, strict=True)
    ]


def _chat(prompt: Any, completion: Any) -> list[Any]:
    if isinstance(completion, str):
        return [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
    return [*prompt, *completion]
