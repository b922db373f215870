"""One training step, forward and backward, of a small Qwen3-MoE in four ways: swe-rm's, transformers' and TRL's two."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from benchmarks import toy
from benchmarks.measure import GateError
from benchmarks.toy import NO, YES
from swe_rm import attention, batch, experts
from swe_rm.parallel import ALONE
from swe_rm.reading import Norms, Reader, Slopes
from swe_rm.recipe import TrainConfig
from swe_rm.training_data import TrainingExample

ROW_TOKENS = 4_096
"""Tokens in flight of ours."""
PADDED = 4
"""Sequences of a padded batch of the peers."""
NO_SLOPES = Slopes(0.0, {})


class Result(NamedTuple):
    """What a step came to."""

    loss: float
    norm: float
    """Of all gradients."""
    gradient: Any
    """Of the first layer's queries."""


def lengths(n: int, median: float, sigma: float, longest: int) -> list[int]:
    """Log-normal lengths, the same each time."""
    dice = np.random.default_rng(1)
    return [int(min(longest, max(16, length))) for length in dice.lognormal(np.log(median), sigma, n)]


def examples(sizes: Sequence[int], vocabulary: int) -> list[TrainingExample]:
    """Sequences of random tokens, two of three answered YES."""
    dice = np.random.default_rng(2)
    tokens = [dice.integers(100, vocabulary, size, dtype=np.int32) for size in sizes]
    return [TrainingExample(ids, YES if number % 3 else NO, 1.0) for number, ids in enumerate(tokens)]


def network(vocabulary: int, *, checkpointed: bool = False) -> Any:
    """The small network with embedding and head frozen, as beside adapters."""
    made = toy.network(vocabulary)
    for part in (made.get_input_embeddings(), made.get_output_embeddings()):
        part.weight.requires_grad_(False)
    if checkpointed:
        renamed = getattr(made, "activation_checkpointing_enable", None)
        (renamed or made.gradient_checkpointing_enable)({"use_reentrant": False})
    return made.train()


def ours(made: Any, items: Sequence[TrainingExample], row_tokens: int = ROW_TOKENS) -> Result:
    """Packed rows, attention sequence by sequence, the head at the labels."""
    attention.use_packed(made)
    experts.use(made, "auto")
    made.zero_grad()
    config = TrainConfig.model_validate({"name": "t", "out": "x", "data": ["x"]})
    reader = Reader(config, items, (YES, NO), ALONE)
    sizes = [len(item.token_ids) for item in items]
    loss = 0.0
    for members in batch.best_fit(sizes, range(len(sizes)), row_tokens):
        found = reader.losses(made, reader.row(members), 0, Norms(len(items), sum(sizes)), NO_SLOPES, 0)
        found.total.backward()
        loss += found.total.item()
    return _result(made, loss)


def with_labels(made: Any, items: Sequence[TrainingExample]) -> Result:
    """transformers as its documentation has it: padded batches and `labels`."""
    import torch

    toy.stock(made).zero_grad()
    loss = 0.0
    for start in range(0, len(items), PADDED):
        rows = [[*item.token_ids, item.verdict_id] for item in items[start : start + PADDED]]
        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        labels = torch.full_like(ids, -100)
        for number, row in enumerate(rows):
            labels[number, len(row) - 1] = row[-1]
        output = made(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False)
        part = output.loss * len(rows) / len(items)
        part.backward()
        loss += part.item()
    return _result(made, loss)


class Trl:
    """TRL's SFTTrainer over the same sequences: its own batches, its own step."""

    def __init__(
        self,
        made: Any,
        items: Sequence[TrainingExample],
        *,
        size: int = PADDED,
        flat: bool = False,
        on_cpu: bool = True,
    ) -> None:
        """Batches of `size` sequences, padded or, `flat`, one after the other in a row (TRL's padding_free)."""
        os.environ["HF_DATASETS_OFFLINE"] = "1"
        from datasets import Dataset, disable_progress_bars
        from tokenizers import Tokenizer, models
        from transformers import PreTrainedTokenizerFast
        from trl import SFTConfig, SFTTrainer

        disable_progress_bars()
        words = Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 1, "<unk>": 2}, unk_token="<unk>"))
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<eos>")
        rows = [[*map(int, item.token_ids), item.verdict_id] for item in items]
        labels = [[-100] * (len(row) - 1) + row[-1:] for row in rows]
        settings = SFTConfig(
            output_dir=tempfile.mkdtemp(), per_device_train_batch_size=size, padding_free=flat,
            max_length=None if flat else max(map(len, rows)), report_to=[], use_cpu=on_cpu, bf16=False,
            gradient_checkpointing=made.is_gradient_checkpointing, max_steps=1,
            dataloader_pin_memory=False, router_aux_loss_coef=0.0, disable_tqdm=True,
        )  # fmt: skip
        data = Dataset.from_dict({"input_ids": rows, "labels": labels})
        self.trainer = SFTTrainer(model=made, args=settings, train_dataset=data, processing_class=tokenizer)
        self.batches = list(self.trainer.get_train_dataloader())
        self.trainer.current_gradient_accumulation_steps = 1
        self.made = made

    def step(self, *, as_on_cuda: bool) -> Result:
        """One step; where Triton runs TRL reads the head at the labels alone, and so it does `as_on_cuda`."""
        import torch

        self.made.zero_grad()
        n_labels = sum(int((batch["labels"] != -100).sum()) for batch in self.batches)
        loss = 0.0
        with _branch(as_on_cuda):
            for part in self.batches:
                loss += self.trainer.training_step(self.made, dict(part), torch.tensor(n_labels)).item()
        return _result(self.made, loss)


@contextmanager
def _branch(as_on_cuda: bool) -> Iterator[None]:
    import trl.trainer.utils

    module: Any = trl.trainer.utils
    kept = getattr(module, "_use_triton", None)  # 1.16 and later
    if as_on_cuda and kept:
        module._use_triton = lambda device: True
    try:
        yield
    finally:
        if kept:
            module._use_triton = kept


def _result(made: Any, loss: float) -> Result:
    import torch

    gradients = [p.grad for p in made.parameters() if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
    queries = [p.grad for name, p in made.named_parameters() if "layers.0.self_attn.q_proj" in name and p.requires_grad]
    return Result(loss, norm.item(), queries[-1].clone())


class Tolerance(NamedTuple):
    """How far steps may be apart, as a share of ours."""

    loss: float
    norm: float
    gradient: float
    """Of its largest value."""


FP32 = Tolerance(1e-6, 1e-5, 1e-4)
BF16 = Tolerance(1e-2, 0.1, 0.3)


def same(mine: Result, peers: dict[str, Result], within: Tolerance = FP32) -> str:
    """The gate: losses, norms of all gradients and one gradient agree."""
    for peer, theirs in peers.items():
        if abs(theirs.loss - mine.loss) > within.loss * mine.loss:
            raise GateError(f"the loss of {peer} is {theirs.loss!r}, ours {mine.loss!r}")
        if abs(theirs.norm - mine.norm) > within.norm * mine.norm:
            raise GateError(f"the gradient of {peer} has norm {theirs.norm!r}, ours {mine.norm!r}")
        apart = (theirs.gradient - mine.gradient).abs().max() / mine.gradient.abs().max()
        if apart > within.gradient:
            raise GateError(f"a gradient of {peer} is {apart:.1e} of its largest value away from ours")
    return f"loss {mine.loss:.6f} and norm of all gradients {mine.norm:.5f} are every side's"
