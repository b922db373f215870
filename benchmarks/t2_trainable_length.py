"""T2: memory of a training step on one long attempt, every layer checkpointed: what decides how long one can be."""

from pathlib import Path

from benchmarks import training_steps
from benchmarks.measure import Case

VOCABULARY = 151_936
TOKENS = 2_048
LABELS = "transformers `labels=` with checkpointing"


def case(folder: Path) -> Case:
    """One sequence: nothing is padded on either side."""
    items = training_steps.examples([TOKENS], VOCABULARY)
    made = training_steps.network(VOCABULARY, checkpointed=True)
    return Case(
        title="memory of a checkpointed training step",
        amount=f"one sequence of {TOKENS:,} tokens; vocabulary {VOCABULARY:,}; one thread",
        ours=lambda: training_steps.ours(made, items),
        peers={LABELS: lambda: training_steps.with_labels(made, items)},
        goals={},
        gate=lambda mine, theirs: training_steps.same(mine, dict(theirs)),
        memory_goals={LABELS: 8.0},
    )
