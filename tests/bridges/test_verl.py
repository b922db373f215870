"""verl itself: its reward loop with our function and our manager, in its own workers, and that no failure scores."""

import asyncio
import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("verl", reason="verl has an environment of its own: make test-bridges")
pytestmark = pytest.mark.bridges

import numpy as np  # noqa: E402
import ray  # noqa: E402
import torch  # noqa: E402
from omegaconf import DictConfig, OmegaConf, open_dict  # noqa: E402
from tensordict import TensorDict  # noqa: E402
from verl import DataProto  # noqa: E402
from verl.experimental.reward_loop.reward_loop import RewardLoopManager, RewardLoopWorker  # noqa: E402
from verl.trainer import config as configs  # noqa: E402

from swe_rm.bridges.verl import client  # noqa: E402
from swe_rm.client import BadAnswer, Client, Deadline, Unreachable  # noqa: E402
from tests.bridges import tiny  # noqa: E402
from tests.bridges.documented import PAGE, snippet  # noqa: E402
from tests.bridges.servers import LIES, Process, Stub, free_port, patch, real, said, wanted  # noqa: E402

WAYS = ["function", "manager"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny.tokenizer().save_pretrained(folder)
    return folder


def config(way: str, tokenizer: Path, **options: Any) -> DictConfig:
    """verl's own settings of rewards, with ours in them."""
    found = OmegaConf.create({"actor_rollout_ref": {"model": {"path": str(tokenizer), "tokenizer_path": None}}})
    found.reward = OmegaConf.load(Path(configs.__file__).parent / "reward" / "reward.yaml")
    found.reward.num_workers = 1
    with open_dict(found):
        if way == "function":
            found.reward.custom_reward_function = {
                "path": "pkg://swe_rm.bridges.verl",
                "name": "compute_score",
                "reward_kwargs": options,
            }
        else:
            found.reward.reward_manager.source = "importlib"
            found.reward.reward_manager.name = "SweRmRewardManager"
            found.reward.reward_manager.module.path = "pkg://swe_rm.bridges.verl_manager"
            found.reward.reward_kwargs = options
    return found


def batch(*numbers: int, resolved: list[bool] | None = None) -> DataProto:
    """Rollouts as verl's agent loop leaves them: token ids, and what the loop put into its extra fields."""
    size = len(numbers)
    carried = [
        {"messages": said(number, task=number), "model_patch": patch(number), "instance_id": f"a__b-{number}"}
        for number in numbers
    ]
    for at, outcome in enumerate(resolved or []):
        carried[at]["resolved"] = outcome
    tensors = {
        "prompts": torch.ones(size, 3, dtype=torch.long),
        "responses": torch.full((size, 4), 8, dtype=torch.long),
        "attention_mask": torch.ones(size, 7, dtype=torch.long),
    }
    rows = {
        "data_source": np.array(["lantern"] * size, dtype=object),
        "reward_model": np.array([{"ground_truth": "the solution"} for _ in numbers], dtype=object),
        "extra_info": np.array([{"patch": "the solution"} for _ in numbers], dtype=object),
        "tool_extra_fields": np.array(carried, dtype=object),
    }
    return DataProto(batch=TensorDict(tensors, batch_size=size), non_tensor_batch=rows)


def rewarded(settings: DictConfig, data: DataProto) -> list[dict[str, Any]]:
    """What verl's worker makes of a batch, in this process."""
    found = RewardLoopWorker(settings)

    async def every() -> list[dict[str, Any]]:
        found.reward_manager.loop = asyncio.get_running_loop()
        return list(await found.compute_score_batch(data))

    return asyncio.run(every())


@pytest.mark.parametrize("way", WAYS)
def test_a_thousand_attempts_get_their_own_scores(way: str, server: Process, tokenizer: Path) -> None:
    numbers = [(7 * number) % 1000 for number in range(1000)]
    found = rewarded(config(way, tokenizer, url=server.url), batch(*numbers))
    assert [one["reward_score"] for one in found] == [wanted(number) for number in numbers]
    assert {tuple(one["reward_extra_info"]) for one in found} == {("score", "p_resolved")}
    assert set(client(server.url, 240.0).failures) <= {"retry"}


@pytest.mark.parametrize("way", WAYS)
def test_the_log_is_judged_and_neither_the_stripped_text_nor_the_solution(
    way: str, stub: Stub, tokenizer: Path
) -> None:
    rewarded(config(way, tokenizer, url=stub.url), batch(5))
    ((row,),) = stub.requests
    assert row["messages"] == said(5, task=5)
    assert (row["patch"], row["instance_id"]) == (patch(5), "a__b-5")
    assert "the solution" not in str(row)


@pytest.mark.parametrize("way", WAYS)
def test_a_hybrid_is_made_in_the_bridge(way: str, stub: Stub, tokenizer: Path) -> None:
    settings = config(way, tokenizer, url=stub.url, kind="hybrid")
    found = rewarded(settings, batch(250, 250, resolved=[True, False]))
    assert [one["reward_score"] for one in found] == [1.25, 0.25]
    assert [one["reward_extra_info"]["p_resolved"] for one in found] == [0.25, 0.25]
    with pytest.raises(ValueError, match="not tested"):
        rewarded(settings, batch(250))


@pytest.mark.parametrize("way", WAYS)
def test_without_a_log_there_is_no_reward(way: str, stub: Stub, tokenizer: Path) -> None:
    data = batch(5)
    del data.non_tensor_batch["tool_extra_fields"][0]["messages"]
    with pytest.raises(KeyError, match="messages"):
        rewarded(config(way, tokenizer, url=stub.url), data)
    assert stub.requests == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_an_error(way: str, lie: str, tokenizer: Path) -> None:
    with Stub(LIES[lie]) as liar:
        client(liar.url, 240.0).verifier = "numbered@1"
        with pytest.raises(BadAnswer):
            rewarded(config(way, tokenizer, url=liar.url), batch(1))
        assert client(liar.url, 240.0).failures == {"BadAnswer": 1}


@pytest.mark.parametrize("way", WAYS)
def test_a_dead_or_slow_server_is_an_error(way: str, tokenizer: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable):
        rewarded(config(way, tokenizer, url=url, deadline=1.0), batch(1))
    assert client(url, 1.0).failures["Unreachable"] == 1
    with Stub(seconds=2) as slow:
        with pytest.raises(Deadline):
            rewarded(config(way, tokenizer, url=slow.url, deadline=0.3), batch(1))
        assert client(slow.url, 0.3).failures == {"Deadline": 1}


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray of one machine, as verl begins."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()


def test_in_verls_own_workers_a_restart_costs_time_and_a_death_stops_the_run(cluster: None, tokenizer: Path) -> None:
    with real() as process:
        loop = RewardLoopManager(config("function", tokenizer, url=process.url, deadline=60.0))
        data = batch(10, 20, 30, 40)
        where = (range(4), [3] * 4)
        try:
            assert loop.compute_rm_score(copy.deepcopy(data)).batch["rm_scores"][where].tolist() == pytest.approx(
                [0.01, 0.02, 0.03, 0.04]
            )
            process.kill()
            pending = loop.reward_loop_workers[0].compute_score_batch.remote(copy.deepcopy(data))
            assert ray.wait([pending], timeout=1)[0] == [], "it waits for the server"
            process.start()
            assert [one["reward_score"] for one in ray.get(pending)] == [0.01, 0.02, 0.03, 0.04]
            process.kill()
            ray.kill(loop.reward_loop_workers[0])  # another one, with less patience
            loop = RewardLoopManager(config("manager", tokenizer, url=process.url, deadline=1.0))
            with pytest.raises(Unreachable):
                loop.compute_rm_score(data)
        finally:
            ray.kill(loop.reward_loop_workers[0])


def test_the_client_of_a_worker_is_one() -> None:
    assert isinstance(client("http://127.0.0.1:1", 1.0), Client)
    assert client("http://127.0.0.1:1", 1.0) is client("http://127.0.0.1:1", 1.0)


def composed(*overrides: str) -> DictConfig:
    """verl's own configuration of a run, which refuses what it does not know."""
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(Path(configs.__file__).parent), version_base=None):
        return compose("ppo_trainer", overrides=[*overrides])


def test_the_documented_settings_are_verls(stub: Stub, tokenizer: Path) -> None:
    settings = composed(*snippet("verl", "sh").replace("http://127.0.0.1:8000", stub.url).split())
    settings.actor_rollout_ref.model.path = str(tokenizer)
    assert settings.actor_rollout_ref.actor.policy_loss.loss_mode == "gspo"
    assert rewarded(settings, batch(250, resolved=[True]))[0]["reward_score"] == 1.25


def test_so_are_those_of_the_manager(stub: Stub, tokenizer: Path) -> None:
    section = PAGE.read_text(encoding="utf-8").partition("As a manager")[2]
    source, name, path = (re.search(rf"`({key}=[^`]+)`", section)[1] for key in ("source", "name", "module.path"))
    ours = [f"reward.reward_manager.{one}" for one in (source, name, path)]
    assert "`+reward.reward_kwargs.url=...`" in section
    settings = composed(*ours, f"+reward.reward_kwargs.url={stub.url}")
    settings.actor_rollout_ref.model.path = str(tokenizer)
    assert rewarded(settings, batch(250))[0]["reward_score"] == 0.25
