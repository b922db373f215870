"""What would make a reader trust a figure too much, looked for in every evaluation and said in words."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from swe_rm import metrics
from swe_rm.figures import Metrics, Pool
from swe_rm.metrics import Floats, Ids
from swe_rm.resampling import Interval
from swe_rm.scored import Scored
from swe_rm.trajectory import Noun

STRATA = 20
"""Groups of like length within which pairs are compared."""
MOSTLY = 0.5
"""A confound that takes so much of the AUC above chance is spoken of."""
CLOSE = 0.02
"""A control whose AUC comes so near the verifier's is spoken of; an AUC that moves by less has not fallen."""
MIN_MASS = 0.9
"""Below it the model often answers something else than YES or NO."""
MIN_MIXED = 30
"""With fewer tasks that have both outcomes no figure within tasks can be told from another."""
SAME_SCORE = 0.5
"""A score that so many attempts share says nothing of them."""


_ROUNDING = 1e-9


class Pitfall(Noun):
    """One thing to know before a figure is believed."""

    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


class Explained(Noun):
    """What is left of the AUC among attempts that share a policy, a task, both, or their length."""

    auc_left: float | None
    """Share of the pairs of one such group in the right order, ties half."""
    n_pairs: int
    share: float | None
    """Of what the AUC has above chance, (auc - auc_left) / (auc - 0.5); None where the AUC has nothing above it."""


class Seen(NamedTuple):
    """All that the detectors look at."""

    kept: Scored
    pool: Pool
    scores: Floats
    figures: Metrics
    against_random: Mapping[str, Interval | None]
    """Intervals of RM@K minus random@K, by the name of the first (`rm_at_k.4`)."""
    controls: Mapping[str, Metrics]
    explained: Mapping[str, Explained]
    trained_on: frozenset[str]
    """Tasks the verifier is known to have been trained on."""
    untold: tuple[str, ...]
    """What of it was fitted on tasks that are not known."""


def explained(kept: Scored, pool: Pool, scores: Floats) -> dict[str, Explained]:
    """policy, task, policy_and_task, length -> what is left of the AUC within them."""
    groups: dict[str, Ids] = {"policy": pool.policies, "task": pool.tasks, "policy_and_task": pool.cells}
    if not np.isnan(kept.lengths).any():
        groups["length"] = metrics.mass_bin_of(kept.lengths, STRATA)
    whole = metrics.auc_score(scores, pool.resolved)
    return {name: _left(scores, pool, group, whole) for name, group in groups.items()}


def _left(scores: Floats, pool: Pool, groups: Ids, whole: float | None) -> Explained:
    wins, pairs = metrics.pair_sums(scores, pool.resolved, groups, int(groups.max(initial=-1)) + 1)
    left = metrics.ratio(wins, pairs)
    above = None if whole is None or whole <= 0.5 else whole - 0.5
    share = None if left is None or above is None or whole is None else (whole - left) / above
    return Explained(auc_left=left, n_pairs=int(pairs.sum()), share=share)


def pitfalls(seen: Seen) -> tuple[Pitfall, ...]:
    """Every pitfall found, gravest first."""
    return tuple(Pitfall(name=name, text=text) for name, detect in _DETECTORS.items() for text in detect(seen))


def _trained_on(seen: Seen) -> Iterator[str]:
    tasks = sorted(seen.trained_on & set(seen.pool.task_names))
    if tasks:
        n_attempts = int(np.isin(seen.kept.tasks.astype(np.str_), tasks).sum())
        yield (
            f"{len(tasks)} of {seen.pool.n_tasks} tasks ({n_attempts} attempts) were in the training data, first "
            f"{tasks[0]}: figures on them do not hold for new tasks"
        )


def _untold(seen: Seen) -> Iterator[str]:
    for part in seen.untold:
        yield f"the tasks that {part} was fitted on are unknown: --trained-on compares them with these"


def _constant(seen: Seen) -> Iterator[str]:
    values, counts = np.unique(seen.scores, return_counts=True)
    if len(values) == 1 and len(seen.scores) > 1:
        yield f"every score is {values[0]:.3f}: the verifier says nothing"
    elif len(values) > 1 and counts.max() > SAME_SCORE * len(seen.scores):
        yield f"{counts.max() / len(seen.scores):.0%} of the attempts share the score {values[counts.argmax()]:.3f}"


def _below_random(seen: Seen) -> Iterator[str]:
    for suffix, among in (("", "attempts at a task"), ("_same_policy", "attempts of one policy at a task")):
        picked, random = (getattr(seen.figures, f"{name}_at_k{suffix}") for name in ("rm", "random"))
        sure = [
            k for k in picked if (bounds := seen.against_random.get(f"rm_at_k{suffix}.{k}")) and bounds[1] < -_ROUNDING
        ]
        widest = min(seen.figures.widest_k, max(picked, default=0))
        if sure or (widest and picked[widest] < random[widest] - _ROUNDING):
            k = max(sure, default=widest)
            tail = "and chance does not explain it" if sure else "though chance may explain it"
            yield f"picking from {k} {among} resolves {picked[k]:.3f}, a random pick {random[k]:.3f}, {tail}"


def _length(seen: Seen) -> Iterator[str]:
    found = seen.explained.get("length")
    if found and found.share is not None and _falls(seen, found):
        yield (
            f"{min(1, found.share):.0%} of the AUC above chance goes when only attempts of like length are compared "
            f"(AUC {seen.figures.auc:.3f}, {found.auc_left:.3f} left): it may be length that is recognised"
        )


def _policy(seen: Seen) -> Iterator[str]:
    yield from _confound(seen, "policy", "policy_prior", "whose attempt it is", "attempts of one policy")


def _difficulty(seen: Seen) -> Iterator[str]:
    yield from _confound(seen, "task", "task_prior", "which task it is", "attempts at one task")


def _confound(seen: Seen, group: str, control: str, known: str, compared: str) -> Iterator[str]:
    auc, left = seen.figures.auc, seen.explained[group]
    prior = seen.controls[control].auc if control in seen.controls else None
    told = prior is not None and prior > 0.5
    falls = _falls(seen, left)
    if auc is None or auc <= 0.5 or not (falls or (told and prior is not None and prior >= auc - CLOSE)):
        return
    said = [f"the pooled AUC of {auc:.3f} says little"] if falls else []
    if told:
        said.append(f"knowing only {known} reaches {prior:.3f} ({control})")
    if not falls:
        said.append(f"the verifier's pooled AUC is {auc:.3f}")
    if left.auc_left is not None:
        said.append(f"among {compared} {left.auc_left:.3f} is left")
    yield "; ".join(said)


def _falls(seen: Seen, found: Explained) -> bool:
    """Whether the AUC really falls within the groups: by most of what it has above chance, and visibly."""
    auc, left, share = seen.figures.auc, found.auc_left, found.share
    if auc is None or left is None or share is None:
        return False
    return share >= MOSTLY and auc - left >= CLOSE


def _mass(seen: Seen) -> Iterator[str]:
    mass = seen.kept.verdict_mass[~np.isnan(seen.kept.verdict_mass)]
    low = float((mass < MIN_MASS).mean()) if len(mass) else 0.0
    if len(mass) and (mass.mean() < MIN_MASS or low > 1 - MIN_MASS):
        yield (
            f"YES and NO hold {mass.mean():.0%} of the model's answer on average, and under {MIN_MASS:.0%} on "
            f"{low:.0%} of the attempts: it does not answer as it was trained to"
        )


def _mixed(seen: Seen) -> Iterator[str]:
    sizes, good = (metrics.sum_by(seen.pool.tasks, seen.pool.n_tasks, f) for f in (None, seen.pool.resolved))
    mixed = int(((good > 0) & (good < sizes)).sum())
    if mixed < MIN_MIXED:
        yield (
            f"{mixed} of {seen.pool.n_tasks} tasks have both outcomes: selection cannot be judged on fewer than "
            f"{MIN_MIXED} such tasks"
        )


_DETECTORS: dict[str, Callable[[Seen], Iterable[str]]] = {
    "seen in training": _trained_on,
    "training tasks unknown": _untold,
    "constant scores": _constant,
    "below a random pick": _below_random,
    "policy identity": _policy,
    "task difficulty": _difficulty,
    "length": _length,
    "verdict mass": _mass,
    "few mixed tasks": _mixed,
}
