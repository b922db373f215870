"""Parts of a pool and their figures, and the verdicts that were most confident and wrong."""

from collections.abc import Callable

import numpy as np

from swe_rm import metrics
from swe_rm.figures import Pool
from swe_rm.metrics import Floats, Ids
from swe_rm.scored import Names, Scored
from swe_rm.trajectory import Noun, Outcome

MOST_WRONG = 10
"""Confident wrong verdicts listed on either side."""

_LENGTHS = np.array(["1 shortest quarter", "2", "3", "4 longest quarter"], dtype=np.object_)
_DIFFICULTIES = np.array(
    ["1 never resolved", "2 up to a third", "3 up to two thirds", "4 above", "5 always resolved"], dtype=np.object_
)
_UNKNOWN = "unknown"


class Slice(Noun):
    """The figures of one part of the pool."""

    n: int
    base_rate: float
    auc: float | None
    auc_same_policy_task: float | None
    n_pairs_same_policy_task: int
    ece: float | None
    mean_score: float


class Mistake(Noun):
    """One verdict that was confident and wrong."""

    attempt_id: str
    instance_id: str
    policy: str
    attempt: str
    outcome: Outcome
    score: float


def slices(kept: Scored, pool: Pool, scores: Floats) -> dict[str, dict[str, Slice]]:
    """policy, repo, source, scaffold, length, cut, difficulty -> its values, sorted -> figures."""
    named = {"policy": pool.policy_names[pool.policies]}
    named |= {dimension: names(kept, pool) for dimension, names in _DIMENSIONS.items()}
    return {
        dimension: {name: _slice(part, pool, scores) for name, part in _parts(names)}
        for dimension, names in named.items()
    }


def mistakes(kept: Scored, pool: Pool, scores: Floats) -> tuple[Mistake, ...]:
    """Unresolved attempts that score highest, then resolved ones that score lowest: 10 of each at most.

    Only those on the wrong side of one half; equal scores in the order of their ids.
    """
    found = []
    for sign, wrong in ((-1, ~pool.resolved & (scores > 0.5)), (1, pool.resolved & (scores < 0.5))):
        places = np.flatnonzero(wrong)
        order = sorted(places.tolist(), key=lambda i: (sign * scores[i], kept.attempt_ids[i]))[:MOST_WRONG]
        found += [_mistake(kept, pool, scores, place) for place in order]
    return tuple(found)


def _mistake(kept: Scored, pool: Pool, scores: Floats, place: int) -> Mistake:
    return Mistake(
        attempt_id=kept.attempt_ids[place],
        instance_id=kept.tasks[place],
        policy=kept.policies[place],
        attempt=kept.attempts[place],
        outcome=Outcome.RESOLVED if pool.resolved[place] else Outcome.UNRESOLVED,
        score=float(scores[place]),
    )


def _slice(part: Ids, pool: Pool, scores: Floats) -> Slice:
    mine, resolved, cells = scores[part], pool.resolved[part], pool.cells[part]
    wins, pairs = metrics.pair_sums(mine, resolved, cells, len(pool.cell_tasks))
    return Slice(
        n=len(part),
        base_rate=float(resolved.mean()),
        auc=metrics.auc_score(mine, resolved),
        auc_same_policy_task=metrics.ratio(wins, pairs),
        n_pairs_same_policy_task=int(pairs.sum()),
        ece=metrics.calibration_error(mine, resolved),
        mean_score=float(mine.mean()),
    )


def _parts(names: Names) -> list[tuple[str, Ids]]:
    """The indices of each name, names sorted."""
    distinct, places = np.unique(names, return_inverse=True)
    return [(str(distinct[group]), part) for group, part in metrics.members_of(places)]


def _given(names: Names) -> Names:
    return np.where(names == "", _UNKNOWN, names)


def _lengths(kept: Scored, pool: Pool) -> Names:
    return np.where(np.isnan(kept.lengths), _UNKNOWN, _LENGTHS[metrics.mass_bin_of(kept.lengths, 4)])


def _cuts(kept: Scored, pool: Pool) -> Names:
    cut = kept.truncated_tokens
    return np.where(np.isnan(cut), _UNKNOWN, np.where(cut > 0, "cut", "whole")).astype(np.object_)


def _difficulties(kept: Scored, pool: Pool) -> Names:
    sizes, resolved = (metrics.sum_by(pool.tasks, pool.n_tasks, flags) for flags in (None, pool.resolved))
    thirds = np.ceil(3 * resolved / sizes).astype(np.intp)
    return np.asarray(_DIFFICULTIES[np.where(resolved == sizes, 4, thirds)][pool.tasks])


_DIMENSIONS: dict[str, Callable[[Scored, Pool], Names]] = {
    "repo": lambda kept, pool: _given(kept.repos),
    "source": lambda kept, pool: _given(kept.sources),
    "scaffold": lambda kept, pool: _given(kept.scaffolds),
    "length": _lengths,
    "cut": _cuts,
    "difficulty": _difficulties,
}
