"""ROLL: `worker_cls: swe_rm.bridges.roll.SweRmRewardWorker` of an entry under `rewards`."""

from functools import cache
from typing import Any

import torch
from roll.distributed.executor.worker import Worker
from roll.distributed.scheduler.decorator import Dispatch, register
from roll.distributed.scheduler.protocol import DataProto
from roll.models.model_providers import default_tokenizer_provider

from swe_rm.client import Client


@cache
def client() -> Client:
    """One for this worker. ROLL waits for a reward worker as long as it takes."""
    return Client(deadline=100)


class SweRmRewardWorker(Worker):
    """Rewards each response with P(resolved) of prompt and response as text, their special tokens kept.

    Raises where there is no score: ROLL's own workers give 0 there.
    """

    def __init__(self, worker_config: Any) -> None:
        super().__init__(worker_config=worker_config)
        self.rank_info.dp_rank, self.rank_info.dp_size = self.rank_info.rank, self.rank_info.world_size
        self.tokenizer = default_tokenizer_provider(model_args=worker_config.model_args)

    @register(dispatch_mode=Dispatch.ONE_TO_ALL)
    def initialize(self, pipeline_config: Any) -> None:
        """See `Worker.initialize`."""

    @register(dispatch_mode=Dispatch.DP_MP_COMPUTE, clear_cache=False)
    def compute_rewards(self, data: Any) -> Any:
        """`scores` and `response_level_rewards` of a batch; its attempts are one request."""
        pairs = zip(data.batch["input_ids"], data.batch["attention_mask"], strict=True)
        texts = [self.tokenizer.decode(ids[mask.bool()], skip_special_tokens=False) for ids, mask in pairs]
        scores = torch.tensor(client().score(texts), dtype=torch.float32)
        nothing = torch.zeros_like(data.batch["responses"], dtype=torch.float32)
        rewards = {"token_level_rewards": nothing, "response_level_rewards": scores, "scores": scores}
        return DataProto.from_dict(tensors=rewards)
