"""`swe-rm compare`: several verifiers on the attempts that count for all."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from swe_rm.verbs.files import check_document, check_page, write_json
from swe_rm.verbs.judging import with_recorded
from swe_rm.verbs.options import JsonFile, Labels
from swe_rm.verbs.reading import gather
from swe_rm.verbs.telling import complain, console_for, exit_code


def compare(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="What evaluate --json wrote; with --attempts, what score wrote too."),
    ],
    attempts: Annotated[
        list[Path], typer.Option(metavar="PATH", help="The attempts that files of verdicts are about.")
    ] = [],  # noqa: B006
    policy: Annotated[
        Literal["exact", "family"], typer.Option(help="As for evaluate; for files of verdicts.")
    ] = "exact",
    unscored: Annotated[
        Literal["drop", "lowest", "mean"], typer.Option(help="As for evaluate; for files of verdicts.")
    ] = "drop",
    resamples: Annotated[int, typer.Option(min=1, help="Draws of tasks for the intervals, which need 40.")] = 10_000,
    labels: Labels = [],  # noqa: B006  # typer copies it
    json: JsonFile = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw them together on a page there.")] = None,
) -> int:
    """Compare verifiers on the attempts that count for all, with intervals on their differences."""
    from swe_rm.compare import compare as contest
    from swe_rm.comparison_report import print_comparison
    from swe_rm.entries import entry_of, is_evaluation, read_evaluation
    from swe_rm.pages.comparison import write_comparison
    from swe_rm.terminal import Progress

    check_page(html, json)
    check_document(json)
    refused = 0
    if attempts:
        pile, gathered = gather(attempts, labels, lengths=False)
        refused = complain(pile)
    entries = []
    for file in files:
        if attempts and not is_evaluation(file):
            entries.append(entry_of(with_recorded(gathered, file), policy, unscored))
        else:
            entries.append(read_evaluation(file))
    with Progress("comparing"):
        found = contest(entries, resamples=resamples)
    if html:
        write_comparison(found, html)
    write_json(json, found.to_json())
    print_comparison(found, console_for(json))
    return exit_code(len(entries), refused)
