"""OpenHands SDK 1.58.2: openhands/sdk/critic/base.py:52 and result.py:7."""

import abc
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field


class CriticResult(BaseModel):
    score: float = Field(ge=0.0, le=1.0)
    message: str | None
    metadata: dict[str, Any] | None = None


class CriticBase(BaseModel, abc.ABC):
    mode: Literal["finish_and_message", "all_actions"] = "finish_and_message"
    iterative_refinement: Any = None

    @abc.abstractmethod
    def evaluate(self, events: Sequence[Any], git_patch: str | None = None) -> CriticResult: ...
