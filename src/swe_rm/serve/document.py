"""The OpenAPI document: what the framework writes of the routes, and what every request passes on its way to them."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from swe_rm.serve.asking import DEADLINE, FILE_NAME, TEXT_ONLY, VERIFIER
from swe_rm.serve.doorway import OPEN, REQUEST_ID

OWN = frozenset({"/v1/score", "/v1/rank", "/v1/progress"})
"""Routes that take files."""
BARE = frozenset({"/get_reward", "/remote_rm", "/verify", "/classify", "/v1/decisions", "/v1/chat/completions"})
"""Routes whose answers say in headers whose verdict it is."""
_GATES = frozenset({"401", "403"})
_NOT_JUDGED = frozenset({"400", "413", "422", "429", "504"})
"""Statuses that only who asks for verdicts gets."""


def describe(app: FastAPI) -> None:
    """Have the application give the whole document."""

    def written() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )  # fmt: skip
            found.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            for path, operation in _operations(found):
                _complete(path, operation)
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = written  # type: ignore[method-assign]  # as the framework's documentation has it


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def _complete(path: str, operation: dict[str, Any]) -> None:
    asks = "requestBody" in operation
    if path in OPEN:
        operation["security"] = []
    else:
        operation["security"] = [{"token": []}, {}]  # without tokens the server asks for none
    gone = (_GATES if path in OPEN else frozenset()) | (frozenset() if asks else _NOT_JUDGED)
    operation["responses"] = {status: told for status, told in operation["responses"].items() if status not in gone}
    operation["parameters"] = [*operation.get("parameters", []), *_headers(path, asks)]
    for status, told in operation["responses"].items():
        told["headers"] = _answered(path, status)


def _headers(path: str, asks: bool) -> Iterator[dict[str, Any]]:
    """What a request may have in its head."""
    yield _header(REQUEST_ID, "The request's name in the log and the answer.", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    if asks:
        yield _header(DEADLINE, "Fewer seconds than the server's own.", type="number", exclusiveMinimum=0)
    if path in OWN:
        yield _header(FILE_NAME, "What the body is called as a file, percent-encoded.")


def _header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }


def _answered(path: str, status: str) -> dict[str, Any]:
    """What an answer has in its head."""
    found: dict[str, Any] = {REQUEST_ID: {"schema": {"type": "string"}}}
    if status == "200" and path in BARE:
        found |= {VERIFIER: {"schema": {"type": "string"}}, TEXT_ONLY: {"schema": {"enum": ["true", "false"]}}}
    if status in ("429", "503"):
        found["Retry-After"] = {"schema": {"type": "integer"}}
    return found
