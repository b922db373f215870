"""A chat model that answers with one number: what SWE-agent's retry loop asks of a reviewer and of a chooser."""

import time
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from swe_rm.serve import choosing
from swe_rm.serve.asking import bare_answer, body_as, engine_of, json_body, read, verdicts
from swe_rm.serve.failures import RequestError
from swe_rm.serve.received import Attempt, read_messages, read_text
from swe_rm.serve.settings import Settings
from swe_rm.sources import fields
from swe_rm.sources.content import parts_of, text_in

router = APIRouter(tags=["OpenAI"])

MOST_SAMPLES = 128


class ChatRequest(BaseModel):
    """The body. Settings of sampling are taken and change nothing."""

    model_config = ConfigDict(extra="allow")

    model: str = ""
    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    n: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] | None = None
    stream: bool | None = None


class ChatMessage(BaseModel):
    """The number, as text."""

    role: str
    content: str


class Choice(BaseModel):
    """One of `n` equal answers."""

    index: int
    message: ChatMessage
    finish_reason: str


class Completion(BaseModel):
    """The answer."""

    id: str
    object: str
    created: int
    model: str
    choices: list[Choice]
    usage: dict[str, int]


@router.post("/v1/chat/completions", openapi_extra=json_body(ChatRequest), responses={200: {"model": Completion}})
async def complete(request: Request) -> Response:
    """P(resolved) as the whole text of the answer; asked as `swe-rm-choose`, the number of the best submission.

    Messages with an assistant's among them are a log. Else what the user wrote is an attempt as text, its diff
    at the end between lines `<submission>` and `</submission>` where there is one, or an issue and numbered ones.
    """
    body = await body_as(request, ChatRequest)
    if body.stream:
        raise RequestError("bad_request", "stream: one number is not streamed")
    settings = engine_of(request).settings
    if body.model == choosing.CHOOSER:
        attempts = await read(request, lambda: _submissions(body.messages, settings))
    else:
        attempts = {0: await read(request, lambda: _attempt(body.messages, settings))}
    found = dict(zip(attempts, await verdicts(request, list(attempts.values())), strict=True))
    best = max(found, key=lambda number: found[number].score)  # the first of equal ones
    said = str(best) if body.model == choosing.CHOOSER else f"{found[best].score:.6f}"
    tokens, n = sum(one.prompt_tokens or 0 for one in found.values()), body.n or 1
    value = {
        "id": f"chatcmpl-{request.state.request_id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": found[best].verifier,
        "choices": [_choice(at, said) for at in range(n)],
        "usage": {"prompt_tokens": tokens, "completion_tokens": n, "total_tokens": tokens + n},
    }
    return bare_answer(value, found[best].verifier, text_only=attempts[best].text_only)


def _choice(index: int, said: str) -> dict[str, Any]:
    return {"index": index, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}


def _attempt(messages: list[dict[str, Any]], settings: Settings) -> Attempt:
    if any(message.get("role") == "assistant" for message in messages):
        return read_messages(messages, "messages", settings)
    text, patch = choosing.parted("\n\n".join(_asked(messages)))
    return read_text(text, "messages", settings, patch=patch)


def _submissions(messages: list[dict[str, Any]], settings: Settings) -> dict[int, Attempt]:
    return choosing.read_submissions("\n\n".join(_asked(messages)), "messages", settings)


def _asked(messages: list[dict[str, Any]]) -> list[str]:
    """What the user wrote; the system prompt says how to judge, which a verifier knows by itself."""
    try:
        return [
            text_in(parts_of(fields.first(message, ("content",)), f"message {number}"), f"message {number}")
            for number, message in enumerate(messages, 1)
            if message.get("role") == "user"
        ]
    except ValueError as error:
        raise RequestError("unreadable", str(error)) from None
