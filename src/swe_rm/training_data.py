"""What a run trains on: labelled attempts read, held-out tasks left out, outcomes balanced, rendered to examples."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from swe_rm import sources
from swe_rm.errors import SweRmError
from swe_rm.recipe import TrainConfig
from swe_rm.render import Renderer
from swe_rm.trajectory import Labelled, Outcome

FIRST_SECONDS = 2.0
"""How long a stage of a run is silent at first."""
NEXT_SECONDS = 10.0
"""Time between two lines on its progress after that."""


class TrainingExample(NamedTuple):
    """One example as the loop needs it."""

    token_ids: tuple[int, ...]
    verdict_id: int
    weight: float


def read_labelled(config: TrainConfig, say: Callable[[str], None] = print) -> list[Labelled]:
    """The labelled attempts a run trains on, held-out tasks and unknown outcomes left out and counted aloud."""
    statements = read_statements(config.tasks) if config.tasks else {}
    kept = list(_admit(config, _read(config.data, config.labels, say), "data", say))
    if config.auxiliary:
        extra = list(_admit(config, _read(config.auxiliary, config.labels, say), "auxiliary", say))
        if config.auxiliary_rows is not None and config.auxiliary_rows < len(extra):
            extra = random.Random(config.seed).sample(extra, config.auxiliary_rows)
            say(f"auxiliary: {len(extra)} drawn")
        kept += extra
    return [with_statement(labelled, statements) for labelled in kept]


def _read(paths: Sequence[Path], labels: Sequence[Path], say: Callable[[str], None]) -> Iterator[Labelled]:
    pile = sources.open_pile(paths, labels)
    yield from told(pile.attempts(), "read", say)
    for refusal in pile.refusals:
        say(f"refused: {refusal}")


def _admit(
    config: TrainConfig, attempts: Iterator[Labelled], what: str, say: Callable[[str], None]
) -> Iterator[Labelled]:
    counts: Counter[str] = Counter()
    hold_out = config.hold_out
    for labelled in attempts:
        if labelled.outcome is Outcome.UNKNOWN:
            counts["outcome unknown"] += 1
        elif hold_out and labelled.trajectory.task.fold(hold_out.folds) == hold_out.fold:
            counts["task held out"] += 1
        else:
            counts["kept"] += 1
            yield labelled
    say(f"{what}: " + ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items())))


def told(items: Iterable[Labelled], done: str, say: Callable[[str], None]) -> Iterator[Labelled]:
    """The items, with a line now and then on how many are done."""
    due = time.monotonic() + FIRST_SECONDS
    for number, item in enumerate(items):
        if time.monotonic() > due:
            say(f"{done} {number:,} attempts")
            due = time.monotonic() + NEXT_SECONDS
        yield item


def read_statements(path: Path) -> dict[str, str]:
    """Issue text by instance id from a JSONL (or .gz, .zst) of tasks. Raises RecordError on a row without either."""
    return {task.instance_id: task.statement for task in sources.read_tasks(path)}


def with_statement(labelled: Labelled, statements: Mapping[str, str]) -> Labelled:
    """The same attempt with the issue text filled in where its source did not show it."""
    trajectory = labelled.trajectory
    statement = statements.get(trajectory.task.instance_id, "")
    if trajectory.task.statement or not statement:
        return labelled
    task = trajectory.task.model_copy(update={"statement": statement})
    return labelled.model_copy(update={"trajectory": trajectory.model_copy(update={"task": task})})


def policy_weights(labelled: Sequence[Labelled]) -> list[float]:
    """Weights under which both outcomes of every policy weigh the same; the mean weight is 1.

    An attempt of a policy that shows one outcome only keeps weight 0: it could only teach whose attempt it is.

    Raises SweRmError when no policy has both outcomes.
    """
    policies = Counter(item.trajectory.origin.policy for item in labelled)
    groups = Counter((item.trajectory.origin.policy, item.outcome) for item in labelled)
    outcomes = Counter(policy for policy, _ in groups)
    weights = [
        policies[item.trajectory.origin.policy] / groups[item.trajectory.origin.policy, item.outcome]
        if outcomes[item.trajectory.origin.policy] == 2
        else 0.0
        for item in labelled
    ]
    total = sum(weights)
    if not total:
        raise SweRmError("no policy has attempts of both outcomes: balance: policy leaves nothing to learn from")
    return [weight * len(weights) / total for weight in weights]


def render_examples(
    config: TrainConfig, labelled: Sequence[Labelled], renderer: Renderer, say: Callable[[str], None] = print
) -> list[TrainingExample]:
    """Examples with their weights, in the order of `labelled`."""
    weights = policy_weights(labelled) if config.balance == "policy" else [1.0] * len(labelled)
    examples = (renderer.example(item) for item in told(labelled, "rendered", say))
    return [TrainingExample(e.prompt.token_ids, e.verdict_id, w) for e, w in zip(examples, weights, strict=True)]
