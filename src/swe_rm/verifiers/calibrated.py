"""The verifier `calibrated:DIR`: another verifier's scores through a fitted calibrator."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError

from swe_rm.calibrate import Calibrator, Method, cross_fitted, fit
from swe_rm.errors import RecordError, VerifierError
from swe_rm.metrics import calibration_error
from swe_rm.trajectory import Labelled, Noun, Outcome, Trajectory
from swe_rm.verdict import NUMBERS, Verdict, Verifier, numbers

FILE = "calibrator.json"
FOLDS = 5
"""By task, for the figure `ece_after`."""


class Calibration(Noun):
    """What `swe-rm calibrate` writes: the map, whose scores it is for, and what it was fitted on."""

    swe_rm_calibrator: Literal[1] = 1
    verifier: str
    """How to load the verifier, as given on the command line; paths in it are absolute."""
    verifier_name: str
    """name@version it was fitted for; it is applied to no other, but to the same weights in other numbers."""
    calibrator: Calibrator
    n_tasks: int
    base_rate: float
    ece_before: float | None
    ece_after: float | None
    """Expected calibration error of raw scores, and of scores calibrated out of fold (folds by task)."""


class Calibrated:
    """Answers with the calibrated score of another verifier; `raw_score` is that verifier's own score."""

    def __init__(self, verifier: Verifier, calibrator: Calibrator, name: str | None = None) -> None:
        self._verifier = verifier
        self._calibrator = calibrator
        self._name = name

    @property
    def name(self) -> str:
        """The name given, or method(inner name)@digest of the map; an inner `mean(a@1,b@2)` keeps its versions too."""
        if self._name:
            return self._name + numbers(self._verifier.name)
        return f"{self._calibrator.method}({self._verifier.name})@{self._calibrator.digest[:8]}"

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """One verdict for each trajectory; raises whatever the inner verifier raises."""
        verdicts = self._verifier(trajectories)
        scores = self._calibrator([verdict.score for verdict in verdicts]).tolist()
        return [
            verdict.model_copy(update={"score": score, "raw_score": verdict.score, "verifier": self.name})
            for verdict, score in zip(verdicts, scores, strict=True)
        ]

    def explain(self, trajectory: Trajectory) -> list[str]:
        """What the inner verifier says about its score, where it says anything."""
        inner = getattr(self._verifier, "explain", None)
        return inner(trajectory) if inner else []


def fitted(
    spec: str, name: str, method: Method, labelled: Sequence[Labelled], verdicts: Mapping[str, Verdict]
) -> Calibration:
    """Fit a calibrator to the verdicts (by attempt id) of the verifier that `spec` loads and that is called `name`.

    Attempts of unknown outcome or without a verdict are left out. Raises SweRmError where fewer than two outcomes are
    left, in all or outside one of the folds by task that give `ece_after`.
    """
    used = [i for i in labelled if i.outcome is not Outcome.UNKNOWN and i.trajectory.attempt_id in verdicts]
    scores = np.array([verdicts[item.trajectory.attempt_id].score for item in used], dtype=np.float64)
    resolved = np.array([item.outcome is Outcome.RESOLVED for item in used], dtype=np.bool_)
    calibrator = fit(method, scores, resolved)
    held_out = cross_fitted(method, scores, resolved, [item.trajectory.task.fold(FOLDS) for item in used])
    return Calibration(
        verifier=spec,
        verifier_name=name,
        calibrator=calibrator,
        n_tasks=len({item.trajectory.task.instance_id for item in used}),
        base_rate=float(resolved.mean()),
        ece_before=calibration_error(scores, resolved),
        ece_after=calibration_error(held_out, resolved),
    )


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
