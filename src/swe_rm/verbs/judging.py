"""How a verb loads a verifier and has attempts judged."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from swe_rm.verbs.reading import read_attempts
from swe_rm.verbs.telling import say_all

if TYPE_CHECKING:
    from swe_rm.scored import Scored
    from swe_rm.scoring import Scorer
    from swe_rm.sources import Pile
    from swe_rm.trajectory import Labelled
    from swe_rm.verdict import Verdict, Verifier
    from swe_rm.verifiers.recorded import Named


def load(spec: str, pool: "Sequence[Labelled] | None", **options: str | None) -> "Verifier":
    """The verifier that a name stands for; `pool` is for those that must see all attempts first."""
    from swe_rm.terminal import Progress
    from swe_rm.verifiers import load_verifier

    with Progress(f"loading {spec}"):
        return load_verifier(spec, pool=pool, options={k: v for k, v in options.items() if v is not None})


@contextmanager
def scorer(
    engine: str, workers: int, spec: str, pool: "Sequence[Labelled] | None", **options: str | None
) -> Iterator["Verifier | Scorer"]:
    """The verifier in this process, or in workers on Ray."""
    if engine == "local":
        yield load(spec, pool, **options)
        return
    from swe_rm.score_engines import on_ray
    from swe_rm.terminal import Progress

    with ExitStack() as stack:
        given = {key: value for key, value in options.items() if value is not None}
        with Progress(f"loading {spec} on Ray"):
            scorer = stack.enter_context(on_ray(spec, workers, pool=pool, options=given))
        yield scorer


def verdicts_of(attempts: Sequence["Labelled"], verifier: "Verifier") -> tuple[dict[str, "Verdict"], int]:
    """Verdicts by attempt id, and how many attempts got none; each of those is a line on stderr."""
    from swe_rm.scoring import Unscored, score
    from swe_rm.terminal import Progress

    failures: list[Unscored] = []
    with Progress("scoring", len(attempts)) as progress:
        trajectories = [item.trajectory for item in attempts]
        verdicts = score(trajectories, verifier, unscored=failures.append, progress=progress.advance)
    return verdicts, say_all(failures)


def judged(
    paths: Sequence[Path], labels: Sequence[Path], spec: str, models: dict[str, str | None]
) -> tuple["Pile", "Scored", int]:
    """A pile's attempts with a verifier's verdicts, and how many got none; each of those is a line on stderr.

    All logs are in memory only where the verifier must see the whole pile first.
    """
    from swe_rm.scored import judged
    from swe_rm.scoring import Unscored
    from swe_rm.sources import open_pile
    from swe_rm.terminal import Progress
    from swe_rm.verifiers import needs_pool

    pile, pool = read_attempts(paths, labels) if needs_pool(spec) else (open_pile(paths, labels=labels), None)
    judge = load(spec, pool, **models)
    failures: list[Unscored] = []
    with Progress("scoring") as progress:
        attempts = pile.attempts() if pool is None else pool
        scored = judged(attempts, judge, unscored=failures.append, progress=progress.advance)
    return pile, scored, say_all(failures)


def recorded_verdicts(file: Path, attempts: Sequence["Named"]) -> dict[str, "Verdict"]:
    """A file's verdicts by attempt id."""
    from swe_rm.verifiers.recorded import join, read_verdicts

    return join(read_verdicts(file), attempts)
