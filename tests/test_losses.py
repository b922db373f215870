"""The losses equal what transformers computes from full logits, in value and in every gradient."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM
from transformers.models.qwen3_moe.modeling_qwen3_moe import load_balancing_loss_func

from swe_rm import attention, losses
from swe_rm.parallel import ALONE
from swe_rm.reading import Norms, Reader, Slopes
from swe_rm.recipe import TrainConfig
from swe_rm.training_data import TrainingExample

NONE = Slopes(0.0, {})
YES, NO = 3, 4


def network(vocabulary: int, hidden: int, layers: int, experts: int, seed: int = 0) -> Qwen3MoeForCausalLM:
    torch.manual_seed(seed)
    config = Qwen3MoeConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=hidden, num_hidden_layers=layers, head_dim=8,
        num_attention_heads=4, num_key_value_heads=2, num_experts=experts, num_experts_per_tok=2,
        moe_intermediate_size=hidden, norm_topk_prob=True, pad_token_id=None, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    made = Qwen3MoeForCausalLM(config)
    made.set_experts_implementation("grouped_mm")
    return made


def config(**changes: object) -> TrainConfig:
    return TrainConfig.model_validate({"name": "t", "out": "x", "data": ["d"], **changes})


def reader(examples: list[TrainingExample], **changes: object) -> Reader:
    return Reader(config(**changes), examples, (YES, NO), ALONE)


def gradients(made: torch.nn.Module) -> dict[str, torch.Tensor]:
    found = {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}
    made.zero_grad()
    return found


@given(
    lengths=st.lists(st.integers(1, 24), min_size=1, max_size=5),
    vocabulary=st.integers(8, 120),
    hidden=st.sampled_from([8, 16, 24]),
    layers=st.integers(1, 3),
    experts=st.integers(2, 6),
    seed=st.integers(0, 99),
)
@example(lengths=[17], vocabulary=120, hidden=24, layers=3, experts=2, seed=61)
@settings(max_examples=15)
def test_loss_and_gradients_are_those_of_the_labels_path(
    lengths: list[int], vocabulary: int, hidden: int, layers: int, experts: int, seed: int
) -> None:
    made = network(vocabulary, hidden, layers, experts, seed)
    dice = torch.Generator().manual_seed(seed)
    tokens = [torch.randint(0, vocabulary, (length,), generator=dice) for length in lengths]
    examples = [TrainingExample(ids.tolist(), (YES, NO)[n % 2], 1.0) for n, ids in enumerate(tokens)]
    attention.use_packed(made)
    read = reader(examples)
    row = read.row(range(len(examples)))
    ours = read.losses(made, row, 0, Norms(len(examples), sum(lengths)), NONE, 0)
    ours.total.backward()
    found = gradients(made)
    made.set_attn_implementation("eager")
    expected = torch.zeros(())
    for item in examples:  # one by one, prompt and verdict, all logits
        ids = torch.tensor([[*item.token_ids, item.verdict_id]])
        labels = torch.full_like(ids, -100)
        labels[0, -1] = item.verdict_id
        expected = expected + made(input_ids=ids, labels=labels).loss / len(examples)
    expected.backward()
    assert ours.total.item() == pytest.approx(expected.item(), abs=1e-6)
    slow = gradients(made)
    largest = max(1.0, *(gradient.abs().max().item() for gradient in slow.values()))
    for name, gradient in slow.items():  # fp32: to 1e-6 of the largest
        assert torch.allclose(found[name], gradient, atol=1e-6 * largest, rtol=1e-5), name


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_the_head_is_read_at_the_chosen_positions_alone(share: float) -> None:
    made = network(60, 16, 2, 4)
    attention.use_packed(made)
    seen: list[int] = []
    made.lm_head.register_forward_hook(lambda _, given, __: seen.append(given[0].numel() // 16))
    examples = [TrainingExample(range(40), YES, 1.0), TrainingExample(range(17), NO, 1.0)]
    weight = {"language_weight": 1.0, "language_share": share} if share else {}
    read = reader(examples, **weight)
    read.losses(made, read.row((0, 1)), 0, Norms(2.0, 57), NONE, 0)
    assert seen == [2 + round(share * 55)]


def test_the_router_loss_is_that_of_transformers() -> None:
    logits = tuple(torch.randn(30, 6, requires_grad=True) for _ in range(3))
    ours = losses.router_loss(logits, 2, own=30, total=30)
    theirs = load_balancing_loss_func(logits, 6, 2)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)
    found = torch.autograd.grad(ours, logits[0])[0]
    assert torch.allclose(found, torch.autograd.grad(theirs, logits[0])[0], atol=1e-7)
    filled = tuple(torch.cat([part, torch.randn(4, 6)]) for part in logits)
    assert losses.router_loss(filled, 2, own=30, total=30).item() == pytest.approx(ours.item(), abs=1e-6)


def test_the_pair_head_is_a_cross_entropy_over_two_rows() -> None:
    logits = torch.randn(5, 40)
    targets = torch.tensor([YES, NO, NO, YES, NO])
    found = losses.verdict_losses(logits, targets, (YES, NO), head="pair")
    slow = [-torch.log_softmax(logits[n][[YES, NO]], 0)[int(targets[n] == NO)] for n in range(5)]
    assert torch.allclose(found, torch.stack(slow), atol=1e-6)
    full = losses.verdict_losses(logits, targets, (YES, NO), head="full")
    assert torch.allclose(full, -torch.log_softmax(logits, 1)[range(5), targets], atol=1e-6)


def test_rows_going_backward_alone_give_the_gradient_of_the_pairwise_term() -> None:
    made = network(30, 16, 2, 4)
    attention.use_packed(made)
    examples = [TrainingExample(range(n, n + 9), (YES, NO)[n % 2], 1.0, "task") for n in range(4)]
    read = reader(examples, pairwise_weight=1.0)
    pairs = [(good, bad) for good in (0, 2) for bad in (1, 3)]
    whole, zero = read.row(range(4)), dict.fromkeys(range(4), 0.0)
    output = made(
        input_ids=torch.tensor(whole.token_ids)[None], position_ids=torch.tensor(whole.position_ids)[None],
        document_ends=whole.ends, logits_to_keep=torch.tensor(whole.ends) - 1,
    )  # fmt: skip
    margins = losses.margins(output.logits[0], (YES, NO))
    expected = losses.pairwise(margins, pairs)
    expected.backward()
    slow = gradients(made)
    loss, slopes = losses.pairwise_slopes(margins, pairs)
    assert loss == pytest.approx(expected.item())
    by_member = dict(enumerate(slopes.tolist()))
    for first, members in ((0, (0, 1, 2)), (3, (3,))):
        found = read.losses(made, read.row(members), 0, Norms(1.0, 36), Slopes(loss, by_member), first)
        found.parts["pairwise"].backward()
    for name, gradient in gradients(made).items():
        assert torch.allclose(slow[name], gradient, atol=1e-6), name
    assert read.margins(made, whole) == pytest.approx(dict(enumerate(margins.tolist())), abs=1e-6)
    assert losses.pairwise_slopes(margins, [])[0] == sum(zero.values())


def test_slopes_are_not_rounded_to_the_precision_of_the_network() -> None:
    made = network(30, 16, 2, 4).to(torch.bfloat16)
    attention.use_packed(made)
    read = reader([TrainingExample(range(n, n + 9), YES, 1.0) for n in range(2)], pairwise_weight=1.0)
    slopes = {0: 0.3003, 1: -1.7007}
    row = read.row(range(2))
    found = read.losses(made, row, 0, Norms(2.0, 18), Slopes(0.0, slopes), 0).parts["pairwise"]
    margins = read.margins(made, row)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(sum(slopes[place] * margin for place, margin in margins.items()), rel=1e-6)
