"""The critic of OpenHands: `/classify` with 27 labels, of which a verifier knows the first, success."""

import time
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from swe_rm.serve.asking import bare_answer, body_as, engine_of, json_body, read, verdicts
from swe_rm.serve.failures import RequestError
from swe_rm.serve.received import Attempt, read_text
from swe_rm.serve.settings import Settings
from swe_rm.trajectory import Noun

router = APIRouter(tags=["critics"])

LABELS = 27
"""Success, 3 sentiments, 13 issues of agents, 2 of infrastructure, 8 follow-ups of users: the client counts them."""


class ClassifyRequest(BaseModel):
    """The body: the rendered chat, or several."""

    model_config = ConfigDict(extra="allow")

    model: str = ""
    input: str | list[str]


class Classified(Noun):
    """The answer on one chat."""

    index: int
    label: str
    probs: list[float]
    num_classes: int


class Classification(Noun):
    """The answer, in the shape of vLLM's."""

    id: str
    object: str
    created: int
    model: str
    data: list[Classified]
    usage: dict[str, int]


@router.post("/classify", openapi_extra=json_body(ClassifyRequest), responses={200: {"model": Classification}})
async def classify(request: Request) -> Response:
    """P(success) first, and zeros for the 26 labels that nobody judged."""
    body = await body_as(request, ClassifyRequest)
    chats = [body.input] if isinstance(body.input, str) else body.input
    if not chats:
        raise RequestError("bad_request", "input: holds no chat")
    settings = engine_of(request).settings
    attempts = await read(request, lambda: _attempts(chats, settings))
    found = await verdicts(request, attempts)
    tokens = sum(verdict.prompt_tokens or 0 for verdict in found)
    data: list[dict[str, Any]] = [
        {"index": at, "label": "success", "probs": [one.score] + [0.0] * (LABELS - 1), "num_classes": LABELS}
        for at, one in enumerate(found)
    ]
    value = {
        "id": f"classify-{request.state.request_id}",
        "object": "list",
        "created": int(time.time()),
        "model": found[0].verifier,
        "data": data,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0},
    }
    return bare_answer(value, found[0].verifier, text_only=True)


def _attempts(chats: list[str], settings: Settings) -> list[Attempt]:
    return [read_text(chat, f"input {number}", settings) for number, chat in enumerate(chats, 1)]
