"""ROLL of 2026-08-19: roll/distributed/executor/worker.py:45."""

from types import SimpleNamespace
from typing import Any


class Worker:
    def __init__(self, worker_config: Any) -> None:
        self.worker_config = worker_config
        self.rank_info = SimpleNamespace(rank=0, world_size=1, dp_rank=0, dp_size=1)
