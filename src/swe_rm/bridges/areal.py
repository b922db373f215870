"""AReaL: `ask_directly(RLVRWorkflow(reward_fn=reward_fn, ...))` of a workflow; it asks on the workflow's own loop.

Without `ask_directly` AReaL runs `reward_fn` in a small pool of processes and counts the time in its queue to 15 s, and
then, four times over, a reward is 0: a server that hangs would fill the pool, and rollouts behind it get 0.
"""

from functools import cache
from typing import Any

from swe_rm.client import Client, attempt_of


@cache
def client(deadline: float = 10.0) -> Client:
    """One for each process and deadline: in AReaL's pool less than its 15 s, on a workflow's loop what it takes."""
    return Client(deadline=deadline)


def ask_directly(workflow: Any) -> Any:
    """The workflow, whose rewards are awaited in place of AReaL's pool; what raises ends its episode."""
    workflow.reward_fn, workflow.async_reward_fn = reward_fn, areward_fn
    return workflow


async def areward_fn(
    prompt: str, completions: str, prompt_ids: list[int], completion_ids: list[int], **data: Any
) -> float:
    """See `reward_fn`."""
    return (await client(100.0).ascore([_attempt(prompt, completions, **data)]))[0]


def reward_fn(prompt: str, completions: str, prompt_ids: list[int], completion_ids: list[int], **data: Any) -> float:
    """P(resolved) of the log that a workflow of several turns hands over as `trajectory`, its diff as `model_patch`.

    Without one, of prompt and completion as text, which keeps its special tokens. `messages` of a data set are its
    prompt and are not looked at; other keys are those of `client.attempt_of`. Raises where there is no score.
    """
    return client().score([_attempt(prompt, completions, **data)])[0]


def _attempt(prompt: str, completions: str, trajectory: list[Any] | None = None, **data: Any) -> dict[str, Any] | str:
    return attempt_of({**data, "messages": trajectory}) if trajectory else prompt + completions
