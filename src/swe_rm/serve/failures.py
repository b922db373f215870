"""Why a request gets no verdict: a type that programs tell apart, a line for people, and a status; never a number."""

from collections.abc import Mapping
from typing import Any, Literal

import orjson
from starlette.requests import Request
from starlette.responses import Response

from swe_rm.errors import SweRmError
from swe_rm.trajectory import Noun

ErrorType = Literal[
    "bad_request",
    "unauthorized",
    "forbidden_host",
    "not_found",
    "method_not_allowed",
    "too_large",
    "unreadable",
    "too_busy",
    "verifier_failed",
    "deadline_exceeded",
    "internal",
]

STATUS: Mapping[ErrorType, int] = {
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden_host": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "too_large": 413,
    "unreadable": 422,
    "too_busy": 429,
    "internal": 500,
    "verifier_failed": 503,
    "deadline_exceeded": 504,
}
"""The status of each type. 429, 503 and 504 are worth another try; the others are not."""

CLIENT_GONE = 499
"""In logs and metrics, of requests whose client hung up; nobody is sent it."""


class RequestError(SweRmError):
    """A request that gets no verdict."""

    def __init__(self, type_: ErrorType, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.type: ErrorType = type_
        self.status = STATUS[type_]
        self.retry_after = retry_after
        """Seconds after which another try is worth while."""


class ErrorDetail(Noun):
    """What went wrong."""

    type: ErrorType
    message: str


class ErrorBody(Noun):
    """The body of every answer that is no success."""

    error: ErrorDetail


def response(failure: RequestError) -> Response:
    """The answer that says so."""
    body = {"error": {"type": failure.type, "message": str(failure)}}
    headers = {} if failure.retry_after is None else {"Retry-After": str(failure.retry_after)}
    if failure.type == "unauthorized":
        headers["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(body), failure.status, headers, media_type="application/json")


async def answer_failure(request: Request, error: Exception) -> Response:
    """The handler of RequestError."""
    assert isinstance(error, RequestError)
    return response(error)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """The handler of what the framework refuses by itself: paths and methods it does not know."""
    status: Any = getattr(error, "status_code", 500)
    path = request.url.path
    if status == STATUS["not_found"]:
        return response(RequestError("not_found", f"there is nothing at {path}; /openapi.json says what there is"))
    if status == STATUS["method_not_allowed"]:
        answer = response(RequestError("method_not_allowed", f"{path} does not take {request.method}"))
        answer.headers.update(getattr(error, "headers", None) or {})
        return answer
    return response(RequestError("bad_request", f"{path}: {getattr(error, 'detail', error)}"))


async def answer_bug(request: Request, error: Exception) -> Response:
    """The handler of a fault of ours: the log has the traceback, the client the id by which it is found there."""
    return response(RequestError("internal", f"a fault of the server; its log has it under {request.state.request_id}"))
