"""`swe-rm calibrate`: a calibrator for a verifier's scores."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from swe_rm.errors import SweRmError
from swe_rm.verbs.files import check_document, check_new, check_page, write_json
from swe_rm.verbs.judging import load, not_fitted_on, recorded_verdicts, verdicts_of
from swe_rm.verbs.options import JsonFile, Labels, OutFolder, Paths, VerifierName
from swe_rm.verbs.reading import read_attempts
from swe_rm.verbs.telling import complain, console_for, exit_code, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swe_rm.calibrate import Method
    from swe_rm.labels_needed import NewPolicy
    from swe_rm.verdict import Verdict
    from swe_rm.verifiers.calibrated import Examples


def calibrate(
    paths: Paths,
    method: Annotated[Literal["temperature", "platt", "beta", "isotonic"], typer.Option()],
    out: OutFolder,
    verifier: VerifierName = "default",
    verdicts: Annotated[
        Path | None,
        typer.Option(
            "--verdicts", metavar="FILE", help="Its verdicts on these attempts; out-of-fold ones name no verifier."
        ),
    ] = None,
    per: Annotated[
        Literal["policy", "source"] | None, typer.Option(help="A map for each, leaning on the map of all.")
    ] = None,
    needed: Annotated[
        bool, typer.Option("--labels-needed", help="Show what 0, 20, 50 and 200 labels of a new policy give.")
    ] = False,
    labels: Labels = [],  # noqa: B006  # typer copies it
    json: JsonFile = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with the reliability there.")] = None,
) -> int:
    """Fit a calibrator to a verifier's scores; use it as calibrated:DIR."""
    from swe_rm.calibration_report import Calibrating, print_calibration
    from swe_rm.pages.calibration import write_calibration
    from swe_rm.verifiers import absolute_spec, calibrated

    check_new(out)
    check_document(json)
    check_page(html, json)
    pile, attempts = read_attempts(paths, labels)
    attempts = list(not_fitted_on(attempts, verifier))
    judge = load(verifier, attempts)
    trajectories = [item.trajectory for item in attempts]
    answers, failed = (recorded_verdicts(verdicts, trajectories), 0) if verdicts else verdicts_of(attempts, judge)
    if verdicts:
        _refuse_of_another(verdicts, answers, judge.name)
    fit = calibrated.fitted(absolute_spec(verifier), judge.name, method, calibrated.examples(attempts, answers, per))
    found = Calibrating.of(fit, _new_policies(method, calibrated.examples(attempts, answers)) if needed else ())
    calibrated.save(out, fit.calibration)
    write_json(json, found.to_json())
    if html:
        write_calibration(found, html)
    print_calibration(found, out, console_for(json))
    return exit_code(found.n_attempts, complain(pile) + failed)


def _refuse_of_another(file: Path, answers: "Mapping[str, Verdict]", name: str) -> None:
    """A map is of one verifier's scores. Rows that name none are taken for its own: those of other folds' weights."""
    from swe_rm.verdict import NUMBERS
    from swe_rm.verifiers.recorded import NAMELESS

    for author in {verdict.verifier for verdict in answers.values()}:
        if not author.startswith(NAMELESS) and NUMBERS.sub("", author) != NUMBERS.sub("", name):
            raise SweRmError(
                f"{file}: verdicts of {author}, and the map would be for {name}: "
                "give its --verifier, or rows that name none"
            )


def _new_policies(method: "Method", found: "Examples") -> "tuple[NewPolicy, ...]":
    """Each policy taken for new, with labels of it; a line on stderr says why there is none."""
    from swe_rm.labels_needed import NoPolicy, labels_needed
    from swe_rm.terminal import Progress

    try:
        with Progress("taking each policy for new"):
            return labels_needed(method, found.scores, found.resolved, found.tasks, found.groups)
    except NoPolicy as error:
        say(str(error))
        return ()
