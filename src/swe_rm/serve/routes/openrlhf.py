"""OpenRLHF's `--reward.remote_url http://.../get_reward`."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from swe_rm.serve.asking import bare_answer, body_as, engine_of, json_body, read, verdicts
from swe_rm.serve.failures import RequestError
from swe_rm.serve.received import Attempt, read_text
from swe_rm.serve.settings import Settings
from swe_rm.trajectory import Noun

router = APIRouter(tags=["trainers"])


class RewardRequest(BaseModel):
    """The body: texts, with the prompts they begin with."""

    model_config = ConfigDict(extra="allow")

    query: Annotated[list[str], Field(min_length=1)]
    prompts: list[str] = []
    labels: list[Any] = []
    """Taken and not looked at: a verifier sees no outcome."""


class Rewards(Noun):
    """The answer, in the order of the queries."""

    rewards: list[float]
    scores: list[float]
    extra_logs: dict[str, list[float]]


@router.post("/get_reward", openapi_extra=json_body(RewardRequest), responses={200: {"model": Rewards}})
async def get_reward(request: Request) -> Response:
    """A score for each query; where one of them has none, none of them has."""
    body = await body_as(request, RewardRequest)
    if body.prompts and len(body.prompts) != len(body.query):
        raise RequestError("bad_request", f"{len(body.query)} queries and {len(body.prompts)} prompts")
    settings = engine_of(request).settings
    attempts = await read(request, lambda: _attempts(body, settings))
    found = await verdicts(request, attempts)
    scores = [verdict.score for verdict in found]
    logs = {
        "text_only": [1.0] * len(found),
        "truncated_tokens": [float(verdict.truncated_tokens or 0) for verdict in found],
    }
    rewards = Rewards(rewards=scores, scores=scores, extra_logs=logs)
    return bare_answer(rewards.model_dump(), found[0].verifier, text_only=True)


def _attempts(body: RewardRequest, settings: Settings) -> list[Attempt]:
    prompts = body.prompts or [""] * len(body.query)
    pairs = zip(body.query, prompts, strict=True)
    return [read_text(query, f"query {n}", settings, prompt) for n, (query, prompt) in enumerate(pairs, 1)]
