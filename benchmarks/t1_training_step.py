"""T1: one training step on the verdict token, against transformers' `labels=` and TRL's SFTTrainer."""

from pathlib import Path

from benchmarks import training_steps
from benchmarks.measure import Case

VOCABULARY = 151_936
LABELS = "transformers `labels=`, padded 4"
TRL = "TRL SFTTrainer as it runs on CPU, padded 4"
CUDA = "TRL SFTTrainer's CUDA branch (the head at the labels alone), padded 4"


def case(folder: Path) -> Case:
    """Eight sequences of log-normal length (median 364, sigma 0.5); the vocabulary of Qwen3."""
    sizes = training_steps.lengths(8, 364, 0.5, 1_088)
    items = training_steps.examples(sizes, VOCABULARY)
    shared, of_trl = (training_steps.network(VOCABULARY) for _ in range(2))
    trl = training_steps.Trl(of_trl, items)
    return Case(
        title="training step, equal loss and gradients",
        amount=f"8 sequences, {sum(sizes):,} tokens, the longest {max(sizes):,}; vocabulary {VOCABULARY:,}; one thread",
        ours=lambda: training_steps.ours(shared, items),
        peers={
            LABELS: lambda: training_steps.with_labels(shared, items),
            TRL: lambda: trl.step(as_on_cuda=False),
            CUDA: lambda: trl.step(as_on_cuda=True),
        },
        goals={LABELS: 10.0, TRL: 20.0, CUDA: 1.25},
        gate=lambda mine, theirs: training_steps.same(mine, dict(theirs)),
    )
