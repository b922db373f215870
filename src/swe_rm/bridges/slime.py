"""slime: `--custom-rm-path swe_rm.bridges.slime.reward`, or `.hybrid_reward`; with `--group-rm` a group is one request.

The rollout function puts the log into `sample.metadata["messages"]`, the attempt's diff into `model_patch`; the other
keys are those of `client.attempt_of`.
"""

from functools import cache
from typing import Any

from swe_rm.client import Client, attempt_of
from swe_rm.reward import Reward, is_finished


@cache
def client() -> Client:
    """One for this process. slime gives its own remote rewards 120 s and custom ones as long as they take."""
    return Client(deadline=100)


async def reward(args: Any, sample: Any, **kwargs: Any) -> Any:
    """P(resolved) of a sample, or of each sample of a group; raises where there is none."""
    samples = sample if isinstance(sample, list) else [sample]
    scores = await client().ascore([attempt_of(one.metadata) for one in samples])
    return scores if isinstance(sample, list) else scores[0]


async def hybrid_reward(args: Any, sample: Any, **kwargs: Any) -> Any:
    """The same with what the tests said, `resolved` of the metadata, and with `finished`; see `reward.Reward`."""
    scored = await reward(args, sample, **kwargs)
    if not isinstance(sample, list):
        return _hybrid(scored, sample.metadata)
    return [_hybrid(score, one.metadata) for score, one in zip(scored, sample, strict=True)]


def _hybrid(score: float, metadata: dict[str, Any]) -> float:
    return Reward()(score, metadata.get("resolved"), finished=is_finished(metadata))
