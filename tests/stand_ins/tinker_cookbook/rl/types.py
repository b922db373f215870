"""Tinker cookbook 0.6.1: tinker_cookbook/rl/types.py:305-366."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any


class EnvGroupBuilder(ABC):
    @abstractmethod
    async def make_envs(self) -> Sequence[Any]: ...

    async def compute_group_rewards(self, trajectory_group: list[Any], env_group: Sequence[Any]) -> list[Any]:
        return [(0.0, {}) for _ in trajectory_group]
