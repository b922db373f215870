"""`swe-rm evaluate`: a verifier against what the tests said."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from swe_rm.errors import SweRmError
from swe_rm.verbs.files import check_document, check_page, write_json
from swe_rm.verbs.judging import judged, recorded_verdicts
from swe_rm.verbs.options import DeviceMap, DType, Experts, JsonFile, Labels, Paths
from swe_rm.verbs.reading import gather
from swe_rm.verbs.telling import complain, console_for, exit_code, say_all


def evaluate(
    paths: Paths,
    verifier: Annotated[
        str | None, typer.Option("--verifier", help="As for rank; default where none is given.")
    ] = None,
    verdicts: Annotated[
        Path | None, typer.Option("--verdicts", metavar="FILE", help="Recorded verdicts, in place of a verifier.")
    ] = None,
    policy: Annotated[
        Literal["exact", "family"], typer.Option(help="family: drop a policy's trailing [configuration].")
    ] = "exact",
    k_max: Annotated[int | None, typer.Option(min=1, help="Keep only tasks with at least K attempts.")] = None,
    unscored: Annotated[
        Literal["drop", "lowest", "mean"], typer.Option(help="How attempts without a verdict count; it moves RM@K.")
    ] = "drop",
    price_per_hour: Annotated[
        float | None, typer.Option(metavar="PRICE", help="Of the machine that judges: says what verdicts cost.")
    ] = None,
    trained_on: Annotated[
        list[Path],
        typer.Option(metavar="PATH", help="What it was trained on: its checkpoint, mix, attempts, or ids in a .txt."),
    ] = [],  # noqa: B006
    resamples: Annotated[int, typer.Option(min=1, help="Draws of tasks that the intervals rest on.")] = 10_000,
    dtype: DType = None,
    device_map: DeviceMap = None,
    experts: Experts = None,
    labels: Labels = [],  # noqa: B006  # typer copies it
    json: JsonFile = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a self-contained report there.")] = None,
) -> int:
    """Measure a verifier against what the tests said, with controls beside it."""
    from swe_rm import report
    from swe_rm.evaluate import measure
    from swe_rm.terminal import Progress

    if verifier and verdicts:
        raise SweRmError("--verifier and --verdicts exclude each other")
    check_page(html)
    check_document(json)
    seen = _seen(trained_on, None if verdicts else verifier or "default", paths)
    failed = 0
    if verdicts:
        pile, gathered = gather(paths, labels)
        scored = gathered.scored(recorded_verdicts(verdicts, gathered.named))
    else:
        models = {"dtype": dtype, "device_map": device_map, "experts": experts}
        pile, scored, failed = judged(paths, labels, verifier or "default", models)
    with Progress("measuring"):
        found = measure(
            scored, policy=policy, k_max=k_max, unscored=unscored, price_per_hour=price_per_hour, trained_on=seen,
            resamples=resamples,
        )  # fmt: skip
    if html:
        report.write_html(found, html)
    write_json(json, report.document(found))
    report.print_report(found, console_for(json))
    say_all(found.warnings)
    return exit_code(found.metrics.n_attempts, complain(pile) + failed)


def _seen(trained_on: Sequence[Path], verifier: str | None, paths: Sequence[Path]) -> frozenset[str]:
    """Tasks the verifier is known to have been trained on; None is a file of verdicts, which has no card."""
    from swe_rm.trained_on import told_by_card, trained_tasks

    return trained_tasks(trained_on) | (frozenset() if verifier is None else told_by_card(verifier, paths))
