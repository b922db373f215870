"""Advantages and losses are those of TRL's own trainer, and of the formulae written out with loops."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from swe_rm.errors import SweRmError
from swe_rm.gspo import GRPO, GSPO, STD_FLOOR, Objective, group_advantages

rewards_of_groups = arrays.arrays(np.float64, (3, 5), elements=st.floats(-2, 2) | st.just(math.nan))


# --- advantages ------------------------------------------------------------------------------------------------------


def slow_advantages(group: list[float], scale: str) -> list[float]:
    known = [reward for reward in group if not math.isnan(reward)]
    if not known:
        return [0.0] * len(group)
    mean = sum(known) / len(known)
    spread = math.sqrt(sum((r - mean) ** 2 for r in known) / max(1, len(known) - 1)) + STD_FLOOR
    return [0.0 if math.isnan(r) else (r - mean) / (spread if scale == "group" else 1.0) for r in group]


@given(rewards=rewards_of_groups, scale=st.sampled_from(["group", "none"]))
def test_advantages_are_those_written_out(rewards: Any, scale: Any) -> None:
    found = group_advantages(rewards, scale=scale)
    assert found.tolist() == [pytest.approx(slow_advantages(group, scale), abs=1e-9) for group in rewards.tolist()]
    assert np.abs(found.sum(axis=1)).max() < 1e-9
    assert (found[np.isnan(rewards)] == 0).all()


@given(rewards=arrays.arrays(np.float64, (2, 6), elements=st.floats(0, 1, width=16)), by=st.floats(-5, 5))
def test_a_constant_added_to_a_whole_group_changes_nothing(rewards: Any, by: float) -> None:
    assert np.allclose(group_advantages(rewards), group_advantages(rewards + by), atol=1e-6)


def test_a_small_difference_in_an_equal_group_is_a_full_size_update() -> None:
    scores = np.array([[0.2, 0.4, 0.6, 0.8]])
    whole, hundredth = group_advantages(scores), group_advantages(1 + scores / 10)
    assert hundredth == pytest.approx(whole, rel=0.01)
    assert group_advantages(np.full((1, 4), 0.7)) == pytest.approx(np.zeros((1, 4)), abs=1e-9)


def test_one_attempt_alone_and_a_group_without_rewards_teach_nothing() -> None:
    assert group_advantages(np.array([[0.9], [math.nan]])).tolist() == [[0.0], [0.0]]


def test_an_infinite_reward_is_refused() -> None:
    with pytest.raises(SweRmError, match="infinite"):
        group_advantages(np.array([[0.1, math.inf]]))


# --- loss ------------------------------------------------------------------------------------------------------------


def batch(seed: int, moved: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-probabilities, those of a policy some steps ago, mask and advantages of 6 completions of up to 9 tokens."""
    dice = torch.Generator().manual_seed(seed)
    logprobs = -torch.rand(6, 9, generator=dice, dtype=torch.float64) * 3
    old = logprobs + moved * torch.randn(6, 9, generator=dice, dtype=torch.float64)
    mask = (torch.rand(6, 9, generator=dice) < 0.7).long()
    mask[0] = 0
    return logprobs.requires_grad_(), old, mask, torch.randn(6, generator=dice, dtype=torch.float64)


def slow_loss(objective: Objective, *tensors: torch.Tensor) -> float:
    total = 0.0
    for new, old, own, advantage in zip(*(tensor.tolist() for tensor in tensors), strict=True):
        places = [place for place, flag in enumerate(own) if flag]
        log_ratios = [new[place] - old[place] for place in places]
        if objective.level == "sequence":
            log_ratios = [sum(log_ratios) / max(1, len(places))] * len(places)
        gains = []
        for log_ratio in log_ratios:
            ratio = math.exp(log_ratio)
            bounded = min(max(ratio, 1 - objective.clip_low), 1 + objective.clip_high)
            gains.append(min(ratio * advantage, bounded * advantage))
        total -= sum(gains) / max(1, len(places))
    return total / len(tensors[0])


@pytest.mark.parametrize("objective", [GSPO, GRPO], ids=["gspo", "grpo"])
@pytest.mark.parametrize("moved", [0.0, 1e-4, 0.3])
def test_the_loss_is_that_written_out(objective: Objective, moved: float) -> None:
    for seed in range(5):
        tensors = batch(seed, moved)
        found = objective(*tensors)
        assert found.loss.item() == pytest.approx(slow_loss(objective, *(t.detach() for t in tensors)), abs=1e-12)
        assert not found.ratios.requires_grad


def test_the_first_step_is_the_plain_policy_gradient_in_both() -> None:
    for objective in (GSPO, GRPO):
        logprobs, _, mask, advantages = batch(1, 0.0)
        objective(logprobs, logprobs.detach(), mask, advantages).loss.backward()
        share = mask / mask.sum(1, keepdim=True).clamp(min=1) / len(mask)
        assert torch.allclose(logprobs.grad, -advantages[:, None] * share)


def test_a_sequence_that_moved_too_far_has_no_gradient_and_is_counted() -> None:
    logprobs = torch.zeros(2, 4, requires_grad=True)
    old = torch.tensor([[-1e-2] * 4, [0.0] * 4])
    found = GSPO(logprobs, old, torch.ones(2, 4), torch.tensor([1.0, 1.0]))
    found.loss.backward()
    assert logprobs.grad is not None
    assert logprobs.grad[0].abs().max() == 0 < logprobs.grad[1].abs().min()
    assert found.clipped == 0.5
    assert GSPO(logprobs, old, torch.ones(2, 4), torch.tensor([-1.0, 1.0])).clipped == 0


def test_a_sequence_weighs_the_same_whatever_its_length() -> None:
    logprobs, mask = torch.zeros(2, 6, requires_grad=True), torch.tensor([[1] * 6, [1, 0, 0, 0, 0, 0]])
    GSPO(logprobs, torch.zeros(2, 6), mask, torch.ones(2)).loss.backward()
    assert logprobs.grad is not None
    assert logprobs.grad.sum(1).tolist() == pytest.approx([-0.5, -0.5])


def test_what_padding_holds_is_never_read() -> None:
    logprobs, mask = torch.zeros(1, 3, requires_grad=True), torch.tensor([[1, 1, 0]])
    for objective in (GSPO, GRPO):
        found = objective(logprobs, torch.tensor([[0.0, 0.0, -math.inf]]), mask, torch.ones(1))
        found.loss.backward()
        assert found.loss.item() == -1
        assert logprobs.grad is not None
        assert logprobs.grad.isfinite().all()


# --- TRL -------------------------------------------------------------------------------------------------------------

WORDS = ["<pad>", "<eos>", "<unk>", *"abcdefghijklm"]
PROMPTS = ["a b c"] * 4 + ["d e f g"] * 4
of_trl = pytest.mark.filterwarnings("ignore::FutureWarning")  # TRL says it of the transformers it is given


def trainer(objective: Objective, folder: Path) -> tuple[Any, list[float]]:
    """TRL's own trainer around a network of two layers, and where the rewards it is given are noted."""
    trl, datasets = pytest.importorskip("trl"), pytest.importorskip("datasets")
    rewards: list[float] = []

    def reward(completions: list[str], **_: Any) -> list[float]:
        rewards[:] = [len(set(text.split())) / 4 - 0.1 * len(text.split()) for text in completions]
        return rewards

    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    torch.manual_seed(0)
    network = Qwen3ForCausalLM(Qwen3Config(
        vocab_size=len(WORDS), hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, pad_token_id=0, eos_token_id=1, bos_token_id=None,
    ))  # fmt: skip
    config = trl.GRPOConfig(
        output_dir=str(folder), per_device_train_batch_size=8, num_generations=4, max_completion_length=7, beta=0.0,
        importance_sampling_level=objective.level, loss_type="grpo", epsilon=objective.clip_low,
        epsilon_high=objective.clip_high, report_to="none", use_cpu=True, bf16=False, save_strategy="no",
    )  # fmt: skip
    made = trl.GRPOTrainer(
        network, reward_funcs=reward, args=config,
        train_dataset=datasets.Dataset.from_dict({"prompt": ["a b c", "d e f g"]}),
        processing_class=PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
        ),
    )  # fmt: skip
    made.current_gradient_accumulation_steps = 1
    return made, rewards


@of_trl
@pytest.mark.parametrize("objective", [GSPO, GRPO], ids=["gspo", "grpo"])
def test_advantages_loss_and_gradients_are_those_of_trl(objective: Objective, tmp_path: Path) -> None:
    made, rewards = trainer(objective, tmp_path)
    given = made._generate_and_score_completions([{"prompt": prompt} for prompt in PROMPTS])
    ours = group_advantages(np.array(rewards).reshape(2, 4)).reshape(-1)
    assert given["advantages"].tolist() == pytest.approx(ours.tolist(), abs=1e-5)  # TRL's are of fp32 rewards
    network = made.model
    ids, own = given["completion_ids"], given["completion_mask"]
    seen = torch.cat([given["prompt_ids"], ids], 1), torch.cat([given["prompt_mask"], own], 1), ids.shape[1]
    with torch.no_grad():
        sampled = made._get_per_token_logps_and_entropies(network, *seen)[0]
    for moved in (0.0, 3e-4, 0.3):
        given["old_per_token_logps"] = sampled + moved * torch.randn(sampled.shape)
        network.zero_grad()
        theirs = made._compute_loss(network, given)
        theirs.backward()
        slopes = [weight.grad.clone() for weight in network.parameters() if weight.grad is not None]
        network.zero_grad()
        logprobs = made._get_per_token_logps_and_entropies(network, *seen)[0]
        found = objective(logprobs, given["old_per_token_logps"], own, given["advantages"])
        found.loss.backward()
        assert found.loss.item() == pytest.approx(theirs.item(), abs=1e-6)
        mine = [weight.grad for weight in network.parameters() if weight.grad is not None]
        assert all(torch.allclose(one, two, atol=1e-6) for one, two in zip(mine, slopes, strict=True))
        clipped = made._metrics["train"]["clip_ratio/region_mean"][-1]
        assert found.clipped == pytest.approx(clipped, abs=1e-6)
