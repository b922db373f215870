"""A policy that chooses among logged attempts, trained with group advantages: many seeds at once, numpy alone.

At a group of attempts (those at a task) it takes attempt a with probability proportional to exp(w . traits of a). w is
shared by all groups, so what it learns at some tasks shows at others. It starts at w = 0, where every attempt is as
likely.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from swe_rm.gspo import group_advantages
from swe_rm.metrics import Flags, Floats, Ids, starts
from swe_rm.trajectory import Noun

FOLDS = 5
"""A seed learns on four fifths of the tasks and is measured on the others; five seeds in a row measure every task."""

_ALONE = 1 << 17
"""Multiplications in one product: OpenBLAS spreads larger ones over threads, which takes three times the processor time
for products of this shape, and longer where another process wants the cores."""


class Plan(Noun):
    """One course of training, repeated for several seeds."""

    steps: int = Field(default=500, ge=1)
    seeds: int = Field(default=10, ge=1)
    batch: int = Field(default=64, ge=1)
    """Groups drawn at a step, with replacement."""
    samples: int = Field(default=8, ge=2)
    """Attempts the policy samples at each, with replacement: the group whose rewards are compared."""
    learning_rate: float = Field(default=0.05, gt=0)
    """Of plain gradient ascent. Advantages are of size 1 whatever the reward's scale, so it has no unit."""
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True, eq=False)
class Choices:
    """What there is to choose from: n logged attempts in groups."""

    groups: Ids
    """(n,), ascending, no number left out."""
    tasks: Ids
    """(n_groups,): the task each group is at, no number left out; all groups of a task are held out together."""
    directions: Floats
    """(n, d): `traits.Traits.directions`."""

    @cached_property
    def starts(self) -> Ids:
        """Where each group begins: (n_groups,)."""
        return np.flatnonzero(starts(self.groups))

    @cached_property
    def ends(self) -> Ids:
        """Its last attempt: (n_groups,)."""
        return np.append(self.starts[1:], len(self.groups)) - 1

    @cached_property
    def _narrow(self) -> npt.NDArray[np.float32]:
        """The directions in single precision, which is twice as fast and moves a chance by a millionth."""
        return self.directions.astype(np.float32)

    def along(self, picks: Ids, shares: Floats) -> Floats:
        """Sums of the picks' directions, each by its share: (seeds, picks) twice -> (seeds, d)."""
        return np.asarray(np.matmul(shares[:, None].astype(np.float32), self._narrow[picks])[:, 0], np.float64)

    def chances(self, weights: Floats) -> npt.NDArray[np.float32]:
        """How likely each attempt is taken in its group: (seeds, d) -> (seeds, n)."""
        narrow = weights.astype(np.float32)
        columns = max(1, _ALONE // max(1, narrow.size))
        parts = range(0, len(self.groups), columns)
        logits = np.concatenate([narrow @ self._narrow[start : start + columns].T for start in parts], axis=1)
        logits -= np.maximum.reduceat(logits, self.starts, axis=1)[:, self.groups]
        np.exp(logits, out=logits)
        logits /= np.add.reduceat(logits, self.starts, axis=1)[:, self.groups]
        return np.asarray(logits)


class Learned(NamedTuple):
    """What became of the policies of all seeds."""

    held_out: Flags
    """(seeds, n_groups): where each is measured."""
    chances: npt.NDArray[np.float32]
    """(seeds, n) after the last step."""
    curves: Floats
    """(watched, steps + 1, seeds): mean over held-out groups of what the policy takes, at each step, from 0."""


def learn(choices: Choices, rewards: Floats, watched: Floats, plan: Plan) -> Learned:
    """Train one policy a seed on `rewards` (n,) and follow it on held-out tasks by the columns `watched` (watched, n).

    There must be at least two tasks. The course of a seed does not depend on how many seeds there are.
    """
    held_out = np.stack([held_out_tasks(choices, plan, seed)[choices.tasks] for seed in range(plan.seeds)])
    measured = (held_out / held_out.sum(axis=1, keepdims=True)).astype(np.float32)[:, choices.groups]
    seen = watched.astype(np.float32)
    dice = [np.random.default_rng([plan.seed, seed, 1]) for seed in range(plan.seeds)]
    taught = [np.flatnonzero(~out) for out in held_out]
    weights = np.zeros((plan.seeds, choices.directions.shape[1]))
    curves = np.empty((len(watched), plan.steps + 1, plan.seeds))
    chances = choices.chances(weights)
    for step in range(plan.steps):
        curves[:, step] = _followed(chances * measured, seen)
        drawn = [draw(rng, len(groups), plan) for rng, groups in zip(dice, taught, strict=True)]
        batch = np.stack([groups[places] for groups, (places, _) in zip(taught, drawn, strict=True)])
        picks = _picks(choices, chances, batch, np.stack([points for _, points in drawn]))
        weights += plan.learning_rate * _gradient(choices, picks, group_advantages(rewards[picks]))
        chances = choices.chances(weights)
    curves[:, plan.steps] = _followed(chances * measured, seen)
    return Learned(held_out, chances, curves)


def _followed(taken: npt.NDArray[np.float32], seen: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean of each column (watched, n) over what is taken (seeds, n): (watched, seeds)."""
    return np.stack([(taken * column).sum(axis=1) for column in seen])


def held_out_tasks(choices: Choices, plan: Plan, seed: int) -> Flags:
    """The tasks a seed is measured on, (n_tasks,): a fold of an order that is drawn anew every five seeds."""
    n_tasks = int(choices.tasks.max()) + 1
    order = np.random.default_rng([plan.seed, seed // FOLDS, 0]).permutation(n_tasks)
    found = np.zeros(n_tasks, dtype=np.bool_)
    found[order[seed % FOLDS % n_tasks :: FOLDS]] = True
    return found


def draw(rng: np.random.Generator, n_groups: int, plan: Plan) -> tuple[Ids, Floats]:
    """A step's luck: which groups (batch,), and points in [0, 1) that pick attempts there, (batch, samples)."""
    return rng.integers(0, n_groups, plan.batch), rng.random((plan.batch, plan.samples))


def _picks(choices: Choices, chances: npt.NDArray[np.float32], batch: Ids, points: Floats) -> Ids:
    """The attempts that points fall on: (seeds, batch) groups, (seeds, batch, samples) points -> the latter's shape.

    One search in the running sums over the attempts of all seeds finds every pick: a point falls at its share of what
    its group adds. Clipped, for rounding may lead past the last attempt.
    """
    n_seeds, n = chances.shape
    shift = n * np.arange(n_seeds)[:, None]
    running = np.append(0.0, np.cumsum(chances, dtype=np.float64))
    low, high = running[choices.starts[batch] + shift], running[choices.ends[batch] + shift + 1]
    sought = low[:, :, None] + points * (high - low)[:, :, None]
    found = np.searchsorted(running, sought.ravel(), side="right").reshape(sought.shape) - 1 - shift[:, :, None]
    return np.asarray(np.clip(found, choices.starts[batch][:, :, None], choices.ends[batch][:, :, None]))


def _gradient(choices: Choices, picks: Ids, advantages: Floats) -> Floats:
    """Mean of advantage times the gradient of log-probability over a step's samples: (seeds, d).

    That is the gradient of GSPO's and GRPO's gain alike, for every batch is used once and ratios are 1. The gradient of
    log-probability is the pick's traits less the policy's mean at the group, and the latter cancels: advantages of a
    group sum to 0.
    """
    n_seeds, n_samples = len(picks), picks[0].size
    return np.asarray(choices.along(picks.reshape(n_seeds, -1), advantages.reshape(n_seeds, -1)) / n_samples)
