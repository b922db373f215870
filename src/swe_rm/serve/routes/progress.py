"""The score after each turn of an attempt, as `swe-rm progress --json` writes it."""

import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from swe_rm import progress as following
from swe_rm.cut_short import turn_starts
from swe_rm.serve.asking import answer, engine_of, seconds_of
from swe_rm.serve.failures import ErrorType, RequestError
from swe_rm.serve.routes.own import ANY_FORMAT, RefusedRow, UnscoredRow, body_of, refused_rows, unscored_row
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Verifier

router = APIRouter(tags=["swe-rm"])

_NUMBER = {"schema": {"type": "integer", "minimum": 1}, "in": "query", "required": False}
PARAMETERS: dict[str, Any] = {
    "parameters": [
        {"name": "every", "description": "Score after every so many turns, and after the last.", **_NUMBER},
        {"name": "points", "description": "At most so many scores an attempt, in place of `every`.", **_NUMBER},
    ]
}


class Curves(BaseModel):
    """The answer of /v1/progress."""

    verifier: str
    attempts: list[dict[str, Any]]
    refused: list[RefusedRow]
    unscored: list[UnscoredRow]
    notes: list[str]


@router.post("/v1/progress", openapi_extra={**ANY_FORMAT, **PARAMETERS}, responses={200: {"model": Curves}})
async def progress(request: Request) -> Response:
    """The curve of each attempt of the body, and what has none, with the reason."""
    found = await body_of(request)
    every, points = (_whole(request, name) for name in ("every", "points"))
    if every and points:
        raise RequestError("bad_request", "every and points exclude each other")
    engine = engine_of(request)
    until = time.monotonic() + seconds_of(request)
    curves, unscored = [], []
    reason: ErrorType = "unreadable"
    for one in found.attempts:
        if not turn_starts(one.trajectory):
            unscored.append(unscored_row(one.trajectory, "the agent took no turn"))
            continue
        work = _curve(one.trajectory, every or 1, points)
        try:
            curve = await engine.alone(work, one.trajectory, max(0.001, until - time.monotonic()))
        except RequestError as failure:
            if failure.type != "verifier_failed":
                raise
            reason = failure.type
            unscored.append(unscored_row(one.trajectory, str(failure)))
        else:
            curves.append({**curve.model_dump(), "text_only": one.text_only})
    if not curves:
        raise RequestError(reason, f"no attempt could be followed: {unscored[-1]['reason']}", 1)
    told = {"refused": refused_rows(found), "unscored": unscored, "notes": list(found.notes)}
    return answer({"verifier": curves[0]["verifier"], "attempts": curves, **told})


def _curve(trajectory: Trajectory, every: int, points: int | None) -> Callable[[Verifier], following.Curve]:
    """The work of one curve: a model reads the attempt once for all its turns, so it goes to the verifier whole."""

    def work(verifier: Verifier) -> following.Curve:
        step = following.every_for(len(turn_starts(trajectory)), points) if points else every
        return following.curve(trajectory, verifier, step)

    return work


def _whole(request: Request, name: str) -> int | None:
    """A number of the query, at least 1. Raises RequestError."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:10]) > 0):
        raise RequestError("bad_request", f"{name}: {text[:40]!r} is no number of at least 1")
    return int(text[:10])
