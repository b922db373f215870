"""`swe-rm attack`: what rewriting an attempt without its patch does to its score."""

from pathlib import Path
from typing import Annotated

import typer

from swe_rm.verbs.files import check_document, check_new, write_json
from swe_rm.verbs.judging import load
from swe_rm.verbs.options import DeviceMap, DType, Experts, JsonFile, Labels, Paths, VerifierName
from swe_rm.verbs.reading import read_attempts
from swe_rm.verbs.telling import complain, console_for, exit_code, say_all


def attack(
    paths: Paths,
    verifier: VerifierName = "default",
    threshold: Annotated[float, typer.Option(min=0, max=1, metavar="P", help="Above it an attempt is accepted.")] = 0.5,
    best_of: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Rewritings the search tries of each attempt, each family first; 0: none."
        ),
    ] = 64,
    family: Annotated[list[str], typer.Option(metavar="NAME", help="Only this way of rewriting; repeatable.")] = [],  # noqa: B006
    sample: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only so many of the attempts, drawn by --seed.")
    ] = None,
    seed: Annotated[int, typer.Option()] = 0,
    dtype: DType = None,
    device_map: DeviceMap = None,
    experts: Experts = None,
    labels: Labels = [],  # noqa: B006  # typer copies it
    json: JsonFile = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.jsonl", help="Write the rewritten attempts, to train against.")
    ] = None,
) -> int:
    """Rewrite attempts without touching their patches, and show what that does to their scores."""
    from swe_rm.attack import attack as run
    from swe_rm.attack import drawn
    from swe_rm.attack.writing import writer
    from swe_rm.attack_report import print_attack
    from swe_rm.scoring import Unscored
    from swe_rm.terminal import Progress

    check_document(json)
    if out:
        check_new(out)
    pile, attempts = read_attempts(paths, labels)
    chosen = drawn(attempts, sample, seed)
    judge = load(verifier, attempts, dtype=dtype, device_map=device_map, experts=experts)
    failures: list[Unscored] = []
    with writer(out) as write, Progress("rewriting", len(chosen)) as progress:
        found = run(
            chosen, judge, threshold=threshold, best_of=best_of, families=family, seed=seed,
            unscored=failures.append, written=write, progress=progress.advance,
        )  # fmt: skip
    write_json(json, found.to_json())
    print_attack(found, console_for(json))
    return exit_code(found.n_attempts, complain(pile) + say_all(failures))
