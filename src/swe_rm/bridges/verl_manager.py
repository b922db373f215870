"""verl, as a reward manager: `reward.reward_manager` with source=importlib, name=SweRmRewardManager and
module.path=pkg://swe_rm.bridges.verl_manager. It decodes no text, which the naive manager does for each attempt."""

from typing import Any

from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

from swe_rm.bridges.verl import compute_score


class SweRmRewardManager(RewardManagerBase):
    """The reward of `compute_score`, with the keys of `reward.reward_kwargs`."""

    def __init__(self, config: Any, tokenizer: Any, compute_score: Any, **kwargs: Any) -> None:
        super().__init__(config, tokenizer, compute_score)

    async def run_single(self, data: Any) -> dict[str, Any]:
        """See `RewardManagerBase`. Of an attempt in several sequences the last one holds the log."""
        told = data[-1].non_tensor_batch
        carried = {**told.get("extra_info", {}), **(told.get("tool_extra_fields") or {})}
        options = self.config.reward.get("reward_kwargs") or {}
        found = await compute_score(told.get("data_source", ""), "", None, carried, **options)
        return {"reward_score": found["score"], "reward_extra_info": found}
