"""An attempt that arrives as text alone: the chat in it where its markers are known, else an issue and a log."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from swe_rm.dialects import issue_statement
from swe_rm.sources import naming, streams
from swe_rm.sources.messages import messages_of
from swe_rm.sources.reader import attempt
from swe_rm.trajectory import Message, Trajectory

SOURCE = "text"
POLICY = "text"
"""Whose attempt it is is not told in a text."""

_HEADS = tuple(
    re.compile(pattern)
    for pattern in (
        r"<\|im_start\|>(?P<role>\w{1,32})[^\n]{0,64}\n",
        r"<\|start_header_id\|>(?P<role>\w{1,32})<\|end_header_id\|>",
        r"<start_of_turn>(?P<role>\w{1,32})\n",
        r"<\|(?P<role>system|user|assistant|tool|observation)\|>",
        r"<｜(?P<role>User|Assistant)｜>",  # noqa: RUF001  # DeepSeek's bars are wide
        r"\[(?P<role>/?INST)\]",
    )
)
"""What a turn begins with: ChatML (Qwen), Llama 3, Gemma, GLM and Phi, DeepSeek, Llama 2 and Mistral."""
_ENDS = (
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>", "<|endoftext|>", "<|end_of_text|>",
    "<｜end▁of▁sentence｜>", "</s>",  # noqa: RUF001
)  # fmt: skip
_BEGINS = ("<|begin_of_text|>", "<bos>", "<s>", "[gMASK]", "<sop>", "<｜begin▁of▁sentence｜>")  # noqa: RUF001
_ROLES = {"/INST": "assistant", "INST": "user"}


class Piece(NamedTuple):
    """Some text, and whether it stood between two tags."""

    text: str
    inside: bool


def attempt_of_text(text: str, name: str, prompt: str = "", instance_id: str = "", patch: str = "") -> Trajectory:
    """The attempt a text tells of; without a patch it is not finished.

    Where it has known chat markers its messages are taken apart. Else `prompt`, or without one the first paragraph, is
    the issue and the rest is what the agent said. `name` tells attempts of one policy at one task apart. The task is
    named after its issue unless `instance_id` names it. Raises ValueError where there is no issue or nothing was said.
    """
    written = list(_turns(text))
    messages = messages_of(written)
    if messages:
        asked = tuple(messages_of(list(_turns(prompt)))) or (Message(role="user", content=prompt),)
        statement = issue_statement(asked) or issue_statement(messages)
    else:
        issue, said = _parted(text, prompt)
        statement = issue_statement(messages_of(list(_turns(issue)))) or issue.strip()
        messages = (Message(role="assistant", content=said),) if said.strip() else ()
    return attempt(
        source=SOURCE,
        scaffold="",
        policy=POLICY,
        attempt=name,
        instance_id=instance_id or naming.task_of_issue(statement),
        messages=messages,
        patch=patch,
        statement=statement,
    ).trajectory


def _parted(text: str, prompt: str) -> tuple[str, str]:
    """(issue, log) of a text without markers."""
    if prompt.strip():
        return prompt, text.removeprefix(prompt)
    first, _, rest = text.strip().partition("\n\n")
    return first, rest


def _turns(text: str) -> Iterator[dict[str, Any]]:
    """The messages of a rendered chat as model interfaces write them; none where no markers are known."""
    found = [(match.start(), head) for head in _HEADS if (match := head.search(text))]
    if not found or not _begins_as_chat(text.lstrip()):  # a text that speaks of marks is none
        return
    heads = list(min(found, key=lambda one: one[0])[1].finditer(text))
    before = _stripped(text[: heads[0].start()])
    if before:
        yield {"role": "system", "content": before}
    for head, end in zip(heads, [*(one.start() for one in heads[1:]), len(text)], strict=True):
        role = _ROLES.get(head["role"], head["role"].lower())
        content = _stripped(text[head.end() : end])
        if role == "assistant":
            yield _said(content)
        else:
            yield from _told(role, content)


def _begins_as_chat(text: str) -> bool:
    return text.startswith(_BEGINS) or any(head.match(text) for head in _HEADS)


def _stripped(text: str) -> str:
    """Without the marks that begin and end a turn. Reads each character once: there may be a million marks."""
    start, end = 0, len(text)
    while start < end:
        if text[start].isspace():
            start += 1
        elif mark := next((mark for mark in _BEGINS if text.startswith(mark, start, end)), ""):
            start += len(mark)
        else:
            break
    while start < end:
        if text[end - 1].isspace():
            end -= 1
        elif mark := next((mark for mark in _ENDS if text.endswith(mark, start, end)), ""):
            end -= len(mark)
        else:
            break
    return text[start:end]


def _said(content: str) -> dict[str, Any]:
    """An agent's turn, its thoughts and the calls of Qwen and Hermes taken out of its text."""
    thought = _apart(content, "<think>", "</think>")
    reasoning = "\n".join(piece.text.strip() for piece in thought if piece.inside)
    content = "".join(piece.text for piece in thought if not piece.inside)
    pieces = _apart(content, "<tool_call>", "</tool_call>")
    calls = [call for piece in pieces if piece.inside and (call := _call(piece.text))]
    kept = [piece.text for piece in pieces if not (piece.inside and _call(piece.text))]
    return {
        "role": "assistant",
        "content": "".join(kept).strip(),
        "reasoning_content": reasoning,
        "tool_calls": calls,
    }


def _call(text: str) -> dict[str, Any] | None:
    """A call written as JSON; None for one that is not, which stays in the text."""
    try:
        value = streams.parse(text.strip().encode("utf-8", "surrogatepass"))
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    return {"type": "function", "function": {"name": value["name"], "arguments": value.get("arguments", {})}}


def _told(role: str, content: str) -> Iterator[dict[str, Any]]:
    """A turn that is not the agent's; what tools answered under the user's name is theirs."""
    for piece in _apart(content, "<tool_response>", "</tool_response>"):
        if piece.text.strip():
            yield {"role": "tool" if piece.inside else role, "content": piece.text.strip("\n")}


def _apart(text: str, begin: str, end: str) -> list[Piece]:
    """The text in pieces, at pairs of tags; a tag without its other stays. Reads the text once."""
    pieces: list[Piece] = []
    at = 0
    while (start := text.find(begin, at)) >= 0 and (stop := text.find(end, start)) >= 0:
        pieces += [Piece(text[at:start], False), Piece(text[start + len(begin) : stop], True)]
        at = stop + len(end)
    return [*pieces, Piece(text[at:], False)]
