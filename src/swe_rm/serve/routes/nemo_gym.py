"""NeMo-Gym's resources server: `/verify` gives the body back with a reward."""

from typing import Any

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from swe_rm.serve.asking import bare_answer, body_as, engine_of, json_body, read, verdicts
from swe_rm.serve.received import Attempt, read_messages
from swe_rm.serve.settings import Settings

router = APIRouter(tags=["trainers"])

_TASK = ("instance_id", "task_id", "problem_statement", "repo")
_PATCH = ("model_patch", "git_patch")
"""Not `patch`: in rows of tasks that is the gold one."""


class Asked(BaseModel):
    """What the policy was asked: parameters of the responses interface."""

    model_config = ConfigDict(extra="allow")

    input: str | list[dict[str, Any]] = ""
    instructions: str | None = None


class Response_(BaseModel):  # noqa: N801  # `Response` is the framework's
    """What the policy answered: a response of that interface."""

    model_config = ConfigDict(extra="allow")

    output: list[dict[str, Any]]


class Rollout(BaseModel):
    """The body. Task and patch are looked for beside the two where the environment puts them there."""

    model_config = ConfigDict(extra="allow")

    responses_create_params: Asked
    response: Response_


@router.post(
    "/verify",
    openapi_extra=json_body(Rollout),
    responses={200: {"content": {"application/json": {"schema": {"type": "object", "required": ["reward"]}}}}},
)
async def verify(request: Request) -> Response:
    """The body, with the score as `reward`."""
    body = await body_as(request, Rollout)
    settings = engine_of(request).settings
    attempt = await read(request, lambda: _attempt(body, settings))
    (verdict,) = await verdicts(request, [attempt])
    return bare_answer(_rewarded(await request.body(), verdict.score), verdict.verifier, text_only=False)


def _rewarded(body: bytes, score: float) -> bytes:
    """The body as it came, byte for byte, and the reward as its last key: written anew, long numbers would change."""
    return body.rstrip().removesuffix(b"}").rstrip() + b',"reward":' + orjson.dumps(score) + b"}"


def _attempt(body: Rollout, settings: Settings) -> Attempt:
    beside = body.model_extra or {}
    told = {name: beside[name] for name in (*_TASK, *_PATCH) if isinstance(beside.get(name), str)}
    asked = body.responses_create_params
    prompt = [{"role": "system", "content": asked.instructions}] if asked.instructions else []
    given = [{"role": "user", "content": asked.input}] if isinstance(asked.input, str) else asked.input
    return read_messages([*prompt, *given, *body.response.output], "rollout", settings, **told)
