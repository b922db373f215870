"""How a verb loads a verifier and has attempts judged."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from swe_rm.errors import SweRmError
from swe_rm.verbs.reading import read_attempts
from swe_rm.verbs.telling import say_all

if TYPE_CHECKING:
    from swe_rm.render import Renderer
    from swe_rm.scored import Gathering, Scored
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


def not_fitted_on(attempts: Iterable["Labelled"], spec: str) -> Iterator["Labelled"]:
    """The attempts; SweRmError at the first one whose task a calibrator in the verifier was fitted on.

    A map is not tested on what it was fitted to. What it does there, out of fold, `swe-rm calibrate` tells.
    """
    from swe_rm.verifiers import calibrated_on

    fitted = calibrated_on(spec)
    for item in attempts:
        task = item.trajectory.task.instance_id
        if task in fitted:
            raise SweRmError(
                f"{spec}: its calibrator was fitted on {task}, one of {len(fitted)} tasks: measure it on other tasks, "
                "or measure the verifier it was fitted for"
            )
        yield item


class Judged(NamedTuple):
    """A pile's attempts with a verifier's verdicts."""

    pile: "Pile"
    scored: "Scored"
    judge: "Verifier"
    failed: int
    """Attempts that got no verdict."""


def judged(paths: Sequence[Path], labels: Sequence[Path], spec: str, models: dict[str, str | None]) -> Judged:
    """Have a pile's attempts judged; each that gets no verdict is a line on stderr.

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
        attempts = not_fitted_on(pile.attempts() if pool is None else pool, spec)
        scored = judged(attempts, judge, unscored=failures.append, progress=progress.advance)
    return Judged(pile, scored, judge, say_all(failures))


def length_policy(spec: str) -> "Renderer | None":
    """How the first model that a verifier is made of brings long attempts under its budget; None where it has none."""
    from swe_rm.verifiers import model_folders

    for folder in model_folders(spec):
        from swe_rm.model import read_card
        from swe_rm.render import Renderer
        from swe_rm.vocabulary import Vocabulary

        card = read_card(folder)
        return Renderer(Vocabulary.load(folder, card.control), card.policy)
    return None


def recorded_verdicts(file: Path, attempts: Sequence["Named"]) -> dict[str, "Verdict"]:
    """A file's verdicts by attempt id."""
    from swe_rm.verifiers.recorded import join, verdict_rows

    return join(verdict_rows(file), attempts)


def with_recorded(gathered: "Gathering", file: Path) -> "Scored":
    """The attempts with a file's verdicts, of which one is in memory at a time."""
    from swe_rm.terminal import Progress
    from swe_rm.verifiers.recorded import joined, verdict_rows

    with Progress("reading verdicts") as progress:
        return gathered.judged(progress.over(joined(verdict_rows(file), gathered.named)))
