"""How far two results of the same work are apart: answers, states, or training steps."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks import training_steps
from benchmarks.measure import GateError
from benchmarks.training_steps import Result, Tolerance

Gate = Callable[[Any, Any], float]
"""From what was found and what is right."""


def answers(found: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> float:
    """The largest difference of two lists of log-probabilities."""
    return max(abs(a - b) for ours, theirs in zip(found, right, strict=True) for a, b in zip(ours, theirs, strict=True))


def states(found: torch.Tensor, right: torch.Tensor) -> float:
    """The largest difference of two tensors as a share of the largest value."""
    return float((found.float() - right.float()).abs().max() / right.float().abs().max())


def steps(within: Tolerance) -> Gate:
    """0 where loss and gradients agree; 1 where they do not, after a line that says which."""

    def gate(found: Result, right: Result) -> float:
        try:
            training_steps.same(found, {"the first path": right}, within)
        except GateError as error:
            print(json.dumps({"apart": str(error)}))
            return 1.0
        return 0.0

    return gate
