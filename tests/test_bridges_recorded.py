"""Bridges against recorded calls: what each trainer hands over reaches the verifier whole, and a failure is no number.

`recorded_calls/NAME.json` holds a call as the trainer makes it, and where in which version it is made. The trainers
are those of `stand_ins/`, or the real ones where they are installed.
"""

import asyncio
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="no FastAPI: pip install 'swe-rm[serve]'")

from swe_rm.client import ClientError, Refused
from swe_rm.sources import open_pile
from tests.bridging import FOLDER, TOKEN, Seeing, Served, recorded, running, shown
from tests.serving import share

TORCH = ("roll", "openrlhf", "openrlhf_agent", "nemo_rl")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with running(Seeing()) as found:
        yield found


@pytest.fixture
def bridge(served: Served, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Loads a bridge as its trainer would, with a client of its own."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parent / "stand_ins")])
    monkeypatch.setenv("SWE_RM_URL", served.url)
    monkeypatch.setenv("SWE_RM_TOKEN", TOKEN)
    served.verifier.seen.clear()
    served.bodies.clear()

    def load(name: str) -> Any:
        if name in TORCH:
            pytest.importorskip("torch")
        if name == "nemo_rl":
            pytest.importorskip("ray")
        module = import_module(f"swe_rm.bridges.{name.removesuffix('_agent').removesuffix('_turns')}")
        module.client.cache_clear()
        return module

    return load


# --- the calls -------------------------------------------------------------------------------------------------------


def slime(module: Any, call: dict[str, Any]) -> list[float]:
    from slime.utils.types import Sample

    samples = [Sample(**sample) for sample in call["samples"]]
    together: list[float] = asyncio.run(module.reward(SimpleNamespace(), samples))
    assert asyncio.run(module.reward(SimpleNamespace(), samples[0])) == together[0]
    return together


def skyrl(module: Any, call: dict[str, Any]) -> list[float]:
    from skyrl_gym.envs.base_text_env import BaseTextEnv

    class Lamp(BaseTextEnv):  # type: ignore[misc,unused-ignore]
        outputs = iter(call["outputs"])

        def step(self, action: str) -> Any:
            return next(self.outputs)

    env = type("Judged", (module.Judged, Lamp), {})()
    told, metadata = env.init(call["prompt"])
    assert (told, metadata) == (call["prompt"], {})
    first, last = (env.step(action) for action in call["actions"])
    assert first == call["outputs"][0]
    assert last["reward"] == pytest.approx(call["outputs"][1]["reward"] + last["metadata"]["swe_rm"])
    return [last["metadata"]["swe_rm"]]


def openrlhf(module: Any, call: dict[str, Any]) -> list[float]:
    import torch

    found = module.reward_func(call["queries"], call["prompts"], call["labels"])
    assert found.keys() == {"rewards", "scores", "extra_logs"}
    assert torch.tensor([found["rewards"]]).shape == (1,)  # what OpenRLHF makes of it
    return list(found["rewards"].tolist())


def openrlhf_agent(module: Any, call: dict[str, Any]) -> list[float]:
    import torch
    from openrlhf.utils.agent import AgentInstanceBase

    class Lamp(AgentInstanceBase):  # type: ignore[misc,unused-ignore]
        def __init__(self) -> None:
            self.results = iter(call["results"])

        async def step(self, state_dict: dict[str, Any], **kwargs: Any) -> Any:
            result = next(self.results)
            return {**result, "rewards": torch.tensor(result["rewards"])}

    agent = type("Judged", (module.Judged, Lamp), {})()
    first, last = (asyncio.run(agent.step(state)) for state in call["states"])
    assert first["rewards"].item() == 0
    assert last["extra_logs"]["turns"] == 2
    assert last["rewards"].item() == pytest.approx(last["extra_logs"]["swe_rm"])
    return [last["extra_logs"]["swe_rm"]]


def nemo_gym(module: Any, call: dict[str, Any]) -> list[float]:
    server = module.SweRmServer.model_construct(config=module.BaseResourcesServerConfig.model_construct(name="swe_rm"))
    body = module.VerifyRequest.model_validate(call["body"])
    found = asyncio.run(server.verify(body))
    assert found.model_dump(exclude={"reward"}) == body.model_dump()
    system, user = call["body"]["responses_create_params"]["input"]
    params = {"instructions": system["content"], "input": user["content"]}
    asked = module.VerifyRequest.model_validate({**call["body"], "responses_create_params": params})
    assert module._asked(asked.responses_create_params) == [system, user]
    return [found.reward]


def nemo_rl(module: Any, call: dict[str, Any]) -> list[float]:
    import torch

    logs = [[{**message, "token_ids": torch.ones(3)} for message in log] for log in call["message_log_batch"]]
    env = module.SweRm({})
    found = env.step(logs, call["metadata"])
    assert found.terminateds.tolist() == [True, True]
    assert found.answers == [log[-1]["content"] for log in logs]
    assert {len(part) for part in (found.observations, found.metadata, found.next_stop_strings)} == {2}
    assert env.global_post_process_and_metrics({}) == ({}, {})
    return list(found.rewards.tolist())


def rllm(module: Any, call: dict[str, Any]) -> list[float]:
    steps = [SimpleNamespace(chat_completions=chat) for chat in call["steps"]]
    episode = SimpleNamespace(trajectories=[SimpleNamespace(steps=steps)], artifacts=call["artifacts"])
    task = SimpleNamespace(**call["task"])
    found = module.evaluate(task, episode)
    assert [(signal.name, signal.value) for signal in found.signals] == [("swe_rm", found.reward)]
    hybrid = module.hybrid_evaluate(task, episode)
    assert (hybrid.reward, hybrid.is_correct) == (1 + found.reward, True)
    return [found.reward]


def areal(module: Any, call: dict[str, Any]) -> list[float]:
    reward = pickle.loads(pickle.dumps(module.reward_fn))  # it goes to a pool of processes
    given = [call[name] for name in ("prompt", "completions", "prompt_ids", "completion_ids")]
    (pooled,) = [reward(*given, **call["data"])]
    workflow = module.ask_directly(SimpleNamespace(reward_fn=reward, async_reward_fn=None))
    assert asyncio.run(workflow.async_reward_fn(*given, **call["data"])) == pooled
    return [pooled]


def roll(module: Any, call: dict[str, Any]) -> list[float]:
    import torch

    width = max(map(len, call["texts"]))
    batch = {
        "input_ids": torch.tensor([[*map(ord, text), *[0] * (width - len(text))] for text in call["texts"]]),
        "attention_mask": torch.tensor([[1] * len(text) + [0] * (width - len(text)) for text in call["texts"]]),
        "responses": torch.zeros(len(call["texts"]), 7, dtype=torch.long),
    }
    worker = module.SweRmRewardWorker(SimpleNamespace(model_args=None))
    found = worker.compute_rewards(module.DataProto(batch=batch)).batch
    assert found["token_level_rewards"].shape == batch["responses"].shape
    assert found["scores"].tolist() == found["response_level_rewards"].tolist()
    return list(found["scores"].tolist())


def ms_swift(module: Any, call: dict[str, Any]) -> list[float]:
    from swift.rewards.orm import orms

    function = orms["swe_rm"](args=None)
    return list(asyncio.run(function(call["completions"], **call["columns"])))


def tinker(module: Any, call: dict[str, Any]) -> list[float]:
    from tinker_cookbook.renderers.base import ToolCall, UnparsedToolCall
    from tinker_cookbook.rl.types import EnvGroupBuilder

    class Lamps(EnvGroupBuilder):  # type: ignore[misc,unused-ignore]
        async def make_envs(self) -> Any:
            return [
                SimpleNamespace(
                    message_env=SimpleNamespace(history=[*map(message, history)], model_patch=patch, instance_id=task)
                )
                for history, patch, task in zip(call["histories"], call["patches"], call["instance_ids"], strict=True)
            ]

    def message(written: dict[str, Any]) -> dict[str, Any]:
        kinds = {"tool_calls": ToolCall, "unparsed_tool_calls": UnparsedToolCall}
        calls = {name: [*map(kind.model_validate, written[name])] for name, kind in kinds.items() if name in written}
        return {**written, **calls}

    group = type("Judged", (module.Judged, Lamps), {})()
    envs = asyncio.run(group.make_envs())
    found = asyncio.run(group.compute_group_rewards([object()] * len(envs), envs))
    assert [metrics["swe_rm"] for _, metrics in found] == [score for score, _ in found]
    return [score for score, _ in found]


def openhands(module: Any, call: dict[str, Any]) -> list[float]:
    from openhands.sdk.llm import Message, MessageToolCall, TextContent

    class Event(module.LLMConvertibleEvent):  # type: ignore[misc,name-defined]
        written: dict[str, Any]

        def to_llm_message(self) -> Any:
            functions = [one["function"] | {"id": one["id"]} for one in self.written.get("tool_calls", [])]
            return Message(
                role=self.written["role"],
                content=[TextContent(text=self.written["content"])],
                tool_calls=[MessageToolCall(origin="completion", **one) for one in functions] or None,
                tool_call_id=self.written.get("tool_call_id"),
                name="bash" if self.written["role"] == "tool" else None,
            )

    events = [Event(source="agent", written=written) for written in call["events"]]
    found = module.SweRmCritic().evaluate(events=events, git_patch=call["git_patch"])
    assert found.message == f"P(resolved) {found.score:.3f} (hashed@1)"
    return [found.score]


def moatless(module: Any, call: dict[str, Any]) -> list[float]:
    node = None
    for written in call["nodes"]:
        node = module.Node(**written, parent=node)
    reward = asyncio.run(module.SweRmValue().get_reward(node=node))
    (score,) = module.client().score(
        [{"trajectory_id": "moatless", "nodes": [*map(module._written, node.get_trajectory())]}]
    )
    assert reward.value == round(200 * score) - 100
    assert reward.explanation == f"P(resolved) {score:.3f} (hashed@1)"
    return [score]


def trae(module: Any, call: dict[str, Any]) -> list[float]:
    found = module.choose(call)
    assert {name: found[name] for name in call} == call
    assert found["scores"][1] is None
    scores = [found["scores"][place] for place in (0, 2)]
    assert found["selected"] == (0 if scores[0] >= scores[1] else 2)
    return scores


CALLS: dict[str, Callable[[Any, dict[str, Any]], list[float]]] = {
    "slime": slime, "skyrl": skyrl, "openrlhf": openrlhf, "openrlhf_agent": openrlhf_agent, "nemo_gym": nemo_gym,
    "nemo_rl": nemo_rl, "rllm": rllm, "areal": areal, "areal_turns": areal, "roll": roll, "ms_swift": ms_swift,
    "tinker": tinker, "openhands": openhands, "moatless": moatless, "trae": trae,
}  # fmt: skip


# --- what holds for all ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CALLS)
def test_the_whole_attempt_arrives_and_its_own_score_comes_back(
    name: str, bridge: Callable[[str], Any], served: Served
) -> None:
    document = recorded(name)
    scores = CALLS[name](bridge(name), document["call"])
    seen = {json.dumps(shown(one), indent=1): share(one) for one in served.verifier.seen}
    wanted = [json.dumps(one, indent=1) for one in document["seen"]]
    assert "\n".join(sorted(seen)) == "\n".join(sorted(wanted))
    assert scores == pytest.approx([seen[one] for one in wanted], abs=1e-6)


REQUESTS = {"areal": 2, "areal_turns": 2, "slime": 2, "moatless": 2, "rllm": 2}
"""Where a call above asks twice; all others ask once, however many attempts there are."""
OUTCOMES = (b"resolved", b"success_id", b"regressions", b"label", b"test_hum", b"GOLD")


@pytest.mark.parametrize("name", CALLS)
def test_a_group_is_one_request_and_neither_outcome_nor_solution_leaves(
    name: str, bridge: Callable[[str], Any], served: Served
) -> None:
    CALLS[name](bridge(name), recorded(name)["call"])
    assert len(served.bodies) == REQUESTS.get(name, 1)
    for body in served.bodies:
        assert not [word for word in OUTCOMES if word in body]


@pytest.mark.parametrize("name", CALLS)
def test_no_score_is_an_error_and_counted(
    name: str, bridge: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = bridge(name)
    monkeypatch.setenv("SWE_RM_TOKEN", "another")
    with pytest.raises(ClientError) as raised:
        CALLS[name](module, recorded(name)["call"])
    assert type(raised.value) is Refused
    assert module.client().failures == {"Refused": len(recorded(name)["seen"])}


@pytest.mark.parametrize(("name", "seconds"), [("areal", 15), ("slime", 120), ("openrlhf", 180), ("openhands", 300)])
def test_a_bridge_gives_up_before_its_trainer_does(name: str, seconds: float, bridge: Callable[[str], Any]) -> None:
    assert bridge(name).client().deadline < seconds


def test_slime_adds_what_the_tests_said_and_refuses_to_guess_it(bridge: Callable[[str], Any]) -> None:
    module = bridge("slime")
    samples = [SimpleNamespace(**sample) for sample in recorded("slime")["call"]["samples"]]
    first, second = asyncio.run(module.reward(None, samples))
    assert asyncio.run(module.hybrid_reward(None, samples)) == [1 + first, second]
    samples[1].metadata |= {"resolved": None, "finished": False}
    assert asyncio.run(module.hybrid_reward(None, samples[1])) == asyncio.run(module.reward(None, samples[1])) - 0.5
    del samples[1].metadata["finished"]
    with pytest.raises(ValueError, match="was not tested"):
        asyncio.run(module.hybrid_reward(None, samples))


def test_the_choice_among_equal_patches_is_the_first_and_among_none_is_none(
    bridge: Callable[[str], Any], tmp_path: Path
) -> None:
    call = recorded("trae")["call"]
    lines = [{**call, "patches": ["", call["patches"][2], call["patches"][2]]}, {**call, "patches": ["", ""]}]
    (tmp_path / "candidates.jsonl").write_text("\n\n".join(map(json.dumps, lines)))
    bridge("trae").main(str(tmp_path / "candidates.jsonl"), str(tmp_path / "chosen.jsonl"))
    chosen = [json.loads(line) for line in (tmp_path / "chosen.jsonl").read_text().splitlines()]
    assert [one["selected"] for one in chosen] == [1, None]
    assert chosen[0]["scores"][1] == chosen[0]["scores"][2]
    assert chosen[1]["scores"] == [None, None]
    for broken, reason in (("{", "line 3: no JSON object"), ('{"patches": []}', "line 3: has no instance_id")):
        (tmp_path / "broken.jsonl").write_text(f"{json.dumps(lines[0])}\n\n{broken}\n")
        with pytest.raises(ValueError, match=reason):
            bridge("trae").main(str(tmp_path / "broken.jsonl"), str(tmp_path / "none.jsonl"))
    assert not (tmp_path / "none.jsonl").exists()


def test_harbor_gets_a_verdict_beside_each_trial_that_can_be_read(
    bridge: Callable[[str], Any], served: Served, tmp_path: Path
) -> None:
    """Harbor 0.25.0's job folder: harbor/models/trial/paths.py:90 and harbor/models/trial/result.py:80."""
    job = tmp_path / "night-job"
    shutil.copytree(FOLDER.parent / "fixtures" / "harbor" / "night-job", job)
    pile = open_pile([job])
    attempts = {item.trajectory.key: item.trajectory for item in pile.attempts()}
    problems = bridge("harbor").judge(job)
    rows = {file.parent.name: json.loads(file.read_text()) for file in job.glob("*/swe_rm.json")}
    assert len(rows) == len(attempts) == len(served.bodies)
    for folder, row in rows.items():
        trajectory = attempts[row["instance_id"], row["policy"], row["attempt"]]
        assert (row["attempt"], row["verifier"]) == (folder, "hashed@1")
        (seen,) = (one for one in served.verifier.seen if one.task.instance_id == row["instance_id"])
        assert shown(seen) == shown(trajectory)
        assert row["score"] == share(seen)
    assert len(problems) == len(pile.refusals) == 1
    assert [item.trajectory.attempt_id for item in open_pile([job]).attempts()] == [
        trajectory.attempt_id for trajectory in attempts.values()
    ]


@pytest.mark.parametrize("name", CALLS)
def test_the_recording_says_what_it_is_of(name: str) -> None:
    assert {"recorded", "call", "seen"} == recorded(name).keys()
    assert any(digit in recorded(name)["recorded"] for digit in "0123456789")
    assert ".py:" in recorded(name)["recorded"]


BRIDGES = sorted((Path(__file__).parents[1] / "src" / "swe_rm" / "bridges").glob("[!_]*.py"))


@pytest.mark.parametrize("path", BRIDGES, ids=lambda path: path.stem)
def test_a_bridge_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60


def test_a_bridge_that_needs_no_class_of_its_trainer_loads_no_library() -> None:
    names = ("areal", "openrlhf", "rllm", "skyrl", "slime", "tinker", "trae")
    code = "; ".join(f"import swe_rm.bridges.{name}" for name in names)
    heavy = {"torch", "numpy", "pydantic", "orjson", "ray", *names}
    report = f"{code}; import sys; print(sorted({heavy!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


REAL = {"inspect_ai", "mini_swe_agent", "trl", "verifiers", "verl", "verl_manager"}
"""Those of `tests/bridges`, each in an environment of its own."""


def test_every_bridge_is_called() -> None:
    assert {name for name in CALLS if "_agent" not in name and "_turns" not in name} | REAL | {"harbor"} == {
        path.stem for path in BRIDGES
    }
