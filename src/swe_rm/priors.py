"""Resolve rates of policies and tasks in a pool: what knowing whose attempt it is, or at which task, says of it."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from swe_rm.metrics import auc_score

_Count = tuple[int, int]
"""(resolved attempts, attempts)."""


class Known(NamedTuple):
    """An attempt of known outcome, as the rates count it."""

    policy: str
    task: str
    resolved: bool


class Rates:
    """Attempts of known outcome, counted by policy, task and both."""

    def __init__(self, known: Iterable[Known]) -> None:
        self._policies: dict[str, _Count] = defaultdict(lambda: (0, 0))
        self._tasks: dict[str, _Count] = defaultdict(lambda: (0, 0))
        self._cells: dict[tuple[str, str], _Count] = defaultdict(lambda: (0, 0))
        self._all: _Count = (0, 0)
        for policy, task, resolved in known:
            self._policies[policy] = _plus(self._policies[policy], resolved)
            self._tasks[task] = _plus(self._tasks[task], resolved)
            self._cells[policy, task] = _plus(self._cells[policy, task], resolved)
            self._all = _plus(self._all, resolved)

    def policy_prior(self, policy: str, task: str) -> float:
        """The policy's rate on the other tasks; one seen on none has the rate of all attempts there, or 0.5."""
        found = _rate(self._policies[policy], self._cells[policy, task])
        return self._off_task(task) if found is None else found

    def task_prior(self, policy: str, task: str) -> float:
        """The other policies' rate on the task; one that no other tried has the rate of all other tasks, or 0.5."""
        found = _rate(self._tasks[task], self._cells[policy, task])
        return self._off_task(task) if found is None else found

    def policy_rate(self, policy: str) -> float:
        """The policy's rate on all tasks, this one included; 0.5 for one that is not there."""
        found = _rate(self._policies[policy], (0, 0))
        return 0.5 if found is None else found

    def _off_task(self, task: str) -> float:
        found = _rate(self._all, self._tasks[task])
        return 0.5 if found is None else found


def prior_auc(known: Iterable[Known], prior: Callable[[Rates, Known], float]) -> float | None:
    """AUC of a prior over the pool it is taken from; None where the pool has one outcome only."""
    rows = list(known)
    rates = Rates(rows)
    scores = np.array([prior(rates, row) for row in rows], dtype=np.float64)
    return auc_score(scores, np.array([row.resolved for row in rows], dtype=np.bool_))


def _plus(counted: _Count, resolved: bool) -> _Count:
    return counted[0] + resolved, counted[1] + 1


def _rate(counted: _Count, left_out: _Count) -> float | None:
    remaining = counted[1] - left_out[1]
    return (counted[0] - left_out[0]) / remaining if remaining else None
