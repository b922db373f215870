"""`swe-rm progress`: the score after each turn, and what stopping early by it is worth."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from swe_rm.errors import SweRmError
from swe_rm.verbs.files import check_document, write_json
from swe_rm.verbs.judging import load
from swe_rm.verbs.options import DeviceMap, DType, Experts, JsonFile, Labels, Paths, VerifierName
from swe_rm.verbs.reading import read_attempts
from swe_rm.verbs.telling import complain, console_for, exit_code, say_all

if TYPE_CHECKING:
    from swe_rm.progress import Curve
    from swe_rm.stopping import Stopping
    from swe_rm.trajectory import Labelled
    from swe_rm.verdict import Verifier


def progress(
    paths: Paths,
    verifier: VerifierName = "default",
    attempt: Annotated[
        list[str], typer.Option(metavar="ID", help="Only this attempt, by its attempt_id or 'task/policy/attempt'.")
    ] = [],  # noqa: B006
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Score after every N-th turn and the last.")] = 1,
    points: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most N scores an attempt, in place of --every.")
    ] = None,
    stopping: Annotated[
        bool, typer.Option("--stopping", help="Say what stopping early by the score is worth, not the curves.")
    ] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only so many of the tasks, drawn by --seed.")
    ] = None,
    seed: Annotated[int, typer.Option()] = 0,
    dtype: DType = None,
    device_map: DeviceMap = None,
    experts: Experts = None,
    labels: Labels = [],  # noqa: B006  # typer copies it
    json: JsonFile = None,
) -> int:
    """Score attempts after each turn, and show which turns moved the verdict."""
    from swe_rm.progress_report import print_curves, print_stopping
    from swe_rm.verdict import following

    if points and every > 1:
        raise SweRmError("--points and --every exclude each other")
    if points and stopping:
        raise SweRmError("--points looks ahead, at how many turns there will be: --stopping takes --every")
    check_document(json)
    pile, attempts = read_attempts(paths, labels)
    chosen = _chosen(attempts, attempt, sample, seed)
    judge = load(verifier, attempts, dtype=dtype, device_map=device_map, experts=experts)
    following(judge)  # refuses before the work a verifier that cannot follow
    curves, failed = _curves(chosen, judge, every, points)
    found = _stopping(chosen, curves, judge.name, seed) if stopping and curves else None
    document = {"verifier": judge.name, "attempts": [curve.model_dump() for curve in curves]}
    write_json(json, document | ({"stopping": found.model_dump()} if found else {}))
    outcomes = {item.trajectory.attempt_id: item.outcome for item in chosen}
    shown = [(curve, outcomes[curve.attempt_id]) for curve in curves]
    console = console_for(json)
    if found:
        print_stopping(found, console)
    else:
        console.print(f"judged by {judge.name}", markup=False, highlight=False, soft_wrap=True)
        print_curves(shown, console)
    return exit_code(len(curves), complain(pile) + failed)


def _chosen(
    attempts: Sequence["Labelled"], named: Sequence[str], sample: int | None, seed: int
) -> Sequence["Labelled"]:
    """The attempts asked for. Raises SweRmError for a name of no attempt, or of several."""
    import random

    by_name: dict[str, list[Labelled]] = {}
    for item in attempts:
        for name in (item.trajectory.attempt_id, "/".join(item.trajectory.key)):
            by_name.setdefault(name, []).append(item)
    for name in named:
        if len(found := by_name.get(name, [])) != 1:
            raise SweRmError(f"--attempt {name}: {len(found) or 'no'} attempt{'s' * (len(found) > 1)} of that name")
    if named:
        attempts = [by_name[name][0] for name in dict.fromkeys(named)]
    tasks = sorted({item.trajectory.task.instance_id for item in attempts})
    if sample is None or sample >= len(tasks):
        return attempts
    drawn = set(random.Random(seed).sample(tasks, sample))
    return [item for item in attempts if item.trajectory.task.instance_id in drawn]


def _curves(
    attempts: Sequence["Labelled"], judge: "Verifier", every: int, points: int | None
) -> tuple[list["Curve"], int]:
    """The curve of each attempt, and how many have none; each of those is a line on stderr."""
    from swe_rm.cut_short import turn_starts
    from swe_rm.errors import VerifierError
    from swe_rm.progress import curve, every_for
    from swe_rm.terminal import Progress

    curves: list[Curve] = []
    failures: list[str] = []
    with Progress("scoring", len(attempts)) as shown:
        for item in shown.over(attempts):
            step = every_for(len(turn_starts(item.trajectory)), points) if points else every
            try:
                curves.append(curve(item.trajectory, judge, step))
            except VerifierError as error:
                failures.append(f"{' / '.join(item.trajectory.key)}: {error}")
    return curves, say_all(failures)


def _stopping(attempts: Sequence["Labelled"], curves: Sequence["Curve"], verifier: str, seed: int) -> "Stopping":
    """What stopping is worth on the attempts of known outcome."""
    from swe_rm.stopping import FOLDS, followed, measure
    from swe_rm.trajectory import Outcome

    items = {item.trajectory.attempt_id: item for item in attempts}
    known = [
        followed(curve, item.outcome, item.trajectory.task.fold(FOLDS))
        for curve in curves
        if (item := items[curve.attempt_id]).outcome is not Outcome.UNKNOWN
    ]
    return measure(known, verifier, n_unknown=len(curves) - len(known), seed=seed)
