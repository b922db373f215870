"""OpenRLHF: `--reward.remote_url FILE` of a file that imports `reward_func`, or `class AgentInstance(Judged, Mine)`."""

from functools import cache
from typing import Any

from swe_rm.client import Client


@cache
def client() -> Client:
    """One for this process. OpenRLHF gives a reward server 180 s."""
    return Client(deadline=150)


def reward_func(queries: list[str], prompts: list[str], labels: list[Any]) -> dict[str, Any]:
    """P(resolved) of each query: a whole attempt as text, special tokens and all.

    OpenRLHF logs what is raised here and goes on with reward None: `client().failures` counts it.
    """
    import torch

    scores = torch.tensor(client().score(queries))
    return {"rewards": scores, "scores": scores, "extra_logs": {"swe_rm": scores}}


class Judged:
    """Stands before an `AgentInstanceBase`; adds P(resolved) to the reward of the step that ends an attempt.

    What is raised here ends the rollout: OpenRLHF makes no reward of it.
    """

    async def step(self, state_dict: dict[str, Any], **kwargs: Any) -> Any:
        """See `AgentInstanceBase.step`."""
        result = await super().step(state_dict, **kwargs)  # type: ignore[misc]  # the agent's own
        if not result["done"]:
            return result
        text = state_dict["observation_text"] + state_dict["action_text"] + result["environment_feedback"]
        (score,) = await client().ascore([text])
        logs = {**result.get("extra_logs", {}), "swe_rm": score}
        return {**result, "rewards": result["rewards"] + score, "extra_logs": logs}
