"""The verifier `calibrated:DIR`: another verifier's scores through a fitted calibrator."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import ValidationError

from swe_rm.calibrate import Calibrator, Method, Per, PerGroup, cross_fitted, fit, fit_per_group
from swe_rm.errors import RecordError, VerifierError
from swe_rm.metrics import Flags, Floats, calibration_error
from swe_rm.trajectory import Labelled, Noun, Outcome, Task, Trajectory
from swe_rm.verdict import (
    NUMBERS,
    Verdict,
    Verifier,
    close,
    following,
    judges_together,
    numbers,
    reads_origin,
    spent,
)

FILE = "calibrator.json"
FOLDS = 5
"""By task, for the figure `ece_after`."""


class Calibration(Noun):
    """What `swe-rm calibrate` writes: the map, whose scores it is for, and what it was fitted on."""

    swe_rm_calibrator: Literal[2] = 2
    verifier: str
    """How to load the verifier, as given on the command line; paths in it are absolute."""
    verifier_name: str
    """name@version it was fitted for; it is applied to no other, but to the same weights in other numbers."""
    calibrator: Calibrator | PerGroup
    tasks: tuple[str, ...]
    """Ids of the tasks it was fitted on, sorted: it is not tested on these."""
    base_rate: float
    ece_before: float | None
    ece_after: float | None
    """Expected calibration error of raw scores, and of scores calibrated out of fold (folds by task)."""

    @property
    def name(self) -> str:
        """Of the calibrated verifier: method(inner name)@digest of the map."""
        return _name(self.calibrator, self.verifier_name)


class Examples(NamedTuple):
    """What a calibrator is fitted on, an entry an attempt."""

    scores: Floats
    resolved: Flags
    tasks: tuple[str, ...]
    groups: tuple[str, ...]
    """The policy or source of each, as `per` says."""
    per: Per | None


class Fit(NamedTuple):
    """A calibration and what it did to the scores it was fitted on, each by a map that saw no attempt at its task."""

    calibration: Calibration
    examples: Examples
    after: Floats
    """Calibrated out of fold, (n,)."""


class Calibrated:
    """Answers with the calibrated score of another verifier; `raw_score` is that verifier's own score."""

    def __init__(self, verifier: Verifier, calibrator: Calibrator | PerGroup, name: str | None = None) -> None:
        self._verifier = verifier
        self._calibrator = calibrator
        self._name = name

    @property
    def name(self) -> str:
        """The name given, or method(inner name)@digest of the map; an inner `mean(a@1,b@2)` keeps its versions too."""
        if self._name:
            return self._name + numbers(self._verifier.name)
        return _name(self._calibrator, self._verifier.name)

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """One verdict for each trajectory; raises whatever the inner verifier raises."""
        verdicts = self._verifier(trajectories)
        scores = self._scores(trajectories, verdicts).tolist()
        return [
            verdict.model_copy(update={"score": score, "raw_score": verdict.score, "verifier": self.name})
            for verdict, score in zip(verdicts, scores, strict=True)
        ]

    def _scores(self, trajectories: Sequence[Trajectory], verdicts: Sequence[Verdict]) -> Floats:
        raw = [verdict.score for verdict in verdicts]
        if isinstance(self._calibrator, Calibrator):
            return self._calibrator(raw)
        by_id = {t.attempt_id: _group(t, self._calibrator.per) for t in trajectories}
        return self._calibrator(raw, [by_id[verdict.attempt_id] for verdict in verdicts])

    @property
    def judges_together(self) -> bool:
        """Whether a score depends on what else is judged in the same call: where the inner verifier's does."""
        return judges_together(self._verifier)

    @property
    def reads_origin(self) -> bool:
        """Whether a score depends on whose attempt it is: with a map for each policy or source, or one inside."""
        return isinstance(self._calibrator, PerGroup) or reads_origin(self._verifier)

    @property
    def spent(self) -> object | None:
        """What the inner verifier has asked of an engine so far."""
        return spent(self._verifier)

    def close(self) -> None:
        """Close the inner verifier."""
        close(self._verifier)

    def following(self) -> "Calibrated":
        """The same, of a verifier that follows one attempt as it grows."""
        return Calibrated(following(self._verifier), self._calibrator, self._name)

    def explain(self, trajectory: Trajectory) -> list[str]:
        """What the inner verifier says about its score, where it says anything."""
        inner = getattr(self._verifier, "explain", None)
        return inner(trajectory) if inner else []


def examples(labelled: Sequence[Labelled], verdicts: Mapping[str, Verdict], per: Per | None = None) -> Examples:
    """The attempts that have a known outcome and a verdict (by attempt id)."""
    used = [i for i in labelled if i.outcome is not Outcome.UNKNOWN and i.trajectory.attempt_id in verdicts]
    return Examples(
        scores=np.array([verdicts[item.trajectory.attempt_id].score for item in used], dtype=np.float64),
        resolved=np.array([item.outcome is Outcome.RESOLVED for item in used], dtype=np.bool_),
        tasks=tuple(item.trajectory.task.instance_id for item in used),
        groups=tuple(_group(item.trajectory, per or "policy") for item in used),
        per=per,
    )


def fitted(spec: str, name: str, method: Method, found: Examples) -> Fit:
    """Fit a calibrator to scores of the verifier that `spec` loads and that is called `name`.

    Raises SweRmError where the attempts have fewer than two outcomes, in all or outside one of the folds by task that
    give `ece_after`.
    """
    scores, resolved, per = found.scores, found.resolved, found.per
    calibrator = fit_per_group(method, scores, resolved, found.groups, per) if per else fit(method, scores, resolved)
    folds = [Task(instance_id=task).fold(FOLDS) for task in found.tasks]
    after = cross_fitted(method, scores, resolved, folds, found.groups if per else None)
    calibration = Calibration(
        verifier=spec,
        verifier_name=name,
        calibrator=calibrator,
        tasks=tuple(sorted(set(found.tasks))),
        base_rate=float(resolved.mean()),
        ece_before=calibration_error(scores, resolved),
        ece_after=calibration_error(after, resolved),
    )
    return Fit(calibration, found, after)


def _name(calibrator: Calibrator | PerGroup, inner: str) -> str:
    return f"{calibrator.method}({inner})@{calibrator.digest[:8]}"


def _group(trajectory: Trajectory, per: Per) -> str:
    return trajectory.origin.policy if per == "policy" else trajectory.origin.source


def save(folder: Path, calibration: Calibration) -> Path:
    """Write `calibrator.json` into the folder and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    file.write_text(calibration.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return file


def read(folder: Path) -> Calibration:
    """What `swe-rm calibrate` wrote there. Raises RecordError where the file is missing or damaged."""
    file = folder / FILE
    try:
        return Calibration.model_validate_json(file.read_bytes())
    except OSError as error:
        raise RecordError(str(file), "", error.strerror or "cannot be read") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise RecordError(str(file), ".".join(map(str, first["loc"])), first["msg"]) from None


def load(folder: Path, load_verifier: Callable[[str], Verifier]) -> Calibrated:
    """The calibrated verifier of a folder; `load_verifier` gives the inner one.

    Raises RecordError where the file is missing or damaged, VerifierError where the inner verifier is no longer the
    one the map was fitted for.
    """
    calibration = read(folder)
    inner = load_verifier(calibration.verifier)
    if NUMBERS.sub("", inner.name) != NUMBERS.sub("", calibration.verifier_name):
        raise VerifierError(
            f"{folder / FILE}: fitted for {calibration.verifier_name}, but {calibration.verifier} is now {inner.name}"
        )
    return Calibrated(inner, calibration.calibrator)
