"""Every protocol in its own words: the bodies of the field's clients, verdicts in them, errors that are no numbers."""

import gzip
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="no FastAPI: pip install 'swe-rm[serve]'")
pytest.importorskip("httpx2", reason="starlette's test client needs httpx2")

from starlette.testclient import TestClient

from swe_rm.calibrate import Calibrator, PerGroup
from swe_rm.export import attempts_row
from swe_rm.scoring import score
from swe_rm.serve.app import build
from swe_rm.serve.bearer import Bearers
from swe_rm.serve.choosing import read_submissions
from swe_rm.serve.failures import STATUS
from swe_rm.serve.plain_text import attempt_of_text
from swe_rm.serve.settings import Settings
from swe_rm.trajectory import Labelled
from swe_rm.verbs.serve import serve
from swe_rm.verifiers.calibrated import Calibrated
from swe_rm.verifiers.combined import Mean
from tests.serving import Company, Cyrillic, Down, Hashed, Partly, jsonl, lamp, row, share

TOKEN = "wick-trimmed-at-dusk"
CHAT = (
    "<|im_start|>user\nThe lamp hums.<|im_end|>\n<|im_start|>assistant\nI look.<|im_end|>\n"
    "<|im_start|>user\nMore?<|im_end|>\n<|im_start|>assistant\nMended.<|im_end|>\n"
)


def client(verifier: Any = None, tokens: tuple[str, ...] = (), **limits: Any) -> TestClient:
    app = build(verifier or Hashed(), Settings(**limits), Bearers(tokens))
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


@pytest.fixture(scope="module")
def asked() -> Iterator[TestClient]:
    with client() as found:
        yield found


def error(response: Any, status: int) -> str:
    """The type of a typed error."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"type", "message"}
    assert "\n" not in body["error"]["message"]
    return str(body["error"]["type"])


# --- our own ---------------------------------------------------------------------------------------------------------


def test_score_answers_each_attempt_in_the_keys_of_the_command_line(asked: TestClient) -> None:
    body = jsonl(row(1), {"lamp": 1}, row(2, task=2))
    found = asked.post("/v1/score", content=body, headers={"X-File-Name": "run.jsonl"}).json()
    assert found["verifier"] == "hashed@1"
    assert [one["attempt_id"] for one in found["verdicts"]] == [lamp(1).attempt_id, lamp(2, task=2).attempt_id]
    first = found["verdicts"][0]
    assert first["score"] == share(lamp(1))
    assert (first["instance_id"], first["policy"], first["attempt"]) == lamp(1).key
    assert (first["cached"], first["text_only"]) == (False, False)
    assert [one["record"] for one in found["refused"]] == ["line 2"]


def test_rank_orders_the_attempts_of_each_task(asked: TestClient) -> None:
    rows = [row(number, task, f"try {number}") for task in (1, 2) for number in range(3)]
    found = asked.post("/v1/rank", json={"attempts": rows}).json()
    assert [task["instance_id"] for task in found["tasks"]] == ["tinkers__lantern-1", "tinkers__lantern-2"]
    for task in found["tasks"]:
        scores = [one["score"] for one in task["candidates"]]
        assert scores == sorted(scores, reverse=True)
        assert [one["rank"] for one in task["candidates"]] == [1, 2, 3]


def test_attempts_without_a_verdict_are_named_beside_the_others() -> None:
    with client(Partly()) as one:
        found = one.post("/v1/score", json={"attempts": [row(1), row(2, said="NaN")]}).json()
        assert [v["attempt"] for v in found["verdicts"]] == ["1"]
        assert [(u["attempt"], u["reason"]) for u in found["unscored"]] == [("2", "too long")]
        assert error(one.post("/v1/score", json={"attempts": [row(1, said="NaN")]}), 503) == "verifier_failed"


def test_progress_follows_each_attempt_and_ends_with_its_score() -> None:
    turns = row()["messages"] + [{"role": "user", "content": "More?"}, {"role": "assistant", "content": "Mended."}]
    with client() as one:
        body = {"attempts": [{**row(1), "messages": turns}, row(2)]}
        found = one.post("/v1/progress", json=body).json()
        scores = one.post("/v1/score", json=body).json()["verdicts"]
        assert [[step["turn"] for step in curve["steps"]] for curve in found["attempts"]] == [[1, 2], [1]]
        assert [curve["steps"][-1]["score"] for curve in found["attempts"]] == [verdict["score"] for verdict in scores]
        assert [curve["attempt_id"] for curve in found["attempts"]] == [verdict["attempt_id"] for verdict in scores]
        few = one.post("/v1/progress?points=1", json=body).json()
        assert [[step["turn"] for step in curve["steps"]] for curve in few["attempts"]] == [[2], [1]]
        for query in ("every=0", "every=x", "points=-1", "every=1&points=1"):
            assert error(one.post(f"/v1/progress?{query}", json=body), 400) == "bad_request"
        no_turn = {"attempts": [{**row(1), "messages": []}]}
        assert error(one.post("/v1/progress", json=no_turn), 422) == "unreadable"


# --- trainers --------------------------------------------------------------------------------------------------------


def test_openrlhf_gets_a_reward_for_each_query_in_their_order(asked: TestClient) -> None:
    prompt = CHAT[: CHAT.index("<|im_start|>assistant")]
    queries = [CHAT, CHAT.replace("Mended", "Not mended"), "The lamp hums. Mended."]
    body = {"query": queries, "prompts": [prompt, prompt, "The lamp hums. "], "labels": ["7", "8", "9"]}
    found = asked.post("/get_reward", json=body)
    wanted = [share(attempt_of_text(q, "1", p)) for q, p in zip(queries, body["prompts"], strict=True)]
    assert found.json()["rewards"] == found.json()["scores"] == wanted
    assert found.json()["extra_logs"]["text_only"] == [1.0] * 3
    assert found.headers["x-swe-rm-text-only"] == "true"
    assert error(asked.post("/get_reward", json={"query": ["a\n\nb"], "prompts": ["a", "b"]}), 400) == "bad_request"
    assert error(asked.post("/get_reward", json={"query": ["a\n\nb", "no log"]}), 422) == "unreadable"


def test_slime_gets_the_number_itself_or_an_object_with_its_key(asked: TestClient) -> None:
    body = {"prompt": "The lamp hums.", "response": " Mended.", "label": "secret"}
    wanted = share(attempt_of_text("The lamp hums. Mended.", "1", "The lamp hums."))
    found = asked.post("/remote_rm", json=body)
    assert found.json() == wanted
    assert (found.headers["x-swe-rm-verifier"], found.headers["x-swe-rm-text-only"]) == ("hashed@1", "true")
    keyed = asked.post("/remote_rm?key=reward", json=body).json()
    assert keyed == {"reward": wanted, "verifier": "hashed@1", "text_only": True}
    chat = {"prompt": [{"role": "user", "content": "The lamp hums."}], "response": "Mended.", "label": None}
    assert 0 <= asked.post("/remote_rm", json=chat).json() <= 1


PATCH = "diff --git a/lamp b/lamp\n+lit = True\n"


def test_nemo_gym_gets_its_body_back_with_a_reward(asked: TestClient) -> None:
    call = {"type": "function_call", "call_id": "1", "name": "bash", "arguments": '{"command": "ls"}'}
    output = [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        call,
        {"type": "function_call_output", "call_id": "1", "output": "lamp.py"},
    ]
    asked_for = {"input": [{"role": "user", "content": "The lamp hums."}], "tools": []}
    body = {"responses_create_params": asked_for, "response": {"id": "r", "output": output}, "instance_id": "lamp-1"}
    found = asked.post("/verify", json={**body, "model_patch": PATCH, "extra": {"x": [1]}}).json()
    assert found.keys() == {*body, "model_patch", "extra", "reward"}
    assert found["response"] == {"id": "r", "output": output}
    bare = asked.post("/verify", json=body).json()["reward"]
    assert found["reward"] != bare, "the patch is read"
    assert asked.post("/verify", json={**body, "patch": PATCH}).json()["reward"] == bare, "the gold one is not"
    assert error(asked.post("/verify", json={**body, "response": {"output": []}}), 422) == "unreadable"


# --- agents ----------------------------------------------------------------------------------------------------------


def test_the_critic_of_openhands_gets_27_labels_success_first(asked: TestClient) -> None:
    found = asked.post("/classify", json={"model": "critic", "input": CHAT}).json()
    (data,) = found["data"]
    assert len(data["probs"]) == 27
    assert data["probs"] == [share(attempt_of_text(CHAT, "1")), *[0.0] * 26]
    assert [one["index"] for one in asked.post("/classify", json={"input": [CHAT, CHAT]}).json()["data"]] == [0, 1]
    assert error(asked.post("/classify", json={"input": []}), 400) == "bad_request"


def test_the_retry_loop_of_swe_agent_gets_one_number_on_the_last_line(asked: TestClient) -> None:
    written = "The lamp hums.\n\nI trimmed the wick."
    body = {
        "model": "swe-rm",
        "messages": [{"role": "system", "content": "Rate it."}, {"role": "user", "content": written}],
    }
    found = asked.post("/v1/chat/completions", json={**body, "temperature": 0, "n": 2}).json()
    numbers = [float(one["message"]["content"].splitlines()[-1]) for one in found["choices"]]
    assert numbers == [round(share(attempt_of_text(written, "1")), 6)] * 2
    log = [{"role": "user", "content": "The lamp hums."}, {"role": "assistant", "content": "Mended."}]
    other = asked.post("/v1/chat/completions", json={"model": "m", "messages": log})
    assert other.headers["x-swe-rm-text-only"] == "false"
    assert error(asked.post("/v1/chat/completions", json={**body, "stream": True}), 400) == "bad_request"
    assert error(asked.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": 7}]}), 422)


def test_a_diff_at_the_end_of_a_text_is_the_patch(asked: TestClient) -> None:
    log = "The lamp hums.\n\nI print\n<submission>\nhere.\n</submission>\nThen I mend it."
    for text, patch in (
        (f"{log}\n<submission>\n{diff(1)}\n</submission>\n", diff(1) + "\n"),
        (f"{log}\n<submission>\n\n</submission>", ""),
        (log, ""),
    ):
        found = asked.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": text}]})
        wanted = attempt_of_text(log, "messages", patch=patch)
        assert wanted.finished == bool(patch)
        assert float(found.json()["choices"][0]["message"]["content"]) == round(share(wanted), 6)
        assert found.headers["x-swe-rm-text-only"] == ("false" if patch else "true")


def submissions(*bodies: str) -> dict[str, Any]:
    """What SWE-agent's chooser sends under the templates of docs/serve.md."""
    written = "".join(f"<submission {number}>\n{body}\n</submission>\n" for number, body in enumerate(bodies))
    user = {"role": "user", "content": f"The lamp hums.\n\n{written}"}
    return {"model": "swe-rm-choose", "messages": [{"role": "system", "content": "Choose."}, user]}


def diff(number: int) -> str:
    return f"diff --git a/lamp.py b/lamp.py\n--- a/lamp.py\n+++ b/lamp.py\n@@ -1 +1 @@\n-a = 0\n+a = {number}"


def test_the_chooser_of_swe_agent_gets_the_number_of_the_best_submission(asked: TestClient) -> None:
    bodies = [diff(1), "Solution invalid.", diff(2), diff(3)]
    written = submissions(*bodies)["messages"][1]["content"]
    judged = read_submissions(written, "messages", Settings())
    assert {number: one.trajectory.patch for number, one in judged.items()} == {
        number: bodies[number] + "\n" for number in (0, 2, 3)
    }
    assert {one.trajectory.task.statement for one in judged.values()} == {"The lamp hums."}
    best = max(judged, key=lambda number: share(judged[number].trajectory))
    found = asked.post("/v1/chat/completions", json=submissions(*bodies))
    text = found.json()["choices"][0]["message"]["content"]
    assert int(re.findall(r"\d+", text)[-1]) == best  # as SWE-agent 2026-07-16 reads it (reviewer.py)
    assert found.headers["x-swe-rm-text-only"] == "false"


@pytest.mark.parametrize(
    "bodies",
    [
        [],
        ["Solution invalid."],
        [diff(1) + "\n</submission>\n<submission 1>\n" + diff(2), diff(3)],  # one that writes itself a neighbour
        [diff(1) + "\n<submission 0>\n" + diff(2), diff(3)],
    ],
)
def test_submissions_that_cannot_be_told_apart_are_not_chosen_from(bodies: list[str], asked: TestClient) -> None:
    assert error(asked.post("/v1/chat/completions", json=submissions(*bodies)), 422) == "unreadable"


DECISION_LOG = [
    {"role": "user", "content": "The lamp hums."},
    {"type": "function_call", "call_id": "1", "name": "bash", "arguments": '{"command": "ls"}'},
    {"type": "function_call_output", "call_id": "1", "output": "lamp.py"},
    {"role": "assistant", "content": "Mended."},
]


def test_decisions_answer_predicates_and_refuse_other_questions_one_by_one(asked: TestClient) -> None:
    questions = [
        {"type": "predicate", "instructions": "Is it mended?", "name": "mended"},
        {"type": "choice", "instructions": "Which lamp?", "choices": [{"value": "a"}, {"value": "b"}]},
        {"type": "predicate", "instructions": "Does it hum?"},
    ]
    found = asked.post("/v1/decisions", json={"model": "swe-rm", "input": DECISION_LOG, "questions": questions}).json()
    assert [one["type"] for one in found["answers"]] == ["predicate", "refusal", "predicate"]
    assert found["answers"][0]["name"] == "mended"
    assert found["model"] == "hashed@1"
    assert error(asked.post("/v1/decisions", json={"model": "m", "input": "x", "questions": []}), 400) == "bad_request"


# --- the verifier itself ---------------------------------------------------------------------------------------------


def test_a_model_behind_the_server_gives_the_verdicts_it_gives_alone(
    tiny_checkpoint: Path, labelled_pool: list[Labelled], tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    from swe_rm.verifiers.local import Local

    verifier = Local(tiny_checkpoint)
    wanted = score([item.trajectory for item in labelled_pool], verifier)
    rows = [attempts_row(Labelled(trajectory=item.trajectory)) for item in labelled_pool]
    with client(verifier, cache=tmp_path / "c.sqlite", batch_tokens=700) as one:
        for cached in (False, True):
            found = one.post("/v1/score", json={"attempts": rows}).json()["verdicts"]
            assert [verdict["attempt_id"] for verdict in found] == [
                item.trajectory.attempt_id for item in labelled_pool
            ]
            for verdict in found:
                assert verdict["cached"] is cached
                assert verdict["score"] == pytest.approx(wanted[verdict["attempt_id"]].score, abs=1e-5)
                assert verdict["prompt_tokens"] == wanted[verdict["attempt_id"]].prompt_tokens


# --- errors and the door ---------------------------------------------------------------------------------------------

ROUTES = (
    "/v1/score",
    "/v1/rank",
    "/v1/progress",
    "/v1/decisions",
    "/get_reward",
    "/remote_rm",
    "/verify",
    "/classify",
    "/v1/chat/completions",
)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"7", b'"x"', b"\xff", b"[" * 5000, b'{"input": NaN}'])
def test_a_body_that_is_none_is_a_typed_error_of_the_client(asked: TestClient, path: str, body: bytes) -> None:
    assert error(asked.post(path, content=body), 400 if path not in ROUTES[:3] else 422)


@pytest.mark.parametrize("path", ROUTES)
def test_a_verifier_that_fails_is_an_error_and_never_a_number(path: str) -> None:
    bodies: dict[str, Any] = {
        "/v1/decisions": {"model": "m", "input": CHAT, "questions": [{"type": "predicate"}]},
        "/get_reward": {"query": [CHAT]},
        "/remote_rm": {"prompt": "The lamp hums.", "response": "Mended."},
        "/verify": {"responses_create_params": {"input": "The lamp hums."}, "response": {"output": DECISION_LOG[3:]}},
        "/classify": {"input": CHAT},
        "/v1/chat/completions": {"messages": [{"role": "user", "content": CHAT}]},
    }
    judge = Down()
    with client(judge) as one:
        found = one.post(path, json=bodies.get(path, {"attempts": [row()]}))
        assert error(found, 503) == "verifier_failed"
        assert found.headers["retry-after"] == "1"
        judge.is_down = False
        assert one.post(path, json=bodies.get(path, {"attempts": [row()]})).status_code == 200


def test_paths_and_methods_that_are_none_are_typed_errors(asked: TestClient) -> None:
    assert error(asked.get("/v1/nothing"), 404) == "not_found"
    assert error(asked.get("/v1/score"), 405) == "method_not_allowed"
    assert asked.get("/v1/score").headers["allow"] == "POST"
    assert error(asked.post("/v1/score", content=jsonl(row()), headers={"X-Deadline-Seconds": "soon"}), 400)


def test_a_fault_of_ours_is_a_typed_error_with_the_id_it_is_logged_under() -> None:
    with client() as one:
        found = one.post("/v1/score", json={"attempts": [row(said="fault")]}, headers={"X-Request-Id": "lamp-7"})
        assert error(found, 500) == "internal"
        assert found.headers["x-request-id"] == "lamp-7"
        assert one.post("/v1/score", json={"attempts": [row()]}).status_code == 200


def test_a_body_beyond_the_limit_is_refused_whether_it_says_its_length_or_not() -> None:
    with client(max_body=2048) as one:
        assert error(one.post("/v1/score", content=b"x" * 3000), 413) == "too_large"
        assert error(one.post("/v1/score", content=iter([b"x" * 1000] * 3)), 413) == "too_large"
        assert one.post("/v1/score", content=jsonl(row())).status_code == 200


def test_tokens_guard_all_that_tells_of_attempts() -> None:
    with client(tokens=(TOKEN,)) as one:
        for path in ("/healthz", "/readyz", "/openapi.json", "/"):
            assert one.get(path).status_code == 200
        for path in ("/metrics", "/v1/nothing"):
            assert error(one.get(path), 401) == "unauthorized"
        refused = one.post("/v1/score", content=jsonl(row()), headers={"Authorization": "Bearer no"})
        assert (error(refused, 401), refused.headers["www-authenticate"]) == ("unauthorized", "Bearer")
        opened = {"Authorization": f"Bearer {TOKEN}"}
        assert one.post("/v1/score", content=jsonl(row()), headers=opened).status_code == 200
        assert one.get("/metrics", headers=opened).status_code == 200


def test_a_page_that_had_another_name_point_here_is_sent_away(asked: TestClient) -> None:
    found = asked.post("/v1/score", content=jsonl(row()), headers={"Host": "lamp.example"})
    assert error(found, 403) == "forbidden_host"


def test_a_request_id_is_taken_if_it_is_one_and_made_if_not(asked: TestClient) -> None:
    assert asked.get("/healthz", headers={"X-Request-Id": "night-7"}).headers["x-request-id"] == "night-7"
    made = asked.get("/healthz", headers={"X-Request-Id": "a b\t{}"}).headers["x-request-id"]
    assert len(made) == 32


# --- operations ------------------------------------------------------------------------------------------------------


def test_health_and_readiness_and_metrics() -> None:
    judge = Hashed()
    with client(judge, max_waiting=4) as one:
        assert one.get("/healthz").json() == {"alive": True}
        ready = one.get("/readyz").json()
        assert ready == {"ready": True, "verifier": "hashed@1", "waiting": 0, "cache": "off"}
        one.post("/v1/score", content=jsonl(row(1), row(2)))
        one.post("/v1/score", content=b"")
        one.get("/somebody/else")
        told = one.get("/metrics").text
    for line in (
        'swe_rm_requests_total{route="/v1/score",status="200"} 1.0',
        'swe_rm_requests_total{route="/v1/score",status="422"} 1.0',
        'swe_rm_requests_total{route="elsewhere",status="404"} 1.0',
        "swe_rm_batch_attempts_sum 2.0",
        "swe_rm_prompt_tokens_total 18.0",
        "swe_rm_score_count 2.0",
        "swe_rm_waiting_attempts 0.0",
        'swe_rm_verifier{name="hashed@1"} 1.0',
        'swe_rm_request_seconds_count{route="/v1/score"} 2.0',
    ):
        assert line in told.splitlines(), line


def test_the_cache_answers_and_says_how_it_is(tmp_path: Path) -> None:
    judge = Hashed()
    with client(judge, cache=tmp_path / "c.sqlite") as one:
        assert one.get("/readyz").json()["cache"] == "on"
        first, second = (one.post("/v1/score", content=jsonl(row())).json()["verdicts"][0] for _ in range(2))
        assert (first.pop("cached"), second.pop("cached")) == (False, True)
        assert first == second
        assert 'swe_rm_cache_total{found="yes"} 1.0' in one.get("/metrics").text
    assert len(judge.batches) == 1


def test_the_openapi_document_tells_every_route_its_body_and_its_errors(asked: TestClient) -> None:
    document = asked.get("/openapi.json").json()
    posts = {path for path, methods in document["paths"].items() if "post" in methods}
    assert set(ROUTES) <= posts
    for path in posts:
        post = document["paths"][path]["post"]
        assert post["requestBody"]["content"], path
        assert {"200", "400", "401", "413", "422", "429", "503", "504"} <= post["responses"].keys()
    names = [part.partition('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]]
    assert names
    assert set(names) <= document["components"]["schemas"].keys()


def test_the_start_page_loads_nothing_and_runs_only_its_own_script(asked: TestClient) -> None:
    found = asked.get("/")
    policy = found.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy
    assert not [
        word
        for word in ("http://", "https://", "src=", "@import")
        if word in found.text.replace("http://www.w3.org/", "")
    ]


def test_the_documentation_names_every_route_and_every_error(asked: TestClient) -> None:
    page = (Path(__file__).parents[1] / "docs" / "serve.md").read_text(encoding="utf-8")
    for path in asked.get("/openapi.json").json()["paths"]:
        assert f"{path}`" in page or f"{path}?" in page, path
    for type_ in STATUS:
        assert f"`{type_}`" in page
    for flag in re.findall(r"--[a-z][a-z-]+", page.partition("## Past one machine")[0]):
        assert flag in FLAGS, flag


FLAGS = {
    *(f"--{name.replace('_', '-')}" for name in inspect.signature(serve).parameters),
    *("--data-binary", "--reward", "--rm-type", "--rm-url", "--reward-key", "--json"),
}
"""Ours, and those of the programs that ask us."""


# --- what a reviewer tried -------------------------------------------------------------------------------------------


def test_a_name_that_is_no_header_is_told_all_the_same() -> None:
    with client(Cyrillic()) as one:
        found = one.post("/remote_rm", json={"prompt": "It hums.", "response": "Mended."})
        assert (found.status_code, 0 <= found.json() <= 1) == (200, True)
        assert found.headers["x-swe-rm-verifier"].startswith("\\u0444")


ROLLOUT = b'{"responses_create_params": {"input": "It hums."}, "response": {"output": [{"type": "message", "role": '
ROLLOUT += b'"assistant", "content": "Mended."}]}, "seed": 123456789012345678901234567890, "deep": %s}'


def test_a_rollout_comes_back_as_it_was(asked: TestClient) -> None:
    sent = ROLLOUT % (b"[" * 500 + b"]" * 500)
    found = asked.post("/verify", content=sent + b"\n")
    assert found.status_code == 200, found.text
    assert found.content.startswith(sent[:-1])
    assert 0 <= found.json()["reward"] <= 1
    assert found.json()["seed"] == 123456789012345678901234567890


def test_attempts_at_one_issue_are_at_one_task_where_files_would_name_them(asked: TestClient) -> None:
    runs = Path(__file__).parent / "fixtures" / "swe_agent" / "careful_v1"
    first = json.loads((runs / "tinkers__lantern-12" / "tinkers__lantern-12.traj").read_text())
    (task,) = asked.post("/v1/rank", json={"attempts": [first, first], "model": "any"}).json()["tasks"]
    assert task["instance_id"].startswith("task-")
    assert [one["attempt"] for one in task["candidates"]] == ["attempt 1", "attempt 2"]


def test_bodies_with_a_byte_order_mark_or_compressed_are_read(asked: TestClient) -> None:
    body = json.dumps({"attempts": [row(1), row(2)]}).encode()
    for sent in (b"\xef\xbb\xbf" + body, gzip.compress(body)):
        assert len(asked.post("/v1/score", content=sent).json()["verdicts"]) == 2


def test_a_file_is_called_as_its_name_decoded_says(asked: TestClient) -> None:
    log = [{"role": "user", "content": "The lamp hums."}, {"role": "assistant", "content": "Mended."}]
    named = {"X-File-Name": "my%20run.json"}
    (found,) = asked.post("/v1/score", json={"messages": log}, headers=named).json()["verdicts"]
    assert found["policy"] == "run/my run"


def test_no_redirects_names_without_case_and_heads(asked: TestClient) -> None:
    assert error(asked.post("/v1/score/", json={}, follow_redirects=False), 404) == "not_found"
    assert asked.get("/readyz", headers={"host": "LOCALHOST:8000"}).status_code == 200
    assert asked.head("/healthz").status_code == 200
    assert error(asked.post("/remote_rm?key=verifier", json={"prompt": "a", "response": "b"}), 400) == "bad_request"


def test_a_token_of_any_letters_is_known() -> None:
    token = "\u0444\u0438\u0442\u0438\u043b\u044c-wick-at-dusk"
    with client(tokens=(token,)) as one:
        body = {"prompt": "It hums.", "response": "Mended."}
        good = [(b"authorization", b"Bearer " + token.encode())]
        assert one.post("/remote_rm", json=body, headers=good).status_code == 200
        assert error(one.post("/remote_rm", json=body), 401) == "unauthorized"


def test_the_deadline_counts_from_the_first_byte_and_covers_reading(asked: TestClient) -> None:
    log = json.dumps({"messages": [{"role": "assistant", "content": "x"}] * 20_000, "instance_id": "l-1"}).encode()
    found = asked.post("/v1/score", content=log, headers={"X-Deadline-Seconds": "0.02"})
    assert error(found, 504) == "deadline_exceeded"


def test_messages_that_say_nothing_count(asked: TestClient) -> None:
    with client(max_tokens=1000) as one:
        log = {"messages": [{"role": "assistant", "content": ""}] * 1_000, "instance_id": "l-1", "patch": diff(1)}
        assert error(one.post("/v1/score", json=log), 413) == "too_large"


def test_requests_under_way_have_a_size_together() -> None:
    with client(max_held=10_000) as one:
        assert one.post("/v1/score", json=row()).status_code == 200
        full = one.post("/v1/score", content=b" " * 20_000)
        assert error(full, 429) == "too_busy"
        assert full.headers["retry-after"] == "1"
        assert one.post("/v1/score", json=row()).status_code == 200, "they are let go"


def test_verdicts_that_depend_on_the_company_are_of_one_request(tmp_path: Path) -> None:
    with client(Company(), cache=tmp_path / "c.sqlite") as one:
        both = one.post("/v1/score", json={"attempts": [row(1), row(2), row(1)]}).json()["verdicts"]
        assert [found["score"] for found in both] == [0.5, 0.5, 0.5]
        (alone,) = one.post("/v1/score", json={"attempts": [row(1)]}).json()["verdicts"]
        assert (alone["score"], alone["cached"]) == (1.0, False)
        assert one.get("/readyz").json()["cache"] == "off"


def test_what_depends_on_whose_attempt_it_is_is_not_kept_by_content(tmp_path: Path) -> None:
    own = {name: Calibrator(method="platt", c=shift, n=9) for name, shift in (("mill", 2.0), ("loom", -2.0))}
    judge = Mean([Calibrated(Hashed(), PerGroup(per="policy", pooled=own["mill"], groups=own))])
    same = [lamp(1, policy=policy) for policy in ("mill", "loom")]
    assert len({one.content_hash for one in same}) == 1
    with client(judge, cache=tmp_path / "c.sqlite") as one:
        for trajectory in same:
            body = attempts_row(Labelled(trajectory=trajectory))
            (found,) = one.post("/v1/score", json={"attempts": [body]}).json()["verdicts"]
            assert found["score"] == pytest.approx(judge([trajectory])[0].score)
            assert not found["cached"]
        assert one.get("/readyz").json()["cache"] == "off"


def test_the_document_says_what_a_request_may_have_in_its_head(asked: TestClient) -> None:
    paths = asked.get("/openapi.json").json()["paths"]
    heads = {one["name"] for one in paths["/v1/score"]["post"]["parameters"]}
    assert heads == {"X-Request-Id", "X-Deadline-Seconds", "X-File-Name"}
    assert {"key"} <= {one["name"] for one in paths["/remote_rm"]["post"]["parameters"]}
    assert paths["/v1/score"]["post"]["security"] == [{"token": []}, {}]
    assert "Retry-After" in paths["/v1/score"]["post"]["responses"]["429"]["headers"]
    assert not {"401", "403", "422", "429"} & paths["/healthz"]["get"]["responses"].keys()
