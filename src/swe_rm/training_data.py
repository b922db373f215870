"""What a run trains on: labelled attempts read, held-out tasks left out, outcomes balanced, rendered to examples."""

import hashlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np

from swe_rm import cut_short, kept_ids, sources
from swe_rm.batch import Tokens
from swe_rm.errors import RecordError, SweRmError
from swe_rm.kept_ids import KeptIds
from swe_rm.mix import MixManifest
from swe_rm.mix import manifest as mix_manifest
from swe_rm.mix.config import Decontaminate
from swe_rm.mix.evaluation_list import EvaluationList, read_evaluation
from swe_rm.mix.task_rows import TaskRow, read_issues, with_statement
from swe_rm.recipe import TrainConfig
from swe_rm.render import Example, Renderer, template_hash
from swe_rm.sources import streams
from swe_rm.trajectory import Labelled, Outcome

Tasks = Mapping[str, TaskRow]
"""What is known of tasks, by instance id."""

FIRST_SECONDS = 2.0
"""How long a stage of a run is silent at first."""
NEXT_SECONDS = 10.0
"""Time between two lines on its progress after that."""


class TrainingExample(NamedTuple):
    """One example as training needs it."""

    token_ids: Tokens
    verdict_id: int
    weight: float
    task: str = ""
    """Whose attempts it may be paired with. Empty where a pair would teach something else: a policy of one outcome,
    a log cut short."""
    policy: str = ""


class KeptExamples(Sequence[TrainingExample]):
    """Examples whose tokens lie on disk."""

    def __init__(self, ids: KeptIds, known: Sequence[tuple[float, str, str]]) -> None:
        """`known` is each example's weight, task and policy. Raises ValueError when there are not as many as ids."""
        if len(ids) != len(known):
            raise ValueError(f"{len(ids)} examples and {len(known)} weights")
        self._ids = ids
        self._known = known

    def __len__(self) -> int:
        return len(self._known)

    @overload
    def __getitem__(self, index: int) -> TrainingExample: ...
    @overload
    def __getitem__(self, index: slice) -> list[TrainingExample]: ...
    def __getitem__(self, index: int | slice) -> TrainingExample | list[TrainingExample]:
        if isinstance(index, slice):
            return [self[at] for at in range(len(self))[index]]
        token_ids, verdict_id = self._ids[index]
        weight, task, policy = self._known[index]
        return TrainingExample(token_ids, verdict_id, weight, task, policy)


def read_labelled(
    config: TrainConfig, say: Callable[[str], None] = print, tasks: Tasks | None = None
) -> list[Labelled]:
    """The labelled attempts a run trains on, held-out tasks and unknown outcomes left out and counted aloud.

    `tasks` is what `read_tasks` gave, where it was asked before.

    Raises SweRmError when one of them is at a task of the evaluation list.
    """
    tasks = read_tasks(config) if tasks is None else tasks
    kept = list(_admit(config, _read(config.data, config.labels, say), "data", say))
    if config.auxiliary:
        extra = list(_admit(config, _read(config.auxiliary, config.labels, say), "auxiliary", say))
        if config.auxiliary_rows is not None and config.auxiliary_rows < len(extra):
            extra = random.Random(config.seed).sample(extra, config.auxiliary_rows)
            say(f"auxiliary: {len(extra)} drawn")
        kept += extra
    _check_overlap(kept, config, tasks)
    return [with_statement(labelled, tasks) for labelled in kept]


def read_dev(config: TrainConfig, tasks: Tasks, say: Callable[[str], None] = print) -> list[Labelled]:
    """The attempts a run is watched on. Raises SweRmError unless both outcomes are among them: no AUC is to be had."""
    attempts = _read(config.dev, config.labels, say)
    kept = [with_statement(item, tasks) for item in attempts if item.outcome is not Outcome.UNKNOWN]
    if config.dev_rows is not None and config.dev_rows < len(kept):
        kept = random.Random(config.seed).sample(kept, config.dev_rows)
    if len({item.outcome for item in kept}) < 2:
        raise SweRmError(f"dev: {len(kept)} attempts of known outcome, not of both outcomes: nothing can be measured")
    say(f"dev: kept {len(kept)}")
    return kept


def _check_overlap(kept: Sequence[Labelled], config: TrainConfig, tasks: Tasks) -> None:
    """Raises SweRmError when an attempt is of a task that is measured on, by any rule of `mix`'s decontamination."""
    measured = (*config.evaluation, *config.dev)
    if not measured:
        return
    listed = EvaluationList(Decontaminate(against=measured), read_evaluation(measured))
    matches = (
        (item.trajectory, listed.match(item.trajectory, tasks.get(item.trajectory.task.instance_id))) for item in kept
    )
    seen = [(trajectory, match) for trajectory, match in matches if match]
    if seen:
        shared = len({match.task for _, match in seen})
        first, match = seen[0]
        raise SweRmError(
            f"evaluation: {len(seen):,} of {len(kept):,} attempts to train on are at {shared:,} tasks of the "
            f"evaluation list, first {' / '.join(first.key)} ({match}): leave them out (swe-rm mix, decontaminate) "
            "or hold them out"
        )


def _check_parts(path: Path) -> None:
    """Raises SweRmError for a mix of several parts: read as one, what was held out would be trained on."""
    file = path / mix_manifest.NAME
    if file.is_file():
        parts = MixManifest.model_validate_json(file.read_bytes()).parts
        if any(part.folder != "." for part in parts.values()):
            folders = ", ".join(part.folder for part in parts.values())
            raise SweRmError(f"{path}: a mix of several parts ({folders}); name the folder of one")


def _read(paths: Sequence[Path], labels: Sequence[Path], say: Callable[[str], None]) -> Iterator[Labelled]:
    for path in paths:
        _check_parts(path)
    pile = sources.open_pile(paths, labels)
    named = {streams.display(path) for path in paths}
    for refusal in pile.refusals:
        if refusal.file in named:  # a run on a part of its data would pass for the whole
            raise RecordError(refusal.file, refusal.record, refusal.reason)
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


def read_tasks(config: TrainConfig) -> Tasks:
    """What the run's `tasks` say, by instance id. Raises RecordError where no row has an issue."""
    if config.tasks is None:
        return {}
    return read_issues([config.tasks])


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
    config: TrainConfig,
    labelled: Sequence[Labelled],
    renderer: Renderer,
    say: Callable[[str], None] = print,
    keep: Path | None = None,
) -> Sequence[TrainingExample]:
    """Examples with their weights, in the order of `labelled`; with `keep` their tokens are kept in that folder.

    Tokens found in that folder are used again where they are of these attempts, outcomes, template, vocabulary and
    length policy, and are what was written.
    """
    weights = policy_weights(labelled) if config.balance == "policy" else [1.0] * len(labelled)
    shown = [cut_short.drawn(item, config.prefix_rate, config.seed) for item in labelled]
    pairable = [bool(weight) and show is item for weight, show, item in zip(weights, shown, labelled, strict=True)]
    known = [
        (weight, item.trajectory.task.instance_id if pairs else "", item.trajectory.origin.policy)
        for weight, pairs, item in zip(weights, pairable, labelled, strict=True)
    ]

    def render() -> Iterator[Example]:
        return renderer.examples(told(shown, "rendered", say))

    if keep is not None:
        return KeptExamples(kept_ids.keep(keep, _made_of(config, labelled, renderer), render, say), known)
    ids = ((np.array(example.prompt.token_ids, np.int32), example.verdict_id) for example in render())
    return [
        TrainingExample(token_ids, verdict_id, weight, task, policy)
        for (token_ids, verdict_id), (weight, task, policy) in zip(ids, known, strict=True)
    ]


def _made_of(config: TrainConfig, labelled: Sequence[Labelled], renderer: Renderer) -> dict[str, str]:
    """Digests of all that decides the ids of examples."""
    attempts = hashlib.sha256()
    for item in labelled:
        attempts.update(f"{item.trajectory.attempt_id} {item.outcome}\n".encode())
    return {
        "list of attempts": attempts.hexdigest()[:16],
        "length policy": renderer.policy.model_dump_json(),
        "template": template_hash(),
        "vocabulary": renderer.vocabulary.digest(),
        "draw of prefixes": f"{config.prefix_rate} {config.seed}" if config.prefix_rate else "none",
    }
