"""mini-swe-agent, best of N: several attempts at one task, judged in one request; the best is what a caller gets."""

from collections.abc import Callable, Sequence
from typing import Any

from swe_rm.client import Client, attempt


def best_of(
    n: int, make_agent: Callable[[int], Any], task: str, client: Client, instance_id: str | None = None
) -> dict[str, Any]:
    """The trajectory of the best of `n` agents that `make_agent(number)` makes, each with an environment of its own.

    The document is mini-swe-agent's own, with `info["swe_rm"]`: the score of each, and which one it is. Of equal ones
    the first is taken. Raises a ClientError where not all have a score; give the agents an `output_path` each, and
    `swe-rm rank` chooses among what they wrote.
    """
    agents = [make_agent(number) for number in range(n)]
    for agent in agents:
        agent.run(task)
    scores = judged(agents, client, instance_id)
    chosen = max(range(n), key=scores.__getitem__)
    told = {"scores": scores, "chosen": chosen, "verifier": client.verifier}
    found: dict[str, Any] = agents[chosen].serialize({"info": {"swe_rm": told}})
    return found


def judged(agents: Sequence[Any], client: Client, instance_id: str | None = None) -> list[float]:
    """P(resolved) of what each agent has done, all of them in one request. Raises a ClientError."""
    return client.score([_attempt(agent, instance_id) for agent in agents])


def _attempt(agent: Any, instance_id: str | None) -> dict[str, Any]:
    """What was submitted is a patch only where the agent says so: of a run cut off it may be the text of an error."""
    said = agent.messages[-1].get("extra", {})
    is_whole = said.get("exit_status") == "Submitted"
    patch = said.get("submission") if is_whole else None
    return attempt(agent.messages, patch=patch, instance_id=instance_id, finished=is_whole)
