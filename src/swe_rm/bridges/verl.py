"""verl: `reward.custom_reward_function.path=pkg://swe_rm.bridges.verl`, `.name=compute_score`.

verl's own text of a rollout has lost who said what, so it is not looked at. The agent loop leaves the log in its
`extra_fields["messages"]`, and beside it model_patch, instance_id, problem_statement, finished and, where tests ran,
`resolved`.
"""

from functools import cache
from typing import Any

from swe_rm.client import Client, attempt_of
from swe_rm.reward import Kind, Reward, is_finished


@cache
def client(url: str = "", deadline: float = 240.0) -> Client:
    """One for this process. verl's managers wait; `rate_limited` makes 0 of an exception: do not choose that one."""
    return Client(url, deadline=deadline)


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: dict[str, Any],
    url: str = "",
    deadline: float = 240.0,
    kind: Kind = "execution-free",
    **kwargs: Any,
) -> dict[str, float]:
    """The reward as `score` and P(resolved) as `p_resolved`; raises where there is none.

    `url`, `deadline` and `kind` are `reward_kwargs`. verl adds rewards up nowhere, so a hybrid is made here.
    """
    (probability,) = await client(url, deadline).ascore([attempt_of(extra_info)])
    reward = Reward(kind)(probability, extra_info.get("resolved"), finished=is_finished(extra_info))
    return {
        "score": reward,
        "p_resolved": probability,
    }
