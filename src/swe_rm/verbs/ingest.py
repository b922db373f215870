"""`swe-rm ingest`: attempts of any format into shards of our own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from swe_rm.errors import SweRmError
from swe_rm.trajectory import Labelled
from swe_rm.verbs.options import Labels, OutFolder, Paths
from swe_rm.verbs.telling import complain, exit_code, say


def ingest(
    paths: Paths,
    out: OutFolder,
    labels: Labels = [],  # noqa: B006  # typer copies it
    tasks: Annotated[
        list[Path],
        typer.Option("--tasks", metavar="PATH", help="Rows of tasks, for attempts that do not show their issue."),
    ] = [],  # noqa: B006
) -> int:
    """Read attempts of any format into shards of our own, with their outcomes."""
    from swe_rm import store
    from swe_rm.mix.task_rows import read_issues, with_statement
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress

    issues = read_issues(tasks)
    pile = open_pile(paths, labels=labels)
    without: list[str] = []

    def told() -> Iterator[Labelled]:
        for item in pile.attempts():
            whole = with_statement(item, issues)
            if tasks and not whole.trajectory.task.statement:
                without.append(item.trajectory.task.instance_id)
            yield whole

    try:
        with Progress("reading") as progress:
            manifest = store.write(progress.over(told()), out)
    except SweRmError:
        complain(pile)
        raise
    if without:
        say(f"{len(without)} attempts without an issue, at tasks that have no row, {without[0]} first")
    typer.echo(f"{out}: {manifest.n_attempts} attempts in {len(manifest.shards)} shards")
    return exit_code(manifest.n_attempts, complain(pile))
