"""`swe-rm evaluate`: a verifier against what the tests said."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from swe_rm.errors import SweRmError, VerifierError
from swe_rm.verbs.files import check_document, check_page, write_json
from swe_rm.verbs.judging import judged, length_policy, with_recorded
from swe_rm.verbs.options import (
    DeviceMap,
    DType,
    Experts,
    JsonFile,
    Labels,
    Paths,
    PolicyName,
    Verdicts,
    VerifierOrDefault,
)
from swe_rm.verbs.reading import gather
from swe_rm.verbs.telling import complain, console_for, exit_code, say, say_all

if TYPE_CHECKING:
    from swe_rm.evaluate import Report
    from swe_rm.progress import Curve
    from swe_rm.scored import Scored
    from swe_rm.trajectory import Trajectory
    from swe_rm.verdict import Verifier


def evaluate(
    paths: Paths,
    verifier: VerifierOrDefault = None,
    verdicts: Verdicts = None,
    policy: PolicyName = "exact",
    k_max: Annotated[int | None, typer.Option(min=1, help="Keep only tasks with at least K attempts.")] = None,
    unscored: Annotated[
        Literal["drop", "lowest", "mean"], typer.Option(help="How attempts without a verdict count; it moves RM@K.")
    ] = "drop",
    price_per_hour: Annotated[
        float | None, typer.Option(metavar="PRICE", min=0, help="Of the machine that judges: says what verdicts cost.")
    ] = None,
    trained_on: Annotated[
        list[Path],
        typer.Option(
            metavar="PATH", help="What it was trained on: checkpoint, calibrator, mix, attempts, ids in a .txt."
        ),
    ] = [],  # noqa: B006
    resamples: Annotated[int, typer.Option(min=1, help="Draws of tasks for the intervals, which need 40.")] = 10_000,
    dtype: DType = None,
    device_map: DeviceMap = None,
    experts: Experts = None,
    labels: Labels = [],  # noqa: B006  # typer copies it
    json: JsonFile = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a self-contained report there.")] = None,
    pages: Annotated[
        int, typer.Option(min=0, help="Attempts with a page of their own in it: wrong verdicts, then the best-scored.")
    ] = 50,
    progress: Annotated[
        int, typer.Option(min=0, help="Of those, so many with the score after their turns; takes a verifier.")
    ] = 0,
) -> int:
    """Measure a verifier against what the tests said, with controls beside it."""
    from swe_rm.evaluate import measure
    from swe_rm.report import document, print_report
    from swe_rm.sources import Pile
    from swe_rm.terminal import Progress
    from swe_rm.trained_on import shipped_tasks, trained_tasks, untold

    if verifier and verdicts:
        raise SweRmError("--verifier and --verdicts exclude each other")
    if progress and (verdicts or not html):
        raise SweRmError("--progress takes --html and a verifier: recorded verdicts are of whole attempts")
    check_page(html, json)
    check_document(json)
    seen = trained_tasks(trained_on)
    failed, judge = 0, None
    if verdicts:
        pile, gathered = gather(paths, labels)
        scored = with_recorded(gathered, verdicts)
        pages = 0 if gathered.only_names else pages
    else:
        models = {"dtype": dtype, "device_map": device_map, "experts": experts}
        pile, scored, judge, failed = judged(paths, labels, verifier or "default", models)
    with Progress("measuring"):
        found = measure(
            scored, policy=policy, k_max=k_max, unscored=unscored, price_per_hour=price_per_hour,
            trained_on=seen | shipped_tasks(scored.verifier, set(scored.tasks)),
            untold=untold(scored.verifier, None if verdicts else verifier or "default", trained_on),
            resamples=resamples,
        )  # fmt: skip
    write_json(json, document(found))
    if html:
        again = Again(paths, labels, pages if isinstance(pile, Pile) else 0, progress)
        _write_page(html, found, scored, again, judge, verifier or "default")
    if found.metrics.n_attempts:
        print_report(found, console_for(json))
    say_all(found.warnings)
    return exit_code(found.metrics.n_attempts, complain(pile) + failed)


class Again(NamedTuple):
    """What is read a second time for pages of attempts: logs do not stay in memory while they are judged."""

    paths: Sequence[Path]
    labels: Sequence[Path]
    pages: int
    """0 where there are no logs: outcomes may be all that is known."""
    progress: int


def _write_page(
    html: Path, found: "Report", scored: "Scored", again: Again, judge: "Verifier | None", spec: str
) -> None:
    from swe_rm.pages.attempts import Reader, sheets
    from swe_rm.pages.chosen import chosen, read_again
    from swe_rm.pages.report import write_report
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress

    choices = chosen(found, again.pages)
    policy = length_policy(spec) if judge and choices else None
    followed = set(list(choices)[: again.progress])
    curve = None if judge is None else lambda trajectory: _curve(trajectory, judge, followed)
    with Progress("writing pages", len(choices)) as progress:
        attempts = open_pile(again.paths, labels=again.labels).attempts() if choices else iter(())
        reader = Reader(policy.fates if policy else None, curve)
        made = sheets(progress.over(read_again(attempts, choices)), choices, scored, reader)
    write_report(found, html, choices, made)


def _curve(trajectory: "Trajectory", judge: "Verifier", followed: Collection[str]) -> "Curve | None":
    """The score after the turns of an attempt that is to have it; a line on stderr says why there can be none."""
    from swe_rm.cut_short import turn_starts
    from swe_rm.progress import curve, every_for

    n_turns = len(turn_starts(trajectory)) if trajectory.attempt_id in followed else 0
    if not n_turns:
        return None
    try:
        return curve(trajectory, judge, every_for(n_turns, POINTS))
    except VerifierError as error:
        say(f"{' / '.join(trajectory.key)}: no score after its turns: {error}")
        return None


POINTS = 40
"""Turns of a curve that are scored, at most."""
