"""`swe-rm inspect`: what is in a pile of attempts, and what is suspicious."""

from pathlib import Path
from typing import Annotated

import typer

from swe_rm.verbs.files import check_document, check_page, write_json
from swe_rm.verbs.options import JsonFile, Labels, Paths
from swe_rm.verbs.telling import complain, console_for, exit_code


def inspect(
    paths: Paths,
    labels: Labels = [],  # noqa: B006  # typer copies it
    tasks: Annotated[
        list[Path],
        typer.Option("--tasks", metavar="PATH", help="Task rows with gold patches; those among PATH are found."),
    ] = [],  # noqa: B006
    examples: Annotated[int, typer.Option(min=0, help="Show so many examples of each finding.")] = 2,
    json: JsonFile = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a self-contained page there.")] = None,
) -> int:
    """Say what is in a pile of attempts and what is suspicious about it."""
    from swe_rm.inspection import inspect as look
    from swe_rm.inspection.findings import document
    from swe_rm.inspection.gold import read_gold, with_gold
    from swe_rm.inspection_page import write_page
    from swe_rm.inspection_report import print_inspection
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress

    check_page(html, json)
    check_document(json)
    pile = open_pile(paths, labels=labels)
    gold = read_gold([*tasks, *with_gold(pile.side_files)])
    with Progress("inspecting") as progress:
        found = look(progress.over(pile.attempts()), gold)
    if not found.tally.n:
        return exit_code(0, complain(pile))
    if html:
        write_page(found, html)
    write_json(json, document(found))
    print_inspection(found, console_for(json), examples)
    return exit_code(found.tally.n, complain(pile))
