"""Two engines on the same attempts: how far their scores lie apart, and what that changes."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from swe_rm.errors import SweRmError
from swe_rm.metrics import auc_score
from swe_rm.trajectory import Labelled, Noun, Outcome
from swe_rm.verdict import Verdict

SAMPLE = 64
"""Attempts, unless told otherwise."""
TOLERANCE = 0.03
"""What bf16 in place of fp32 moves a score by at most, in tests with small models."""
SHOWN = 5
"""Attempts that are named, those that differ most."""


class Apart(Noun):
    """One attempt and its two scores."""

    attempt_id: str
    instance_id: str
    policy: str
    attempt: str
    score_a: float
    score_b: float

    @property
    def difference(self) -> float:
        """How far the second score lies above the first."""
        return self.score_b - self.score_a


class Parity(Noun):
    """What became of a sample on two engines; null where there is nothing to say it of."""

    n_attempts: int
    """In the sample."""
    verifier_a: str
    verifier_b: str
    n_compared: int
    """Scored by both."""
    n_unscored_a: int
    n_unscored_b: int
    max_difference: float | None
    mean_difference: float | None
    """Of scores, without their signs."""
    bias: float | None
    """The mean of B minus A: an engine that is bolder than the other."""
    max_logprob_difference: float | None
    """Of log P(YES) and log P(NO), where both engines tell them."""
    n_other_tokens: int
    """Attempts that both engines say the length of, and not the same one: they did not read the same."""
    n_pairs: int
    """Of compared attempts at one task."""
    n_rank_flips: int
    """Pairs that the two put into opposite orders; a tie is in no order."""
    n_tasks: int
    """With two compared attempts or more."""
    n_top_changes: int
    """Tasks whose best attempt differs: the sets of those with the highest score have none in common."""
    auc_a: float | None
    auc_b: float | None
    """Where outcomes of both kinds are known."""
    tolerance: float
    is_within: bool
    """Whether every attempt has both scores, none further apart than the tolerance."""
    furthest: tuple[Apart, ...]

    def lines(self) -> list[str]:
        """The same for people."""
        head = [
            f"A {self.verifier_a}",
            f"B {self.verifier_b}",
            f"{self.n_compared} of {self.n_attempts} attempts compared; no verdict by A on {self.n_unscored_a}, "
            f"by B on {self.n_unscored_b}",
        ]
        if self.max_difference is None:
            return [*head, "nothing to compare"]
        figures = [
            f"scores differ by {self.max_difference:.2g} at most, {self.mean_difference:.2g} on average "
            f"(B - A {self.bias:+.2g})"
            + (
                ""
                if self.max_logprob_difference is None
                else f"; log-probabilities by {self.max_logprob_difference:.2g}"
            ),
            f"{self.n_rank_flips} of {self.n_pairs} pairs of one task change places; the best changes in "
            f"{self.n_top_changes} of {self.n_tasks} tasks",
        ]
        if self.auc_a is not None and self.auc_b is not None:
            figures.append(f"AUC {self.auc_a:.4f} and {self.auc_b:.4f}")
        if self.n_other_tokens:
            figures.append(f"{self.n_other_tokens} attempts were not read at the same length")
        word = "within" if self.is_within else "BEYOND"
        rows = [
            f"  {one.instance_id} / {one.policy} / {one.attempt}: {one.score_a:.4f} and {one.score_b:.4f}"
            for one in self.furthest
        ]
        return [*head, *figures, f"{word} the tolerance of {self.tolerance:g}; furthest apart:", *rows]


def sample(attempts: Iterable[Labelled], size: int = SAMPLE) -> list[Labelled]:
    """About `size` attempts, tasks whole where they fit, the same ones whatever the order they come in.

    Tasks are taken in the order of a hash of their ids until there are enough; of the last one only as many attempts
    as are wanted. At most the sample and one more task are in memory.
    """
    kept: dict[str, list[Labelled]] = defaultdict(list)
    total, bar = 0, "g"  # above every hex digest
    for item in attempts:
        place = _place(item.trajectory.task.instance_id)
        if place >= bar:
            continue
        kept[place].append(item)
        total += 1
        while total - len(kept[last := max(kept)]) >= size:
            total -= len(kept.pop(last))
            bar = last
    chosen = [item for place in sorted(kept) for item in _in_order(kept[place])]
    return chosen[:size]


def compare(
    attempts: Sequence[Labelled],
    a: Mapping[str, Verdict],
    b: Mapping[str, Verdict],
    *,
    names: tuple[str, str],
    tolerance: float = TOLERANCE,
) -> Parity:
    """The two engines' verdicts, by attempt id, on a sample. Raises SweRmError for an empty one."""
    if not attempts:
        raise SweRmError("no attempt to compare two engines on")
    both = [item for item in attempts if item.trajectory.attempt_id in a and item.trajectory.attempt_id in b]
    apart = [_apart(item, a, b) for item in both]
    differences = np.array([one.difference for one in apart], dtype=np.float64)
    pairs, flips, tasks, tops = _order(apart)
    largest = float(np.abs(differences).max()) if apart else None
    return Parity(
        verifier_a=names[0],
        verifier_b=names[1],
        n_attempts=len(attempts),
        n_compared=len(both),
        n_unscored_a=len(attempts) - sum(item.trajectory.attempt_id in a for item in attempts),
        n_unscored_b=len(attempts) - sum(item.trajectory.attempt_id in b for item in attempts),
        max_difference=largest,
        mean_difference=float(np.abs(differences).mean()) if apart else None,
        bias=float(differences.mean()) if apart else None,
        max_logprob_difference=_logprobs([(a[one.attempt_id], b[one.attempt_id]) for one in apart]),
        n_other_tokens=sum(_read_otherwise(a[one.attempt_id], b[one.attempt_id]) for one in apart),
        n_pairs=pairs,
        n_rank_flips=flips,
        n_tasks=tasks,
        n_top_changes=tops,
        auc_a=_auc(both, a),
        auc_b=_auc(both, b),
        tolerance=tolerance,
        is_within=len(both) == len(attempts) and largest is not None and largest <= tolerance,
        furthest=tuple(sorted(apart, key=lambda one: -abs(one.difference))[:SHOWN]),
    )


def _apart(item: Labelled, a: Mapping[str, Verdict], b: Mapping[str, Verdict]) -> Apart:
    attempt_id = item.trajectory.attempt_id
    instance_id, policy, attempt = item.trajectory.key
    return Apart(
        attempt_id=attempt_id,
        instance_id=instance_id,
        policy=policy,
        attempt=attempt,
        score_a=a[attempt_id].score,
        score_b=b[attempt_id].score,
    )


def _order(apart: Sequence[Apart]) -> tuple[int, int, int, int]:
    """(pairs of one task, of them in opposite orders, tasks with two or more, of them with another best)."""
    groups: dict[str, list[Apart]] = defaultdict(list)
    for one in apart:
        groups[one.instance_id].append(one)
    pairs = flips = tasks = tops = 0
    for group in groups.values():
        for one, other in combinations(group, 2):
            pairs += 1
            flips += (one.score_a - other.score_a) * (one.score_b - other.score_b) < 0
        if len(group) > 1:
            tasks += 1
            best_a, best_b = max(one.score_a for one in group), max(one.score_b for one in group)
            tops += not any(one.score_a == best_a and one.score_b == best_b for one in group)
    return pairs, flips, tasks, tops


def _logprobs(pairs: Sequence[tuple[Verdict, Verdict]]) -> float | None:
    found = [
        abs(of_a - of_b)
        for a, b in pairs
        for of_a, of_b in ((a.logprob_yes, b.logprob_yes), (a.logprob_no, b.logprob_no))
        if of_a is not None and of_b is not None
    ]
    return max(found, default=None)


def _read_otherwise(a: Verdict, b: Verdict) -> bool:
    return None not in (a.prompt_tokens, b.prompt_tokens) and a.prompt_tokens != b.prompt_tokens


def _auc(items: Sequence[Labelled], verdicts: Mapping[str, Verdict]) -> float | None:
    known = [item for item in items if item.outcome is not Outcome.UNKNOWN]
    scores = np.array([verdicts[item.trajectory.attempt_id].score for item in known], dtype=np.float64)
    resolved = np.array([item.outcome is Outcome.RESOLVED for item in known], dtype=np.bool_)
    return auc_score(scores, resolved) if known else None


def _in_order(items: Iterable[Labelled]) -> list[Labelled]:
    return sorted(items, key=lambda item: _place(item.trajectory.attempt_id))


def _place(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
