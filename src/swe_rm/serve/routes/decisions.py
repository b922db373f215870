"""OpenAI's Decisions: the answer to a predicate is P(the attempt resolved its issue), whatever its words are."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from swe_rm.serve.asking import bare_answer, body_as, engine_of, json_body, read, verdicts
from swe_rm.serve.received import Attempt, read_messages, read_text
from swe_rm.serve.settings import Settings
from swe_rm.trajectory import Noun

router = APIRouter(tags=["OpenAI"])


class Question(BaseModel):
    """One question about the input."""

    model_config = ConfigDict(extra="allow")

    type: Literal["predicate", "choice", "score"]
    name: str | None = None


class DecisionRequest(BaseModel):
    """The body."""

    model_config = ConfigDict(extra="allow")

    model: str
    input: str | list[dict[str, Any]]
    questions: Annotated[list[Question], Field(min_length=1, max_length=400)]


class Predicate(Noun):
    """The answer to a predicate."""

    type: Literal["predicate"] = "predicate"
    name: str | None
    probability: float


class Refusal(Noun):
    """The answer to any other question: a verifier knows one."""

    type: Literal["refusal"] = "refusal"
    name: str | None


class Usage(Noun):
    """What was read."""

    input_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens: int
    output_tokens_details: dict[str, int]
    total_tokens: int


class Decision(Noun):
    """The answer."""

    answers: list[Predicate | Refusal]
    model: str
    usage: Usage


@router.post("/v1/decisions", openapi_extra=json_body(DecisionRequest), responses={200: {"model": Decision}})
async def decide(request: Request) -> Response:
    """P(resolved) for each predicate; questions of other types are refused one by one."""
    body = await body_as(request, DecisionRequest)
    settings = engine_of(request).settings
    attempt = await read(request, lambda: _attempt(body.input, settings))
    (verdict,) = await verdicts(request, [attempt])
    answers = [
        Predicate(name=question.name, probability=verdict.score)
        if question.type == "predicate"
        else Refusal(name=question.name)
        for question in body.questions
    ]
    tokens = verdict.prompt_tokens or 0
    usage = Usage(
        input_tokens=tokens,
        input_tokens_details={"cached_tokens": 0, "cache_write_tokens": 0},
        output_tokens=1,
        output_tokens_details={"reasoning_tokens": 0},
        total_tokens=tokens + 1,
    )
    found = Decision(answers=answers, model=verdict.verifier, usage=usage)
    return bare_answer(found.model_dump(), verdict.verifier, text_only=attempt.text_only)


def _attempt(given: str | list[dict[str, Any]], settings: Settings) -> Attempt:
    """Items are a log with its calls and outputs; text is an attempt by itself."""
    return read_text(given, "input", settings) if isinstance(given, str) else read_messages(given, "input", settings)
