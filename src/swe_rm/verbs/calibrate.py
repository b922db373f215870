"""`swe-rm calibrate`: a calibrator for a verifier's scores."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from swe_rm.verbs.files import check_new
from swe_rm.verbs.judging import load, recorded_verdicts, verdicts_of
from swe_rm.verbs.options import Labels, OutFolder, Paths, VerifierName
from swe_rm.verbs.reading import read_attempts
from swe_rm.verbs.telling import complain, exit_code


def calibrate(
    paths: Paths,
    method: Annotated[Literal["temperature", "platt", "beta", "isotonic"], typer.Option()],
    out: OutFolder,
    verifier: VerifierName = "default",
    verdicts: Annotated[
        Path | None,
        typer.Option("--verdicts", metavar="FILE", help="Its verdicts on these attempts, e.g. out-of-fold ones."),
    ] = None,
    labels: Labels = [],  # noqa: B006  # typer copies it
) -> int:
    """Fit a calibrator to a verifier's scores; use it as calibrated:DIR."""
    from swe_rm.verifiers import absolute_spec, calibrated

    check_new(out)
    pile, attempts = read_attempts(paths, labels)
    judge = load(verifier, attempts)
    trajectories = [item.trajectory for item in attempts]
    answers, failed = (recorded_verdicts(verdicts, trajectories), 0) if verdicts else verdicts_of(attempts, judge)
    calibration = calibrated.fitted(absolute_spec(verifier), judge.name, method, attempts, answers)
    calibrated.save(out, calibration)
    typer.echo(
        f"{out}: {method} for {judge.name}, {calibration.calibrator.n} attempts at {calibration.n_tasks} tasks, "
        f"ECE {calibration.ece_before:.3f} before and {calibration.ece_after:.3f} after, out of fold"
    )
    return exit_code(calibration.calibrator.n, complain(pile) + failed)
