"""AReaL: `reward_fn="swe_rm.bridges.areal.reward_fn"` of a workflow; runs in AReaL's pool of processes."""

from functools import cache
from typing import Any

from swe_rm.client import Client, attempt_of


@cache
def client() -> Client:
    """One for each process. AReaL gives a reward 15 s, four times, and then calls it 0: this one raises before that."""
    return Client(deadline=10)


def reward_fn(
    prompt: str,
    completions: str,
    prompt_ids: list[int],
    completion_ids: list[int],
    *,
    trajectory: list[Any] | None = None,
    **data: Any,
) -> float:
    """P(resolved) of the log that a workflow of several turns hands over as `trajectory`, its diff as `model_patch`.

    Without one, of prompt and completion as text, which keeps its special tokens. `messages` of a data set are its
    prompt and are not looked at; other keys are those of `client.attempt_of`. Raises where there is no score.
    """
    row = attempt_of({**data, "messages": trajectory}) if trajectory else prompt + completions
    return client().score([row])[0]
