"""OpenRLHF 0.11.2: openrlhf/utils/agent.py:18-30."""

from abc import ABC, abstractmethod
from typing import Any


class AgentInstanceBase(ABC):
    @abstractmethod
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    @abstractmethod
    async def step(self, state_dict: dict[str, Any], **kwargs: Any) -> Any: ...


class MultiTurnAgentExecutor:
    def __init__(self, agent_instance_cls: type[AgentInstanceBase]) -> None:
        assert issubclass(agent_instance_cls, AgentInstanceBase)
        self.agent_instance_cls = agent_instance_cls
