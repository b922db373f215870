"""10,000 malformed bodies, and whatever the OpenAPI document allows: the server stays up and says what is wrong."""

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.load import Reply, Server, drive, served

from tests.serving import jsonl, row

pytest.importorskip("fastapi", reason="no FastAPI: pip install 'swe-rm[serve]'")
pytestmark = pytest.mark.slow

PATHS = (
    "/v1/score",
    "/v1/rank",
    "/v1/decisions",
    "/get_reward",
    "/remote_rm",
    "/verify",
    "/classify",
    "/v1/chat/completions",
)
GOOD = (
    jsonl(row(1), row(2)),
    json.dumps({"attempts": [row(1), "It hums.\n\nI mend it."]}).encode(),
    json.dumps({"query": ["It hums.\n\nI mend it."], "prompts": ["It hums."], "labels": [None]}).encode(),
    json.dumps({"prompt": "It hums.", "response": "Mended."}).encode(),
    json.dumps({"model": "m", "input": "It hums.\n\nMended.", "questions": [{"type": "predicate"}]}).encode(),
    json.dumps({"messages": [{"role": "user", "content": "It hums.\n\nMended."}]}).encode(),
)
PIECES = (
    b"null",
    b"[]",
    b"{}",
    b"NaN",
    b"1e999",
    b'"\\ud800"',
    b"\xff",
    b"\0",
    b"\\",
    b'"',
    b"[" * 300,
    b'{"a":' * 300,
    b"-",
)


def broken(dice: random.Random) -> bytes:
    """A good body with some of it cut, doubled, or replaced."""
    body = bytearray(dice.choice(GOOD))
    for _ in range(dice.randint(1, 4)):
        start = dice.randrange(len(body) + 1)
        end = min(len(body), start + dice.choice((0, 1, 1, 5, 60)))
        body[start:end] = dice.choice((b"", dice.choice(PIECES), bytes(body[start:end]) * 2, dice.randbytes(3)))
    return bytes(body)


def told(reply: Reply) -> bool:
    """Whether a reply is a success, or a typed error of the client's."""
    if reply.status == 200:
        return True
    error = reply.value["error"]
    return reply.status in (400, 413, 422) and error.keys() == {"type", "message"} and "\n" not in error["message"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hostile")
    with served(folder, "--verifier", "tests.serving:Hashed", "--max-body", "1000000") as found:
        yield found


def test_malformed_bodies_are_told_and_cost_no_memory(server: Server) -> None:
    dice = random.Random(0)
    asyncio.run(drive(server.port, [broken(dice) for _ in range(2_000)], 8))
    before = server.memory()
    refused = 0
    for path in PATHS:
        replies = asyncio.run(drive(server.port, [broken(dice) for _ in range(1_250)], 8, path))
        assert [reply for reply in replies if not told(reply)] == []
        refused += sum(reply.status != 200 for reply in replies)
    assert refused > 5_000, "most of them are refused"
    assert server.memory() < before + 50
    assert not [line for line in server.lines() if line["level"] == "error"]
    assert asyncio.run(drive(server.port, [jsonl(row())], 1))[0].status == 200


def test_whatever_the_openapi_document_allows_is_answered_as_it_says(server: Server) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, given, settings

    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json")
    checks = schemathesis.checks
    names = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
    wanted = [check for check in checks.CHECKS.get_all() if check.__name__ in names]
    assert len(wanted) == len(names)
    no_fault = [check for check in wanted if check.__name__ != "not_a_server_error"]

    for operation in (result.ok() for result in schema.get_all_operations()):
        if operation.path == "/v1/progress":
            continue

        @given(case=operation.as_strategy())
        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        def answered(case: object) -> None:
            response = case.call()  # type: ignore[attr-defined]
            late = response.status_code == 504 and "X-Deadline-Seconds" in response.request.headers
            case.validate_response(response, checks=no_fault if late else wanted)  # type: ignore[attr-defined]

        answered()
    assert not [line for line in server.lines() if line["level"] == "error"]


def test_the_log_of_a_hostile_day_is_json_line_by_line(server: Server, tmp_path: Path) -> None:
    asyncio.run(drive(server.port, [b"\xff\x00\n{"] * 5, 1))
    lines = [line for line in server.log.read_bytes().splitlines() if line.startswith(b"{")]
    assert len(lines) > 5
    assert all(isinstance(json.loads(line), dict) for line in lines)
