"""OpenHands SDK 1.58.2: openhands/sdk/event/base.py:78 and 108."""

import abc
from typing import Any

from pydantic import BaseModel, ConfigDict


class LLMConvertibleEvent(BaseModel, abc.ABC):
    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str

    @abc.abstractmethod
    def to_llm_message(self) -> Any: ...

    @staticmethod
    def events_to_messages(events: list["LLMConvertibleEvent"]) -> list[Any]:
        return [event.to_llm_message() for event in events]
