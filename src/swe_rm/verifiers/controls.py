"""Verifiers that know nothing, everything, or only whose attempt it is: the floor and the ceiling beside every figure.

They are built from labelled attempts and are the only verifiers that ever see outcomes.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from swe_rm.errors import VerifierError
from swe_rm.priors import Known, Rates
from swe_rm.render import rendered_length
from swe_rm.trajectory import Labelled, Outcome, Trajectory, policy_family
from swe_rm.verdict import Verdict

PolicyName = Literal["exact", "family"]
"""Whether attempts of one policy in two configurations are by one policy (`family`) or by two (`exact`)."""


class Control(ABC):
    """A verifier that looks at one attempt at a time and has no probabilities but its score."""

    name: str

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """One verdict for each trajectory."""
        return [self._verdict(trajectory, self.score(trajectory)) for trajectory in trajectories]

    def _verdict(self, trajectory: Trajectory, score: float) -> Verdict:
        return Verdict(attempt_id=trajectory.attempt_id, score=score, raw_score=score, verifier=self.name)

    @abstractmethod
    def score(self, trajectory: Trajectory) -> float:
        """The score in [0, 1]."""


class Constant(Control):
    """0.5 for every attempt: what knowing nothing earns."""

    name = "constant@1"

    def score(self, trajectory: Trajectory) -> float:
        """0.5."""
        return 0.5


class Oracle(Control):
    """The outcome itself: the ceiling. Raises VerifierError on an attempt without a known outcome."""

    name = "oracle@1"

    def __init__(self, labelled: Sequence[Labelled]) -> None:
        self._resolved = {
            item.trajectory.attempt_id: item.outcome is Outcome.RESOLVED
            for item in labelled
            if item.outcome is not Outcome.UNKNOWN
        }

    def score(self, trajectory: Trajectory) -> float:
        """1 where the attempt resolved its task, else 0."""
        resolved = self._resolved.get(trajectory.attempt_id)
        if resolved is None:
            raise VerifierError(f"the oracle does not know the outcome of attempt {trajectory.attempt_id}")
        return float(resolved)


class Shortest(Control):
    """Fewer rendered characters are better: 1 / (1 + characters), an order and no probability."""

    name = "shortest@1"

    def score(self, trajectory: Trajectory) -> float:
        """1 / (1 + rendered characters)."""
        return 1 / (1 + rendered_length(trajectory))


class PolicyPrior(Control):
    """An attempt's policy's resolve rate on the other tasks: what recognising the policy earns.

    A policy seen on no other task gets the rate of all attempts on the other tasks, and 0.5 where there are none.
    """

    name = "policy_prior@1"

    def __init__(self, labelled: Sequence[Labelled], policy: PolicyName = "exact") -> None:
        self._policy: PolicyName = policy
        self._rates = _rates(labelled, policy)

    def score(self, trajectory: Trajectory) -> float:
        """The resolve rate, or its stand-in."""
        return self._rates.policy_prior(*_named(trajectory, self._policy))


class TaskPrior(Control):
    """The resolve rate of the other policies' attempts at the task: a ceiling for what reading difficulty can earn.

    A task no other policy tried gets the rate of all attempts on the other tasks, and 0.5 where there are none.
    """

    name = "task_prior@1"

    def __init__(self, labelled: Sequence[Labelled], policy: PolicyName = "exact") -> None:
        self._policy: PolicyName = policy
        self._rates = _rates(labelled, policy)

    def score(self, trajectory: Trajectory) -> float:
        """The resolve rate, or its stand-in."""
        return self._rates.task_prior(*_named(trajectory, self._policy))


CONTROL_NAMES = {
    "constant": Constant.name,
    "shortest": Shortest.name,
    "policy_prior": PolicyPrior.name,
    "task_prior": TaskPrior.name,
    "oracle": Oracle.name,
}
"""name@version by the key in a report."""


def controls(labelled: Sequence[Labelled], policy: PolicyName = "exact") -> dict[str, Control]:
    """Every control, by the key it has in a report."""
    return {
        "constant": Constant(),
        "shortest": Shortest(),
        "policy_prior": PolicyPrior(labelled, policy),
        "task_prior": TaskPrior(labelled, policy),
        "oracle": Oracle(labelled),
    }


def _rates(labelled: Sequence[Labelled], policy: PolicyName) -> Rates:
    known = (item for item in labelled if item.outcome is not Outcome.UNKNOWN)
    return Rates(Known(*_named(item.trajectory, policy), item.outcome is Outcome.RESOLVED) for item in known)


def _named(trajectory: Trajectory, policy: PolicyName) -> tuple[str, str]:
    """(policy, task) as they are counted."""
    name = trajectory.origin.policy
    return policy_family(name) if policy == "family" else name, trajectory.task.instance_id
