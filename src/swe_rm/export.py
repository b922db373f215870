"""Attempts written for others, one JSON document a line: attempts rows, OpenAI chat rows, ATIF documents."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import orjson

from swe_rm import atif, output
from swe_rm.trajectory import Labelled, Message, Outcome, ToolCall

Format = Literal["attempts", "openai", "atif"]


def write(attempts: Iterable[Labelled], out: Path, format: Format = "attempts") -> int:
    """Write a stream of attempts, compressed as the ending says (.gz, .zst); returns how many.

    Memory stays at one attempt, and half a file is never seen. Read again, `attempts` and `atif` give the same
    attempts under the same ids; what `openai` does not keep is said at `openai_row`. Raises SweRmError.
    """
    count = 0
    with output.whole(out) as partial, output.lines(partial) as lines:
        for item in attempts:
            lines.write(_LINES[format](item))
            count += 1
    return count


def attempts_row(labelled: Labelled) -> dict[str, Any]:
    """The attempts row of an attempt: what `swe_rm.sources.attempts` reads."""
    trajectory = labelled.trajectory
    return {
        "source": trajectory.origin.source,
        "scaffold": trajectory.origin.scaffold,
        "policy": trajectory.origin.policy,
        "run": trajectory.origin.attempt,
        "instance_id": trajectory.task.instance_id,
        "repo": trajectory.task.repo,
        "problem_statement": trajectory.task.statement,
        "messages": [_message(message, _calls(message)) for message in trajectory.messages] or None,
        "patch": trajectory.patch,
        "resolved": {Outcome.RESOLVED: True, Outcome.UNRESOLVED: False}.get(labelled.outcome),
        "label_source": labelled.provenance,
        "exit_status": trajectory.exit_status,
        "finished": trajectory.finished,
    }


def _calls(message: Message) -> list[dict[str, Any]]:
    return [
        {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in message.tool_calls
    ]


def _message(message: Message, calls: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "role": message.role,
        "content": message.content,
        **({"tool_calls": calls} if calls else {}),
        **({"reasoning_content": message.reasoning} if message.reasoning else {}),
        **({"demo": True} if message.demo else {}),
    }


# --- chat ------------------------------------------------------------------------------------------------------------


def openai_row(labelled: Labelled) -> dict[str, Any]:
    """The attempts row of an attempt with messages that OpenAI's chat interface and chat templates take.

    Each call has an id and is answered, in the order of the calls, by a tool message with that id. Where the results
    after a message are not as many as its calls, nothing says which call each answers: the calls are answered by empty
    messages and the results told by the user, as are those that follow no call. Arguments are JSON objects (other text
    stands under `input`); names of functions have letters, digits, `_` and `-` only. Calls and reasoning of messages
    that are not the assistant's are not kept. `reasoning_content` and `demo`, which OpenAI's own server does not know,
    are there only where there is something to say.
    """
    return {**attempts_row(labelled), "messages": list(_chat(labelled.trajectory.messages))}


_UNNAMEABLE = re.compile(r"[^a-zA-Z0-9_-]")
_NAME_LENGTH = 64
"""Characters of a function's name that OpenAI takes."""


def _chat(messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
    called = 0
    for message, *results in atif.with_results(messages):
        calls = message.tool_calls if message.role == "assistant" else ()
        ids = [f"call{called + place:05d}" for place in range(1, len(calls) + 1)]
        called += len(calls)
        yield _said(message, [_call(id_, call) for id_, call in zip(ids, calls, strict=True)])
        paired = len(ids) == len(results)
        answers = results if paired else [Message(role="tool")] * len(ids)
        yield from (_answer(id_, answer) for id_, answer in zip(ids, answers, strict=True))
        yield from (_said(result, []) for result in results if not paired)


def _answer(id_: str, message: Message) -> dict[str, Any]:
    return {**_said(message, []), "role": "tool", "tool_call_id": id_}


def _said(message: Message, calls: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if message.role == "assistant":
        return _message(message, calls)
    role = "system" if message.role == "system" else "user"
    return _message(Message(role=role, content=message.content, demo=message.demo), calls)


def _call(id_: str, call: ToolCall) -> dict[str, Any]:
    """A call under an id of nine letters and digits, which is what the strictest chat templates ask for."""
    text = call.arguments
    arguments = text if atif.json_object(text) is not None else orjson.dumps(atif.arguments_object(text)).decode()
    name = _UNNAMEABLE.sub("_", call.name)[:_NAME_LENGTH] or "unnamed"
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


# --- lines -----------------------------------------------------------------------------------------------------------


def _atif_line(labelled: Labelled) -> bytes:
    return atif.document(labelled).model_dump_json(exclude_none=True).encode() + b"\n"


_LINES: dict[Format, Callable[[Labelled], bytes]] = {
    "attempts": lambda item: output.line(attempts_row(item)),
    "openai": lambda item: output.line(openai_row(item)),
    "atif": _atif_line,
}
