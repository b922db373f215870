"""The engine on one GPU at full size: the configuration of Qwen3-30B-A3B with random weights made on the card.

    python -m benchmarks.h200 attn        # back ends, forward; 8k, 32k, 128k
    python -m benchmarks.h200 experts     # one layer's experts; 512, 8k, 64k
    python -m benchmarks.h200 score       # one trajectory, against stock transformers
    python -m benchmarks.h200 pack        # 64 of the real length mix, against padded batches
    python -m benchmarks.h200 train       # one LoRA step, against TRL
    python -m benchmarks.h200 score --tiny  # any part at a small size, on CPU too

Run the parts apart and in this order, each takes under ten minutes. Every row is a JSON line with what was reached of
the limit; a path that fails prints its error and the next one runs. The first path of a part says what is right: one
that gives something else is not timed, and the exit code is 1. Speed needs no trained weights, but a trained router is
less even than a random one: the spread of the load is printed.
"""

import argparse
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch

from benchmarks import apart, training_steps
from benchmarks.toy import NO, YES, padded
from swe_rm import adapters, attention, batch, experts, model, prefix
from swe_rm.attention import Backend
from swe_rm.batch import Span
from swe_rm.recipe import TrainConfig

MATMUL = 790e12
"""FLOP/s of bf16 matrix products measured on an H200: the limit every row is held against."""
FULL = {
    "vocab_size": 151_936, "hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 32,
    "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128, "num_experts_per_tok": 8,
    "moe_intermediate_size": 768, "intermediate_size": 6144, "max_position_embeddings": 262_144,
}  # fmt: skip
TINY = {
    **FULL, "vocab_size": 4096, "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 32, "num_experts": 8, "num_experts_per_tok": 2,
    "moe_intermediate_size": 64, "intermediate_size": 256,
}  # fmt: skip
LENGTHS = {
    "attn": [8_192, 32_768, 131_072],
    "experts": [512, 8_192, 65_536],
    "score": [8_192, 32_768, 65_536, 131_072],
    "pack": [],
    "train": [8_192, 32_768],
}
MIX = [
    (0, 1_000), (0.05, 2_703), (0.25, 8_459), (0.5, 14_779), (0.75, 29_304), (0.9, 64_875), (0.95, 90_079),
    (1, 130_000),
]  # fmt: skip
"""Tokens of public labelled trajectories by quantile (characters over 4), log-linear in between."""
WITHIN = {torch.float32: 1e-4, torch.bfloat16: 0.1}
"""How far a log-probability, or a state as a share of the largest, may be from the first path's."""
ROOM_GIB = 80
"""What 256k tokens are to be scored within, weights and all."""


class Bench(NamedTuple):
    """What a run was asked for, and where it runs."""

    device: torch.device
    tiny: bool
    lengths: Sequence[int]
    rounds: int
    count: int
    failed: list[str]
    """Paths that gave something else than the first."""

    @property
    def dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.device.type == "cuda" else torch.float32

    @property
    def shape(self) -> dict[str, int]:
        return TINY if self.tiny else FULL


def main(arguments: Sequence[str]) -> int:
    """Run one part."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.h200")
    parser.add_argument("part", choices=LENGTHS)
    parser.add_argument("--lens", type=int, nargs="+")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--n", type=int, default=64, help="Trajectories of `pack`.")
    asked = parser.parse_args(arguments)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    lengths = asked.lens or ([256] if asked.tiny else LENGTHS[asked.part])
    bench = Bench(device, asked.tiny, lengths, asked.rounds, asked.n, [])
    said = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    print(json.dumps({"part": asked.part, "torch": torch.__version__, "device": said, "tiny": asked.tiny}))
    {"attn": attn, "experts": one_block, "score": score, "pack": pack, "train": train}[asked.part](bench)
    return int(bool(bench.failed))


def attn(bench: Bench) -> None:
    """Causal attention alone, whole and as two documents, by back end."""
    shape = bench.shape
    heads, kv_heads, dim = (shape[key] for key in ("num_attention_heads", "num_key_value_heads", "head_dim"))
    for length in bench.lengths:
        sizes = ((heads, length), (kv_heads, length), (kv_heads, length))
        query, key, value = (torch.randn(1, n, t, dim, device=bench.device, dtype=bench.dtype) for n, t in sizes)
        for name, cut in (("whole", [length]), ("two documents", [length // 2, length])):
            runs = attention.pieces([Span(a, b) for a, b in zip([0, *cut[:-1]], cut, strict=True)])
            flop = sum(2 * (b - a) ** 2 * heads * dim for (a, b) in (piece.queries for piece in runs))
            work = Work(flop, length, apart.states)
            right = None
            for backend in attention.offered(bench.device):
                if backend == "eager" and length > 8_192:
                    continue
                run = _attention(backend, query, key, value, runs, dim**-0.5)
                right = _row(bench, f"{backend}, {name}", run, work, right)


def _attention(backend: Backend, *inputs: Any) -> Callable[[], Any]:
    return lambda: attention.attend(backend)(*inputs)


def one_block(bench: Bench) -> None:
    """One layer's experts, by implementation."""
    network = _network(bench, layers=1)
    block = network.model.layers[0].mlp
    shape = bench.shape
    each = 3 * shape["hidden_size"] * shape["moe_intermediate_size"] * shape["num_experts_per_tok"]
    for length in bench.lengths:
        states = torch.randn(1, length, shape["hidden_size"], device=bench.device, dtype=bench.dtype)
        chosen = block.gate(states)[2]
        load = torch.bincount(chosen.flatten(), minlength=shape["num_experts"]).float()
        print(json.dumps({"tokens": length, "largest_load": round(float(load.max() / load.mean()), 2)}))
        right = None
        for way in ("grouped_mm", "auto", "eager", "sorted"):
            experts.use(network, way)  # type: ignore[arg-type]
            run = torch.inference_mode()(partial(block, states))
            right = _row(bench, way, run, Work(2 * length * each, length, apart.states), right)


def score(bench: Bench) -> None:
    """One trajectory, against stock transformers."""
    network = _network(bench)
    made = _engine(network)
    for length in bench.lengths:
        ids = torch.randint(100, bench.shape["vocab_size"], (1, length), device=bench.device)
        row = batch.row((0,), [ids[0].cpu().numpy()])
        work = Work(_flop(bench.shape, [length]), length, apart.answers)
        sides = {
            "stock forward logits_to_keep=1": lambda ids=ids: [_stock(network, ids)],
            "stock generate(max_new_tokens=1)": lambda ids=ids: [_generate(network, ids)],
            "ours": lambda row=row: made.logprobs(row),
        }
        right = None
        for name, run in sides.items():
            (experts.use(network, "auto") if name == "ours" else _as_stock(network))
            right = _row(bench, name, run, work, right)


def pack(bench: Bench) -> None:
    """Trajectories of the real length mix: padded in file order, one by one, and ours."""
    network = _network(bench)
    made = _engine(network)
    lengths = [max(16, length // (64 if bench.tiny else 1)) for length in mixed_lengths(bench.count)]
    dice = torch.Generator().manual_seed(1)
    inputs = [torch.randint(100, bench.shape["vocab_size"], (n,), generator=dice).numpy() for n in lengths]
    flop, tokens = _flop(bench.shape, lengths), sum(lengths)
    print(json.dumps({"trajectories": len(lengths), "tokens": tokens, "longest": max(lengths)}))

    def ours() -> list[tuple[float, float]]:
        found = [(0.0, 0.0)] * len(inputs)
        for trees in prefix.rows(inputs, 8_192):
            row = prefix.row(trees, inputs)
            for member, pair in zip(row.members, made.logprobs(row), strict=True):
                found[member] = pair
        return found

    work = Work(flop, tokens, apart.answers)
    _as_stock(network)
    alone = lambda: [_stock(network, _tensor(ids, bench)) for ids in inputs]  # noqa: E731
    right = _row(bench, "stock one by one", alone, work, None)
    _row(bench, "stock padded 2, file order", lambda: _padded(network, inputs, 2, bench), work, right)
    experts.use(network, "auto")
    _row(bench, "ours", ours, work, right)


def train(bench: Bench) -> None:
    """One LoRA step on the attention of all layers, checkpointed, against TRL: one attempt, then four in a row."""
    network = _network(bench)
    lora = {"name": "t", "out": "x", "data": ["x"], "lora": {"rank": 16}}
    adapters.choose(network, TrainConfig.model_validate(lora))
    for name, parameter in network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)  # at zero the other factor has no gradient to compare
    network.train().gradient_checkpointing_enable({"use_reentrant": False})
    within = training_steps.FP32 if bench.dtype == torch.float32 else training_steps.BF16
    for length in bench.lengths:
        for count, name in ((1, "one attempt"), (4, "four packed")):
            items = training_steps.examples([length // count] * count, bench.shape["vocab_size"])
            work = Work(_training_flop(bench.shape, [length // count] * count), length, apart.steps(within))
            _as_stock(network)
            right = _row(bench, f"TRL SFTTrainer, {name}", _trl(network, items, bench), work, None)
            _row(bench, f"ours, {name}", partial(training_steps.ours, network, items, length), work, right)


def _trl(network: Any, items: Sequence[Any], bench: Bench) -> Callable[[], Any]:
    """TRL's step as it is on CUDA; its trainer is made at the first one, so that what it lacks is that path's error."""
    on_cpu = bench.device.type == "cpu"
    made: list[training_steps.Trl] = []

    def step() -> Any:
        if not made:
            made.append(training_steps.Trl(network, items, size=len(items), flat=len(items) > 1, on_cpu=on_cpu))
        return made[0].step(as_on_cuda=True)

    return step


def _training_flop(shape: dict[str, int], lengths: Sequence[int]) -> float:
    """Of a step with every layer checkpointed: matrix products three times, attention four and a half."""
    attended = 2 * shape["num_hidden_layers"] * shape["num_attention_heads"] * shape["head_dim"]
    causal = sum(attended * length**2 for length in lengths)
    return 3 * (_flop(shape, lengths) - causal) + 4.5 * causal


def mixed_lengths(count: int, seed: int = 0) -> list[int]:
    """Lengths in tokens, drawn from MIX."""
    dice, found = random.Random(seed), []
    for _ in range(count):
        share = dice.random()
        (x0, low), (x1, high) = next(pair for pair in pairwise(MIX) if share <= pair[1][0])
        found.append(int(math.exp(math.log(low) + (share - x0) / (x1 - x0) * math.log(high / low))))
    return found


def _flop(shape: dict[str, int], lengths: Sequence[int]) -> float:
    """Of one forward: matrix products and causal attention, without the head."""
    mixed = shape["num_attention_heads"] * shape["head_dim"]
    projections = 2 * shape["hidden_size"] * (mixed + shape["num_key_value_heads"] * shape["head_dim"])
    expert = 3 * shape["hidden_size"] * shape["moe_intermediate_size"] * shape["num_experts_per_tok"]
    body = shape["num_hidden_layers"] * (projections + expert + shape["hidden_size"] * shape["num_experts"])
    return float(sum(2 * body * t + 2 * shape["num_hidden_layers"] * mixed * t**2 for t in lengths))


def _network(bench: Bench, layers: int | None = None) -> Any:
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    shape = {**bench.shape, **({"num_hidden_layers": layers} if layers else {})}
    config = Qwen3MoeConfig(**shape, norm_topk_prob=True, tie_word_embeddings=False, pad_token_id=0)
    torch.manual_seed(0)
    with _default(bench.dtype), torch.device(bench.device):
        network = Qwen3MoeForCausalLM(config).eval()
    for layer in network.model.layers:
        layer.mlp.gate.weight.data.normal_(0, 0.05)
    return network


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _engine(network: Any) -> model.VerdictModel:
    made = object.__new__(model.VerdictModel)
    made.network, made.verdict_ids = network, (YES, NO)
    return made


def _as_stock(network: Any) -> None:
    network.set_attn_implementation("sdpa")
    network.set_experts_implementation("grouped_mm")


def _stock(network: Any, ids: torch.Tensor) -> list[float]:
    with torch.inference_mode():
        return _answer(network(input_ids=ids, use_cache=False, logits_to_keep=1).logits[0, 0])


def _generate(network: Any, ids: torch.Tensor) -> list[float]:
    with torch.inference_mode():
        scores = network.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=1, do_sample=False, output_scores=True,
            return_dict_in_generate=True,
        ).scores  # fmt: skip
    return _answer(scores[0][0])


def _answer(logits: torch.Tensor) -> list[float]:
    found: list[float] = torch.log_softmax(logits.float(), -1)[[YES, NO]].tolist()
    return found


def _tensor(ids: Any, bench: Bench) -> torch.Tensor:
    return torch.as_tensor(ids, device=bench.device)[None]


def _padded(network: Any, inputs: Sequence[Any], size: int, bench: Bench) -> list[list[float]]:
    found = []
    for at in range(0, len(inputs), size):
        ids, mask = (tensor.to(bench.device) for tensor in padded(inputs[at : at + size]))
        with torch.inference_mode():
            logits = network(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=1).logits
        found += [_answer(row[0]) for row in logits]
    return found


class Work(NamedTuple):
    """What a path is to do."""

    flop: float
    tokens: int
    gate: apart.Gate


def _row(bench: Bench, name: str, run: Callable[[], Any], work: Work, right: Any) -> Any:
    """Run one path, hold it against what is right, time it and print its line; what is right from here on."""
    where = {"path": name, "tokens": work.tokens}
    try:
        found = run()
        if right is not None and not _held(bench, where, work.gate(found, right)):
            return right
        seconds, memory = _timed(bench, run)
    except (RuntimeError, ValueError, NotImplementedError, ImportError) as error:
        if bench.device.type == "cuda":
            torch.cuda.empty_cache()
        print(json.dumps({**where, "error": f"{type(error).__name__}: {str(error)[:160]}"}))
        return right
    speed = {"ms": round(1e3 * seconds, 2), "tflops": round(work.flop / seconds / 1e12, 2)}
    reached = {"of_limit": round(work.flop / seconds / MATMUL, 4), "tokens_per_second": round(work.tokens / seconds)}
    print(json.dumps({**where, **speed, **reached, **memory}), flush=True)
    return found if right is None else right


def _held(bench: Bench, where: dict[str, Any], difference: float) -> bool:
    held = difference <= WITHIN[bench.dtype]  # false for NaN
    print(json.dumps({**where, "gate": "as the first path", "difference": difference, "held": held}))
    if not held:
        bench.failed.append(str(where["path"]))
    return held


def _timed(bench: Bench, run: Callable[[], Any]) -> tuple[float, dict[str, Any]]:
    """Median seconds, and memory at the peak: GiB beyond what was there before, and whether all of it keeps in room."""
    on_gpu = bench.device.type == "cuda"
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() if on_gpu else 0
    times = []
    for _ in range(bench.rounds):
        started = time.perf_counter()
        run()
        if on_gpu:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    peak = torch.cuda.max_memory_allocated() if on_gpu else None
    memory = {
        "extra_gib": None if peak is None else round((peak - before) / 2**30, 2),
        f"within_{ROOM_GIB}_gib": None if peak is None else peak <= ROOM_GIB * 2**30,
    }
    return statistics.median(times), memory


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
