"""`swe-rm score`: one verdict a line, on this machine or on many."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from swe_rm.errors import SweRmError
from swe_rm.verbs.files import check_writable
from swe_rm.verbs.judging import scorer
from swe_rm.verbs.options import DeviceMap, DType, Experts, Labels, Paths, VerifierName
from swe_rm.verbs.reading import read_attempts
from swe_rm.verbs.telling import complain, exit_code, say, say_all


def score(
    paths: Paths,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.jsonl", help="One verdict a line.")],
    verifier: VerifierName = "default",
    resume: Annotated[bool, typer.Option("--resume", help="Continue a file that a run left unfinished.")] = False,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="Where it is judged; the result is equal.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Copies of the verifier on Ray, a GPU each if it has any.")] = 1,
    dtype: DType = None,
    device_map: DeviceMap = None,
    experts: Experts = None,
    labels: Labels = [],  # noqa: B006  # typer copies it
) -> int:
    """Write one verdict a line."""
    from swe_rm.scoring import score_to_file
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress
    from swe_rm.verifiers import needs_pool

    check_writable(out)
    if engine == "local" and workers > 1:
        raise SweRmError("--workers is for --engine ray; one process uses all cores")
    pool = read_attempts(paths, labels)[1] if needs_pool(verifier) else None
    with scorer(engine, workers, verifier, pool, dtype=dtype, device_map=device_map, experts=experts) as judge:
        pile = open_pile(paths, labels=labels)
        with Progress("scoring") as progress:
            tally = score_to_file(pile.attempts(), judge, out, resume=resume, progress=progress.advance)
    say(f"{out}: {tally.scored} scored, {tally.skipped} were there already, by {judge.name}")
    if spent := getattr(judge, "spent", None):  # of verifiers that are paid by the token
        say(f"asked for: {spent}")
    failed = say_all(tally.unscored)
    return exit_code(tally.scored + tally.skipped, complain(pile) + failed)
