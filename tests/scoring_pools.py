"""Pools of scored attempts made by hand or by dice, for the tests of what is measured on them."""

import random
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from swe_rm.evaluate import Report, measure
from swe_rm.scored import Scored
from swe_rm.trajectory import Outcome


class Row(NamedTuple):
    """One attempt; a score of None is no verdict."""

    task: str
    policy: str
    resolved: bool | None
    score: float | None
    length: float = 100.0
    mass: float | None = None
    seconds: float | None = None
    cut: float | None = None
    raw: float | None = None


def scored(rows: Iterable[Row], verifier: str = "made@1") -> Scored:
    """The rows as columns; ids count in the order given."""
    rows = list(rows)
    outcomes = {True: Outcome.RESOLVED, False: Outcome.UNRESOLVED, None: Outcome.UNKNOWN}

    def names(values: Sequence[Any]) -> Any:
        return np.array(values, dtype=np.object_)

    def figures(values: Sequence[float | None]) -> Any:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    return Scored(
        attempt_ids=names([f"a{number:06d}" for number in range(len(rows))]),
        tasks=names([row.task for row in rows]),
        policies=names([row.policy for row in rows]),
        attempts=names([str(number) for number in range(len(rows))]),
        repos=names([row.task.split("-")[0] for row in rows]),
        sources=names(["made"] * len(rows)),
        scaffolds=names(["loop"] * len(rows)),
        outcomes=names([outcomes[row.resolved] for row in rows]),
        scores=figures([row.score for row in rows]),
        raw_scores=figures([row.score if row.raw is None else row.raw for row in rows]),
        verdict_mass=figures([row.mass for row in rows]),
        prompt_tokens=figures([None] * len(rows)),
        truncated_tokens=figures([row.cut for row in rows]),
        seconds=figures([row.seconds for row in rows]),
        lengths=figures([row.length for row in rows]),
        verifier=verifier,
    )


def measured(rows: Iterable[Row], **options: Any) -> Report:
    """The report on the rows, with few draws."""
    return measure(scored(rows), **{"resamples": 200, **options})


def drawn(n_tasks: int = 40, runs: int = 8, signal: float = 0.3, seed: int = 0, policy: str = "mill") -> list[Row]:
    """Attempts of one policy whose scores know something of the outcome."""
    rng = random.Random(seed)
    rows = []
    for task in range(n_tasks):
        ease = rng.random()
        for _ in range(runs):
            resolved = rng.random() < ease
            score = min(1.0, max(0.0, 0.35 + signal * resolved + rng.gauss(0, 0.15)))
            rows.append(Row(f"pump-{task}", policy, resolved, score, length=rng.randint(50, 5000)))
    return rows
