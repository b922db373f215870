"""`swe-rm parity`: whether two engines give the same scores."""

from typing import Annotated

import typer

from swe_rm.verbs.files import check_document, write_json
from swe_rm.verbs.judging import load, verdicts_of
from swe_rm.verbs.options import STDOUT, JsonFile, Labels, Paths
from swe_rm.verbs.telling import complain, exit_code


def parity(
    a: Annotated[str, typer.Argument(metavar="A", help="A verifier, as for rank: one engine.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same verifier on another engine.")],
    paths: Paths,
    sample: Annotated[int, typer.Option(min=1, help="Attempts to score, whole tasks first.")] = 64,
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="Largest difference of two scores; beyond it the exit code is 1.")
    ] = 0.03,
    labels: Labels = [],  # noqa: B006  # typer copies it
    json: JsonFile = None,
) -> int:
    """Score a sample on two engines and report the differences."""
    from swe_rm.parity import compare
    from swe_rm.parity import sample as chosen_of
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress

    check_document(json)
    pile = open_pile(paths, labels=labels)
    with Progress("reading") as progress:
        attempts = chosen_of(progress.over(pile.attempts()), sample)
    refused = complain(pile)
    if not attempts:
        return exit_code(0, refused)
    engines = [load(spec, None) for spec in (a, b)]
    (first, failed_a), (second, failed_b) = (verdicts_of(attempts, engine) for engine in engines)
    found = compare(attempts, first, second, names=(engines[0].name, engines[1].name), tolerance=tolerance)
    write_json(json, found.model_dump())
    for line in found.lines():
        typer.echo("".join(c if c.isprintable() else " " for c in line), err=json == STDOUT)
    beyond = found.max_difference is None or found.max_difference > tolerance
    return 1 if beyond else exit_code(found.n_compared, refused + failed_a + failed_b)
