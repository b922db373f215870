"""Stopping attempts that look lost: what of the agent's work is saved, and which resolved attempts are lost by it.

The rule: stop once the scores of the last `patience` points all lie below a threshold. A stopped attempt counts as not
resolved, and what the agent did afterwards as saved. Threshold and patience are chosen on other tasks than measured.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from swe_rm.errors import SweRmError
from swe_rm.metrics import Floats, Ids, auc_score, divide, pair_accuracy_score, sum_by
from swe_rm.progress import Curve
from swe_rm.resampling import AucResampler, Interval, interval, resample_weights
from swe_rm.trajectory import Noun, Outcome

FIXED = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Thresholds that are measured as they are; they are fixed beforehand."""
EARLY = (1, 2, 4, 8, 16, 32, 64, 128)
"""Turns after which it is asked what the score tells of the attempts still at work."""
PATIENCES = (1, 3, 5)
"""Points in a row that must lie below."""
ALLOWED = (0.01, 0.02, 0.05, 0.1)
"""Shares of the resolved attempts that a chosen rule may lose on the tasks it is chosen on."""
THRESHOLDS = 64
"""Thresholds tried in choosing: quantiles of the scores before the end."""
LENGTHS = 64
"""Numbers of turns tried in choosing the control."""
FOLDS = 5
"""By task: a rule is measured on one fold and chosen on the others."""

NEVER = "never"
"""The rule where no other keeps to what is allowed."""
EDGE = 0.025
"""Probability left out at either end of an interval."""

By = Literal["score", "length", "lot", "outcome"]


class Followed(NamedTuple):
    """An attempt of known outcome, at the points before its end, each (points,)."""

    instance_id: str
    fold: int
    resolved: bool
    turns: Ids
    scores: Floats
    left: Floats
    """Characters of the log that come after."""
    characters: int
    """Of the whole log."""
    last_score: float
    """Of the whole attempt."""


class Early(Noun):
    """What the score tells of attempts that are still at work after so many turns. None where undefined."""

    turn: int
    n_attempts: int
    auc: float | None
    auc_interval: Interval | None
    auc_at_end: float | None
    """Of the same attempts, by the scores of the whole ones."""
    auc_within_task: float | None
    auc_within_task_at_end: float | None
    """Over pairs of one task: difficulty earns nothing there, recognising the policy does."""


class Row(Noun):
    """What one rule does. Intervals are 95%, by bootstrap over tasks; None where undefined."""

    by: By
    """What decides: the score, the number of turns, a lot, or (the ceiling) the outcome."""
    rules: tuple[str, ...]
    """What decides, `x3` at three points in a row. More than one where folds of tasks chose differently."""
    allowed: float | None
    """Share of resolved attempts it might lose where it was chosen; None of a rule that was not chosen."""
    saved: float
    """Share of all characters of the logs that were not written."""
    saved_interval: Interval | None
    lost: float
    """Share of the resolved attempts that were stopped."""
    lost_interval: Interval | None
    stopped: float
    """Share of all attempts."""
    over_length: float | None = None
    """`saved` minus that of stopping by length with the same share allowed: paired, on the same tasks."""
    over_length_interval: Interval | None = None


class Stopping(Noun):
    """What stopping by one verifier's scores is worth on a pool."""

    verifier: str
    n_attempts: int
    n_tasks: int
    n_unknown: int
    """Attempts of unknown outcome, left out."""
    resolve_rate: float
    characters: int
    early: tuple[Early, ...]
    fixed: tuple[Row, ...]
    """Thresholds fixed beforehand."""
    chosen: tuple[Row, ...]
    """Rules chosen out of fold, with their controls, for each of ALLOWED."""


class _Effect(NamedTuple):
    """What rules do to attempts, each (attempts, rules)."""

    saved: Floats
    stopped: Floats
    """The probability: 0 or 1 unless a lot decides."""


class _Pool(NamedTuple):
    attempts: Sequence[Followed]
    tasks: Ids
    n_tasks: int
    folds: Ids
    resolved: Floats
    """0 or 1"""
    characters: Floats
    weights: Floats
    """(resamples, tasks)"""


def followed(curve: Curve, outcome: Outcome, fold: int) -> Followed:
    """What stopping needs of an attempt's curve. Raises ValueError for an unknown outcome."""
    if outcome is Outcome.UNKNOWN:
        raise ValueError("the outcome is not known")
    *before, last = curve.steps
    return Followed(
        instance_id=curve.instance_id,
        fold=fold,
        resolved=outcome is Outcome.RESOLVED,
        turns=np.array([step.turn for step in before], dtype=np.intp),
        scores=np.array([step.score for step in before], dtype=np.float64),
        left=np.array([last.characters - step.characters for step in before], dtype=np.float64),
        characters=last.characters,
        last_score=last.score,
    )


def measure(
    attempts: Sequence[Followed], verifier: str, *, n_unknown: int = 0, resamples: int = 2_000, seed: int = 0
) -> Stopping:
    """What stopping is worth on attempts of known outcome.

    Raises SweRmError where outside one of the folds no attempt is resolved, or none has more than one turn.
    """
    pool = _pool(attempts, resamples, seed)
    return Stopping(
        verifier=verifier,
        n_attempts=len(attempts),
        n_tasks=pool.n_tasks,
        n_unknown=n_unknown,
        resolve_rate=float(pool.resolved.mean()),
        characters=int(pool.characters.sum()),
        early=tuple(_early(pool)),
        fixed=tuple(_fixed(pool)),
        chosen=tuple(_chosen(pool)),
    )


def stop_points(scores: Floats, thresholds: Floats, patience: int) -> Ids:
    """For each threshold the first point at which the last `patience` scores lie below it; -1 where there is none."""
    if len(scores) < patience:
        return np.full(len(thresholds), -1, dtype=np.intp)
    highest = np.lib.stride_tricks.sliding_window_view(scores, patience).max(axis=1)
    lowest = np.minimum.accumulate(highest)
    found = np.searchsorted(-lowest, -thresholds, side="right")
    return np.where(found < len(lowest), found + patience - 1, -1)


def _pool(attempts: Sequence[Followed], resamples: int, seed: int) -> _Pool:
    names, tasks = np.unique([one.instance_id for one in attempts], return_inverse=True)
    folds = np.array([one.fold for one in attempts], dtype=np.intp)
    resolved = np.array([one.resolved for one in attempts], dtype=np.float64)
    characters = np.array([one.characters for one in attempts], dtype=np.float64)
    points = np.array([len(one.left) for one in attempts])
    outside = [folds != fold for fold in range(FOLDS)]
    if not all(resolved[others].any() and points[others].any() for others in outside):
        raise SweRmError(
            "a stopping rule is chosen on four fifths of the tasks: in each there must be a resolved attempt, and an "
            "attempt of more than one turn"
        )
    weights = resample_weights(len(names), resamples, seed)
    return _Pool(attempts, tasks, len(names), folds, resolved, characters, weights)


def _early(pool: _Pool) -> Iterator[Early]:
    """After each of EARLY turns, where the attempts still at work have both outcomes."""
    for turn in EARLY:
        at = [np.flatnonzero(one.turns == turn) for one in pool.attempts]
        still = np.array([len(place) > 0 for place in at])
        resolved, tasks = pool.resolved[still] > 0, pool.tasks[still]
        scores = np.array([one.scores[place[0]] for one, place in zip(pool.attempts, at, strict=True) if len(place)])
        last = np.array([one.last_score for one in pool.attempts])[still]
        auc = auc_score(scores, resolved)
        if auc is not None:
            resampled = AucResampler(scores, resolved, tasks)(pool.weights)
            yield Early(
                turn=turn,
                n_attempts=len(scores),
                auc=auc,
                auc_interval=interval(resampled, len(np.unique(tasks))),
                auc_at_end=auc_score(last, resolved),
                auc_within_task=pair_accuracy_score(scores, resolved, tasks),
                auc_within_task_at_end=pair_accuracy_score(last, resolved, tasks),
            )


def _fixed(pool: _Pool) -> Iterator[Row]:
    for patience in PATIENCES:
        effect = _by_score(pool.attempts, np.array(FIXED), patience)
        for place, threshold in enumerate(FIXED):
            kept = _Fitted((_named(threshold, patience),), effect.saved[:, place], effect.stopped[:, place])
            yield _row(pool, "score", None, kept)


def _chosen(pool: _Pool) -> Iterator[Row]:
    """Rules chosen so that few resolved attempts are lost: by length, by lot and by score; last the ceiling."""
    lengths, scores = _cross_fitted(pool, _lengths), _cross_fitted(pool, _thresholds)
    for allowed, length, score in zip(ALLOWED, lengths, scores, strict=True):
        yield _row(pool, "length", allowed, length)
        yield _row(pool, "lot", allowed, _by_lot(pool.attempts, allowed))
        yield _row(pool, "score", allowed, score, over=length.saved)
    first = np.array([one.left[0] if len(one.left) else 0.0 for one in pool.attempts])
    failed = (1 - pool.resolved) * np.array([len(one.left) > 0 for one in pool.attempts])
    yield _row(pool, "outcome", None, _Fitted(("failed",), first * failed, failed))


Rules = Callable[[Sequence[Followed], Sequence[Followed]], tuple[Sequence[str], _Effect]]
"""(attempts to make rules from, attempts to apply them to) -> their names, and what they do to the latter."""


class _Fitted(NamedTuple):
    rules: tuple[str, ...]
    saved: Floats
    """(attempts,)"""
    stopped: Floats


def _cross_fitted(pool: _Pool, rules: Rules) -> list[_Fitted]:
    """For each share allowed: each fold's attempts under the rule that keeps to it and saves most on other folds."""
    shape = len(ALLOWED), len(pool.attempts)
    saved, stopped = np.zeros(shape), np.zeros(shape)
    names: list[dict[str, None]] = [{} for _ in ALLOWED]
    for fold in sorted(set(pool.folds.tolist())):
        inside = pool.folds == fold
        known = [one for one, held_out in zip(pool.attempts, inside, strict=True) if not held_out]
        called, effect = rules(known, pool.attempts)
        lost = pool.resolved[~inside] @ effect.stopped[~inside] / pool.resolved[~inside].sum()
        total = effect.saved[~inside].sum(axis=0)
        for place, allowed in enumerate(ALLOWED):
            worth = np.where(lost <= allowed, total, 0.0)
            best = int(np.argmax(worth))
            names[place][called[best] if worth[best] else NEVER] = None
            if worth[best]:
                saved[place, inside], stopped[place, inside] = effect.saved[inside, best], effect.stopped[inside, best]
    return [_Fitted(tuple(one), *both) for one, *both in zip(names, saved, stopped, strict=True)]


def _thresholds(known: Sequence[Followed], attempts: Sequence[Followed]) -> tuple[Sequence[str], _Effect]:
    """Quantiles of the known scores as thresholds, with each patience."""
    scores = np.concatenate([one.scores for one in known])
    tried = np.unique(np.quantile(scores, np.linspace(0, 1, THRESHOLDS + 1)))
    effects = [_by_score(attempts, tried, patience) for patience in PATIENCES]
    names = [_named(threshold, patience) for patience in PATIENCES for threshold in tried.tolist()]
    return names, _Effect(*(np.concatenate(parts, axis=1) for parts in zip(*effects, strict=True)))


def _lengths(known: Sequence[Followed], attempts: Sequence[Followed]) -> tuple[Sequence[str], _Effect]:
    """Quantiles of the known attempts' turns as the most an attempt may take."""
    turns = np.concatenate([one.turns for one in known])
    tried = np.unique(np.quantile(turns, np.linspace(0, 1, LENGTHS + 1)).astype(np.intp))
    return [f"> {most} turns" for most in tried], _at(attempts, [np.searchsorted(o.turns, tried) for o in attempts])


def _by_score(attempts: Sequence[Followed], thresholds: Floats, patience: int) -> _Effect:
    return _at(attempts, [stop_points(one.scores, thresholds, patience) for one in attempts])


def _by_lot(attempts: Sequence[Followed], share: float) -> _Fitted:
    """What is expected where this share is stopped, each after a point drawn by lot."""
    saved = [share * float(one.left.mean()) if len(one.left) else 0.0 for one in attempts]
    stopped = [share * bool(len(one.left)) for one in attempts]
    return _Fitted((f"{share:.0%} of all",), np.array(saved), np.array(stopped))


def _at(attempts: Sequence[Followed], points: Sequence[Ids]) -> _Effect:
    """What stopping each attempt at each of these points does; where it has no such point it is not stopped."""
    met = [(at >= 0) & (at < len(one.left)) for one, at in zip(attempts, points, strict=True)]
    left = [
        np.where(found, np.append(one.left, 0.0)[np.where(found, at, -1)], 0.0)
        for one, at, found in zip(attempts, points, met, strict=True)
    ]
    return _Effect(np.array(left), np.array(met, dtype=np.float64))


def _row(pool: _Pool, by: By, allowed: float | None, fitted: _Fitted, over: Floats | None = None) -> Row:
    saved, saved_interval = _share(pool, fitted.saved, pool.characters)
    lost, lost_interval = _share(pool, fitted.stopped * pool.resolved, pool.resolved)
    if by == "outcome":
        lost_interval = None
    elif not lost:  # no resample of none varies: the exact bound for as many independent tasks
        carrying = np.count_nonzero(sum_by(pool.tasks, pool.n_tasks, pool.resolved))
        lost_interval = (0.0, float(1 - EDGE ** (1 / carrying)))
    gain = _share(pool, fitted.saved - over, pool.characters) if over is not None else (None, None)
    return Row(
        by=by,
        rules=fitted.rules,
        allowed=allowed,
        saved=saved,
        saved_interval=saved_interval,
        lost=lost,
        lost_interval=lost_interval,
        stopped=float(fitted.stopped.mean()),
        over_length=gain[0],
        over_length_interval=gain[1],
    )


def _share(pool: _Pool, part: Floats, whole: Floats) -> tuple[float, Interval | None]:
    """The part of the whole over all attempts, and its interval."""
    over, under = (sum_by(pool.tasks, pool.n_tasks, values) for values in (part, whole))
    resampled = divide(pool.weights @ over, pool.weights @ under)
    return float(over.sum() / under.sum()), interval(resampled, pool.n_tasks)


def _named(threshold: float, patience: int) -> str:
    return f"< {threshold:.2g}" + (f" x{patience}" if patience > 1 else "")
