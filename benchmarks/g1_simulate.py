"""G1: RL on 500 tasks x 32 logged attempts, 500 steps, 10 seeds, against the same written with PyTorch's autograd.

The peer trains a policy a seed, task by task, with the clipped loss of `gspo.GSPO` and the same draws. It does 5 steps
of one seed and is counted as often as makes the whole; of those steps its curve is ours.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Case, GateError
from swe_rm.gspo import GSPO, group_advantages
from swe_rm.logged_policy import Choices, Plan, draw, held_out_tasks, learn
from swe_rm.metrics import Floats

N_TASKS, RUNS, TRAITS = 500, 32, 75
PLAN = Plan()
STEPS = 5
PEER = "the same in PyTorch with autograd, seed by seed and task by task"


def case(folder: Path) -> Case:
    """Outcomes that some traits show, scores that follow the outcomes and another trait."""
    import torch
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    directions = rng.standard_normal((N_TASKS * RUNS, TRAITS))
    shown = directions[:, :5].sum(axis=1) / 3 + rng.standard_normal(len(directions))
    resolved = (shown > 0.3).astype(np.float64)
    scores = 1 / (1 + np.exp(-(resolved - 0.5 + 0.5 * directions[:, 6] + rng.standard_normal(len(directions)))))
    choices = Choices(np.repeat(np.arange(N_TASKS), RUNS), np.arange(N_TASKS), directions)
    return Case(
        title="reinforcement learning on a logged pool",
        amount=f"{N_TASKS} tasks x {RUNS} attempts, {PLAN.steps} steps, {PLAN.seeds} seeds",
        ours=lambda: learn(choices, scores, np.stack([resolved, scores]), PLAN).curves,
        peers={PEER: lambda: _autograd(choices, scores, resolved)},
        goals={},
        gate=_gate,
        counts={PEER: PLAN.steps * PLAN.seeds / STEPS},
    )


def _autograd(choices: Choices, scores: Floats, resolved: Floats) -> list[float]:
    """The resolve rate on held-out tasks before each of a few steps of the first seed."""
    import torch

    rng = np.random.default_rng([PLAN.seed, 0, 1])
    held = held_out_tasks(choices, PLAN, 0)
    taught, out = np.flatnonzero(~held), np.flatnonzero(held)
    tasks = torch.tensor(choices.directions).reshape(N_TASKS, RUNS, TRAITS)
    outcomes, rewards = torch.tensor(resolved).reshape(N_TASKS, RUNS), scores.reshape(N_TASKS, RUNS)
    weights = torch.zeros(TRAITS, dtype=torch.float64, requires_grad=True)
    curve = []
    for _ in range(STEPS):
        with torch.no_grad():
            chances = [torch.softmax(tasks[task] @ weights, 0) for task in out]
            curve.append(float(np.mean([float(p @ outcomes[t]) for p, t in zip(chances, out, strict=True)])))
        losses = []
        for place, points in zip(*draw(rng, len(taught), PLAN), strict=True):
            logprobs = torch.log_softmax(tasks[taught[place]] @ weights, 0)
            picks = np.searchsorted(np.cumsum(np.exp(logprobs.detach().numpy())), points, side="right").clip(
                0, RUNS - 1
            )
            above = torch.tensor(group_advantages(rewards[taught[place]][picks]))
            chosen = logprobs[picks][:, None]
            losses.append(GSPO(chosen, chosen.detach(), torch.ones_like(chosen), above).loss)
        torch.stack(losses).mean().backward()
        with torch.no_grad():
            weights -= PLAN.learning_rate * weights.grad
            weights.grad = None
    return curve


def _gate(ours: Any, theirs: Mapping[str, Any]) -> str:
    off = float(np.abs(ours[0, :STEPS, 0] - np.array(theirs[PEER])).max())
    if off > 1e-5:
        raise GateError(f"the curves differ by {off:.1e}")
    return f"equal curves over {STEPS} steps, largest difference {off:.0e}"
