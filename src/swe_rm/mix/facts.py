"""Facts: all that a mix needs to know of one attempt, small enough to hold half a million, and how they are found."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from swe_rm import render
from swe_rm.agreement import patch_digest
from swe_rm.inspection.continuation import Chain, chain
from swe_rm.inspection.gold import Gold, read_gold
from swe_rm.inspection.steps import steps
from swe_rm.inspection.suspicion import SUSPICIONS
from swe_rm.mix.config import MixConfig
from swe_rm.mix.evaluation_list import EvaluationList, Match, read_evaluation
from swe_rm.mix.near import sketch
from swe_rm.mix.task_rows import TaskRow, read_task_rows
from swe_rm.render import Segment
from swe_rm.sources import naming
from swe_rm.trajectory import Labelled, Outcome, Trajectory
from swe_rm.vocabulary import Vocabulary

ORACLE = ("oracle_feedback", "hidden_tests_shown")
HISTORY = ("fix_shown", "upstream_fetched", "newer_release_read", "later_history")
TRIES = ("several_tries",)

_INFRA = re.compile(
    r"infra|ambiguous_failure|error_(?:eval|ids|patch)|timeout|incomplete_ids|no_logs|install_fail|reset_failed"
    r"|test_errored|exited with"
)
"""Words in which labels say that an attempt was not, or not properly, tested."""


class Facts(NamedTuple):
    """What a mix needs to know of one attempt."""

    ordinal: int
    """Its place in the input, from 0."""
    attempt_id: str
    instance_id: str
    repo: str
    """`owner/name` in lower case; empty where nothing names it."""
    issue: bytes
    """Digest of the issue's words; empty without one."""
    source: str
    policy: str
    attempt: str
    outcome: Outcome
    infra: bool
    """Whether the outcome is unknown because the environment or the evaluation failed."""
    logged: bool
    content: bytes
    """Digest of the rendered text, with the issue from the task's row where the source does not show it."""
    patch: str
    """`agreement.patch_digest`; empty without a patch."""
    characters: int
    """Of the rendered text."""
    tokens: int
    """Of the rendered text, marks included; 0 where nobody asks."""
    suspicions: tuple[tuple[str, int], ...]
    """(kind, number of the message) of what was found and what the agent was shown."""
    gold_equal: bool
    chain: Chain | None
    match: Match | None
    """By which rule it is of a task on the evaluation list."""
    unchecked: tuple[str, ...]
    """Rules of that list that say nothing of it: it has no commit, no issue or no patch of so many words."""
    sketch: bytes

    @property
    def key(self) -> tuple[str, str, str]:
        """(instance_id, policy, attempt)."""
        return self.instance_id, self.policy, self.attempt

    def __str__(self) -> str:
        return f"{' / '.join(self.key)} ({self.attempt_id})"


@dataclass(frozen=True)
class Settings:
    """What finding the facts takes; sent to every worker once."""

    kinds: frozenset[str]
    """Suspicions that matter."""
    rows: Mapping[str, TaskRow]
    gold: Mapping[str, Gold]
    evaluation: EvaluationList | None
    chains: bool
    sketches: bool
    vocabulary: Vocabulary | None = field(default=None)

    @classmethod
    def of(cls, config: MixConfig) -> "Settings":
        """What a config asks for. Raises SweRmError for files that cannot be read and extras that are missing."""
        drop, listed = config.drop, config.decontaminate
        if drop.near_duplicates is not None:
            sketch("")  # a missing extra is found out here, not in a worker
        vocabulary = config.length.vocabulary if config.length.counts_tokens else None
        switched = ((drop.oracle_feedback, ORACLE), (drop.history, HISTORY), (drop.several_tries, TRIES))
        return cls(
            kinds=frozenset(kind for on, kinds in switched if on for kind in kinds),
            rows=read_task_rows(config.tasks),
            gold=read_gold(config.tasks),
            evaluation=EvaluationList(listed, read_evaluation(listed.against)) if listed else None,
            chains=drop.continuations,
            sketches=drop.near_duplicates is not None,
            vocabulary=Vocabulary.load(vocabulary) if vocabulary else None,
        )


def facts_of(ordinal: int, item: Labelled, settings: Settings) -> Facts:
    """The facts of one attempt: a pure function, so that it does not matter who computes it."""
    trajectory = item.trajectory
    task, origin = trajectory.task, trajectory.origin
    row, gold = settings.rows.get(task.instance_id), settings.gold.get(task.instance_id)
    issue, log, end = render.segments(_shown(trajectory, row))
    flat = [*issue, *(segment for turn in log for segment in turn), *end]
    text = render.joined(flat)
    statement = task.statement or (row.statement if row else "")
    patch = patch_digest(trajectory.patch) if trajectory.patch.strip() else ""
    return Facts(
        ordinal=ordinal,
        attempt_id=trajectory.attempt_id,
        instance_id=task.instance_id,
        repo=naming.repo_name(task.repo or (row.repo if row else "")),
        issue=_issue(statement),
        source=origin.source,
        policy=origin.policy,
        attempt=origin.attempt,
        outcome=item.outcome,
        infra=item.outcome is Outcome.UNKNOWN and bool(_INFRA.search(item.provenance)),
        logged=any(message.role == "assistant" and not message.demo for message in trajectory.messages),
        content=hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest(),
        patch=patch,
        characters=len(text),
        tokens=_tokens(flat, settings.vocabulary),
        suspicions=_suspicions(trajectory, gold, settings.kinds),
        gold_equal=bool(gold and patch and patch == gold.patch),
        chain=chain(trajectory) if settings.chains else None,
        match=settings.evaluation.match(trajectory, row) if settings.evaluation else None,
        unchecked=settings.evaluation.unchecked(trajectory, row) if settings.evaluation else (),
        sketch=sketch("\n".join(segment.text for segment in flat[1:-1])) if settings.sketches else b"",
    )


def _issue(statement: str) -> bytes:
    words = " ".join(render.plain_issue(statement).lower().split())
    return hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=8).digest() if words else b""


def _shown(trajectory: Trajectory, row: TaskRow | None) -> Trajectory:
    """The attempt as training reads it: with the issue of the task's row where its source shows none."""
    if trajectory.task.statement or row is None or not row.statement:
        return trajectory
    task = trajectory.task.model_copy(update={"statement": row.statement})
    return trajectory.model_copy(update={"task": task})


def _suspicions(trajectory: Trajectory, gold: Gold | None, kinds: frozenset[str]) -> tuple[tuple[str, int], ...]:
    if not kinds or not trajectory.messages:
        return ()
    log = steps(trajectory)
    found = (suspicion.find(trajectory, log, gold) for kind, suspicion in SUSPICIONS.items() if kind in kinds)
    return tuple((evidence.kind, evidence.message) for evidence in found if evidence and evidence.seen)


def _tokens(flat: Sequence[Segment], vocabulary: Vocabulary | None) -> int:
    if vocabulary is None:
        return 0
    return len(flat) + sum(map(len, vocabulary.encode([segment.text for segment in flat])))
