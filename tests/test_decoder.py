"""The verdict forward agrees with the slow twin however a row is cut, shared, branched, tiled or computed."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from swe_rm import attention, batch, model, prefix
from swe_rm.decoder import Tiles
from tests.test_model import SEQUENCES, eager_twin

BF16 = 0.05
"""Most a log-probability of the tiny model may move in bf16, whatever the path."""


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint: Path) -> model.VerdictModel:
    return model.load(tiny_checkpoint)


@pytest.fixture(scope="module")
def half(tiny_checkpoint: Path) -> model.VerdictModel:
    return model.load(tiny_checkpoint, dtype="bfloat16")


@pytest.fixture(scope="module")
def twins(tiny: model.VerdictModel, tiny_checkpoint: Path) -> list[list[float]]:
    return [eager_twin(tiny_checkpoint, sequence, tiny.verdict_ids) for sequence in SEQUENCES]


@settings(max_examples=15, deadline=None)
@given(
    order=st.permutations(range(len(SEQUENCES))),
    budget=st.integers(1, 200),
    share=st.booleans(),
    tokens=st.integers(1, 200),
    queries=st.one_of(st.none(), st.integers(1, 200)),
    backend=st.sampled_from([None, "eager", "sdpa"]),
    data=st.data(),
)
def test_nothing_but_rounding_moves_an_answer(
    tiny: model.VerdictModel,
    half: model.VerdictModel,
    twins: list[list[float]],
    order: list[int],
    budget: int,
    share: bool,
    tokens: int,
    queries: int | None,
    backend: attention.Backend | None,
    data: st.DataObject,
) -> None:
    """All of SEQUENCES begin alike, so that they can share; the twin read each alone, eager, with all its logits."""
    chosen = [SEQUENCES[index] for index in order]
    groups = [0] * len(chosen) if share else None
    for one, tolerance in ((tiny, 1e-5), (half, BF16)):
        one.attention = backend
        for trees in prefix.rows(chosen, budget, groups=groups):
            row = prefix.row(trees, chosen)
            for member, answer in zip(row.members, one.logprobs(row, Tiles(tokens, queries)), strict=True):
                assert answer == pytest.approx(twins[order[member]], abs=tolerance)


def test_the_whole_network_reads_a_tree_alike(tiny: model.VerdictModel) -> None:
    """transformers' own forward over the same spans: the verdict forward leaves out only what no verdict needs."""
    row = prefix.row([prefix.Tree((0, 2, 4), 10), prefix.Tree((1,))], SEQUENCES)
    tiny.attention = None
    with torch.inference_mode():
        states = tiny.hidden(row)[torch.tensor(row.ends) - 1]
        wanted = torch.log_softmax(tiny.network.lm_head(states), -1)[:, list(tiny.verdict_ids)]
    assert tiny.logprobs(row) == [pytest.approx(pair, abs=1e-5) for pair in wanted.tolist()]


@settings(max_examples=15, deadline=None)
@given(ends=st.lists(st.integers(1, 90), min_size=1, max_size=6), data=st.data())
def test_the_answer_after_each_turn_is_that_of_the_log_so_far_scored_alone(
    tiny: model.VerdictModel, ends: list[int], data: st.DataObject
) -> None:
    log = SEQUENCES[4]
    suffixes = [tuple(data.draw(st.lists(st.integers(5, 300), min_size=1, max_size=9))) for _ in ends]
    found = tiny.turn_logprobs(log, ends, suffixes)
    for end, suffix, answer in zip(ends, suffixes, found, strict=True):
        (row,) = batch.rows([(*log[:end], *suffix)], [0], 1)
        assert answer == pytest.approx(tiny.logprobs(row)[0], abs=1e-5)


def test_a_turn_ends_in_its_log_and_has_a_suffix(tiny: model.VerdictModel) -> None:
    with pytest.raises(ValueError, match="outside the log"):
        tiny.turn_logprobs((1, 2, 3), [4], [(5,)])
    with pytest.raises(ValueError, match="suffix is empty"):
        tiny.turn_logprobs((1, 2, 3), [2], [()])


LONG = """
import sys, time, torch
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM
from swe_rm import batch, experts, model
from swe_rm.decoder import Tiles
config = Qwen3MoeConfig(vocab_size=151_936, hidden_size=256, num_hidden_layers=4, num_attention_heads=8,
    num_key_value_heads=2, head_dim=32, num_experts=8, num_experts_per_tok=2, moe_intermediate_size=128)
torch.manual_seed(0)
tested = object.__new__(model.VerdictModel)
tested.network, tested.verdict_ids, tested.card = Qwen3MoeForCausalLM(config).eval(), (11, 22), None
experts.use(tested.network, "auto")
queries = int(sys.argv[2]) or None
(row,) = batch.rows([tuple(i % 151_936 for i in range(int(sys.argv[1])))], [0], 1)
(answer,) = tested.logprobs(row, Tiles(queries or 16_384, queries))
peak = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) // 1024
print(peak, answer[0])
"""


def long_attempt(tokens: int, queries: int) -> tuple[int, float]:
    """Peak of a whole process in MiB, and the answer."""
    command = [sys.executable, "-c", LONG, str(tokens), str(queries)]
    peak, answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(peak), float(answer)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_an_attempt_of_32k_tokens_scores_within_8_gb() -> None:
    """Measured 1.0 GB, weights and libraries among them; a mask of 32k x 32k in fp32 alone would be 4.3."""
    peak, answer = long_attempt(32_768, 0)
    assert peak < 8_000
    tiled, same = long_attempt(32_768, 2_048)
    assert tiled < peak
    assert same == pytest.approx(answer, abs=1e-4)
