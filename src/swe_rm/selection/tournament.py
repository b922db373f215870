"""A pairwise tournament: every candidate of a task meets every other, and the share of contests won is its score."""

import inspect
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from swe_rm.errors import VerifierError
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Verdict
from swe_rm.verifiers import load_attribute

Contest = Callable[[int, int], float]
"""P(the candidate at the first place is better than the one at the second), 0.5 for a draw."""


class Pairwise(Protocol):
    """A judge of two candidates for one task."""

    @property
    def name(self) -> str:
        """name@version."""
        ...

    def __call__(self, first: Trajectory, second: Trajectory, /) -> float:
        """P(the first is better). Raises VerifierError where it cannot say."""
        ...


def won(table: Sequence[Sequence[float]]) -> list[float]:
    """The share of contests each candidate won, draws half: [n][n] -> [n]. One alone has 0.5.

    Everyone meets everyone: who beats whom in a knock-out depends on the draw, this does not.
    """
    n = len(table)
    if n == 1:
        return [0.5]
    return [math.fsum(row[j] for j in range(n) if j != i) / (n - 1) for i, row in enumerate(table)]


def contests(aspects: Sequence[Sequence[float]]) -> list[list[float]]:
    """Contests on several aspects, [aspects][n] -> [n][n]: who leads on more of them wins.

    Where they lead on equally many the first aspect decides; equal there too is a draw.
    """

    def result(i: int, j: int) -> float:
        leads = [(values[i] > values[j]) - (values[i] < values[j]) for values in aspects]
        balance = sum(leads) or leads[0]
        return 0.5 + 0.5 * ((balance > 0) - (balance < 0))

    n = len(aspects[0])
    return [[result(i, j) for j in range(n)] for i in range(n)]


class Tournament:
    """The verifier that a pairwise judge makes: an attempt's score is the share of its task's contests it wins.

    A group verifier: what it says of an attempt depends on which others it is given, so a task's candidates belong
    into one call. Each pair is judged in both orders, for judges prefer a place.
    """

    judges_together = True

    def __init__(self, judge: Pairwise) -> None:
        self._judge = judge

    @property
    def name(self) -> str:
        """tournament(name@version of the judge)."""
        return f"tournament({self._judge.name})"

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """One verdict for each trajectory. Raises VerifierError where the judge gives no probability."""
        groups: dict[str, list[Trajectory]] = defaultdict(list)
        for trajectory in trajectories:
            groups[trajectory.task.instance_id].append(trajectory)
        return [
            Verdict(attempt_id=trajectory.attempt_id, score=share, raw_score=share, verifier=self.name)
            for group in groups.values()
            for trajectory, share in zip(group, self.shares(group), strict=True)
        ]

    def shares(self, group: Sequence[Trajectory]) -> list[float]:
        """The share of contests won by each of one task's candidates."""
        n = len(group)
        table = [[0.5] * n for _ in range(n)]
        for i in range(n):
            for j in range(i + 1, n):
                better = (self._said(group[i], group[j]) + 1 - self._said(group[j], group[i])) / 2
                table[i][j], table[j][i] = better, 1 - better
        return won(table)

    def _said(self, first: Trajectory, second: Trajectory) -> float:
        said = self._judge(first, second)
        if not 0 <= said <= 1:
            raise VerifierError(f"{self._judge.name}: {said} is no probability that {'/'.join(first.key)} is better")
        return said


def judge_of(spec: str) -> Tournament:
    """The tournament of a judge of the user's own, `module:attribute`. Raises VerifierError."""
    module, _, attribute = spec.partition(":")
    found: Any = load_attribute(spec, module, attribute)
    try:
        inspect.signature(found).bind(None, None)
    except (TypeError, ValueError):
        raise VerifierError(f"{spec}: not a pairwise judge: it does not take two attempts") from None
    return Tournament(cast(Pairwise, found))
