"""Every way to compute the experts gives what transformers' loop gives, in both dtypes, at any number of tokens."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils import parametrize
from transformers import Qwen3MoeConfig
from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeForCausalLM

from swe_rm import experts

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


def network(n_experts: int = 6, each: int = 3) -> Qwen3MoeForCausalLM:
    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        vocab_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1, head_dim=16,
        num_experts=n_experts, num_experts_per_tok=each, moe_intermediate_size=16,
    )  # fmt: skip
    made = Qwen3MoeForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in made.model.layers[0].mlp.parameters():
            parameter.normal_(0, 0.3)
    return made


def answer(made: Qwen3MoeForCausalLM, way: experts.Experts, states: torch.Tensor) -> torch.Tensor:
    experts.use(made, way)
    with torch.inference_mode():
        return made.model.layers[0].mlp(states)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("way", ["auto", "sorted", "grouped_mm"])
@settings(max_examples=15, deadline=None)
@given(tokens=st.integers(1, 60), tile=st.integers(1, 70))
def test_an_implementation_is_the_eager_loop(way: experts.Experts, dtype: torch.dtype, tokens: int, tile: int) -> None:
    made = network().to(dtype)
    states = torch.randn(1, tokens, 16, generator=torch.Generator().manual_seed(tokens)).to(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experts, "TILE", tile)
        found = answer(made, way, states)
    wanted = answer(made, "eager", states)
    torch.testing.assert_close(found, wanted, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


def test_gradients_are_those_of_the_eager_loop() -> None:
    """Where there are gradients, `auto` is the grouped call, also in tiles."""
    made, states = network(), torch.randn(1, 40, 16)
    found = []
    for way, tile in (("eager", 99), ("auto", 99), ("auto", 16)):
        experts.use(made, way)  # type: ignore[arg-type]
        made.zero_grad()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(experts, "TILE", tile)
            made.model.layers[0].mlp(states).square().sum().backward()
        gradient = made.model.layers[0].mlp.experts.down_proj.grad
        assert gradient is not None
        found.append(gradient.clone())
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=1e-5, rtol=1e-4)


class Adapted(torch.nn.Module):
    """A parametrization as peft makes one beside a matrix; counts how often the whole is built."""

    built = 0

    def forward(self, matrix: torch.Tensor) -> torch.Tensor:
        Adapted.built += 1
        return matrix + 0.5


@pytest.mark.parametrize("gradients", [False, True])
def test_adapted_matrices_are_built_once_a_call(gradients: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without gradients by our loop, with them by grouped products, both in several tiles."""
    monkeypatch.setattr(experts, "TILE", 16)
    made, states = network(), torch.randn(1, 40, 16)
    for name in ("gate_up_proj", "down_proj"):
        parametrize.register_parametrization(made.model.layers[0].mlp.experts, name, Adapted())
    experts.use(made, "auto")
    Adapted.built = 0
    with torch.set_grad_enabled(gradients):
        made.model.layers[0].mlp(states)
    assert Adapted.built == 2


def test_a_batched_product_is_not_to_be_had() -> None:
    assert "batched_mm" not in experts.Experts.__args__  # type: ignore[attr-defined]
