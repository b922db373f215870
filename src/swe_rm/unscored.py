"""How attempts without a verdict count: left out, as the worst, or as the mean; it moves RM@K and is said each time."""

from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np

from swe_rm import metrics
from swe_rm.errors import SweRmError
from swe_rm.figures import Curve, Figures, pool_of
from swe_rm.scored import Scored
from swe_rm.trajectory import Noun
from swe_rm.verifiers.controls import PolicyName

UnscoredRule = Literal["drop", "lowest", "mean"]
UNSCORED_RULES: tuple[UnscoredRule, ...] = get_args(UnscoredRule)

_SAID = {
    "drop": "left out of every figure",
    "lowest": "counted with a score of 0",
    "mean": "counted with the mean score of their task",
}


class Moved(Noun):
    """What the choice of rule moves."""

    n_attempts: int
    ece: float | None
    auc_same_policy_task: float | None
    rm_at_k: Curve
    rm_at_k_same_policy: Curve


class Unscored(Noun):
    """The attempts without a verdict and what counting them otherwise would give."""

    rule: UnscoredRule
    n: int
    """Attempts without a verdict."""
    n_counted: int
    """Those of them that the figures hold: of known outcome, where the rule is not `drop`."""
    rules: dict[str, Moved]
    """Figures under every rule; empty where nothing is unscored."""

    def __str__(self) -> str:
        if not self.n:
            return "Every attempt has a verdict"
        return f"{self.n} attempts without a verdict are {_SAID[self.rule]} (unscored: {self.rule})"


def filled(scored: Scored, rule: UnscoredRule) -> Scored:
    """The attempts with scores for those without a verdict, as the rule says; as they are where none has a verdict.

    `mean` is the mean score of the task's scored attempts, or of all where the task has none. Raises SweRmError for a
    rule that is none.
    """
    if rule not in UNSCORED_RULES:
        raise SweRmError(f"unscored: {rule!r} is not one of {', '.join(UNSCORED_RULES)}")
    missing = ~scored.has_verdict
    if rule == "drop" or missing.all() or not missing.any():
        return scored
    scores = scored.scores.copy()
    scores[missing] = 0.0 if rule == "lowest" else _task_means(scored)[missing]
    return replace(scored, scores=scores)


def _task_means(scored: Scored) -> metrics.Floats:
    """The mean score at each attempt's task."""
    has = scored.has_verdict
    pool = pool_of(scored, "exact")
    sums, sizes = (metrics.sum_by(pool.tasks[has], pool.n_tasks, values) for values in (scored.scores[has], None))
    means = metrics.divide(sums, sizes)
    return np.where(np.isnan(means), scored.scores[has].mean(), means)[pool.tasks]


def counted(scored: Scored, with_scores: Scored, rule: UnscoredRule, policy: PolicyName, k_max: int | None) -> Unscored:
    """What is said of the attempts without a verdict, some of which have a score in `with_scores`."""
    n = int((~scored.has_verdict).sum())
    n_counted = int((~scored.has_verdict & with_scores.has_verdict & scored.is_tested).sum())
    rules = {name: _moved(scored, name, policy, k_max) for name in UNSCORED_RULES} if n and n < len(scored) else {}
    return Unscored(rule=rule, n=n, n_counted=n_counted, rules=rules)


def _moved(scored: Scored, rule: UnscoredRule, policy: PolicyName, k_max: int | None) -> Moved:
    kept = filled(scored, rule).measurable(k_max)
    figures = Figures(pool_of(kept, policy), kept.scores, k_max).metrics(None)
    fields: dict[str, Any] = {name: getattr(figures, name) for name in Moved.model_fields}
    return Moved(**fields)
