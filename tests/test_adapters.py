"""Adapters change nothing at first, train alone, and are gone from what is saved."""

import sys

import pytest
import torch

from swe_rm import adapters, batch, model
from swe_rm.errors import MissingExtraError
from swe_rm.model import Shape, VerdictModel
from swe_rm.recipe import TrainConfig
from swe_rm.vocabulary import Vocabulary
from tests.conftest import TINY_POLICY

SHAPE = Shape(hidden=32, layers=2, heads=2, kv_heads=1, head_dim=16, experts=4, expert_width=16)


def config(**changes: object) -> TrainConfig:
    return TrainConfig.model_validate({"name": "t", "out": "x", "data": ["d"], **changes})


def tiny(vocabulary: Vocabulary) -> VerdictModel:
    return model.create(SHAPE, vocabulary, TINY_POLICY, name="tiny", seed=1)


def scores(made: VerdictModel) -> list[float]:
    sequences = [range(5, 60), range(9, 30)]
    (row,) = batch.rows(sequences, [0, 1], 4_096)
    return [value for pair in made.logprobs(row) for value in pair]


@pytest.mark.parametrize("experts", [False, True])
def test_merged_scores_are_the_unmerged_ones(vocabulary: Vocabulary, experts: bool) -> None:
    made = tiny(vocabulary)
    before = scores(made)
    tuner = adapters.choose(made.network, config(lora={"rank": 3, "experts": experts}))
    assert scores_through_peft(made) == pytest.approx(before, abs=1e-6)
    for name, parameter in made.network.named_parameters():
        assert parameter.requires_grad == ("lora_" in name)
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    apart = scores_through_peft(made)
    assert apart != pytest.approx(before, abs=1e-3)
    merged = VerdictModel(adapters.merge(made.network, tuner).eval(), vocabulary, made.card)
    assert scores(merged) == pytest.approx(apart, abs=1e-5)
    assert not any("lora" in name for name in merged.network.state_dict())


def scores_through_peft(made: VerdictModel) -> list[float]:
    """The whole forward with adapters beside the weights, sequence by sequence."""
    found = []
    for tokens in (range(5, 60), range(9, 30)):
        with torch.no_grad():
            logits = made.network(input_ids=torch.tensor([list(tokens)])).logits[0, -1]
        found += torch.log_softmax(logits, 0)[list(made.verdict_ids)].tolist()
    return found


def test_experts_are_adapted_on_request(vocabulary: Vocabulary) -> None:
    counts = []
    for experts in (False, True):
        made = tiny(vocabulary)
        adapters.choose(made.network, config(lora={"rank": 2, "experts": experts}))
        trained = [name for name, p in made.network.named_parameters() if p.requires_grad]
        assert any("experts" in name for name in trained) == experts
        counts.append(len(trained))
    assert counts == [2 * 4 * 2, 2 * 6 * 2]


def test_routers_can_be_frozen(vocabulary: Vocabulary) -> None:
    made = tiny(vocabulary)
    assert adapters.choose(made.network, config(freeze_router=True)) is None
    frozen = {name for name, p in made.network.named_parameters() if not p.requires_grad}
    assert frozen == {f"model.layers.{n}.mlp.gate.weight" for n in range(2)}


def test_adapters_are_drawn_by_seed(vocabulary: Vocabulary) -> None:
    drawn = []
    for seed in (1, 1, 2):
        made = tiny(vocabulary)
        adapters.choose(made.network, config(lora={"rank": 2}, seed=seed))
        drawn.append(next(p.sum().item() for name, p in made.network.named_parameters() if "lora_A" in name))
    assert drawn[0] == drawn[1] != drawn[2]


def test_without_peft_one_line_says_what_to_install(vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r"peft is not installed: pip install 'swe-rm\[train\]'"):
        adapters.choose(tiny(vocabulary).network, config(lora={"rank": 2}))
