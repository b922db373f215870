"""Tinker cookbook: `class LampGroup(Judged, MyGroupBuilder)` rewards a group of attempts with one request."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from swe_rm.client import Client, attempt

_CALLS = ("tool_calls", "unparsed_tool_calls")


@cache
def client() -> Client:
    """One for this process: builders are pickled, so none of them holds it."""
    return Client(deadline=100)


class Judged:
    """Stands before an `EnvGroupBuilder` whose environments wrap message environments with a `history`.

    P(resolved) is added to what the steps were rewarded with. One may tell the attempt's diff as `model_patch`.
    Raises where there is no score; the rollout strategy says whether the group or the run ends then.
    """

    async def compute_group_rewards(self, trajectory_group: list[Any], env_group: Sequence[Any]) -> list[Any]:
        """See `EnvGroupBuilder.compute_group_rewards`."""
        scores = await client().ascore([_attempt(env.message_env) for env in env_group])
        return [(score, {"swe_rm": score}) for score in scores]


def _attempt(env: Any) -> dict[str, Any]:
    messages = [
        {**message, **{name: [call.model_dump() for call in message.get(name) or ()] for name in _CALLS}}
        for message in env.history
    ]
    return attempt(messages, patch=getattr(env, "model_patch", None), instance_id=getattr(env, "instance_id", None))
