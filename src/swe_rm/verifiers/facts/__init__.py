"""Facts of an attempt as numbers: its habits, and the relations inside it."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from swe_rm.trajectory import Trajectory
from swe_rm.verifiers.facts.apart import Apart
from swe_rm.verifiers.facts.habits import HABITS
from swe_rm.verifiers.facts.relations import RELATIONS

__all__ = ["FACTS", "HABITS", "fact_matrix", "facts", "habits"]

Floats = npt.NDArray[np.float64]

FACTS = HABITS | RELATIONS
"""name -> (what it says, how it is computed). Order is the order of the columns."""


def facts(trajectory: Trajectory) -> Floats:
    """The facts of one attempt, float64 [len(FACTS)], all finite. Origin is never looked at."""
    return _computed(trajectory, FACTS)


def habits(trajectory: Trajectory) -> Floats:
    """The first of them, float64 [len(HABITS)]: what a policy can learn to do more or less of."""
    return _computed(trajectory, HABITS)


def fact_matrix(trajectories: Sequence[Trajectory]) -> Floats:
    """`facts` of each attempt as a row, [attempts, facts]."""
    return np.array([facts(t) for t in trajectories], dtype=np.float64).reshape(-1, len(FACTS))


def _computed(trajectory: Trajectory, table: dict[str, tuple[str, Callable[[Apart], float]]]) -> Floats:
    apart = Apart(trajectory)
    return np.array([float(compute(apart)) for _, compute in table.values()], dtype=np.float64)
