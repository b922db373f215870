"""What the routes share: the body as it was meant, the verdicts on its attempts, the answer as JSON."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from swe_rm.scoring import verdict_row
from swe_rm.serve import received
from swe_rm.serve.engine import Engine, Judgement
from swe_rm.serve.failures import STATUS, ErrorBody, RequestError
from swe_rm.serve.received import Attempt
from swe_rm.verdict import Verdict

DEADLINE = "X-Deadline-Seconds"
FILE_NAME = "X-File-Name"
VERIFIER = "X-Swe-Rm-Verifier"
TEXT_ONLY = "X-Swe-Rm-Text-Only"
"""Of answers whose body is too bare to say it."""

FAILURES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody, "description": type_} for type_, status in STATUS.items()
}
"""The answers that every route may give beside its own, for the OpenAPI document."""

T = TypeVar("T")
Body = TypeVar("Body", bound=BaseModel)


def engine_of(request: Request) -> Engine:
    """The engine of the application that got the request."""
    found: Engine = request.app.state.engine
    return found


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """What the OpenAPI document says of a route's body; routes read it themselves, for errors of one shape."""
    written = model.model_json_schema()
    schema = _inlined(written, written.pop("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _inlined(node: Any, models: Mapping[str, Any]) -> Any:
    """A schema with the models in it written out: a document's paths have no place for definitions of their own."""
    if isinstance(node, list):
        return [_inlined(item, models) for item in node]
    if not isinstance(node, dict):
        return node
    if reference := node.get("$ref"):
        return _inlined(models[reference.rpartition("/")[2]], models)
    return {key: _inlined(value, models) for key, value in node.items()}


async def body_as(request: Request, model: type[Body]) -> Body:
    """The body as that model. Raises RequestError."""
    content = await request.body()
    return await read(request, lambda: _validated(content, model))


def _validated(content: bytes, model: type[Body]) -> Body:
    value = received.parsed(content)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise RequestError("bad_request", f"{where}: {first['msg']}") from None


async def read(request: Request, work: Callable[[], T]) -> T:
    """What that returns, run beside the event loop where the body is long. Raises RequestError past the deadline."""
    engine, size = engine_of(request), len(await request.body())
    seconds = seconds_of(request)
    try:
        async with asyncio.timeout(seconds):
            return await engine.aside(work, size)
    except TimeoutError:
        raise _late(seconds) from None


async def judgements(request: Request, attempts: Sequence[Attempt]) -> list[Judgement]:
    """What became of each attempt, in their order, within the deadline. Raises RequestError."""
    engine = engine_of(request)
    told = request.state.told = {"attempts": len(attempts), "text_only": sum(one.text_only for one in attempts)}
    found = await engine.judge([one.trajectory for one in attempts], seconds_of(request))
    told |= {"cached": sum(one.cached for one in found), "unscored": sum(one.verdict is None for one in found)}
    return found


async def verdicts(request: Request, attempts: Sequence[Attempt]) -> list[Verdict]:
    """The verdict on each attempt, for protocols that cannot say that one has none. Raises RequestError then."""
    found = await judgements(request, attempts)
    for judged in found:
        if judged.verdict is None:
            raise RequestError("verifier_failed", f"{' / '.join(judged.trajectory.key)}: {judged.reason}", 1)
    return [judged.verdict for judged in found if judged.verdict is not None]


def seconds_of(request: Request) -> float:
    """How long the request may still take. Raises RequestError, where its time is over too."""
    most = engine_of(request).settings.deadline
    asked = request.headers.get(DEADLINE)
    try:
        seconds = most if asked is None else float(asked)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise RequestError("bad_request", f"{DEADLINE}: {asked!r} is no number of seconds")
    left: float = min(seconds, most) - (time.perf_counter() - request.state.started)
    if left <= 0:
        raise _late(min(seconds, most))
    return left


def _late(seconds: float) -> RequestError:
    return RequestError("deadline_exceeded", f"no verdict within {seconds:g} seconds")


def verdict_json(attempt: Attempt, judged: Judgement) -> dict[str, Any]:
    """A verdict as `swe-rm score` writes it, and whether it was kept and of what it is."""
    assert judged.verdict is not None
    row = verdict_row(attempt.trajectory, judged.verdict)
    return {**row, "cached": judged.cached, "text_only": attempt.text_only}


def answer(value: Any, **headers: str) -> Response:
    """A JSON answer, of a value or of JSON that is written already."""
    return Response(
        value if isinstance(value, bytes) else orjson.dumps(value), headers=headers, media_type="application/json"
    )


def bare_answer(value: Any, verifier: str, *, text_only: bool) -> Response:
    """An answer of a protocol with no room for whose verdict it is and what it is of: headers say so."""
    said = verifier.encode("ascii", "backslashreplace").decode()  # a header is ASCII, a name may be anything
    return answer(
        value,
        **{VERIFIER: "".join(c if c.isprintable() else "?" for c in said), TEXT_ONLY: "true" if text_only else "false"},
    )
