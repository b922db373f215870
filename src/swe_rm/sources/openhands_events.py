"""OpenHands' event log as messages: version 0 (actions and observations) and version 1 (events with a kind)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from swe_rm.sources import fields
from swe_rm.sources.messages import messages_of, text_of, tool_call
from swe_rm.trajectory import Message, ToolCall

_HOUSEKEEPING = frozenset(
    {"agent_state_changed", "change_agent_state", "null", "recall", "condensation", "condensation_request"}
)
"""Version 0 events that are no part of what agent and environment say to each other."""
_SILENT = frozenset(
    {"thought", "security_risk", "confirmation_state", "impl_source", "blocking", "hidden", "is_static"}
)
"""Version 0 arguments that are the scaffold's own, not what the agent asked of the tool."""
_HOUSEKEEPING_KINDS = frozenset({
    "Condensation", "CondensationRequest", "CondensationSummaryEvent", "ConversationErrorEvent",
    "ConversationStateUpdateEvent", "HookExecutionEvent", "InterruptEvent", "LLMCompletionLogEvent", "PauseEvent",
    "StreamingDeltaEvent", "TokenEvent",
})  # fmt: skip
_ROOT = "__root__"
"""The parent id of an event that begins a branch at the root."""


def history_messages(value: Any) -> tuple[Message, ...]:
    """The messages of a `history`: a list of events, or (old files) of pairs of action and observation.

    Raises ValueError naming the event that is of no known shape.
    """
    events = list(_flat(fields.sequence(value, "history")))
    if any("kind" in event for event in events):
        events = _active_branch(events)
    seen: set[str] = set()
    found: list[Message] = []
    for number, event in enumerate(events, 1):
        what = f"event {number}"
        found += _kind_messages(event, what) if "kind" in event else _messages(event, what, seen)
    return tuple(found)


def _flat(items: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    for number, item in enumerate(items, 1):
        for event in item if isinstance(item, list) else [item]:
            yield fields.mapping(event, f"event {number}")


# --- version 0 -------------------------------------------------------------------------------------------------------


def _messages(event: Mapping[str, Any], what: str, seen: set[str]) -> Iterator[Message]:
    """`seen` holds the responses whose text is told: parallel calls are one response and several actions."""
    if "observation" in event:
        if fields.text(event["observation"], f"{what}: observation") not in _HOUSEKEEPING:
            extras = fields.mapping(event.get("extras"), f"{what}: extras")
            yield Message(role="tool", content=_shown(text_of(event.get("content"), what), extras, what))
    elif "action" in event:
        if fields.text(event["action"], f"{what}: action") not in _HOUSEKEEPING:
            yield _action(event, what, seen)
    else:
        raise ValueError(f"{what} is neither action nor observation")


def _shown(text: str, result: Mapping[str, Any], what: str) -> str:
    """What the agent was shown of a command: the scaffold keeps the line with the exit code apart from the output."""
    metadata = fields.mapping(result.get("metadata"), f"{what}: metadata")
    before, after = (fields.text(metadata.get(name), f"{what}: {name}") for name in ("prefix", "suffix"))
    if not after and isinstance(result.get("exit_code"), int):
        after = f"\n[Command finished with exit code {result['exit_code']}]"
    return f"{before}{text}{after}"


def _action(event: Mapping[str, Any], what: str, seen: set[str]) -> Message:
    name = fields.text(event["action"], f"{what}: action")
    arguments = fields.mapping(event.get("args"), f"{what}: args")
    said = text_of(fields.first(arguments, ("content", "thought")), what)
    if name == "system":
        return Message(role="system", content=said)
    if event.get("source") == "user":
        return Message(role="user", content=said or text_of(event.get("message"), what))
    if name == "message":
        return Message(role="assistant", content=said)
    response = _response(event, what)
    call = _call(event, name, arguments, response, what)
    if response is None:
        return Message(role="assistant", content=text_of(arguments.get("thought"), what), tool_calls=(call,))
    told = fields.text(response.get("id"), f"{what}: response id") in seen
    seen.add(fields.text(response.get("id"), f"{what}: response id"))
    if told and response.get("id"):
        return Message(role="assistant", tool_calls=(call,))
    spoken = messages_of([{**_answer(response, what), "role": "assistant", "tool_calls": None}])[0]
    content = spoken.content or text_of(arguments.get("thought"), what)
    return Message(role="assistant", content=content, tool_calls=(call,), reasoning=spoken.reasoning)


def _response(event: Mapping[str, Any], what: str) -> Mapping[str, Any] | None:
    """The model's response an action came from, where the file keeps it."""
    metadata = fields.mapping(event.get("tool_call_metadata"), f"{what}: tool_call_metadata")
    if not metadata.get("model_response"):
        return None
    return fields.mapping(metadata["model_response"], f"{what}: model_response")


def _answer(response: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    choices = fields.sequence(response.get("choices"), f"{what}: choices")
    choice = fields.mapping(choices[0] if choices else None, f"{what}: choice")
    return fields.mapping(choice.get("message"), f"{what}: message")


def _call(
    event: Mapping[str, Any], name: str, arguments: Mapping[str, Any], response: Mapping[str, Any] | None, what: str
) -> ToolCall:
    """The call as the agent wrote it; the scaffold's own reading of it where the response is not kept."""
    metadata = fields.mapping(event.get("tool_call_metadata"), f"{what}: tool_call_metadata")
    for written in fields.sequence(_answer(response, what).get("tool_calls") if response else None, what):
        call = fields.mapping(written, f"{what}: tool call")
        if call.get("id") == metadata.get("tool_call_id"):
            return tool_call(call, what)
    asked = {key: value for key, value in arguments.items() if key not in _SILENT and value not in (None, "")}
    if name == "think":
        asked["thought"] = arguments.get("thought")
    called = fields.text(metadata.get("function_name"), f"{what}: function_name") or name
    return ToolCall(name=called, arguments=fields.json_text(asked, f"{what}: args"))


# --- version 1 -------------------------------------------------------------------------------------------------------


def _active_branch(events: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The events that lead to the last one: a conversation that was taken back and continued otherwise is a tree."""
    place = {event.get("id"): at for at, event in enumerate(events) if isinstance(event.get("id"), str)}
    kept = []
    at = len(events) - 1
    while at >= 0:
        kept.append(events[at])
        parent = events[at].get("parent_id")
        if parent == _ROOT:
            break
        at = min(place.get(parent, at - 1) if isinstance(parent, str) else at - 1, at - 1)
    return kept[::-1]


def _kind_messages(event: Mapping[str, Any], what: str) -> Iterator[Message]:
    kind = fields.text(event["kind"], f"{what}: kind")
    if kind == "SystemPromptEvent":
        yield Message(role="system", content=text_of(event.get("system_prompt"), what))
    elif kind == "MessageEvent":
        yield from messages_of([event.get("llm_message")])
    elif kind == "ActionEvent":
        yield _action_event(event, what)
    elif kind == "ObservationEvent":
        yield Message(role="tool", content=_observation(event, what))
    elif kind == "AgentErrorEvent":
        yield Message(role="tool", content=fields.text(event.get("error"), f"{what}: error"))
    elif kind == "UserRejectObservation":
        yield Message(role="tool", content=fields.text(event.get("rejection_reason"), f"{what}: rejection_reason"))
    elif kind == "ACPToolCallEvent":
        yield from _foreign_call(event, what)
    elif kind not in _HOUSEKEEPING_KINDS:
        raise ValueError(f"{what} is of the unknown kind {kind!r}")


def _action_event(event: Mapping[str, Any], what: str) -> Message:
    call = fields.mapping(event.get("tool_call"), f"{what}: tool_call")
    if not call:
        action = fields.mapping(event.get("action"), f"{what}: action")
        arguments = {key: value for key, value in action.items() if key != "kind"}
        call = {"name": event.get("tool_name"), "arguments": arguments}
    written = {key: event.get(key) for key in ("reasoning_content", "thinking_blocks")}
    spoken = messages_of([{**written, "role": "assistant", "content": event.get("thought")}])[0]
    return spoken.model_copy(update={"tool_calls": (tool_call(call, what),)})


def _observation(event: Mapping[str, Any], what: str) -> str:
    observation = fields.mapping(event.get("observation"), f"{what}: observation")
    text = text_of(fields.first(observation, ("content", "output", "error", "message")), what)
    return _shown(text, observation, what)


def _foreign_call(event: Mapping[str, Any], what: str) -> Iterator[Message]:
    """A tool call another agent made and reported; its state is told again and again, its end once."""
    if event.get("status") in ("pending", "in_progress"):
        return
    name = fields.text(fields.first(event, ("tool_kind", "title")), f"{what}: tool_kind")
    yield Message(
        role="assistant",
        content=fields.text(event.get("title"), f"{what}: title"),
        tool_calls=(tool_call({"name": name, "arguments": event.get("raw_input")}, what),),
    )
    yield Message(role="tool", content=text_of(fields.first(event, ("raw_output", "content")), what))
