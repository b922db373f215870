"""OpenHands SDK 1.58.2: openhands/sdk/llm/message.py:282."""

from typing import Any

from pydantic import BaseModel


class TextContent(BaseModel):
    text: str


class MessageToolCall(BaseModel):
    id: str
    name: str
    arguments: str
    origin: str


class Message(BaseModel):
    role: str
    content: list[TextContent] = []
    tool_calls: list[MessageToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    reasoning_content: str | None = None

    def to_chat_dict(
        self,
        *,
        cache_enabled: bool,
        vision_enabled: bool,
        function_calling_enabled: bool,
        force_string_serializer: bool,
        send_reasoning_content: bool,
    ) -> dict[str, Any]:
        assert function_calling_enabled
        assert not cache_enabled
        assert not vision_enabled
        assert not force_string_serializer
        written: dict[str, Any] = {"role": self.role}
        if self.content:
            written["content"] = [{"type": "text", "text": part.text} for part in self.content]
        if self.tool_calls:
            written["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in self.tool_calls
            ]
        if self.tool_call_id:
            written |= {"tool_call_id": self.tool_call_id, "name": self.name}
        if self.reasoning_content and send_reasoning_content:
            written["reasoning_content"] = self.reasoning_content
        return written
