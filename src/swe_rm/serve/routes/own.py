"""Our own routes: score and rank attempts in any known format."""

from typing import Any
from urllib.parse import unquote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from swe_rm.serve.asking import FILE_NAME, answer, engine_of, judgements, read, verdict_json
from swe_rm.serve.engine import Judgement
from swe_rm.serve.failures import RequestError
from swe_rm.serve.received import UNNAMED, Received, read_body
from swe_rm.trajectory import Noun, Trajectory
from swe_rm.verdict import Ranking, rank

router = APIRouter(tags=["swe-rm"])

ANY_FORMAT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Attempts: `attempts` holds one JSON value (or text) in any known format an item; `files` holds "
        "the files of a run; any other body is one file of a known format, compressed or not, or plain text, called as "
        f"the header {FILE_NAME} says.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "attempts": {"type": "array", "items": {"anyOf": [{"type": "object"}, {"type": "string"}]}},
                        "files": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "properties": {"name": {"type": "string"}, "content": {"type": "string"}},
                                "required": ["name", "content"],
                            },
                        },
                    },
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "text/plain": {"schema": {"type": "string"}},
        },
    }
}


class VerdictRow(Noun):
    """One verdict, in the keys of `swe-rm score`."""

    attempt_id: str
    content_hash: str
    instance_id: str
    policy: str
    attempt: str
    score: float
    raw_score: float
    logprob_yes: float | None
    logprob_no: float | None
    verdict_mass: float | None
    prompt_tokens: int | None
    truncated_tokens: int | None
    seconds: float | None
    verifier: str
    bounds: tuple[float, float] | None = None
    """Only where an engine did not show all that the score needs."""
    cached: bool
    """Whether it was known before."""
    text_only: bool
    """Whether the attempt came as text alone."""


class RefusedRow(Noun):
    """Something of the body that is no attempt, and why."""

    file: str
    record: str
    reason: str


class UnscoredRow(Noun):
    """An attempt without a verdict, and why."""

    attempt_id: str
    instance_id: str
    policy: str
    attempt: str
    reason: str


class Scores(Noun):
    """The answer of /v1/score."""

    verifier: str
    verdicts: list[VerdictRow]
    refused: list[RefusedRow]
    unscored: list[UnscoredRow]
    notes: list[str]


class Ranks(Noun):
    """The answer of /v1/rank."""

    verifier: str
    tasks: list[Ranking]
    refused: list[RefusedRow]
    unscored: list[UnscoredRow]
    notes: list[str]


async def body_of(request: Request) -> Received:
    """What the body holds. Raises RequestError."""
    content = await request.body()
    name = unquote(request.headers.get(FILE_NAME, "")) or UNNAMED
    settings = engine_of(request).settings
    return await read(request, lambda: read_body(content, name, settings))


@router.post("/v1/score", openapi_extra=ANY_FORMAT, responses={200: {"model": Scores}})
async def score(request: Request) -> Response:
    """A verdict on each attempt of the body, and what got none, with the reason."""
    found = await body_of(request)
    judged = await judgements(request, found.attempts)
    pairs = zip(found.attempts, judged, strict=True)
    rows = [verdict_json(attempt, one) for attempt, one in pairs if one.verdict is not None]
    return answer({"verifier": engine_of(request).verifier.name, "verdicts": rows, **beside(found, judged)})


@router.post("/v1/rank", openapi_extra=ANY_FORMAT, responses={200: {"model": Ranks}})
async def rank_(request: Request) -> Response:
    """The attempts of the body by task, best first, and what got no rank, with the reason."""
    found = await body_of(request)
    judged = await judgements(request, found.attempts)
    scored = {one.trajectory.attempt_id: one for one in judged if one.verdict is not None}
    known = {id_: one.verdict for id_, one in scored.items() if one.verdict is not None}
    rankings = rank([one.trajectory for one in scored.values()], known)
    tasks = [ranking.model_dump() for ranking in rankings]
    return answer({"verifier": engine_of(request).verifier.name, "tasks": tasks, **beside(found, judged)})


def beside(found: Received, judged: list[Judgement]) -> dict[str, Any]:
    """What an answer says beside its verdicts. Raises RequestError where there is no verdict at all."""
    unscored = [one for one in judged if one.verdict is None]
    if len(unscored) == len(judged):
        raise RequestError("verifier_failed", f"no attempt could be judged: {unscored[0].reason}", 1)
    return {
        "refused": refused_rows(found),
        "unscored": [unscored_row(one.trajectory, one.reason) for one in unscored],
        "notes": list(found.notes),
    }


def refused_rows(found: Received) -> list[dict[str, str]]:
    """What of a body is no attempt."""
    return [{"file": one.file, "record": one.record, "reason": one.reason} for one in found.refusals]


def unscored_row(trajectory: Trajectory, reason: str) -> dict[str, str]:
    """An attempt without a verdict."""
    instance_id, policy, attempt = trajectory.key
    keys = {"instance_id": instance_id, "policy": policy, "attempt": attempt}
    return {"attempt_id": trajectory.attempt_id, **keys, "reason": reason}
