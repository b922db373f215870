"""T2: a training step on one long attempt, every layer checkpointed: its memory, and the longest within a budget."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import training_steps
from benchmarks.measure import Case, Longest

VOCABULARY = 151_936
TOKENS = 2_048
BUDGET_MB = 256
LABELS = "transformers `labels=` with checkpointing"


def case(folder: Path) -> Case:
    """One sequence: nothing is padded on either side."""
    items = training_steps.examples([TOKENS], VOCABULARY)
    made = training_steps.network(VOCABULARY, checkpointed=True)
    steps = {"ours": training_steps.ours, LABELS: training_steps.with_labels}
    return Case(
        title="memory of a checkpointed training step, and the longest within a budget",
        amount=f"one sequence of {TOKENS:,} tokens; vocabulary {VOCABULARY:,}; one thread",
        ours=lambda: training_steps.ours(made, items),
        peers={LABELS: lambda: training_steps.with_labels(made, items)},
        goals={},
        gate=lambda mine, theirs: training_steps.same(mine, dict(theirs)),
        memory_goals={LABELS: 8.0},
        longest=Longest(BUDGET_MB, {side: _of_length(step, made) for side, step in steps.items()}, "tokens"),
    )


def _of_length(step: Callable[[Any, Any], Any], made: Any) -> Callable[[int], None]:
    def run(tokens: int) -> None:
        step(made, training_steps.examples([tokens], VOCABULARY))
        made.zero_grad()  # or the next run would find this one's gradients

    return run
