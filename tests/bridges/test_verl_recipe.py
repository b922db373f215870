"""verl itself: the recipes' settings, its agent loop around an attempt, its reward of that, its loss."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("verl", reason="verl has an environment of its own: make test-bridges")
pytestmark = pytest.mark.bridges

import hydra  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from hydra.errors import ConfigCompositionException, InstantiationException  # noqa: E402
from omegaconf import DictConfig, OmegaConf  # noqa: E402
from tensordict import TensorDict  # noqa: E402
from verl import DataProto  # noqa: E402
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput, DictConfigWrap, ToolListWrap  # noqa: E402
from verl.trainer.ppo.core_algos import get_policy_loss_fn  # noqa: E402
from verl.trainer.ppo.utils import need_critic, need_reference_policy  # noqa: E402
from verl.utils.config import omega_conf_to_dataclass, validate_config  # noqa: E402
from verl.utils.dataset.rl_dataset import RLHFDataset  # noqa: E402
from verl.workers.rollout.replica import TokenOutput  # noqa: E402

from swe_rm.rollouts.scaffold import RolloutError  # noqa: E402
from swe_rm.rollouts.tasks import AGENT  # noqa: E402
from tests import rollouting as lamps  # noqa: E402
from tests.bridges import tiny  # noqa: E402
from tests.bridges.recipes import assert_is_gspo, launched, row  # noqa: E402
from tests.bridges.servers import Stub  # noqa: E402
from tests.bridges.test_verl import composed, rewarded  # noqa: E402

SIZES = ["megatron", "fsdp"]
SCORED = "This is try 250.\n\n"
"""What the stand-in of a server reads its score from."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lamps.image(tmp_path_factory.mktemp("image"))


@pytest.fixture
def server() -> Iterator[Stub]:
    with Stub() as stub:
        yield stub


def settings(folder: Path, *more: str, **told: Any) -> DictConfig:
    """verl's configuration as a launcher asks for it."""
    module, name, *found = launched("verl", folder, *more, **told)
    assert (module, name) == ("-m", "verl.trainer.main_ppo")
    return composed(*found)


@pytest.mark.parametrize("size", SIZES)
def test_every_setting_of_the_recipe_is_verls(size: str, tmp_path: Path) -> None:
    config = settings(tmp_path, size)
    validate_config(config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    assert not need_critic(config)
    assert not need_reference_policy(config)
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    assert (actor.policy_loss.loss_mode, actor.loss_agg_mode) == ("gspo", "seq-mean-token-mean")
    assert (actor.clip_ratio_low, actor.clip_ratio_high) == (3e-4, 4e-4)
    rollout, data = omega_conf_to_dataclass(config.actor_rollout_ref.rollout), config.data
    assert rollout.max_model_len == data.max_prompt_length + data.max_response_length
    assert rollout.calculate_log_probs
    assert config.reward.reward_manager.name == "naive", "rate_limited makes 0 of a failure"
    assert config.data.train_batch_size % config.actor_rollout_ref.actor.ppo_mini_batch_size == 0
    omega_conf_to_dataclass(config.algorithm)


def test_the_longest_attempt_fits_a_gpus_share(tmp_path: Path) -> None:
    for size in SIZES:
        config = settings(tmp_path, size)
        actor = config.actor_rollout_ref.actor
        shared = actor.megatron.context_parallel_size if size == "megatron" else actor.ulysses_sequence_parallel_size
        assert actor.ppo_max_token_len_per_gpu * shared >= config.actor_rollout_ref.rollout.max_model_len


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "setting",
    ["actor_rollout_ref.actor.clip_ratio_hihg=0.0004", "trainer.test_frequency=1", "reward.custom_reward_fn.path=x"],
)
def test_what_verl_does_not_know_is_refused(size: str, setting: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigCompositionException, match="Could not override"):
        settings(tmp_path, size, setting)


def test_a_loss_that_verl_does_not_know_is_refused(tmp_path: Path) -> None:
    config = settings(tmp_path, "actor_rollout_ref.actor.policy_loss.loss_mode=gpso")
    with pytest.raises(ValueError, match="gpso"):
        get_policy_loss_fn(config.actor_rollout_ref.actor.policy_loss.loss_mode)


@pytest.mark.parametrize("size", SIZES)
def test_the_loss_of_the_recipe_is_gspo(size: str, tmp_path: Path) -> None:
    """Of whole sequences, each weighing the same: swe_rm.gspo's, and its gradient."""
    actor = omega_conf_to_dataclass(settings(tmp_path, size).actor_rollout_ref.actor)

    def theirs(new: Any, old: Any, mask: Any, advantages: Any) -> Any:
        function = get_policy_loss_fn(actor.policy_loss.loss_mode)
        return function(old, new, advantages[:, None].expand_as(new), mask, actor.loss_agg_mode, actor)[0]

    assert_is_gspo(theirs)


# --- the agent loop ----------------------------------------------------------------------------------------------


class Policy:
    """verl's client of the policy's servers: it says what is written down, in tokens."""

    def __init__(self, *said: str) -> None:
        self.tokenizer = tiny.spelling_tokenizer()
        self.said = [f"{SCORED}{one}" for one in said]
        self.read: list[str] = []
        self.most: list[int] = []

    async def generate(self, *, prompt_ids: list[int], sampling_params: dict[str, Any], **more: Any) -> TokenOutput:
        self.read.append(self.tokenizer.decode(prompt_ids))
        self.most.append(sampling_params["max_tokens"])
        text = self.said[(len(self.read) - 1) % len(self.said)]
        ids = self.tokenizer.encode(text + self.tokenizer.eos_token)[: sampling_params["max_tokens"]]
        steps = {"min_global_steps": len(self.read), "max_global_steps": len(self.read)}
        return TokenOutput(token_ids=ids, log_probs=[-0.5] * len(ids), extra_fields=steps)


def looped(config: DictConfig, policy: Policy, record: dict[str, Any], **more: Any) -> AgentLoopOutput:
    """What verl's worker makes of a row: it finds the loop in the recipe's file."""
    path = config.actor_rollout_ref.rollout.agent.agent_loop_config_path
    (loop,) = OmegaConf.load(path)
    assert loop.name == config.actor_rollout_ref.rollout.agent.default_agent_loop == AGENT
    loop = OmegaConf.merge(loop, {"settings": {**lamps.SETTINGS, "keep": None, **more}})
    told = row(record, lamps.SETTINGS)

    async def made() -> AgentLoopOutput:
        found = hydra.utils.instantiate(
            config=loop,
            trainer_config=DictConfigWrap(config=config),
            server_manager=policy,
            tokenizer=policy.tokenizer,
            processor=None,
            hf_model_type="qwen3_moe",
            dataset_cls=RLHFDataset,
            data_config=DictConfigWrap(config.data),
            tools=ToolListWrap([]),
        )
        given = {"raw_prompt": told["prompt"], "task": told["task"], "data_source": "swe", "index": 0}
        return await found.run({"temperature": 1.0, "logprobs": True}, **given)

    return asyncio.run(made())


def reward(config: DictConfig, made: AgentLoopOutput, folder: Path) -> dict[str, Any]:
    """verl's, by its own manager from what the loop left."""
    tiny.spelling_tokenizer().save_pretrained(folder)
    config.actor_rollout_ref.model.path = str(folder)
    tensors = {
        "prompts": torch.tensor([made.prompt_ids]),
        "responses": torch.tensor([made.response_ids]),
        "attention_mask": torch.ones(1, len(made.prompt_ids) + len(made.response_ids), dtype=torch.long),
    }
    told = {
        "data_source": "swe",
        "reward_model": {"style": "rule", "ground_truth": ""},
        "extra_info": {"index": 0},
        "tool_extra_fields": made.extra_fields,
    }
    data = DataProto(
        batch=TensorDict(tensors, batch_size=1),
        non_tensor_batch={key: np.array([value], dtype=object) for key, value in told.items()},
    )
    (found,) = rewarded(config, data)
    return found


@pytest.mark.parametrize(
    ("said", "wanted"),
    [(lamps.SOLVED, 1.25), (lamps.FAILED, 0.25), (("I only talk.",) * 3, -0.25)],
    ids=["resolved", "unresolved", "unfinished"],
)
def test_an_attempt_gets_the_hybrid_reward(
    said: tuple[str, ...], wanted: float, image: Path, server: Stub, tmp_path: Path
) -> None:
    config, policy = settings(tmp_path, url=server.url), Policy(*said)
    made = looped(config, policy, lamps.record(image))
    assert reward(config, made, tmp_path)["reward_score"] == wanted
    ((sent,),) = server.requests
    assert [one["content"] for one in sent["messages"] if one["role"] == "assistant"] == policy.said
    assert bool(sent["patch"]) == (len(said) < 3 or said is lamps.SOLVED)


def test_the_policys_own_tokens_are_what_it_said_and_what_it_read_is_masked(image: Path, tmp_path: Path) -> None:
    policy = Policy(*lamps.SOLVED)
    made = looped(settings(tmp_path), policy, lamps.record(image))
    own = [one for one, mine in zip(made.response_ids, made.response_mask, strict=True) if mine]
    assert policy.tokenizer.decode(own) == "".join(one + policy.tokenizer.eos_token for one in policy.said)
    assert made.response_logprobs is not None
    assert [one == -0.5 for one in made.response_logprobs] == [mine == 1 for mine in made.response_mask]
    whole = policy.tokenizer.apply_chat_template(made.extra_fields["messages"], tokenize=False)
    assert policy.tokenizer.decode(made.prompt_ids + made.response_ids) + "\n" == whole
    assert (made.extra_fields["min_global_steps"], made.extra_fields["max_global_steps"]) == (1, 3)
    assert lamps.STATEMENT in policy.tokenizer.decode(made.prompt_ids)
    AgentLoopOutput.as_dict(made)


def test_an_attempt_that_fills_the_context_is_unfinished(image: Path, server: Stub, tmp_path: Path) -> None:
    policy = Policy(lamps.LOOK)
    config = settings(tmp_path, "data.max_response_length=1000", "data.max_prompt_length=20000", url=server.url)
    made = looped(config, policy, lamps.record(image))
    assert made.extra_fields["exit_status"] == "ContextFull"
    assert len(made.response_ids) == len(made.response_mask) == 1000
    assert 1 < len(policy.read) < lamps.SETTINGS["step_limit"]
    assert max(policy.most) <= 1000
    assert reward(config, made, tmp_path)["reward_score"] == -0.25


def test_a_container_that_does_not_start_is_tried_again_and_then_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def gone(task: Any, *more: Any) -> None:
        tries.append(task.instance_id)
        raise RolloutError("no machine")

    monkeypatch.setattr("swe_rm.rollouts.verl.Rollout", gone)
    with pytest.raises(RolloutError, match="no machine"):
        looped(settings(tmp_path), Policy(lamps.LOOK), lamps.record(tmp_path))
    assert len(tries) == 3


def test_a_misspelt_setting_of_attempts_is_refused(image: Path, tmp_path: Path) -> None:
    with pytest.raises(InstantiationException, match="tset_seconds"):
        looped(settings(tmp_path), Policy(lamps.LOOK), lamps.record(image), tset_seconds=3)


def test_verl_reads_the_rows(image: Path, tmp_path: Path) -> None:
    told = row(lamps.record(image), lamps.SETTINGS)
    told |= {"data_source": "swe", "reward_model": {"style": "rule", "ground_truth": ""}, "extra_info": {"index": 0}}
    (tmp_path / "rows.jsonl").write_text(json.dumps(told) + "\n")
    config = settings(tmp_path, "data.max_prompt_length=20000", "data.filter_overlong_prompts_workers=1").data
    found = RLHFDataset([str(tmp_path / "rows.jsonl")], tiny.spelling_tokenizer(), config)[0]
    assert (found["raw_prompt"], found["agent_name"], found["task"]) == (told["prompt"], AGENT, told["task"])
    assert SimpleNamespace(**found).data_source == "swe"
