"""`swe-rm audit`: a verifier in use, watched by the outcomes of a sampled few of its verdicts."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from swe_rm.errors import RecordError, SweRmError
from swe_rm.verbs.files import check_document, check_new, check_page, write_json
from swe_rm.verbs.judging import load
from swe_rm.verbs.options import JsonFile
from swe_rm.verbs.telling import console_for, exit_code, say, say_all

if TYPE_CHECKING:
    from swe_rm.audit import Audit
    from swe_rm.drift import Reference
    from swe_rm.outcome_rows import OutcomeRow


def audit(
    verdicts: Annotated[
        list[Path], typer.Argument(metavar="VERDICTS...", help="What score wrote, or a server's log: oldest first.")
    ],
    outcomes: Annotated[
        list[Path], typer.Option(metavar="FILE", help="Outcomes of some, as label --out writes them: oldest first.")
    ],
    reference: Annotated[
        Path | None,
        typer.Option(metavar="E.json", help="What evaluate --json said of it before; else the first outcomes."),
    ] = None,
    warm_up: Annotated[
        int, typer.Option(metavar="N", min=60, max=5_000, help="So many, where no reference is given.")
    ] = 500,
    within: Annotated[int, typer.Option(min=2, metavar="N", help="Outcomes a fall is to be found in.")] = 200,
    false_alarms: Annotated[float, typer.Option(metavar="P", help="Chance of one in so many outcomes.")] = 0.05,
    drop: Annotated[
        float, typer.Option(metavar="D", help="The fall of the AUC whose chance to be found is told: up to 0.5.")
    ] = 0.1,
    refit: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Fit a calibrator to the outcomes, for calibrated:DIR.")
    ] = None,
    verifier: Annotated[
        str | None, typer.Option("--verifier", help="With --refit: how to load the verifier that is audited.")
    ] = None,
    method: Annotated[
        Literal["temperature", "platt", "beta", "isotonic"], typer.Option(help="With --refit.")
    ] = "platt",
    json: JsonFile = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page there.")] = None,
) -> int:
    """Watch a verifier in use: AUC and calibration over time, and an alarm where the AUC falls."""
    from swe_rm.audit import Audit
    from swe_rm.audit_report import print_audit
    from swe_rm.pages.audit import write_audit
    from swe_rm.terminal import Progress

    if (refit is None) != (verifier is None):
        raise SweRmError("--refit and --verifier come together")
    check_document(json)
    check_page(html, json)
    if refit:
        check_new(refit)
    judge = load(verifier, None) if verifier else None
    name, before = _reference(reference) if reference else (None, None)
    watched = Audit(before, verifier=name, warm_up=warm_up, within=within, false_alarms=false_alarms, drop=drop)
    refused: list[str] = []
    rows = list(_outcomes(outcomes, refused))
    with Progress("reading verdicts") as progress:
        for _ in progress.over(_add_verdicts(watched, verdicts, by_key=_by_key(rows), refused=refused)):
            pass
    _add_outcomes(watched, rows, refused)
    found = watched.state()
    write_json(json, found.to_json())
    if html:
        write_audit(found, html)
    if found.n_verdicts:
        print_audit(found, console_for(json))
    if refit and verifier and judge:
        _refit(watched, verifier, judge.name, method, refit)
    return exit_code(found.n_verdicts, say_all(refused))


def _reference(file: Path) -> "tuple[str, Reference]":
    """The verifier that an evaluation is of, and its attempts as a reference."""
    import numpy as np

    from swe_rm.drift import Reference
    from swe_rm.entries import read_evaluation

    found = read_evaluation(file)
    if found.measured is None:
        raise RecordError(str(file), "measured", "is missing: it was written without its attempts")
    measured = found.measured
    return found.name, Reference(np.array(measured.scores), np.array(measured.resolved), np.array(measured.tasks))


def _outcomes(files: Sequence[Path], refused: list[str]) -> "Iterator[OutcomeRow]":
    from swe_rm.outcome_rows import OutcomeRow, outcome_rows

    for file in files:
        for row in outcome_rows(file):
            if isinstance(row, OutcomeRow):
                yield row
            else:
                refused.append(str(row))


def _by_key(rows: "Sequence[OutcomeRow]") -> bool:
    """Whether outcomes are joined by (instance_id, policy, attempt): as soon as one has no attempt id."""
    return any(row.attempt_id is None for row in rows)


def _add_verdicts(watched: "Audit", files: Sequence[Path], *, by_key: bool, refused: list[str]) -> Iterator[None]:
    from swe_rm.verifiers.recorded import each_row

    for file in files:
        for row in each_row(file):
            if isinstance(row, RecordError):
                refused.append(str(row))
                continue
            author = row.verdict.verifier
            watched.verifier = watched.verifier or author
            if author != watched.verifier:
                raise row.error(f"a verdict of {author}, where {watched.verifier} is audited")
            name = _name(row.attempt_id, row.key, by_key)
            try:
                if name is None:
                    raise SweRmError("names its attempt otherwise than the outcomes do")
                task = row.key[0] if row.key else ""
                watched.add_verdict(name, row.verdict.score, task=task, raw_score=row.verdict.raw_score)
            except SweRmError as error:
                refused.append(str(row.error(str(error))))
            yield


def _add_outcomes(watched: "Audit", rows: "Sequence[OutcomeRow]", refused: list[str]) -> None:
    from swe_rm.trajectory import Outcome

    told = {Outcome.RESOLVED: True, Outcome.UNRESOLVED: False, Outcome.UNKNOWN: None}
    by_key = _by_key(rows)
    for row in rows:
        name = _name(row.attempt_id, row.key, by_key)
        try:
            if name is None:
                raise SweRmError("has no key, and other outcomes have no attempt_id")
            watched.add_outcome(name, told[row.outcome])
        except SweRmError as error:
            refused.append(str(row.refusal(str(error))))


def _name(attempt_id: str | None, key: tuple[str, str, str] | None, by_key: bool) -> str | None:
    return attempt_id if not by_key else None if key is None else " / ".join(key)


def _refit(
    watched: "Audit",
    verifier: str,
    loaded: str,
    method: Literal["temperature", "platt", "beta", "isotonic"],
    out: Path,
) -> None:
    """Fit and store a calibrator on the outcomes known; of a calibrated verifier the map is replaced.

    `loaded` is the name of what `verifier` loads: a map for another than the audited one could not be applied.
    """
    import numpy as np

    from swe_rm.verdict import NUMBERS
    from swe_rm.verifiers import absolute_spec, calibrated

    kind, _, argument = verifier.partition(":")
    folder = Path(argument if kind == "calibrated" else verifier)
    known, spec, name = watched.known(), absolute_spec(verifier), str(watched.verifier)
    old = calibrated.read(folder) if kind == "calibrated" or (folder / calibrated.FILE).is_file() else None
    if NUMBERS.sub("", loaded) != NUMBERS.sub("", name):
        raise SweRmError(f"--verifier {verifier}: is {loaded}, and {name} is audited")
    fit = calibrated.fitted(
        old.verifier if old else spec,
        old.verifier_name if old else name,
        method,
        calibrated.Examples(
            scores=np.array([one.raw_score if old else one.score for one in known], dtype=np.float64),
            resolved=np.array([one.resolved for one in known], dtype=np.bool_),
            tasks=tuple(one.task for one in known),
            groups=("",) * len(known),
            per=None,
        ),
    )
    calibrated.save(out, fit.calibration)
    found = fit.calibration
    say(
        f"{out}: {method} for {found.verifier_name}, {len(known)} outcomes at {len(found.tasks)} tasks, ECE "
        f"{found.ece_before:.3f} before and {found.ece_after:.3f} after, out of fold"
    )
