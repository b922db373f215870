"""A verifier in use: verdicts stream in, outcomes of some arrive later, and its AUC and calibration are watched.

Memory is bounded: verdicts wait for their outcomes until `capacity` later ones have come, running figures are over the
last outcomes, and of all that went before only counts and points of the curve are kept.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from swe_rm.drift import MIN_CLASS, Block, Inputs, Limits, Power, Reference, Watch, check_options
from swe_rm.errors import SweRmError
from swe_rm.metrics import (
    Flags,
    Floats,
    auc_score,
    bin_gaps,
    calibration_error,
    divide,
    noise_floors,
    sum_by,
)
from swe_rm.resampling import AucResampler, Interval, Resampled, interval, reflected, resample
from swe_rm.trajectory import Noun

CAPACITY = 1_000_000
"""Verdicts that wait for their outcomes: 390 MB, measured."""
KEPT = 5_000
"""Outcomes that the figures of the whole, and a new calibrator, rest on."""
POINTS = 1_000
"""Points of the curve that are kept."""
STEP = 50
"""Outcomes between two points."""
WARM_UP = 500
"""First outcomes that later ones are compared with where no reference is given."""
RESAMPLES = 1_000
"""Draws of tasks behind an interval."""


class Known(NamedTuple):
    """A verdict whose outcome is known."""

    number: int
    """Which verdict it was, from 1."""
    task: str
    score: float
    raw_score: float
    resolved: bool


class Point(Noun):
    """Figures over some outcomes in a row."""

    n_outcomes: int
    """Outcomes up to here."""
    verdict: int
    """The latest verdict among those whose outcomes it is over, from 1."""
    n: int
    """Outcomes it is over."""
    base_rate: float
    mean_score: float
    auc: float | None
    auc_interval: Interval | None
    ece: float | None
    ece_interval: Interval | None
    """95%, bootstrap by task; that of the ECE is reflected, as `evaluate` does it."""
    ece_noise_floor: float | None
    """The ECE that a perfectly calibrated verifier shows with these scores."""


class Alarm(Noun):
    """The test says that the AUC has fallen."""

    n_outcomes: int
    """Outcomes when it was raised."""
    verdict: int
    """The verdict whose outcome raised it, from 1."""
    stretch: int
    """Outcomes in a row over which the fall is largest: it began about so long ago."""
    auc: float | None
    """Over those; the worst stretch was looked for, so it is lower than the truth."""

    def __str__(self) -> str:
        over = "undefined" if self.auc is None else f"{self.auc:.3f}"
        return f"outcome {self.n_outcomes} (verdict {self.verdict}): AUC {over} over the last {self.stretch} outcomes"


class Watching(Noun):
    """What the test compares with, and what it can see."""

    n_reference: int
    reference_auc: float
    within: int
    false_alarms: float
    limits: Limits
    power: Power
    statistic: float
    """Sum of shortfalls now."""
    limit: float
    """The limit that holds now."""


class Audited(Noun):
    """The state of an audit."""

    verifier: str | None
    n_verdicts: int
    n_outcomes: int
    """Matched with their verdicts."""
    n_unknown: int
    """Outcomes that say nothing, e.g. of tests that did not run."""
    n_unmatched: int
    """Outcomes about verdicts that are not here, or not any more."""
    n_forgotten: int
    """Verdicts that waited too long for an outcome."""
    whole: Point | None
    """Over the outcomes kept."""
    points: tuple[Point, ...]
    watching: Watching | None
    """None while the first outcomes are gathered."""
    alarms: tuple[Alarm, ...]
    n_alarms: int
    blocks: tuple[Block, ...]
    """Scores without outcomes, block by block, beside the reference's."""

    def to_json(self) -> dict[str, Any]:
        """The document of `audit --json`."""
        return {
            "verifier": self.verifier,
            "headline": self.headline,
            "alarm": bool(self.alarms),
            **self.model_dump(mode="json", exclude={"verifier"}),
            "n_moved": len(self.moved),
        }

    @property
    def moved(self) -> tuple[Block, ...]:
        """The blocks whose scores have moved."""
        return tuple(block for block in self.blocks if block.has_moved)

    @property
    def headline(self) -> str:
        """Whether the verifier still is what it was, in words."""
        if self.watching is None:
            return f"No reference yet: {self.n_outcomes} outcomes, and later ones are compared with the first"
        found = self.watching
        was = f"it was {found.reference_auc:.3f} on the reference"
        if self.alarms:
            return f"ALARM ({self.n_alarms}): the AUC has fallen; {was}. First at {self.alarms[0]}"
        return (
            f"No alarm in {self.n_outcomes} outcomes; AUC {_shown(self.whole)}, {was}. Of falls by "
            f"{found.power.drop:g}, {found.power.later:.0%} are found within {found.within} outcomes"
        )


class Audit:
    """Takes verdicts and outcomes one by one, in whatever order they come, and says when the AUC has fallen.

    Without a `reference` the first `warm_up` outcomes become it, as soon as they hold 30 of either kind. `within` and
    `false_alarms` are those of `drift.Watch`; `window` is the number of outcomes behind a point; `block` the number of
    verdicts whose scores are compared at once. Raises SweRmError for options out of range.
    """

    def __init__(
        self,
        reference: Reference | None = None,
        *,
        verifier: str | None = None,
        warm_up: int = WARM_UP,
        within: int = 200,
        false_alarms: float = 0.05,
        drop: float = 0.1,
        window: int = 200,
        block: int = 1000,
        capacity: int = CAPACITY,
        seed: int = 0,
    ) -> None:
        check_options(within, false_alarms)
        if not 2 * MIN_CLASS <= warm_up <= KEPT:
            raise SweRmError(f"a reference is made of {2 * MIN_CLASS} to {KEPT} first outcomes, not of {warm_up}")
        if not 0 < drop <= 0.5:
            raise SweRmError(f"a fall of the AUC lies above 0 and is at most 0.5, not {drop:g}")
        self.verifier = verifier
        self._warm_up, self._drop, self._block, self._capacity, self._seed = warm_up, drop, block, capacity, seed
        self._options = {"within": within, "false_alarms": false_alarms}
        self._waiting: OrderedDict[str, Known] = OrderedDict()
        self._early: OrderedDict[str, bool] = OrderedDict()
        self._done: OrderedDict[str, None] = OrderedDict()
        self._kept: deque[Known] = deque(maxlen=KEPT)
        self._window, self._since = window, deque[Known](maxlen=within)
        self._points: deque[Point] = deque(maxlen=POINTS)
        self._alarms: deque[Alarm] = deque(maxlen=POINTS)
        self._blocks: deque[Block] = deque(maxlen=POINTS)
        self._n = dict.fromkeys(("verdicts", "outcomes", "unknown", "lost", "forgotten", "alarms"), 0)
        self._first: list[float] | None = None if reference else []
        self._inputs: Inputs | None = None
        self._watch: Watch | None = None
        self._power = Power(drop=drop, at_start=0.0, later=0.0)
        if reference:
            self._begin(reference)
            self._inputs = Inputs(reference.scores, block)

    # --- what comes in -----------------------------------------------------------------------------------------------

    def add_verdict(
        self, attempt_id: str, score: float, *, task: str = "", raw_score: float | None = None
    ) -> Alarm | None:
        """Take a verdict in. Where its outcome came first it is matched now, and may raise an alarm.

        Without a `task` the attempt counts as one of its own. Raises SweRmError for a score outside [0, 1] and for a
        second verdict on an attempt.
        """
        raw = score if raw_score is None else raw_score
        if not (0 <= score <= 1 and 0 <= raw <= 1):
            raise SweRmError(f"attempt {attempt_id}: score {score if not 0 <= score <= 1 else raw} is not in [0, 1]")
        if attempt_id in self._waiting or attempt_id in self._done:
            raise SweRmError(f"a second verdict on attempt {attempt_id}")
        self._n["verdicts"] += 1
        self._look_at(score)
        known = Known(self._n["verdicts"], task or attempt_id, score, raw, False)
        if attempt_id in self._early:
            return self._match(attempt_id, known, self._early.pop(attempt_id))
        self._waiting[attempt_id] = known
        if len(self._waiting) > self._capacity:
            self._waiting.popitem(last=False)
            self._n["forgotten"] += 1
        return None

    def add_outcome(self, attempt_id: str, resolved: bool | None) -> Alarm | None:
        """Take an outcome in; None is one that says nothing. An alarm where it raises one.

        It may come before its verdict. Raises SweRmError for a second outcome of an attempt.
        """
        if attempt_id in self._done or attempt_id in self._early:
            raise SweRmError(f"a second outcome of attempt {attempt_id}")
        if resolved is None:
            self._n["unknown"] += 1
            return None
        known = self._waiting.pop(attempt_id, None)
        if known is not None:
            return self._match(attempt_id, known, resolved)
        self._early[attempt_id] = resolved
        if len(self._early) > self._capacity:
            self._early.popitem(last=False)
            self._n["lost"] += 1
        return None

    def _match(self, attempt_id: str, known: Known, resolved: bool) -> Alarm | None:
        self._done[attempt_id] = None
        if len(self._done) > self._capacity:
            self._done.popitem(last=False)
        found = known._replace(resolved=resolved)
        self._kept.append(found)
        self._n["outcomes"] += 1
        if self._n["outcomes"] % STEP == 0:
            self._points.append(self._point(list(self._kept)[-self._window :]))
        if self._watch is None:
            self._warm()
            return None
        self._since.append(found)
        return self._raised() if self._watch.add(found.score, resolved) else None

    def _raised(self) -> Alarm:
        assert self._watch is not None, "an alarm is the watch's"
        stretch = list(self._since)[-self._watch.stretch :]
        alarm = Alarm(
            n_outcomes=self._n["outcomes"],
            verdict=stretch[-1].number,
            stretch=len(stretch),
            auc=auc_score(_scores(stretch), _resolved(stretch)),
        )
        self._since.clear()
        self._alarms.append(alarm)
        self._n["alarms"] += 1
        return alarm

    # --- what it is compared with ------------------------------------------------------------------------------------

    def _begin(self, reference: Reference) -> None:
        self._watch = Watch(reference, **self._options, seed=self._seed)  # type: ignore[arg-type]
        self._power = self._watch.power(self._drop)

    def _warm(self) -> None:
        """Make the first outcomes the reference when there are enough of either kind."""
        first = list(self._kept)
        n_resolved = sum(known.resolved for known in first)
        if len(first) >= self._warm_up and min(n_resolved, len(first) - n_resolved) >= MIN_CLASS:
            self._begin(Reference(_scores(first), _resolved(first), _tasks(first)))

    def _look_at(self, score: float) -> None:
        """Compare the scores of verdicts with the reference's, or with those of the first block."""
        if self._inputs is not None:
            block = self._inputs.add(score)
            if block:
                self._blocks.append(block)
        elif self._first is not None:
            self._first.append(score)
            if len(self._first) == self._block:
                self._inputs = Inputs(np.array(self._first), self._block)
                self._first = None

    # --- what it says ------------------------------------------------------------------------------------------------

    def state(self) -> Audited:
        """All that is known now."""
        kept = list(self._kept)
        return Audited(
            verifier=self.verifier,
            n_verdicts=self._n["verdicts"],
            n_outcomes=self._n["outcomes"],
            n_unknown=self._n["unknown"],
            n_unmatched=self._n["lost"] + len(self._early),
            n_forgotten=self._n["forgotten"],
            whole=self._point(kept) if kept else None,
            points=tuple(self._points),
            watching=self._watching(),
            alarms=tuple(self._alarms),
            n_alarms=self._n["alarms"],
            blocks=tuple(self._blocks),
        )

    def known(self) -> tuple[Known, ...]:
        """The last verdicts with outcomes, for a new calibrator."""
        return tuple(self._kept)

    def _watching(self) -> Watching | None:
        if self._watch is None:
            return None
        return Watching(
            n_reference=len(self._watch.reference.scores),
            reference_auc=self._watch.reference.auc,
            within=self._watch.within,
            false_alarms=self._watch.false_alarms,
            limits=self._watch.limits,
            power=self._power,
            statistic=self._watch.statistic,
            limit=self._watch.limit,
        )

    def _point(self, over: Sequence[Known]) -> Point:
        scores, resolved = _scores(over), _resolved(over)
        auc, ece = auc_score(scores, resolved), calibration_error(scores, resolved)
        bounds = _intervals(over, self._seed)
        below = None if ece is None else reflected(ece, bounds["ece"])
        floors = noise_floors(scores, seed=self._seed)
        return Point(
            n_outcomes=self._n["outcomes"],
            verdict=max(known.number for known in over),
            n=len(over),
            base_rate=float(resolved.mean()),
            mean_score=float(scores.mean()),
            auc=auc,
            auc_interval=None if auc is None else bounds["auc"],
            ece=ece,
            ece_interval=below and (max(0.0, below[0]), max(0.0, below[1])),
            ece_noise_floor=floors and floors[0],
        )


def _intervals(over: Sequence[Known], seed: int) -> dict[str, Interval | None]:
    """95%, tasks drawn."""
    names, tasks = np.unique(_tasks(over), return_inverse=True)
    n_tasks, scores, resolved = len(names), _scores(over), _resolved(over)
    auc = AucResampler(scores, resolved, tasks)
    gaps, sizes = bin_gaps(scores, resolved, tasks, n_tasks), sum_by(tasks, n_tasks)

    def resampled(weights: Floats) -> Resampled:
        return {"auc": auc(weights), "ece": divide(np.abs(weights @ gaps).sum(axis=1), weights @ sizes)}

    (drawn,) = resample([resampled], n_tasks, RESAMPLES, seed)
    return {name: interval(values, n_tasks) for name, values in drawn.items()}


def _scores(known: Iterable[Known]) -> Floats:
    return np.array([one.score for one in known], dtype=np.float64)


def _resolved(known: Iterable[Known]) -> Flags:
    return np.array([one.resolved for one in known], dtype=np.bool_)


def _tasks(known: Iterable[Known]) -> npt.NDArray[np.str_]:
    return np.array([one.task for one in known], dtype=np.str_)


def _shown(point: Point | None) -> str:
    if point is None or point.auc is None:
        return "undefined"
    bounds = point.auc_interval
    return f"{point.auc:.3f} [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else f"{point.auc:.3f}"
