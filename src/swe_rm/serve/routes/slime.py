"""slime's `--rm-type remote_rm --rm-url http://.../remote_rm`: the answer is the number itself."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from swe_rm.serve.asking import bare_answer, body_as, engine_of, json_body, read, verdicts
from swe_rm.serve.failures import RequestError
from swe_rm.serve.received import Attempt, read_messages, read_text
from swe_rm.serve.settings import Settings

router = APIRouter(tags=["trainers"])

_KEY = {"name": "key", "in": "query", "required": False, "schema": {"type": "string"}, "description": "Of the score."}

_MORE = ("verifier", "text_only")
"""Keys beside the score."""


class Sample(BaseModel):
    """The body: one sample."""

    model_config = ConfigDict(extra="allow")

    prompt: str | list[dict[str, Any]]
    response: str
    label: Any = None
    """Taken and not looked at."""


@router.post(
    "/remote_rm",
    openapi_extra={**json_body(Sample), "parameters": [_KEY]},
    responses={200: {"content": {"application/json": {"schema": {"anyOf": [{"type": "number"}, {"type": "object"}]}}}}},
)
async def remote_rm(request: Request) -> Response:
    """The score as a bare number, or with `?key=NAME` (slime's `--reward-key NAME`) in an object that says more."""
    key = request.query_params.get("key")
    if key in _MORE:
        raise RequestError("bad_request", f"key: {key} says something else in the answer")
    body = await body_as(request, Sample)
    settings = engine_of(request).settings
    attempt = await read(request, lambda: _attempt(body, settings))
    (verdict,) = await verdicts(request, [attempt])
    more = dict(zip(_MORE, (verdict.verifier, attempt.text_only), strict=True))
    value = verdict.score if key is None else {**more, key: verdict.score}
    return bare_answer(value, verdict.verifier, text_only=attempt.text_only)


def _attempt(body: Sample, settings: Settings) -> Attempt:
    """Prompts come as text or as messages; the response is text."""
    if isinstance(body.prompt, str):
        return read_text(body.prompt + body.response, "sample", settings, body.prompt)
    messages = [*body.prompt, {"role": "assistant", "content": body.response}]
    return read_messages(messages, "sample", settings)._replace(text_only=True)
