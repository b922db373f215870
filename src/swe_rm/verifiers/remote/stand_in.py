"""Small servers that speak as vLLM, SGLang, llama.cpp and OpenAI-style servers do, around a function: for tests, and
for trying a verifier file without a GPU."""

import json
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from swe_rm.loopback import Loopback

Logprobs = Callable[[Sequence[int]], Sequence[float]]
"""Token ids of a prompt -> the log-probability of every token of the vocabulary after it."""
Route = Callable[["StandIn", Mapping[str, Any]], Any]


class RefusalError(Exception):
    """What a server will not do, with its status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Language(NamedTuple):
    """A language model as a server has it."""

    logprobs: Logprobs
    encode: Callable[[str], Sequence[int]]
    decode: Callable[[int], str]


class Written(NamedTuple):
    """One token of a chat reply, with the likeliest tokens in its place."""

    token: str
    shown: Mapping[str, float]


Reply = Callable[[Mapping[str, Any]], Sequence[Written]]
"""The body of a chat request -> the tokens of the reply."""
Labels = Callable[[Sequence[int] | str], Sequence[float]]
"""Token ids or text -> the probability of each label."""


class StandIn(Loopback):
    """Serves one protocol on a free port of this machine while its `with` block lasts."""

    def __init__(
        self,
        protocol: str,
        language: Language | None = None,
        *,
        labels: Labels | None = None,
        reply: Reply | None = None,
        limit: int = 4_096,
        root: str = "somebody/weights",
        failures: Sequence[int] = (),
        seconds: float = 0.0,
        token: str = "",
    ) -> None:
        """`protocol` is a key of PROTOCOLS; `failures` are statuses that the first POST requests get; `token` is asked
        for as a bearer token where it is given; `seconds` pass before an answer."""
        self.language, self.labels, self.reply, self.limit, self.root = language, labels, reply, limit, root
        self._routes, self._failures, self._seconds, self.token = PROTOCOLS[protocol], list(failures), seconds, token
        self._lock = threading.Lock()
        self.requests: list[tuple[str, dict[str, Any]]] = []
        """Path and body of each POST, in the order of their coming."""
        super().__init__()

    def respond(self, method: str, path: str, body: dict[str, Any], authorization: str) -> tuple[int, bytes]:
        """See `Loopback`."""
        if self.token and authorization != f"Bearer {self.token}":
            status, document = 401, _error("Unauthorized", 401)
        else:
            status, document = self.answer(method, path, body)
        return status, json.dumps(document).encode()

    def answer(self, method: str, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """Status and document for one request."""
        route = self._routes.get((method, path))
        if method == "POST":
            with self._lock:
                self.requests.append((path, dict(body)))
                failure = self._failures.pop(0) if self._failures else None
            time.sleep(self._seconds)
            if failure:
                return failure, _error("made to fail", failure)
        if route is None:
            return 404, {"detail": "Not Found"}
        try:
            return 200, route(self, body)
        except RefusalError as error:
            return error.status, _error(str(error), error.status)

    def after(self, prompt: Sequence[int] | str) -> tuple[Sequence[int], Sequence[float]]:
        """The ids of a prompt, and what may follow it."""
        assert self.language is not None, "this route needs a language model"
        ids = self.language.encode(prompt) if isinstance(prompt, str) else prompt
        return ids, self.language.logprobs(ids)

    def refuse_longer(self, ids: Sequence[int], room: int = 1) -> None:
        """As servers do that read no more than their limit, `room` of it for the reply."""
        if len(ids) + room > self.limit:
            raise RefusalError(400, f"This model's maximum context length is {self.limit} tokens")


def _known(body: Mapping[str, Any], *keys: str) -> None:
    """A misspelt key would be passed over by a real server."""
    if odd := sorted(body.keys() - set(keys)):
        raise RefusalError(400, f"unknown key {odd[0]}")


def _models(owner: str) -> Route:
    def answer(self: StandIn, _: Mapping[str, Any]) -> Any:
        model = {"id": "served", "object": "model", "created": 0, "owned_by": owner, "root": self.root}
        return {"object": "list", "data": [{**model, "max_model_len": self.limit} if owner == "vllm" else model]}

    return answer


def _usage(read: int, written: int) -> dict[str, int]:
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _vllm_completions(self: StandIn, body: Mapping[str, Any]) -> Any:
    _known(
        body, "model", "prompt", "max_tokens", "temperature", "logprobs", "logprob_token_ids",
        "return_tokens_as_token_ids",
    )  # fmt: skip
    ids, logprobs = self.after(body["prompt"])
    self.refuse_longer(ids, body["max_tokens"])
    best = max(range(len(logprobs)), key=lambda id_: logprobs[id_])
    wanted = body.get("logprob_token_ids") or sorted(range(len(logprobs)), key=lambda id_: -logprobs[id_])
    wanted = wanted if body.get("logprob_token_ids") else wanted[: body["logprobs"]]
    shown = {_spelt(self, body, id_): max(logprobs[id_], -9999.0) for id_ in dict.fromkeys([best, *wanted])}
    place = {
        "text_offset": [0],
        "token_logprobs": [logprobs[best]],
        "tokens": [_spelt(self, body, best)],
        "top_logprobs": [shown],
    }
    choice = {"index": 0, "text": "", "logprobs": place, "finish_reason": "length"}
    return {"id": "cmpl-0", "object": "text_completion", "choices": [choice], "usage": _usage(len(ids), 1)}


def _spelt(self: StandIn, body: Mapping[str, Any], id_: int) -> str:
    assert self.language is not None, "only asked by routes of a language model"
    return f"token_id:{id_}" if body.get("return_tokens_as_token_ids") else self.language.decode(id_)


def _old_completions(self: StandIn, body: Mapping[str, Any]) -> Any:
    """As servers answer that do not know which ids are asked for: with the likeliest tokens."""
    return _vllm_completions(self, {key: value for key, value in body.items() if key != "logprob_token_ids"})


def _generative_scoring(self: StandIn, body: Mapping[str, Any]) -> Any:
    """Longer prompts are cut on the right, and nothing is said."""
    _known(body, "model", "query", "items", "label_token_ids", "apply_softmax")
    rows, read = [], 0
    for index, item in enumerate(body["items"]):
        ids = [*body["query"], *item][: self.limit]
        read += len(ids)
        _, logprobs = self.after(ids)
        chosen = [logprobs[id_] for id_ in body["label_token_ids"]]
        weights = [math.exp(value - max(chosen)) if body["apply_softmax"] else math.exp(value) for value in chosen]
        score = weights[0] / sum(weights) if body["apply_softmax"] else weights[0]
        rows.append({"index": index, "object": "score", "score": score})
    return {"id": "gs-0", "object": "list", "created": 0, "model": "served", "data": rows, "usage": _usage(read, 0)}


def _classify(self: StandIn, body: Mapping[str, Any]) -> Any:
    _known(body, "model", "input")
    assert self.labels is not None, "this route needs labels"
    probs = list(self.labels(body["input"]))
    read = len(body["input"]) if not isinstance(body["input"], str) else len(body["input"].split())
    row = {"index": 0, "label": "LABEL_0", "probs": probs, "num_classes": len(probs)}
    return {"id": "classify-0", "object": "list", "model": "served", "data": [row], "usage": _usage(read, 0)}


def _score(self: StandIn, body: Mapping[str, Any]) -> Any:
    _known(body, "model", "query", "items", "label_token_ids", "apply_softmax", "item_first", "return_token_logprobs")
    found, read = [], 0
    for item in body["items"]:
        ids = [*body["query"], *item]
        self.refuse_longer(ids, 0)
        read += len(ids)
        _, logprobs = self.after(ids)
        found.append([logprobs[id_] for id_ in body["label_token_ids"]])
    scores = [[math.exp(value) for value in row] for row in found]
    return {
        "object": "scoring",
        "model": body["model"],
        "scores": scores,
        "token_logprobs": found,
        "usage": _usage(read, 0),
    }


def _old_score(self: StandIn, body: Mapping[str, Any]) -> Any:
    """As SGLang answered before it gave log-probabilities."""
    document = _score(self, body)
    del document["token_logprobs"], document["usage"]
    return document


def _llama_completion(self: StandIn, body: Mapping[str, Any]) -> Any:
    _known(body, "prompt", "n_predict", "n_probs", "temperature", "cache_prompt", "post_sampling_probs")
    ids, logprobs = self.after(body["prompt"])
    self.refuse_longer(ids, 0)
    assert self.language is not None, "checked by `after`"
    order = sorted(range(len(logprobs)), key=lambda id_: -logprobs[id_])[: body["n_probs"]]
    top = [{"id": id_, "token": self.language.decode(id_), "bytes": [], "logprob": logprobs[id_]} for id_ in order]
    place = {**top[0], "top_logprobs": top}
    return {
        "content": top[0]["token"],
        "tokens_evaluated": len(ids),
        "truncated": False,
        "stop": True,
        "completion_probabilities": [place],
    }


def _chat(self: StandIn, body: Mapping[str, Any]) -> Any:
    _known(body, "model", "messages", "max_tokens", "temperature", "seed", "logprobs", "top_logprobs")
    assert self.reply is not None, "this route needs a reply"
    written = list(self.reply(body))[: body["max_tokens"]]
    text = "".join(one.token for one in written)
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    choice["logprobs"] = None
    if body.get("logprobs"):
        choice["logprobs"] = {"content": [_shown(one, body["top_logprobs"]) for one in written]}
    read = sum(len(message["content"].split()) for message in body["messages"])
    return {"id": "chat-0", "object": "chat.completion", "choices": [choice], "usage": _usage(read, len(written))}


def _shown(one: Written, count: int) -> dict[str, Any]:
    likeliest = sorted(one.shown.items(), key=lambda item: -item[1])[:count]
    top = [{"token": token, "logprob": logprob, "bytes": None} for token, logprob in likeliest]
    return {"token": one.token, "logprob": one.shown.get(one.token, 0.0), "bytes": None, "top_logprobs": top}


def _decisions(self: StandIn, body: Mapping[str, Any]) -> Any:
    _known(body, "model", "input", "questions")
    assert self.labels is not None, "this route needs labels"
    answers = [{"type": "predicate", "name": None, "probability": self.labels(body["input"])[0]}]
    return {"answers": answers, "model": "served", "usage": {"input_tokens": len(body["input"].split())}}


PROTOCOLS: dict[str, dict[tuple[str, str], Route]] = {
    "vllm": {
        ("GET", "/v1/models"): _models("vllm"),
        ("GET", "/version"): lambda self, body: {"version": "0.33.0"},
        ("POST", "/v1/completions"): _vllm_completions,
        ("POST", "/generative_scoring"): _generative_scoring,
        ("POST", "/classify"): _classify,
        ("POST", "/v1/chat/completions"): _chat,
    },
    "old vllm": {
        ("GET", "/v1/models"): _models("vllm"),
        ("POST", "/v1/completions"): _old_completions,
    },
    "sglang": {
        ("GET", "/v1/models"): _models("sglang"),
        ("GET", "/get_server_info"): lambda self, body: {"version": "0.5.23", "context_length": self.limit},
        ("POST", "/v1/score"): _score,
    },
    "old sglang": {
        ("GET", "/v1/models"): _models("sglang"),
        ("POST", "/v1/score"): _old_score,
    },
    "llama.cpp": {
        ("GET", "/v1/models"): _models("llamacpp"),
        ("GET", "/props"): lambda self, body: {
            "default_generation_settings": {"n_ctx": self.limit},
            "build_info": "b9000-0000000",
            "model_path": self.root,
        },
        ("POST", "/completion"): _llama_completion,
    },
    "openai": {
        ("GET", "/v1/models"): _models("somebody"),
        ("POST", "/v1/completions"): _vllm_completions,
        ("POST", "/v1/chat/completions"): _chat,
        ("POST", "/v1/decisions"): _decisions,
    },
}
"""What each of them answers to."""


def _error(message: str, status: int) -> Any:
    return {"error": {"message": message, "type": "BadRequestError", "code": status}}
