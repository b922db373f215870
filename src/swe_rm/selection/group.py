"""One task's candidates together: what a rule of selection looks at."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from swe_rm.selection.equivalence import patch_class
from swe_rm.selection.execution import Executed, Kind
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Verdict


@dataclass(frozen=True)
class Group:
    """One task's candidates and what is known of each, all in one order."""

    instance_id: str
    trajectories: tuple[Trajectory, ...]
    scores: tuple[float, ...]
    executed: tuple[Executed, ...]

    def __len__(self) -> int:
        return len(self.trajectories)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Which patches are one vote; empty for a candidate that changes nothing and has none."""
        return tuple(patch_class(trajectory.patch) for trajectory in self.trajectories)

    @cached_property
    def votes(self) -> tuple[int, ...]:
        """How many candidates make the same change, each itself among them."""
        counted = Counter(self.classes)
        return tuple(counted[found] if found else 0 for found in self.classes)

    def passed(self, kind: Kind) -> tuple[float, ...]:
        """The share of tests of one kind that each candidate passed.

        Not tested is neither passed nor failed: such a candidate has the mean of the task's tested ones. Where none is
        tested all have 0, and nothing is decided.
        """
        shares = [getattr(executed, kind).share for executed in self.executed]
        tested = [share for share in shares if share is not None]
        mean = sum(tested, Fraction(0)) / len(tested) if tested else Fraction(0)
        return tuple(float(mean if share is None else share) for share in shares)


def groups(
    trajectories: Sequence[Trajectory], verdicts: Mapping[str, Verdict], executed: Mapping[str, Executed] | None = None
) -> list[Group]:
    """The candidates of every task, tasks in order of first appearance, candidates by (policy, attempt).

    `verdicts` has one for each attempt id; `executed` says what tests said of some.
    """
    by_task: dict[str, list[Trajectory]] = defaultdict(list)
    for trajectory in trajectories:
        by_task[trajectory.task.instance_id].append(trajectory)
    found = []
    for instance_id, members in by_task.items():
        ordered = sorted(members, key=lambda t: (t.origin.policy, t.origin.attempt, t.attempt_id))
        ids = [trajectory.attempt_id for trajectory in ordered]
        scores = tuple(verdicts[id_].score for id_ in ids)
        tests = tuple((executed or {}).get(id_, Executed()) for id_ in ids)
        found.append(Group(instance_id, tuple(ordered), scores, tests))
    return found
