"""Messages as language model interfaces write them (OpenAI chat and responses, Anthropic blocks) as our Message."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from swe_rm.sources import fields
from swe_rm.trajectory import Message, Role, ToolCall

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "agent": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
    "environment": "tool",
    "observation": "tool",
    "exit": "tool",
}
"""`exit` is mini-swe-agent's: what the environment answered to the command that submits."""
_TEXT_PARTS = ("text", "input_text", "output_text", "summary_text", "reasoning_text", "refusal")
_THOUGHT_PARTS = ("thinking", "reasoning", "redacted_thinking")
_IMAGE_PARTS = ("image", "image_url", "input_image")


def messages_of(value: Any) -> tuple[Message, ...]:
    """The messages of a log. Raises ValueError naming the message that is none."""
    found: list[Message] = []
    for number, item in enumerate(fields.sequence(value, "messages"), 1):
        what = f"message {number}"
        written = fields.mapping(item, what)
        response = written.get("output") if written.get("role") is None else None
        for part in response if isinstance(response, list) else [written]:
            found += _messages(fields.mapping(part, what), what)
    return tuple(found)


def _messages(item: Mapping[str, Any], what: str) -> Iterator[Message]:
    """One written message: tool results among its blocks become messages of their own, before the rest."""
    if item.get("role") is None and item.get("type") is not None:
        yield from _response_item(item, what)
        return
    role = _role(item.get("role"), what)
    content = fields.first(item, ("content", "text", "system_prompt"))
    parts = _parts(content, what)
    for part in parts:
        if part.get("type") == "tool_result":
            yield Message(role="tool", content=text_of(part.get("content"), f"{what}: tool result"))
    kept = [part for part in parts if part.get("type") != "tool_result"]
    calls = _calls(item, kept, what)
    text = _text(kept, what)
    if kept or calls or not parts:
        yield Message(
            role=role,
            content=text,
            tool_calls=calls,
            reasoning=_reasoning(item, kept, what),
            demo=item.get("demo") is True or item.get("is_demo") is True,
        )


def _response_item(item: Mapping[str, Any], what: str) -> Iterator[Message]:
    """An item of OpenAI's responses interface, which has a type where others have a role."""
    kind = item["type"]
    if kind == "function_call":
        yield Message(role="assistant", tool_calls=(tool_call(item, what),))
    elif kind == "function_call_output":
        yield Message(role="tool", content=text_of(item.get("output"), what))
    elif kind == "reasoning":
        thoughts = [*_parts(item.get("summary"), what), *_parts(item.get("content"), what)]
        if said := _text(thoughts, what):
            yield Message(role="assistant", reasoning=said)
    else:
        raise ValueError(f"{what} has no role and the unknown type {kind!r}")


def _role(value: Any, what: str) -> Role:
    role = _ROLES.get(fields.text(value, f"{what}: role").lower())
    if role is None:
        raise ValueError(f"{what} has the unknown role {value!r}")
    return role


def text_of(content: Any, what: str) -> str:
    """The text of a content field: a string, or the text of its parts on lines of their own."""
    return _text(_parts(content, what), what)


def _parts(content: Any, what: str) -> list[Mapping[str, Any]]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, dict):
        return [content if "type" in content else {"type": "text", "text": fields.json_text(content, what)}]
    parts = fields.sequence(content, f"{what}: content")
    return [
        {"type": "text", "text": part} if isinstance(part, str) else fields.mapping(part, f"{what}: content part")
        for part in parts
    ]


def _text(parts: Sequence[Mapping[str, Any]], what: str) -> str:
    texts = []
    for part in parts:
        kind = part.get("type", "text")
        if kind in _TEXT_PARTS:
            texts.append(fields.text(part.get("text", part.get(kind)), f"{what}: text"))
        elif kind in _IMAGE_PARTS:
            texts.append("[image]")
        elif kind not in (*_THOUGHT_PARTS, "tool_use"):
            texts.append(fields.json_text(part, what))
    return "\n".join(texts)


def _calls(item: Mapping[str, Any], parts: Sequence[Mapping[str, Any]], what: str) -> tuple[ToolCall, ...]:
    written = list(fields.sequence(item.get("tool_calls"), f"{what}: tool_calls"))
    if item.get("function_call") is not None:
        written.append(item["function_call"])
    written += [part for part in parts if part.get("type") == "tool_use"]
    return tuple(tool_call(fields.mapping(call, f"{what}: tool call"), what) for call in written)


def tool_call(call: Mapping[str, Any], what: str) -> ToolCall:
    """A call as any of the interfaces writes it: name and arguments, possibly inside `function`.

    Arguments that are text stay as the agent wrote them; others become JSON text. Raises ValueError without a name.
    """
    inner = fields.mapping(call["function"], f"{what}: function") if call.get("function") is not None else call
    name = fields.text(fields.first(inner, ("name", "tool_name", "function_name")), f"{what}: name of a tool call")
    if not name:
        raise ValueError(f"{what} has a tool call without a name")
    arguments = fields.first(inner, ("arguments", "input", "parameters"))
    if not isinstance(arguments, str):
        arguments = fields.json_text({} if arguments is None else arguments, f"{what}: arguments")
    return ToolCall(name=name, arguments=arguments)


def _reasoning(item: Mapping[str, Any], parts: Sequence[Mapping[str, Any]], what: str) -> str:
    """Reasoning kept apart from the answer; scaffolds repeat it under several names, so the first one counts."""
    written = fields.first(item, ("reasoning_content", "reasoning", "thinking"))
    if isinstance(written, str):
        return written
    blocks = [part for part in parts if part.get("type") in _THOUGHT_PARTS]
    blocks = blocks or [
        fields.mapping(block, f"{what}: thinking block")
        for block in fields.sequence(item.get("thinking_blocks"), f"{what}: thinking_blocks")
    ]
    said = (fields.first(block, ("thinking", "text", "reasoning")) for block in blocks)
    return "\n".join(text for text in said if isinstance(text, str) and text)
