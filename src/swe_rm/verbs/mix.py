"""`swe-rm mix`: a training mix as a file says."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from swe_rm.errors import SweRmError
from swe_rm.verbs.files import check_new
from swe_rm.verbs.telling import complain, exit_code


def mix(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml")],
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder to write; must not exist.")] = None,
    explain: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Say why one attempt is dropped or kept: attempt_id, or task/policy/attempt."),
    ] = None,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="What reads the attempts; the result is equal.")] = (
        "local"
    ),
    workers: Annotated[int, typer.Option(min=1, help="Processes that read.")] = 1,
    set_: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the file.")] = [],  # noqa: B006
) -> int:
    """Make a training mix as the file says: cleaned, decontaminated, balanced, drawn, every attempt accounted for."""
    from swe_rm.mix import MixConfig, plan, write
    from swe_rm.mix.engines import engine as engine_of
    from swe_rm.mix.ledger import summary
    from swe_rm.terminal import Progress

    if out is None and explain is None:
        raise SweRmError("give --out DIR for the mix, or --explain ID")
    if out:
        check_new(out)
    with Progress("reading") as progress:
        made = plan(MixConfig.load(config, set_), engine_of(engine, workers), progress.over)
    refused = complain(made.pile)
    if explain is not None:
        typer.echo(made.explain(explain))
    if out:
        with Progress("writing") as progress:
            write(made, out, progress.over)
        for line in summary(made.manifest.ledger):
            typer.echo(line)
        n_parts = len(made.manifest.parts)
        typer.echo(f"{out}: {made.manifest.ledger.kept:,} attempts in {n_parts} part{'s' if n_parts > 1 else ''}")
    return exit_code(made.manifest.ledger.kept, refused)
