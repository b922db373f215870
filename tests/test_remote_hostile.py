"""Whatever a server answers: an engine gives a probability or an error of ours, never anything else."""

import copy
import math
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm.verifiers.remote import llama_cpp, openai_style, sglang, vllm
from swe_rm.verifiers.remote.asking import Asker, EngineError, Reply
from swe_rm.verifiers.remote.judge import Decisions, Judge, Scale, Words
from swe_rm.verifiers.remote.question import Question
from swe_rm.verifiers.remote.served import Served
from tests.engines import QUICK

CHAT = {
    "choices": [
        {
            "message": {"content": "YES"},
            "logprobs": {
                "content": [
                    {"token": "<", "logprob": -0.1, "top_logprobs": [{"token": "<", "logprob": -0.1}]},
                    {"token": "Y", "logprob": -0.5, "top_logprobs": [{"token": t, "logprob": -0.7} for t in "YN"]},
                ]
            },
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}},
}
TWO = {
    "choices": [{"logprobs": {"top_logprobs": [{"token_id:1": -0.5, "token_id:2": -1.0}]}}],
    "usage": {"prompt_tokens": 3},
}
PLACE = {"tokens": ["Y"], "top_logprobs": [{"Y": -0.5, "N": -1.0}]}
ROW = {
    "attempt_id": "a", "score": 0.5, "raw_score": 0.25, "logprob_yes": -1.0, "logprob_no": -1.0, "prompt_tokens": 3,
    "truncated_tokens": 0, "verifier": "v@1", "bounds": [0.4, 0.6],
}  # fmt: skip
READ = {"usage": {"prompt_tokens": 3}}
BOUND: Any = {"missing": "bound"}
ENGINES: dict[str, tuple[Callable[[Asker], Any], Any]] = {
    "vllm": (lambda ask: vllm.Completions(ask, "m", [1], [2]), TWO),
    "scoring": (
        lambda ask: vllm.GenerativeScoring(ask, "m", [1], [2], 99),
        {"data": [{"index": 0, "score": 0.5}], **READ},
    ),
    "classify": (lambda ask: vllm.Classify(ask, "m", 0, 2), {"data": [{"probs": [0.5, 0.5]}], **READ}),
    "sglang": (
        lambda ask: sglang.Score(ask, "m", [1], [2]),
        {"scores": [[0.2, 0.1]], "token_logprobs": [[-1.0, -2.0]]},
    ),
    "old sglang": (lambda ask: sglang.Score(ask, "m", [1], [2]), {"scores": [[0.2, 0.1]]}),
    "llama.cpp": (
        lambda ask: llama_cpp.Completion(ask, [1], [2]),
        {
            "tokens_evaluated": 3,
            "truncated": False,
            "completion_probabilities": [{"top_logprobs": [{"id": 1, "logprob": -0.5}, {"id": 2, "logprob": -1.0}]}],
        },
    ),
    "openai": (
        lambda ask: openai_style.TopLogprobs(ask, "m", ["Y"], ["N"], **BOUND),
        {"choices": [{"logprobs": PLACE}]},
    ),
    "bound": (
        lambda ask: openai_style.TopLogprobs(ask, "m", ["Y"], ["N"], **BOUND),
        {"choices": [{"logprobs": {"tokens": ["Y"], "top_logprobs": [{"Y": -0.01, "x": -6.0, "z": -6.5}]}}]},
    ),
    "spellings": (
        lambda ask: openai_style.TopLogprobs(ask, "m", ["Y", "y"], ["N", "n"], **BOUND),
        {"choices": [{"logprobs": {"tokens": ["Y"], "top_logprobs": [{"Y": -0.01, "N": -6.0, "z": -6.5}]}}]},
    ),
    "chat": (lambda ask: openai_style.TopLogprobs(ask, "m", ["Y"], ["N"], route="chat", after="<", **BOUND), CHAT),
    "judge": (lambda ask: Judge(ask, "m", Words(["YES"], ["NO"]), repeats=1), CHAT),
    "scale": (lambda ask: Judge(ask, "m", Scale({"Y": 1.0, "N": 0.0}, "<"), repeats=1, **BOUND), CHAT),
    "decisions": (
        lambda ask: Decisions(ask, "m", "It is so."),
        {"answers": [{"type": "predicate", "probability": 0.5}]},
    ),
    "served": (lambda ask: Served(ask, "v@1"), {"verdicts": [ROW], "unscored": [], "refused": []}),
}
LARGE = [1_000.0, -1_000.0, 709.0, 0.01, 1e308, -1e308, -9_999.0, 10**18, 2**64 - 1, -(2**63), 5e-324, 0.0, -0.0]
"""Numbers past what exponentials, and beside what distributions, bear."""
ODD: Any = st.one_of(
    st.sampled_from(LARGE), st.floats(allow_nan=False, allow_infinity=False),
    st.none(), st.booleans(), st.integers(-2, 2), st.floats(-3, 3), st.sampled_from(["", "YES", "x", "0"]),
    st.just([]), st.just({}), st.just([[]]), st.just([1]), st.just({"a": 1}), st.just(["ab"]), st.just("a" * 9),
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every part of a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(document)
    part = changed
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return changed


def asked(make: Callable[[Asker], Any], document: Any) -> Any:
    def carry(method: str, path: str, body: bytes | None, seconds: float) -> Reply:
        return Reply(200, orjson.dumps(document))

    question = Question("a", "t", (1, 2, 3), messages=({"role": "user", "content": "x"},), document={})
    (answer,) = make(Asker(carry, "http://engine", QUICK))([question])
    return answer


@pytest.mark.parametrize("name", ENGINES)
def test_the_whole_answer_is_taken(name: str) -> None:
    assert 0 <= asked(*ENGINES[name]).score <= 1


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("value", [*LARGE, True, False], ids=str)
def test_any_part_of_an_answer_may_be_any_number(name: str, value: Any) -> None:
    make, document = ENGINES[name]
    for path in places(document):
        check(make, put(document, path, value))


def check(make: Callable[[Asker], Any], document: Any) -> None:
    """An answer that can be one, or an error of ours."""
    try:
        answer = asked(make, document)
    except EngineError:
        return
    low, high = answer.bounds or (0.0, 1.0)
    assert 0 <= low <= high <= 1
    assert 0 <= answer.score <= 1
    assert not isinstance(answer.score, bool)
    assert (answer.logprob_yes is None) == (answer.logprob_no is None)
    assert all(value is None or -math.inf < value <= 0 for value in (answer.logprob_yes, answer.logprob_no))
    assert answer.prompt_tokens is None or answer.prompt_tokens >= 0


@pytest.mark.parametrize("name", ENGINES)
@settings(max_examples=150)
@given(data=st.data())
def test_any_part_of_an_answer_may_be_anything(name: str, data: st.DataObject) -> None:
    make, document = ENGINES[name]
    path = data.draw(st.sampled_from(places(document)))
    check(make, put(document, path, data.draw(ODD)))
