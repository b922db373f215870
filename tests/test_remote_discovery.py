"""Finding out what answers at a URL: busy servers, proxies before servers, and what servers say of themselves."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from swe_rm.verifiers.foreign import load_url
from swe_rm.verifiers.remote.asking import Asker, Carry, EngineError, Patience, Reply
from swe_rm.verifiers.remote.discovery import There, look
from swe_rm.verifiers.remote.naming import as_a_name, in_a_name
from swe_rm.verifiers.remote.vllm import Completions

MODELS = Reply(200, b'{"data": [{"id": "lamp", "owned_by": "somebody"}]}')


def there(replies: Mapping[str, Reply]) -> There:
    """What is found where these paths are answered so, and all others with 404."""
    return look(Asker(carrying(replies)("", ""), "http://there", Patience(tries=2, pause=0.0)))


def carrying(replies: Mapping[str, Reply]) -> Callable[[str, str], Carry]:
    def carry(method: str, path: str, body: bytes | None, seconds: float) -> Reply:
        return replies.get(path, Reply(404, b"{}"))

    return lambda url, token: carry


def test_a_swe_rm_server_whose_line_is_full_is_found_all_the_same() -> None:
    busy = Reply(503, b'{"ready": false, "reason": "the line is full", "verifier": "lamp@1"}', retry_after=9.0)
    assert there({"/readyz": busy}) == There("swe-rm", "lamp@1")
    assert load_url("http://there", connect=carrying({"/readyz": busy})).name == "lamp@1"


@pytest.mark.parametrize(
    "odd",
    [
        Reply(400, b"{}"), Reply(401, b'{"error": "no key"}'), Reply(403, b""), Reply(302, b""), Reply(405, b""),
        Reply(200, b"<html>hello</html>"), Reply(200, b"[]"), Reply(401, b'{"verifier": "evil@1"}'),
    ],
    ids=lambda reply: f"{reply.status} {reply.data.decode()}",
)  # fmt: skip
def test_a_proxy_may_answer_anything_to_paths_that_it_does_not_know(odd: Reply) -> None:
    assert there({"/readyz": odd, "/v1/models": MODELS}) == There("openai", "lamp")
    served = Reply(200, b'{"data": [{"id": "lamp", "owned_by": "vllm"}]}')
    assert there({"/readyz": odd, "/v1/models": served, "/version": odd}) == There("vllm", "lamp")


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ({"/readyz": Reply(503, b"starting")}, "/readyz: status 503: starting, after 2 tries"),
        ({"/readyz": Reply(502, b"{}"), "/v1/models": MODELS}, "/readyz: status 502"),
        ({"/v1/models": Reply(401, b'{"error": "no key"}')}, "/v1/models: status 401: no key"),
        ({"/v1/models": Reply(503, b"")}, "/v1/models: status 503"),
    ],
)
def test_a_server_that_is_down_or_refuses_is_an_error(replies: dict[str, Reply], said: str) -> None:
    with pytest.raises(EngineError, match=said):
        there(replies)


ODD_WORDS = ["1\r\nX-Evil: 1", "\u0441\u0443\u0434\u044c\u044f 1", "v" * 300, "a b\tc", "0.33.0+cu128"]


@pytest.mark.parametrize("told", [*ODD_WORDS, "", 5, None, {"a": 1}])
def test_what_a_server_says_its_version_is_stands_cleaned_in_names(told: Any) -> None:
    models = Reply(200, b'{"data": [{"id": "lamp", "owned_by": "vllm"}]}')
    found = there({"/v1/models": models, "/version": Reply(200, orjson.dumps({"version": told}))})
    name = Completions(Asker(carrying({})("", ""), ""), "m", [1], [2], found.version).name
    assert name.isascii()
    assert name.isprintable()
    assert " " not in name
    assert len(name) <= 5 + 64
    assert name != "vllm-"


@pytest.mark.parametrize("told", ODD_WORDS)
def test_a_verifier_that_a_server_names_can_be_a_header(told: str) -> None:
    ready = Reply(200, orjson.dumps({"ready": True, "verifier": told}))
    name = load_url("http://there", connect=carrying({"/readyz": ready})).name
    assert name == as_a_name(told)
    assert name.isascii()
    assert name.isprintable()
    assert " " not in name


def test_names_that_are_in_order_stay() -> None:
    mean = "mean(platt(tiny@1.abcdef+vllm-0.33.0)@01234567,features@2+bfloat16)"
    assert as_a_name(mean) == mean
    assert in_a_name("Qwen3-30B-A3B_v1.0") == "Qwen3-30B-A3B_v1.0"
    assert in_a_name("openai/gpt \u00e9") == "openai-gpt"


@pytest.mark.parametrize("root", ["a" * 5_000, "a/" * 5_000, "a\0b", 5, None, ""])
def test_weights_in_a_folder_that_cannot_be_are_not_here(root: Any) -> None:
    models = Reply(200, orjson.dumps({"data": [{"id": "lamp", "owned_by": "vllm", "root": root}]}))
    assert there({"/v1/models": models}).folder in (None, Path())


@pytest.mark.parametrize("limit", [True, 0, -5, "4096", 1.5, None])
def test_a_limit_that_is_no_number_of_tokens_is_none(limit: Any) -> None:
    models = Reply(200, orjson.dumps({"data": [{"id": "lamp", "owned_by": "vllm", "max_model_len": limit}]}))
    assert there({"/v1/models": models}).limit is None
