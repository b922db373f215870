"""`swe-rm ingest`: attempts of any format into shards of our own."""

import typer

from swe_rm.errors import SweRmError
from swe_rm.verbs.options import Labels, OutFolder, Paths
from swe_rm.verbs.telling import complain, exit_code


def ingest(
    paths: Paths,
    out: OutFolder,
    labels: Labels = [],  # noqa: B006  # typer copies it
) -> int:
    """Read attempts of any format into shards of our own, with their outcomes."""
    from swe_rm import store
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress

    pile = open_pile(paths, labels=labels)
    try:
        with Progress("reading") as progress:
            manifest = store.write(progress.over(pile.attempts()), out)
    except SweRmError:
        complain(pile)
        raise
    typer.echo(f"{out}: {manifest.n_attempts} attempts in {len(manifest.shards)} shards")
    return exit_code(manifest.n_attempts, complain(pile))
