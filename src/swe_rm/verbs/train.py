"""`swe-rm train`: a verifier as a file says."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml")],
    set_: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the file.")] = [],  # noqa: B006
) -> int:
    """Train a verifier as the file says; run again to resume."""
    from swe_rm.parallel import is_main
    from swe_rm.recipe import TrainConfig
    from swe_rm.terminal import Progress
    from swe_rm.train import train as run

    settings = TrainConfig.load(config, set_)
    if sys.stderr.isatty() and is_main():
        with Progress("training") as progress:
            folder = run(settings, progress=progress.reach)
    else:  # the lines of the run itself say how far it is
        folder = run(settings)
    if is_main():
        typer.echo(str(folder))
    return 0
