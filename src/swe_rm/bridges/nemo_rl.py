"""NeMo-RL: `register_env("swe_rm", "swe_rm.bridges.nemo_rl.SweRmEnvironment")`; each batch is one request."""

from functools import cache
from typing import Any

import ray
import torch
from nemo_rl.environments.interfaces import EnvironmentInterface, EnvironmentReturn

from swe_rm.client import Client, attempt_of


@cache
def client() -> Client:
    """One for this actor. NeMo-RL waits for an environment as long as it takes."""
    return Client(deadline=100)


class SweRm(EnvironmentInterface):
    """Ends each conversation with P(resolved) as its reward; raises where there is none."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def step(self, message_log_batch: list[Any], metadata: list[Any]) -> EnvironmentReturn:
        """See `EnvironmentInterface.step`. `metadata` tells the attempt's diff as `model_patch`; see `attempt_of`."""
        rows = [_attempt(log, told or {}) for log, told in zip(message_log_batch, metadata, strict=True)]
        scores = client().score(rows)
        return EnvironmentReturn(
            observations=[{"role": "environment", "content": f"P(resolved): {score:.3f}"} for score in scores],
            metadata=metadata,
            next_stop_strings=[None] * len(scores),
            rewards=torch.tensor(scores),
            terminateds=torch.ones(len(scores), dtype=torch.bool),
            answers=[log[-1]["content"] for log in message_log_batch],
        )

    def global_post_process_and_metrics(self, batch: Any) -> tuple[Any, dict[str, Any]]:
        """See `EnvironmentInterface`."""
        return batch, {f"swe_rm/{kind}": count for kind, count in client().failures.items()}


def _attempt(log: list[dict[str, Any]], told: dict[str, Any]) -> dict[str, Any]:
    messages = [{"role": message["role"], "content": message["content"]} for message in log]  # without the tensors
    return attempt_of({**told, "messages": messages})


SweRmEnvironment = ray.remote(SweRm)
