"""`swe-rm export`: attempts for others."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from swe_rm.verbs.files import check_new


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that ingest wrote.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="One document a line; .gz or .zst compress.")],
    format: Annotated[
        Literal["attempts", "openai", "atif"], typer.Option("--format", help="Rows of ours, chat rows, or ATIF.")
    ] = "attempts",
) -> int:
    """Write ingested attempts in a format for others."""
    from swe_rm import store
    from swe_rm.export import write
    from swe_rm.terminal import Progress

    check_new(out)
    with Progress("writing") as progress:
        count = write(progress.over(store.read(folder)), out, format)
    typer.echo(f"{out}: {count} attempts")
    return 0
