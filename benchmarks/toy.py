"""The small Qwen3-MoE that scoring and training are measured on, and token ids for it to read."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from swe_rm import batch, experts, model, prefix
from swe_rm.verifiers.local import ROW_TOKENS

YES, NO = 11, 22
"""Rows of the head that answer."""

Ids = np.ndarray[Any, np.dtype[np.int64]]


def network(vocabulary: int, threads: int = 1) -> Any:
    """Hidden 256, 4 layers, 8 experts of 128 top-2, 8 heads of 32 over 2, fp32; on one thread.

    Other work on a shared machine moves one thread's times least. Weights are spread wider than transformers draws
    them, so that answers differ between inputs.
    """
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        vocab_size=vocabulary, hidden_size=256, num_hidden_layers=4, num_attention_heads=8, num_key_value_heads=2,
        head_dim=32, num_experts=8, num_experts_per_tok=2, moe_intermediate_size=128, intermediate_size=768,
        max_position_embeddings=65_536, norm_topk_prob=True, tie_word_embeddings=False, pad_token_id=0,
        eos_token_id=1, bos_token_id=2,
    )  # fmt: skip
    made = Qwen3MoeForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() >= 2:
                parameter.normal_(0, 0.05)
    return made


def stock(network: Any) -> Any:
    """The network as transformers loads it by itself: its SDPA, its grouped experts."""
    network.set_attn_implementation("sdpa")
    network.set_experts_implementation("grouped_mm")
    return network


def ours(network: Any) -> model.VerdictModel:
    """The network under our engine, without a vocabulary or a card."""
    made = object.__new__(model.VerdictModel)
    made.network, made.verdict_ids = network, (YES, NO)
    experts.use(network, "auto")
    return made


def sequences(lengths: Sequence[int], vocabulary: int, seed: int = 0) -> list[Ids]:
    """Token ids, evenly drawn."""
    dice = np.random.default_rng(seed)
    return [dice.integers(100, vocabulary, length) for length in lengths]


def log_normal(count: int, median: float, sigma: float, cap: int, seed: int = 0) -> list[int]:
    """Lengths with a long tail, in no order."""
    dice = np.random.default_rng(seed)
    return [min(cap, max(16, int(median * math.exp(sigma * draw)))) for draw in dice.standard_normal(count)]


def score(made: model.VerdictModel, inputs: Sequence[Ids], groups: Sequence[int] | None = None) -> list[float]:
    """P(YES) over both, as the verifier `local` reads a chunk."""
    found = [0.0] * len(inputs)
    experts.use(made.network, "auto")
    for trees in prefix.rows(inputs, ROW_TOKENS, groups=groups, crossover=made.crossover):
        row = prefix.row(trees, inputs)
        for member, pair in zip(row.members, made.logprobs(row), strict=True):
            found[member] = p_yes(*pair)
    return found


def alone(made: model.VerdictModel, inputs: Sequence[Ids]) -> list[float]:
    """The same, each sequence in a row of its own."""
    experts.use(made.network, "auto")
    return [p_yes(*made.logprobs(batch.row((0,), [ids]))[0]) for ids in inputs]


def p_yes(yes: float, no: float) -> float:
    return 1 / (1 + math.exp(no - yes))


def generate(network: Any, inputs: Sequence[Ids], size: int) -> list[float]:
    """transformers' recipe: `generate(max_new_tokens=1)`, batches in the order given, padded on the left."""
    found: list[float] = []
    with torch.inference_mode():
        for at in range(0, len(inputs), size):
            ids, mask = padded(inputs[at : at + size])
            made = stock(network).generate(
                ids, attention_mask=mask, max_new_tokens=1, do_sample=False, output_scores=True,
                return_dict_in_generate=True,
            )  # fmt: skip
            found += torch.softmax(made.scores[0][:, [YES, NO]].float(), -1)[:, 0].tolist()
    return found


def keep_one(network: Any, inputs: Sequence[Ids]) -> list[float]:
    """A forward with `logits_to_keep=1`, one by one: no padding, no mask, the causal kernel, no cache."""
    found = []
    with torch.inference_mode():
        for ids in inputs:
            tensor = torch.as_tensor(ids)[None]
            logits = stock(network)(input_ids=tensor, use_cache=False, logits_to_keep=1).logits[0, 0]
            found.append(torch.softmax(logits[[YES, NO]].float(), -1)[0].item())
    return found


def full_logits(network: Any, inputs: Sequence[Ids]) -> list[float]:
    """A forward with all its logits, one by one; the last row is looked at."""
    found = []
    with torch.inference_mode():
        for ids in inputs:
            logits = stock(network)(input_ids=torch.as_tensor(ids)[None], use_cache=False).logits[0, -1]
            found.append(torch.softmax(logits[[YES, NO]].float(), -1)[0].item())
    return found


def padded(inputs: Sequence[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, [sequences, longest], padded on the left."""
    longest = max(map(len, inputs))
    ids = torch.zeros(len(inputs), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(inputs):
        ids[row, longest - len(sequence) :] = torch.as_tensor(sequence)
        mask[row, longest - len(sequence) :] = 1
    return ids, mask


def differing(found: Sequence[float], wanted: Sequence[float], tolerance: float = 1e-5) -> float:
    """The largest difference of two lists of scores. Raises GateError above the tolerance, and where all are alike."""
    from benchmarks.measure import GateError

    most = max(abs(a - b) for a, b in zip(found, wanted, strict=True))
    if most > tolerance:
        raise GateError(f"scores differ by {most:.1e}")
    if len(wanted) > 1 and max(wanted) - min(wanted) < 1e-3:
        raise GateError("all scores are alike, so equal ones prove nothing")
    return most
