"""E1: all figures of 500 tasks x 32 attempts with intervals of 10,000 draws of tasks, against the loops in use.

The loops are written anew from what is said of them: R2E-Gym draws K of a task's attempts 1,000 times for every K, tied
best ones counting with their mean; SWE-Gym shuffles 100 times and takes the first best; intervals come from a loop over
draws with scikit-learn in it. Every loop does a part and is counted as often as makes the whole; ours does the whole,
with more figures than theirs, on one core.
"""

import random
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Case, GateError
from swe_rm import metrics
from swe_rm.figures import Figures, pool_from
from swe_rm.resampling import resample

N_TASKS, RUNS, DRAWS, SEED = 500, 32, 10_000, 0
PART = 1000
"""The loops do one part in so many: 5 tasks and 100 trials for R2E-Gym's, 10 of 10,000 draws for scikit-learn."""
SWE_GYM_PART = 100
LOOPS = "the usual loops: R2E-Gym's RM@K, a loop over draws for each interval, scikit-learn in it"
SWE_GYM = "SWE-Gym's loop for RM@K alone, without an interval"
SKLEARN = "a loop over draws for the intervals of AUC, AP, ECE and RM@K, scikit-learn in it"


def case(folder: Path) -> Case:
    """A pool of one policy; scores of three digits, so that many tie."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    rng = np.random.default_rng(1)
    ease = rng.beta(0.6, 0.6, (N_TASKS, 1))
    resolved = rng.random((N_TASKS, RUNS)) < ease
    scores = 1 / (1 + np.exp(-(1.2 * (resolved - 0.5) + rng.normal(0, 1, resolved.shape) + 0.8 * (ease - 0.5))))
    scores = scores.round(3)
    return Case(
        title="metrics with intervals",
        amount=f"{N_TASKS} tasks x {RUNS} attempts, {DRAWS:,} draws of tasks, K = 1..{RUNS}",
        ours=lambda: _ours(scores, resolved),
        peers={
            LOOPS: lambda: {**_r2e_gym(scores[:5], resolved[:5], 100), **_draw_by_draw(scores, resolved, 10)},
            SWE_GYM: lambda: _swe_gym(scores[:50], resolved[:50], 10),
            SKLEARN: lambda: _draw_by_draw(scores, resolved, 10),
        },
        goals={LOOPS: 500.0},
        gate=lambda ours, theirs: _gate(scores, resolved, ours, theirs),
        counts={LOOPS: PART, SWE_GYM: SWE_GYM_PART, SKLEARN: PART},
    )


def _ours(scores: np.ndarray, resolved: np.ndarray) -> Any:
    tasks = np.repeat(np.array([f"task-{number:03d}" for number in range(N_TASKS)], dtype=np.object_), RUNS)
    policies = np.full(len(tasks), "policy", dtype=np.object_)
    pool = pool_from(tasks, policies, resolved.ravel())
    figures = Figures(pool, scores.ravel(), None)
    (drawn,) = resample([figures.resampler()], N_TASKS, DRAWS, SEED)
    return figures.metrics("ours"), drawn, figures.intervals(drawn)


def _r2e_gym(scores: np.ndarray, resolved: np.ndarray, trials: int) -> dict[str, Any]:
    """RM@K of each task by drawing, mean over the tasks."""
    rng, found = random.Random(0), []
    for values, outcomes in zip(scores.tolist(), resolved.tolist(), strict=True):
        curve = []
        for k in range(1, RUNS + 1):
            total = 0.0
            for _ in range(trials):
                chosen = rng.sample(range(RUNS), k)
                best = max(values[i] for i in chosen)
                total += np.mean([outcomes[i] for i in chosen if values[i] == best])
            curve.append(total / trials)
        found.append(curve)
    return {"rm": np.mean(found, axis=0)}


def _swe_gym(scores: np.ndarray, resolved: np.ndarray, trials: int) -> dict[str, Any]:
    rng, total = random.Random(0), np.zeros(RUNS)
    for _ in range(trials):
        for values, outcomes in zip(scores.tolist(), resolved.tolist(), strict=True):
            attempts = list(zip(values, outcomes, strict=True))
            for k in range(1, RUNS + 1):
                rng.shuffle(attempts)
                total[k - 1] += max(attempts[:k], key=lambda one: one[0])[1]
    return {"rm": total / (trials * len(scores))}


def _draw_by_draw(scores: np.ndarray, resolved: np.ndarray, draws: int) -> dict[str, Any]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng = np.random.default_rng(SEED)
    curves = metrics.rm_at_k_score(scores, resolved)
    found: dict[str, list[Any]] = {"auc": [], "average_precision": [], "ece": [], "rm_at_k": []}
    for _ in range(draws):
        drawn = rng.integers(0, N_TASKS, N_TASKS)
        values, outcomes = scores[drawn].ravel(), resolved[drawn].ravel()
        found["auc"].append(roc_auc_score(outcomes, values))
        found["average_precision"].append(average_precision_score(outcomes, values))
        found["ece"].append(_ece(values, outcomes))
        found["rm_at_k"].append(curves[drawn].mean(axis=0))
    return {name: np.array(values) for name, values in found.items()}


def _ece(scores: np.ndarray, resolved: np.ndarray) -> float:
    bins, error = np.minimum(9, np.floor(10 * scores)), 0.0
    for number in range(10):
        inside = bins == number
        if inside.any():
            error += inside.mean() * abs(scores[inside].mean() - resolved[inside].mean())
    return error


def _gate(scores: np.ndarray, resolved: np.ndarray, ours: Any, theirs: Mapping[str, Any]) -> str:
    from sklearn.metrics import average_precision_score, roc_auc_score

    figures, drawn, _ = ours
    flat, outcomes = scores.ravel(), resolved.ravel()
    worst = {"subsets": _against_subsets()}
    worst["scikit-learn"] = max(
        abs(figures.auc - roc_auc_score(outcomes, flat)),
        abs(figures.average_precision - average_precision_score(outcomes, flat)),
        abs(figures.ece - _ece(flat, outcomes)),
    )
    loops = theirs[LOOPS]
    n = len(loops["auc"])
    curves = np.stack([drawn[f"rm_at_k.{k}"][:n] for k in range(1, RUNS + 1)], axis=1)
    pairs = [(drawn["auc"][:n], loops["auc"]), (drawn["ece"][:n], loops["ece"]), (curves, loops["rm_at_k"])]
    worst["draws"] = max(float(np.abs(mine - other).max()) for mine, other in pairs)
    if any(difference > 1e-9 for difference in worst.values()):
        raise GateError(f"differences: {worst}")
    tangent = float(np.abs(drawn["average_precision"][:n] - loops["average_precision"]).max())
    if tangent > 0.005:
        raise GateError(f"the average precision of a draw is {tangent:.4f} off")
    exact = metrics.rm_at_k_score(scores, resolved)
    for name, rows, trials in ((LOOPS, 5, 100), (SWE_GYM, 50, 10)):
        off = float(np.abs(theirs[name]["rm"] - exact[:rows].mean(axis=0)).max())
        if off > 5 * 0.5 / np.sqrt(rows * trials):
            raise GateError(f"{name}: {off:.3f} from the expectation it estimates")
    said = ", ".join(f"{name} {difference:.0e}" for name, difference in worst.items())
    return f"largest differences: {said}; the average precision of a draw, along its tangent, {tangent:.0e}"


def _against_subsets() -> float:
    """The closed form of RM@K against all subsets of small tasks with ties."""
    rng = np.random.default_rng(2)
    scores, resolved = rng.integers(0, 4, (20, 8)) / 4, rng.random((20, 8)) < 0.5
    found, worst = metrics.rm_at_k_score(scores, resolved), 0.0
    for row in range(len(scores)):
        for k in range(1, 9):
            picked = []
            for subset in map(list, combinations(range(8), k)):
                best = scores[row, subset] == scores[row, subset].max()
                picked.append(resolved[row, subset][best].mean())
            worst = max(worst, abs(float(np.mean(picked)) - found[row, k - 1]))
    return worst
