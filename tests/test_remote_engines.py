"""Each engine against a server that speaks exactly its protocol: the scores are those of the weights it serves."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.errors import CheckpointError, VerifierError
from swe_rm.render import LengthPolicy
from swe_rm.scoring import Unscored, score
from swe_rm.trajectory import Labelled
from swe_rm.verdict import PartlyScoredError, Verdict, by_id
from swe_rm.verifiers import load_verifier
from swe_rm.verifiers.local import Local
from swe_rm.verifiers.remote import Remote, llama_cpp, openai_style, sglang, vllm
from swe_rm.verifiers.remote.asking import Asker, EngineAnswerError, EngineError, Http, Reply
from swe_rm.verifiers.remote.checkpoint import Checkpoint, under
from swe_rm.verifiers.remote.question import (
    Answer,
    Engine,
    Question,
    check_read,
    share,
    shared_prefix,
    total,
)
from swe_rm.verifiers.remote.stand_in import Language, StandIn, Written
from tests.conftest import attempt
from tests.engines import QUICK, asking, language, question

POOL = 8
"""Attempts of two tasks are enough for all that is shared."""


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint: Path) -> Language:
    return language(tiny_checkpoint)


@pytest.fixture(scope="module")
def wanted(tiny_checkpoint: Path, labelled_pool: list[Labelled]) -> dict[str, Verdict]:
    trajectories = [item.trajectory for item in labelled_pool[:POOL]]
    return by_id(trajectories, Local(tiny_checkpoint)(trajectories))


Make = Callable[[Asker, Checkpoint, int], Engine]
ENGINES: dict[str, tuple[str, Make]] = {
    "vllm": ("vllm", lambda ask, read, limit: vllm.Completions(ask, "served", [read.yes], [read.no])),
    "vllm generative_scoring": (
        "vllm",
        lambda ask, read, limit: vllm.GenerativeScoring(ask, "served", [read.yes], [read.no], limit),
    ),
    "sglang": ("sglang", lambda ask, read, limit: sglang.Score(ask, "served", [read.yes], [read.no])),
    "old sglang": ("old sglang", lambda ask, read, limit: sglang.Score(ask, "served", [read.yes], [read.no])),
    "llama.cpp": ("llama.cpp", lambda ask, read, limit: llama_cpp.Completion(ask, [read.yes], [read.no])),
}


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_gives_the_scores_of_the_weights_it_serves(
    name: str,
    tiny: Language,
    tiny_checkpoint: Path,
    labelled_pool: list[Labelled],
    wanted: dict[str, Verdict],
) -> None:
    protocol, make = ENGINES[name]
    trajectories = [item.trajectory for item in labelled_pool[:POOL]]
    reader = Checkpoint(tiny_checkpoint)
    with StandIn(protocol, tiny) as server:
        verifier = Remote(reader, make(Asker(Http(server.url), server.url, QUICK), reader, 4_096))
        found = by_id(trajectories, verifier(trajectories))
    sent = 0
    for id_, verdict in found.items():
        assert verdict.score == pytest.approx(wanted[id_].score, abs=1e-5)
        assert (verdict.prompt_tokens, verdict.truncated_tokens) == (
            wanted[id_].prompt_tokens,
            wanted[id_].truncated_tokens,
        )
        if name != "vllm generative_scoring":
            assert verdict.logprob_yes == pytest.approx(wanted[id_].logprob_yes, abs=1e-4)
        assert verdict.verifier == verifier.name
        sent += verdict.prompt_tokens or 0
    assert verifier.spent.prompt_tokens == sent
    assert verifier.name.startswith("tiny@0+")
    for _, body in server.requests:
        prompts = [body["prompt"]] if "prompt" in body else [body["query"], *body["items"]]
        assert all(isinstance(id_, int) for prompt in prompts for id_ in prompt), "prompts leave as token ids"


@pytest.mark.parametrize("protocol", ["vllm", "sglang", "llama.cpp"])
def test_a_bare_url_is_found_out_by_asking(
    protocol: str, tiny: Language, tiny_checkpoint: Path, wanted: dict[str, Verdict], labelled_pool: list[Labelled]
) -> None:
    root = tiny_checkpoint / "weights.gguf" if protocol == "llama.cpp" else tiny_checkpoint
    with StandIn(protocol, tiny, root=str(root)) as server:
        if protocol == "sglang":  # names its weights elsewhere
            server._routes = {**server._routes, ("GET", "/get_server_info"): _sglang_info}
        verifier = load_verifier(f"{server.url}/v1")
        (verdict,) = verifier([labelled_pool[0].trajectory])
    assert verdict.score == pytest.approx(wanted[verdict.attempt_id].score, abs=1e-5)
    versions = {"vllm": "vllm-0.33.0", "sglang": "sglang-0.5.23", "llama.cpp": "llama.cpp-b9000-0000000"}
    assert verifier.name == f"tiny@0+{versions[protocol]}"


def _sglang_info(self: StandIn, body: Any) -> Any:
    return {"version": "0.5.23", "context_length": self.limit, "model_path": self.root}


def test_an_engine_that_does_not_say_what_it_reads_needs_a_file(tiny: Language) -> None:
    with (
        StandIn("vllm", tiny) as server,
        pytest.raises(VerifierError, match="kind vllm with the model served; what it"),
    ):
        load_verifier(server.url)


def test_nobody_there_is_one_line() -> None:
    with StandIn("vllm") as server:
        pass
    with pytest.raises(EngineError, match=f"{server.url}/readyz: ConnectError"):
        load_verifier(server.url)


def test_something_else_there_is_one_line() -> None:
    with StandIn("openai") as server:
        server._routes = {}
        with pytest.raises(VerifierError, match="no server that is known"):
            load_verifier(server.url)


# --- what leaves ------------------------------------------------------------------------------------------------------


def test_the_engines_own_limit_is_kept_by_our_policy(
    tiny: Language, tiny_checkpoint: Path, labelled_pool: list[Labelled]
) -> None:
    """The server refuses what is longer: nothing is."""
    trajectories = [item.trajectory for item in labelled_pool[:POOL]]
    with StandIn("vllm", tiny, limit=140, root=str(tiny_checkpoint)) as server:
        verdicts = load_verifier(server.url)(trajectories)
    assert all(verdict.prompt_tokens and verdict.prompt_tokens <= 139 for verdict in verdicts)
    assert any(verdict.truncated_tokens for verdict in verdicts)
    small = StandIn("vllm", tiny, limit=100, root=str(tiny_checkpoint))
    with small, pytest.raises(VerifierError, match="reads 99 tokens"):
        load_verifier(small.url)


@given(
    st.integers(128, 400_000),
    st.integers(128, 400_000),
    st.floats(0.01, 0.6),
    st.floats(0.01, 0.6),
)
def test_a_policy_under_any_limit_is_a_policy(limit: int, whole: int, issue: float, patch: float) -> None:
    room = whole - 64
    caps = {"issue_cap": max(16, int(room * issue)), "patch_cap": max(16, int(room * patch))}
    if sum(caps.values()) > room:
        return
    found = under(LengthPolicy(max_tokens=whole, **caps), limit)
    assert found.max_tokens == min(limit, whole)
    assert found.issue_cap <= caps["issue_cap"]


def test_generative_scoring_is_never_asked_what_it_would_cut(tiny: Language) -> None:
    with StandIn("vllm", tiny, limit=64) as server:
        ask = Asker(Http(server.url), server.url, QUICK)
        with pytest.raises(EngineAnswerError, match="a prompt of 70 tokens is not sent"):
            vllm.GenerativeScoring(ask, "served", [1], [2], 64)([question(*range(70))])
        assert not server.requests
        with pytest.raises(EngineAnswerError, match="the engine read 64 tokens of 70 sent"):
            vllm.GenerativeScoring(ask, "served", [1], [2], 999)([question(*range(70))])


@pytest.mark.parametrize("told", [10, 12])
def test_an_engine_that_read_other_than_it_was_sent_is_an_error(told: int) -> None:
    with pytest.raises(EngineAnswerError, match=f"read {told} tokens of 11 sent"):
        check_read(told, [question(1, 2, 3), question(*range(8))])
    check_read(11, [question(1, 2, 3), question(*range(8))])
    check_read(None, [question(1)])


ids = st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple)


@given(st.lists(ids, min_size=1, max_size=5), ids)
def test_the_shared_beginning_is_the_longest_and_leaves_each_something(ends: list[tuple[int, ...]], head: Any) -> None:
    questions = [question(*head, *end) for end in ends]
    found = shared_prefix(questions)
    plain = 0
    sequences = [q.token_ids for q in questions]
    while all(len(s) > plain + 1 for s in sequences) and len({s[: plain + 1] for s in sequences}) == 1:
        plain += 1
    assert found == plain


class Recorder:
    """An engine that writes down who came together, and when."""

    name = "recorder"

    def __init__(self, together: int) -> None:
        self.together = together
        self.asked: list[list[str]] = []

    def __call__(self, questions: Any) -> list[Answer]:
        self.asked.append([f"{q.task}/{q.attempt_id}" for q in questions])
        return [Answer(0.5) for _ in questions]


class Plain:
    """A reader that reads nothing."""

    name = "plain@1"

    def __call__(self, trajectory: Any) -> Question:
        return Question(trajectory.attempt_id, trajectory.task.instance_id, text="x")


def test_attempts_of_one_task_go_together_and_the_first_goes_first() -> None:
    tasks = [f"acme__tool-{number}" for number in (0, 1)]
    mixed = [attempt(task, number=number) for number in range(1, 6) for task in tasks]
    engine = Recorder(2)
    Remote(Plain(), engine, at_once=1)(mixed)
    assert [len(part) for part in engine.asked] == [2, 2, 2, 1, 2, 1]
    assert [{one.split("/")[0] for one in part} for part in engine.asked] == [
        {tasks[0]}, {tasks[1]}, {tasks[0]}, {tasks[0]}, {tasks[1]}, {tasks[1]},
    ]  # fmt: skip


def test_candidates_of_a_task_send_what_they_share_once(
    tiny: Language, tiny_checkpoint: Path, labelled_pool: list[Labelled]
) -> None:
    trajectories = [item.trajectory for item in labelled_pool[:4]]
    reader = Checkpoint(tiny_checkpoint)
    with StandIn("sglang", tiny) as server:
        Remote(reader, sglang.Score(Asker(Http(server.url), server.url), "served", [reader.yes], [reader.no]))(
            trajectories
        )
    ((_, body),) = server.requests
    assert len(body["query"]) > 16
    assert [tuple(body["query"] + item) for item in body["items"]] == [reader(t).token_ids for t in trajectories]


# --- what fails -------------------------------------------------------------------------------------------------------


def test_a_failure_is_an_error_by_attempt_and_never_a_score(
    tiny: Language, tiny_checkpoint: Path, labelled_pool: list[Labelled]
) -> None:
    trajectories = [item.trajectory for item in labelled_pool[:4]]
    reader = Checkpoint(tiny_checkpoint)
    lengths = sorted(len(reader(t).token_ids) for t in trajectories)
    with StandIn("sglang", tiny, limit=lengths[1]) as server:
        verifier = Remote(reader, sglang.Score(Asker(Http(server.url), server.url), "m", [reader.yes], [reader.no]))
        with pytest.raises(PartlyScoredError) as caught:
            verifier(trajectories)
    assert {len(reader(t).token_ids) for t in trajectories if t.attempt_id in caught.value.reasons} == set(lengths[2:])
    assert {verdict.prompt_tokens for verdict in caught.value.verdicts} == set(lengths[:2])
    assert "maximum context length" in next(iter(caught.value.reasons.values()))


def test_an_engine_that_is_down_leaves_every_attempt_unscored(
    tiny: Language, tiny_checkpoint: Path, labelled_pool: list[Labelled]
) -> None:
    trajectories = [item.trajectory for item in labelled_pool[:4]]
    reader = Checkpoint(tiny_checkpoint)
    with StandIn("vllm", tiny) as server:
        verifier = Remote(reader, ENGINES["vllm"][1](Asker(Http(server.url), server.url, QUICK), reader, 1))
    unscored: list[Unscored] = []
    assert score(trajectories, verifier, unscored=unscored.append) == {}
    assert len(unscored) == 4
    assert all("ConnectError" in str(one) for one in unscored)


def test_an_engine_that_comes_back_in_time_costs_nothing(
    tiny: Language, tiny_checkpoint: Path, labelled_pool: list[Labelled], wanted: dict[str, Verdict]
) -> None:
    trajectories = [item.trajectory for item in labelled_pool[:4]]
    reader = Checkpoint(tiny_checkpoint)
    with StandIn("vllm", tiny, failures=[503, 500, 429]) as server:
        patience = QUICK.model_copy(update={"tries": 5})
        verifier = Remote(reader, ENGINES["vllm"][1](Asker(Http(server.url), server.url, patience), reader, 1))
        found = by_id(trajectories, verifier(trajectories))
    assert len(server.requests) == 7
    assert all(found[id_].score == pytest.approx(wanted[id_].score, abs=1e-5) for id_ in found)


def test_a_server_of_before_logprob_token_ids_is_an_error(tiny: Language, tiny_checkpoint: Path) -> None:
    reader = Checkpoint(tiny_checkpoint)
    with StandIn("old vllm", tiny) as server:
        engine = vllm.Completions(Asker(Http(server.url), server.url), "served", [reader.yes], [reader.no])
        with pytest.raises(EngineAnswerError, match="does not know logprob_token_ids"):
            engine([reader(attempt())])


GARBAGE = [
    {}, [], 3, None, "no", {"choices": []}, {"choices": [{}]}, {"choices": [{"logprobs": None}]},
    {"choices": [{"logprobs": {"top_logprobs": [{"token_id:1": "x", "token_id:2": 0}]}}]},
    {"choices": [{"logprobs": {"top_logprobs": [{"token_id:1": 5.0, "token_id:2": -1.0}]}}]},
    {"choices": [{"logprobs": {"tokens": ["a"], "top_logprobs": []}}]},
    {"choices": [{"logprobs": {"content": [{"token": "a"}]}}]},
    {"data": []}, {"data": [{"index": 0, "score": 1.5}]}, {"data": [{"index": 7, "score": 0.5}]},
    {"data": [{"probs": [0.5, 0.5]}]}, {"data": [{"probs": [None]}]},
    {"data": [{"index": 0, "score": True}]}, {"data": [{"probs": [True]}]}, {"scores": [[True, 0.5]]},
    {"scores": [[0.0, 0.0]]}, {"scores": [[0.9, 0.9]]}, {"token_logprobs": [[0.0, 0.0]]},
    {"choices": [{"logprobs": {"top_logprobs": [{"token_id:1": -9999.0, "token_id:2": -9999.0}]}}]},
    {"choices": [{"logprobs": {"top_logprobs": [{"token_id:1": 0.0, "token_id:2": 0.0}]}}]},
    {"choices": [{"logprobs": {"tokens": ["a"], "top_logprobs": [{"Y": -9999.0, "N": -9999.0}]}}]},
    {"completion_probabilities": [{"top_logprobs": [{"id": 1, "logprob": -300.0}, {"id": 2, "logprob": -300.0}]}]},
    {"scores": [[0.5]]}, {"scores": [[0.5, -1]]}, {"scores": "x"}, {"token_logprobs": [[None, -1.0]]},
    {"completion_probabilities": []}, {"completion_probabilities": [{"top_logprobs": [{"id": 1}]}]},
    {"truncated": True, "completion_probabilities": [{"top_logprobs": []}]},
    {"answers": [{"type": "refusal"}]}, {"answers": [{"type": "predicate", "probability": "high"}]},
]  # fmt: skip


@pytest.mark.parametrize("document", GARBAGE, ids=lambda document: orjson.dumps(document).decode()[:60])
def test_no_engine_takes_garbage_for_a_score(document: Any) -> None:
    makes: list[Callable[[Asker], Any]] = [
        lambda ask: vllm.Completions(ask, "m", [1], [2]),
        lambda ask: vllm.GenerativeScoring(ask, "m", [1], [2], 99),
        lambda ask: vllm.Classify(ask, "m"),
        lambda ask: sglang.Score(ask, "m", [1], [2]),
        lambda ask: llama_cpp.Completion(ask, [1], [2]),
        lambda ask: openai_style.TopLogprobs(ask, "m", ["Y"], ["N"]),
        lambda ask: openai_style.TopLogprobs(ask, "m", ["Y"], ["N"], route="chat"),
    ]
    for make in makes:
        ask, _, _ = asking(*[Reply(200, orjson.dumps(document))] * 3)
        with pytest.raises(EngineError):
            make(ask)([question(1, 2, 3)])


# --- classifiers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("index", "count"), [(0, 1), (0, 27), (1, 2)])
def test_classify_reads_one_label_and_counts_them(index: int, count: int) -> None:
    probs = [0.25 + place / 100 for place in range(count)]
    with StandIn("vllm", labels=lambda _: probs) as server:
        ask = Asker(Http(server.url), server.url)
        engine = vllm.Classify(ask, "served", index, count)
        (answer,) = engine([question(5, 6, 7)])
        assert answer.score == probs[index]
        assert server.requests[0][1]["input"] == [5, 6, 7]
        with pytest.raises(EngineAnswerError, match=f"probs holds {count} rows for {count + 1}"):
            vllm.Classify(ask, "served", 0, count + 1)([question(5, 6, 7)])


def test_a_checkpoint_served_as_a_classifier_gives_its_scores(
    tiny: Language, tiny_checkpoint: Path, labelled_pool: list[Labelled], wanted: dict[str, Verdict]
) -> None:
    """`classifier_from_token`: one label, the sigmoid of the difference of the two rows of the head."""
    reader = Checkpoint(tiny_checkpoint)

    def labels(prompt: Any) -> list[float]:
        found = tiny.logprobs(prompt)
        return [share(found[reader.yes], found[reader.no])]

    with StandIn("vllm", labels=labels) as server:
        engine = vllm.Classify(Asker(Http(server.url), server.url), "served")
        (verdict,) = Remote(reader, engine)([labelled_pool[0].trajectory])
    assert verdict.score == pytest.approx(wanted[verdict.attempt_id].score, abs=1e-5)
    assert verdict.logprob_yes is None


# --- answers that are not shown ---------------------------------------------------------------------------------------


def test_llama_cpp_is_asked_for_all_tokens_where_an_answer_is_not_among_the_likeliest(tiny: Language) -> None:
    found = tiny.logprobs([1, 2, 3])
    order = sorted(range(len(found)), key=lambda id_: -found[id_])
    with StandIn("llama.cpp", tiny) as server:
        ask = Asker(Http(server.url), server.url)
        (answer,) = llama_cpp.Completion(ask, [order[0]], [order[-1]])([question(1, 2, 3)])
        (spellings,) = llama_cpp.Completion(ask, [order[0]], [order[1], order[-1]])([question(1, 2, 3)])
    assert [body["n_probs"] for _, body in server.requests] == [64, 1 << 20] * 2
    assert answer.score == pytest.approx(share(found[order[0]], found[order[-1]]), abs=1e-9)
    no = total([found[order[1]], found[order[-1]]])
    assert spellings.score == pytest.approx(share(found[order[0]], no), abs=1e-9)
    assert (answer.bounds, spellings.bounds) == (None, None)


# --- OpenAI-style servers ---------------------------------------------------------------------------------------------


def test_completions_of_any_openai_style_server(tiny: Language) -> None:
    found = tiny.logprobs([1, 2, 3])
    order = sorted(range(len(found)), key=lambda id_: -found[id_])
    yes, no = tiny.decode(order[0]), tiny.decode(order[3])
    with StandIn("openai", tiny) as server:
        engine = openai_style.TopLogprobs(Asker(Http(server.url), server.url), "served", [yes], [no])
        (answer,) = engine([question(1, 2, 3)])
    assert answer.score == pytest.approx(share(found[order[0]], found[order[3]]), abs=1e-6)
    assert server.requests[0][1]["prompt"] == [1, 2, 3]


@pytest.fixture
def judgement() -> Iterator[list[Written]]:
    """A reply that quotes its own form before it answers."""
    words = ["I", " write", " <judgement>", "X", ". ", "<", "judgement", ">"]
    reply = [Written(word, {word: -0.01}) for word in words]
    return iter([[*reply, Written("YES", {"YES": math.log(0.8), "NO": math.log(0.2)}), Written("</judgement>", {})]])


def test_the_answer_of_a_chat_reply_is_looked_for_and_never_counted(judgement: Iterator[list[Written]]) -> None:
    written = next(judgement)
    with StandIn("openai", reply=lambda body: written) as server:
        ask = Asker(Http(server.url), server.url)
        asked = Question("a", "t", messages=({"role": "user", "content": "judge"},))
        engine = openai_style.TopLogprobs(ask, "m", ["YES"], ["NO"], route="chat", after="<judgement>", max_tokens=64)
        (answer,) = engine([asked])
        assert answer.score == pytest.approx(0.8)
        assert (answer.prompt_tokens, answer.completion_tokens) == (1, 10)
        short = openai_style.TopLogprobs(ask, "m", ["YES"], ["NO"], route="chat", after="<judgement>", max_tokens=5)
        with pytest.raises(EngineAnswerError, match="neither answer"):
            short([asked])
        nowhere = openai_style.TopLogprobs(ask, "m", ["YES"], ["NO"], route="chat", after="[verdict]", max_tokens=64)
        with pytest.raises(EngineAnswerError, match=r"no answer after '\[verdict\]'"):
            nowhere([asked])


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a checkpoint of swe-rm"):
        Checkpoint(tmp_path)


# --- checkpoints of our own by a file ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "route"), [("vllm", "completions"), ("vllm", "generative_scoring"), ("vllm", "classify"), ("sglang", None)]
)
def test_a_file_puts_a_checkpoint_of_ours_on_an_engine(
    kind: str,
    route: str | None,
    tmp_path: Path,
    tiny: Language,
    tiny_checkpoint: Path,
    labelled_pool: list[Labelled],
    wanted: dict[str, Verdict],
) -> None:
    reader = Checkpoint(tiny_checkpoint)

    def labels(prompt: Any) -> list[float]:
        found = tiny.logprobs(prompt)
        return [share(found[reader.yes], found[reader.no])]

    with StandIn(kind, tiny, labels=labels) as server:
        engine = {"kind": kind, "url": server.url, **({"route": route} if route else {})}
        file = tmp_path / "ours.yaml"
        file.write_text(
            yaml.safe_dump({"name": "ours", "version": "1", "engine": engine, "checkpoint": str(tiny_checkpoint)})
        )
        verifier = load_verifier(str(file))
        trajectories = [item.trajectory for item in labelled_pool[:POOL]]
        found = by_id(trajectories, verifier(trajectories))
    assert all(found[id_].score == pytest.approx(wanted[id_].score, abs=1e-5) for id_ in found)
    assert verifier.name.startswith("tiny@0+")


def test_an_engine_without_token_ids_is_not_for_our_checkpoints(tmp_path: Path, tiny_checkpoint: Path) -> None:
    file = tmp_path / "ours.yaml"
    engine = {"kind": "openai", "url": "http://127.0.0.1:1", "model": "m"}
    file.write_text(
        yaml.safe_dump({"name": "ours", "version": "1", "engine": engine, "checkpoint": str(tiny_checkpoint)})
    )
    with pytest.raises(VerifierError, match="takes no token ids"):
        load_verifier(str(file))


def test_a_bare_url_is_asked_with_the_token_of_the_environment(
    tiny: Language, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StandIn("vllm", tiny, root=str(tiny_checkpoint), token="lamp-oil-lamp-oil") as server:
        with pytest.raises(EngineError, match="status 401: Unauthorized"):
            load_verifier(server.url)
        monkeypatch.setenv("SWE_RM_TOKEN", "lamp-oil-lamp-oil")
        assert load_verifier(server.url).name.startswith("tiny@0+")
