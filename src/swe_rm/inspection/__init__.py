"""What is in a pile of attempts and what is suspicious, in one pass that keeps figures and evidence, never a log."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from swe_rm.agreement import Agreements, Disagreement, patch_digest
from swe_rm.inspection.censoring import Censored, Length, PileUp, censored, pile_ups
from swe_rm.inspection.continuation import Chain, chain, continued
from swe_rm.inspection.evidence import Evidence
from swe_rm.inspection.gold import Gold
from swe_rm.inspection.habits import dress, runs_code
from swe_rm.inspection.steps import Steps, steps
from swe_rm.inspection.suspicion import SUSPICIONS, found
from swe_rm.priors import Known, Rates, prior_auc
from swe_rm.sources.naming import printable
from swe_rm.trajectory import Labelled, Noun, Outcome, Trajectory, policy_family

Key = TypeVar("Key", bound=Hashable)

QUANTILES = (0, 5, 25, 50, 75, 95, 100)
"""Percent; the keys of a length's quantiles."""


class Tally(Noun):
    """Attempts by outcome."""

    n: int
    resolved: int
    unresolved: int
    unknown: int

    @property
    def positive_rate(self) -> float | None:
        """Resolved among those whose outcome is known; None where none is."""
        known = self.resolved + self.unresolved
        return self.resolved / known if known else None


class Run(Noun):
    """The attempts of one policy in one source."""

    source: str
    policy: str
    tally: Tally
    n_tasks: int
    n_with_log: int
    n_without_patch: int
    n_unfinished: int
    n_runs_code: int
    """Attempts with a log in which the agent ran something."""
    n_gold_known: int
    """Attempts with a patch at tasks whose gold patch is known."""
    n_gold_equal: int
    median_characters: int | None
    median_messages: int | None


class Hit(Noun):
    """One suspicious attempt and the evidence."""

    instance_id: str
    policy: str
    attempt: str
    source: str
    outcome: Outcome
    message: int | None
    """Number of the message, from 0; None where the evidence is no message."""
    quote: str
    seen: bool = True
    """False where the agent only looked, and was shown nothing."""


class EqualContent(Noun):
    """Attempts under different names that a verifier cannot tell apart."""

    instance_id: str
    content_hash: str
    attempts: tuple[str, ...]
    """`policy / attempt` of each."""
    both_outcomes: bool


class Confound(Noun):
    """What knowing only whose attempt it is would earn."""

    auc: float | None
    """AUC of the policy's resolve rate on the other tasks (the control `policy_prior`)."""
    auc_in_sample: float | None
    """AUC of the policy's resolve rate, the attempt's own task included."""
    auc_family: float | None
    """As `auc`, with policies that differ in a trailing [configuration] taken together."""
    one_policy_sources: tuple[str, ...]
    dress_accuracy: float | None
    """Share of logs whose policy the scaffold's dress tells: the most frequent one among other logs so dressed."""
    dress_baseline: float | None
    """The same for always naming the policy with most logs."""


class Inspection(Noun):
    """What is in a pile, and what is suspicious about it."""

    tally: Tally
    n_tasks: int
    characters: dict[int, int]
    """Quantiles of log lengths, by percent; empty without logs."""
    messages: dict[int, int]
    n_without_patch: int
    n_unfinished: int
    n_without_turns: int
    runs: tuple[Run, ...]
    attempts_per_task: dict[int, int]
    """How many tasks have so many attempts."""
    n_mixed_tasks: int
    """Tasks with both outcomes."""
    n_pairs: int
    """(resolved, unresolved) pairs of one task and one policy: what the headline metric counts."""
    n_pairs_family: int
    equal_content: tuple[EqualContent, ...]
    confound: Confound
    n_patch_groups: int
    """(task, patch) pairs that at least two labelled attempts share."""
    disagreements: tuple[Disagreement, ...]
    n_gold_tasks: int
    """Tasks of the pile whose gold patch is known; 0 where no task rows were given."""
    gold_unresolved: tuple[Hit, ...]
    """Attempts whose patch equals the gold patch and is labelled unresolved."""
    hits: dict[str, tuple[Hit, ...]]
    """Suspicious attempts by kind (`suspicion.SUSPICIONS`, and `continues_another`)."""
    censored: tuple[Censored, ...]
    pile_ups: tuple[PileUp, ...]


class _Row(NamedTuple):
    """What is kept of an attempt: about 500 bytes, and 9 for each message."""

    task: str
    source: str
    policy: str
    attempt: str
    outcome: Outcome
    characters: int
    messages: int
    content: str
    gold_equal: bool | None
    patched: bool
    finished: bool
    ran: bool
    dress: int
    chain: Chain


class Inspector:
    """Collects attempts one by one; `found` says what they amount to."""

    def __init__(self, gold: Mapping[str, Gold] | None = None) -> None:
        self._gold = gold or {}
        self._rows: list[_Row] = []
        self._hits: dict[str, list[tuple[int, Evidence]]] = defaultdict(list)
        self._agreements = Agreements()
        self._names: dict[str, str] = {}

    def add(self, item: Labelled) -> None:
        """Look at one attempt and keep its figures and what is suspicious."""
        trajectory, gold = item.trajectory, self._gold.get(item.trajectory.task.instance_id)
        log = steps(trajectory)
        for evidence in found(trajectory, log, gold):
            self._hits[evidence.kind].append((len(self._rows), evidence))
        self._agreements.add(item)
        self._rows.append(self._row(item, log, gold))

    def _row(self, item: Labelled, log: Steps, gold: Gold | None) -> _Row:
        trajectory, origin = item.trajectory, item.trajectory.origin
        known = gold is not None and bool(gold.patch) and bool(trajectory.patch.strip())
        return _Row(
            task=self._name(trajectory.task.instance_id),
            source=self._name(origin.source),
            policy=self._name(origin.policy),
            attempt=self._name(origin.attempt),
            outcome=item.outcome,
            characters=_characters(trajectory),
            messages=len(trajectory.messages),
            content=trajectory.content_hash,
            gold_equal=patch_digest(trajectory.patch) == gold.patch if known and gold else None,
            patched=bool(trajectory.patch.strip()),
            finished=trajectory.finished,
            ran=runs_code(log),
            dress=hash(dress(trajectory, log)) if trajectory.messages else 0,
            chain=chain(trajectory),
        )

    def _name(self, text: str) -> str:
        """One object for equal names, encodable: readers see to that, callers of the library need not."""
        return self._names.setdefault(text, printable(text))

    def found(self) -> Inspection:
        """What the attempts so far amount to."""
        rows, agreement = self._rows, self._agreements.found()
        lengths = [_length(row) for row in rows]
        logs = [row for row in rows if row.messages]
        by_task = _groups(rows, lambda row: row.task)
        return Inspection(
            tally=_tally(rows),
            n_tasks=len(by_task),
            characters=_quantiles([row.characters for row in logs]),
            messages=_quantiles([row.messages for row in logs]),
            n_without_patch=sum(not row.patched for row in rows),
            n_unfinished=sum(not row.finished for row in rows),
            n_without_turns=len(rows) - len(logs),
            runs=tuple(_run(*run) for run in sorted(_groups(rows, lambda row: (row.source, row.policy)).items())),
            attempts_per_task=dict(sorted(Counter(map(len, by_task.values())).items())),
            n_mixed_tasks=sum(bool(_pairs(task)) for task in by_task.values()),
            n_pairs=sum(_pairs(cell) for cell in _groups(rows, lambda row: (row.task, row.policy)).values()),
            n_pairs_family=sum(
                _pairs(cell) for cell in _groups(rows, lambda row: (row.task, policy_family(row.policy))).values()
            ),
            equal_content=tuple(_equal_content(rows)),
            confound=_confound(rows, logs),
            n_patch_groups=agreement.n_groups,
            disagreements=agreement.disagreements,
            n_gold_tasks=sum(bool(self._gold[task].patch) for task in by_task if task in self._gold),
            gold_unresolved=tuple(
                _hit(row, None, "") for row in rows if row.gold_equal and row.outcome is Outcome.UNRESOLVED
            ),
            hits=self._all_hits(by_task),
            censored=tuple(censored(lengths)),
            pile_ups=tuple(pile_ups(lengths)),
        )

    def _all_hits(self, by_task: Mapping[str, Sequence[_Row]]) -> dict[str, tuple[Hit, ...]]:
        hits: dict[str, tuple[Hit, ...]] = {
            kind: tuple(_hit(self._rows[n], e.message, e.quote, e.seen) for n, e in self._hits.get(kind, ()))
            for kind in SUSPICIONS
        }
        return {**hits, "continues_another": tuple(_continuations(by_task.values()))}


def inspect(attempts: Iterable[Labelled], gold: Mapping[str, Gold] | None = None) -> Inspection:
    """What is in a pile of attempts and what is suspicious; `gold` are the traces of `gold.read_gold`, by task."""
    inspector = Inspector(gold)
    for item in attempts:
        inspector.add(item)
    return inspector.found()


def share(part: int, whole: int) -> float | None:
    """A share; None of nothing."""
    return part / whole if whole else None


# --- one attempt -----------------------------------------------------------------------------------------------------


def _characters(trajectory: Trajectory) -> int:
    return sum(
        len(message.content) + len(message.reasoning) + sum(len(call.arguments) for call in message.tool_calls)
        for message in trajectory.messages
    )


def _length(row: _Row) -> Length:
    return Length(
        instance_id=row.task,
        source=row.source,
        policy=row.policy,
        characters=row.characters,
        messages=row.messages,
        resolved=None if row.outcome is Outcome.UNKNOWN else row.outcome is Outcome.RESOLVED,
    )


def _hit(row: _Row, message: int | None, quote: str, seen: bool = True) -> Hit:
    return Hit(
        instance_id=row.task,
        policy=row.policy,
        attempt=row.attempt,
        source=row.source,
        outcome=row.outcome,
        message=message,
        quote=quote,
        seen=seen,
    )


# --- groups ----------------------------------------------------------------------------------------------------------


def _groups(rows: Iterable[_Row], key: Callable[[_Row], Key]) -> dict[Key, list[_Row]]:
    groups: dict[Key, list[_Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _tally(rows: Sequence[_Row]) -> Tally:
    counts = Counter(row.outcome for row in rows)
    return Tally(
        n=len(rows),
        resolved=counts[Outcome.RESOLVED],
        unresolved=counts[Outcome.UNRESOLVED],
        unknown=counts[Outcome.UNKNOWN],
    )


def _pairs(rows: Sequence[_Row]) -> int:
    tally = _tally(rows)
    return tally.resolved * tally.unresolved


def _quantiles(values: Sequence[int]) -> dict[int, int]:
    return {percent: round(float(np.percentile(values, percent))) for percent in QUANTILES} if values else {}


def _run(key: tuple[str, str], rows: Sequence[_Row]) -> Run:
    logs = [row for row in rows if row.messages]
    return Run(
        source=key[0],
        policy=key[1],
        tally=_tally(rows),
        n_tasks=len({row.task for row in rows}),
        n_with_log=len(logs),
        n_without_patch=sum(not row.patched for row in rows),
        n_unfinished=sum(not row.finished for row in rows),
        n_runs_code=sum(row.ran for row in logs),
        n_gold_known=sum(row.gold_equal is not None for row in rows),
        n_gold_equal=sum(bool(row.gold_equal) for row in rows),
        median_characters=_quantiles([row.characters for row in logs]).get(50),
        median_messages=_quantiles([row.messages for row in logs]).get(50),
    )


def _equal_content(rows: Sequence[_Row]) -> Iterable[EqualContent]:
    for (task, content), same in sorted(_groups(rows, lambda row: (row.task, row.content)).items()):
        if len(same) > 1:
            names = tuple(f"{row.policy} / {row.attempt}" for row in same)
            yield EqualContent(instance_id=task, content_hash=content, attempts=names, both_outcomes=bool(_pairs(same)))


def _continuations(tasks: Iterable[Sequence[_Row]]) -> Iterable[Hit]:
    for rows in tasks:
        for one in continued([row.chain for row in rows]):
            row, other = rows[one.attempt], rows[one.of]
            what = "continues" if one.whole else "branches off"
            yield _hit(row, one.shared, f"{what} {other.policy} / {other.attempt}: {one.shared} messages are equal")


# --- the policy confound ---------------------------------------------------------------------------------------------


def _confound(rows: Sequence[_Row], logs: Sequence[_Row]) -> Confound:
    policies = defaultdict[str, set[str]](set)
    for row in rows:
        policies[row.source].add(row.policy)
    told, usual = _dress_accuracy(logs)
    return Confound(
        auc=prior_auc(_known(rows), _policy_prior),
        auc_in_sample=prior_auc(_known(rows), lambda rates, row: rates.policy_rate(row.policy)),
        auc_family=prior_auc(_known(rows, policy_family), _policy_prior),
        one_policy_sources=tuple(sorted(source for source, held in policies.items() if len(held) == 1)),
        dress_accuracy=told,
        dress_baseline=usual,
    )


def _known(rows: Sequence[_Row], name: Callable[[str], str] = str) -> list[Known]:
    known = (row for row in rows if row.outcome is not Outcome.UNKNOWN)
    return [Known(name(row.policy), row.task, row.outcome is Outcome.RESOLVED) for row in known]


def _policy_prior(rates: Rates, row: Known) -> float:
    return rates.policy_prior(row.policy, row.task)


def _dress_accuracy(logs: Sequence[_Row]) -> tuple[float | None, float | None]:
    by_dress = defaultdict[int, Counter[str]](Counter)
    for row in logs:
        by_dress[row.dress][row.policy] += 1
    right = 0
    for row in logs:
        others = by_dress[row.dress].copy()
        others[row.policy] -= 1
        best, n = min(others.items(), key=lambda pair: (-pair[1], pair[0]))
        right += bool(n) and best == row.policy
    most = max(Counter(row.policy for row in logs).values(), default=0)
    return share(right, len(logs)), share(most, len(logs))
