"""Updates too small for bf16 add up, and what is saved goes on exactly."""

import copy

import pytest
import torch

from swe_rm.master_weights import MasterWeights


def layer(dtype: torch.dtype) -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(6, 4).to(dtype)


def masters(network: torch.nn.Module, rate: float = 1e-2) -> MasterWeights:
    return MasterWeights(list(network.named_parameters()), rate=rate, decay=0.1)


def update(network: torch.nn.Linear, weights: MasterWeights, seed: int) -> None:
    given = torch.randn(3, 6, generator=torch.Generator().manual_seed(seed)).to(network.weight.dtype)
    network(given).float().square().sum().backward()
    weights.collect()
    weights.optimizer.step()
    network.zero_grad()


def test_small_updates_are_not_lost() -> None:
    network = layer(torch.bfloat16)
    weights = masters(network, rate=1e-5)
    before = weights.named()["weight"].clone()
    for seed in range(20):
        update(network, weights, seed)
    moved = (weights.named()["weight"] - before).abs()
    assert 0 < moved.min() < moved.max() < 1e-3
    assert torch.equal(network.weight, weights.named()["weight"].bfloat16())


def test_gradients_of_several_rows_add_up_in_fp32() -> None:
    network = layer(torch.bfloat16)
    weights = masters(network)
    for _ in range(3):
        network(torch.ones(1, 6, dtype=torch.bfloat16)).sum().backward()
        collected = weights.collect()
        assert network.weight.grad is None
    assert [master.dtype for master in collected] == [torch.float32] * 2
    assert collected[0].grad is not None
    assert torch.equal(collected[0].grad, torch.full((4, 6), 3.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_saved_state_goes_on_exactly(dtype: torch.dtype) -> None:
    network = layer(dtype)
    weights = masters(network)
    for seed in range(3):
        update(network, weights, seed)
    saved = copy.deepcopy((network.state_dict(), weights.optimizer.state_dict()))
    other = layer(dtype)
    other.load_state_dict(saved[0])
    again = masters(other)
    again.optimizer.load_state_dict(saved[1])
    for seed in range(3, 6):
        update(network, weights, seed)
        update(other, again, seed)
    for name, master in weights.named().items():
        assert torch.equal(master, again.named()[name])
    assert torch.equal(network.weight, other.weight)


def test_fp32_weights_are_their_own_masters_and_scales_do_not_decay() -> None:
    network = layer(torch.float32)
    weights = masters(network)
    assert weights.named()["weight"].data_ptr() == network.weight.data_ptr()
    decays = {
        tuple(p.shape): group["weight_decay"] for group in weights.optimizer.param_groups for p in group["params"]
    }
    assert decays == {(4, 6): 0.1, (4,): 0.0}
