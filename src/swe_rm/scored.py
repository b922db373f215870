"""Attempts with their outcomes and verdicts as columns: all that measuring needs, without the logs."""

import math
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from swe_rm.errors import SweRmError, VerifierError
from swe_rm.metrics import Flags, Floats
from swe_rm.outcome_rows import OutcomeRow
from swe_rm.render import rendered_length
from swe_rm.row_names import Key
from swe_rm.scoring import Unscored, score
from swe_rm.trajectory import Labelled, Outcome
from swe_rm.verdict import Verdict, Verifier, judges_together

Names = npt.NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Scored:
    """One entry an attempt in every column; NaN where nothing says. About 200 bytes an attempt."""

    attempt_ids: Names
    tasks: Names
    policies: Names
    attempts: Names
    """Which try of the policy at the task."""
    repos: Names
    sources: Names
    scaffolds: Names
    outcomes: Names
    scores: Floats
    """NaN for an attempt without a verdict."""
    raw_scores: Floats
    """Before calibration; equal to the scores where nothing is calibrated."""
    verdict_mass: Floats
    prompt_tokens: Floats
    truncated_tokens: Floats
    seconds: Floats
    lengths: Floats
    """Rendered characters."""
    verifier: str | None = None
    """name@version; None where there is no verdict."""

    def __len__(self) -> int:
        return len(self.attempt_ids)

    def __getitem__(self, index: Flags | npt.NDArray[np.intp]) -> "Scored":
        columns = {one.name: getattr(self, one.name) for one in fields(self)}
        return Scored(**{name: value if name == "verifier" else value[index] for name, value in columns.items()})

    @property
    def has_verdict(self) -> Flags:
        """Which attempts have one."""
        return ~np.isnan(self.scores)

    @property
    def is_tested(self) -> Flags:
        """Which attempts have a known outcome."""
        return np.asarray(self.outcomes != Outcome.UNKNOWN, dtype=np.bool_)

    @property
    def resolved(self) -> Flags:
        """Which attempts resolved their task."""
        return np.asarray(self.outcomes == Outcome.RESOLVED, dtype=np.bool_)

    def in_order(self) -> "Scored":
        """The attempts in the order of their ids, so that no figure depends on the order of the files."""
        return self[np.argsort(self.attempt_ids.astype(np.str_), kind="stable")]

    def measurable(self, k_max: int | None = None) -> "Scored":
        """The attempts that have a score and a known outcome, at tasks with at least `k_max` of them."""
        known = np.flatnonzero(self.has_verdict & self.is_tested)
        if k_max is not None:
            sizes = Counter(self.tasks[known])
            known = known[np.array([sizes[task] >= k_max for task in self.tasks[known]], dtype=np.bool_)]
        return self[known]

    @staticmethod
    def of(labelled: Iterable[Labelled], verdicts: Mapping[str, Verdict], *, lengths: bool = True) -> "Scored":
        """Columns of attempts and their verdicts by attempt id. `lengths` renders every attempt.

        Raises SweRmError when one attempt is given twice, VerifierError for a score that is no number in [0, 1] and
        for verdicts of two verifiers.
        """
        gathered = Gathering(lengths=lengths)
        for item in labelled:
            gathered.add(item)
        return gathered.scored(verdicts)


class Named(NamedTuple):
    """What an attempt is joined by."""

    attempt_id: str
    key: tuple[str, str, str]


class Gathering:
    """Attempts in the making of columns: they are added one by one and need not stay in memory."""

    def __init__(self, *, lengths: bool = True) -> None:
        self._render = lengths
        self._names: dict[str, list[str]] = {name: [] for name in _NAMES}
        self._lengths = array("d")
        self._once: dict[str, str] = {}

    def add(self, item: Labelled) -> None:
        """Take one attempt in."""
        trajectory = item.trajectory
        task, origin = trajectory.task, trajectory.origin
        told = (origin.policy, origin.attempt, task.repo or "", origin.source, origin.scaffold, item.outcome)
        for name, value in zip(_NAMES, (trajectory.attempt_id, task.instance_id, *told), strict=True):
            self._names[name].append(value if name in _OWN else self._once.setdefault(value, value))
        self._lengths.append(rendered_length(trajectory) if self._render else math.nan)

    @property
    def only_names(self) -> bool:
        """Whether no more than names and outcomes is known of the attempts: there are no logs to show."""
        return not any(self._names["sources"])

    def add_row(self, row: OutcomeRow, key: Key) -> None:
        """Take in an attempt of which no more is known than its name and outcome; its length is unknown."""
        task, policy, attempt = key
        told = (row.attempt_id or "/".join(key), task, policy, attempt, "", "", "", row.outcome)
        for name, value in zip(_NAMES, told, strict=True):
            self._names[name].append(value if name in _OWN else self._once.setdefault(value, value))
        self._lengths.append(math.nan)

    @property
    def named(self) -> Sequence[Named]:
        """The attempts so far, by what verdicts are joined to them by; each is made when it is asked for."""
        return _Named([self._names[name] for name in ("attempt_ids", "tasks", "policies", "attempts")])

    def scored(self, verdicts: Mapping[str, Verdict]) -> Scored:
        """The attempts so far with their verdicts by attempt id; raises as `Scored.of` does."""
        _author({verdict.verifier for verdict in verdicts.values()})
        ids = self._names["attempt_ids"]
        return self.judged((place, verdicts[id_]) for place, id_ in enumerate(ids) if id_ in verdicts)

    def judged(self, verdicts: Iterable[tuple[int, Verdict]]) -> Scored:
        """The same with a stream of (place of the attempt, its verdict), which need not stay in memory."""
        ids = self._names["attempt_ids"]
        if len(set(ids)) != len(ids):
            raise SweRmError("one attempt is given twice: verdicts are joined by attempt id")
        figures = np.full((len(_FIGURES), len(ids)), np.nan)
        authors: set[str] = set()
        for place, verdict in verdicts:
            figures[:, place] = _figures(verdict)
            authors.add(verdict.verifier)
        columns: dict[str, Any] = {name: np.array(values, np.object_) for name, values in self._names.items()}
        columns |= dict(zip(_FIGURES, figures, strict=True))
        return Scored(**columns, lengths=np.array(self._lengths), verifier=_author(authors))


class _Named(Sequence[Named]):
    """A view of four columns."""

    def __init__(self, columns: Sequence[Sequence[str]]) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns[0])

    def __getitem__(self, place: Any) -> Any:
        attempt_id, task, policy, attempt = (column[place] for column in self._columns)
        return Named(attempt_id, (task, policy, attempt))


_NAMES = ("attempt_ids", "tasks", "policies", "attempts", "repos", "sources", "scaffolds", "outcomes")
_OWN = frozenset({"attempt_ids", "outcomes"})
"""Not worth keeping once for all that are equal."""
_FIGURES = ("scores", "raw_scores", "verdict_mass", "prompt_tokens", "truncated_tokens", "seconds")
GROUP = 1024
"""Attempts whose logs are in memory at once."""


def judged(
    attempts: Iterable[Labelled],
    verifier: Verifier,
    *,
    unscored: Callable[[Unscored], None],
    progress: Callable[[int], None] | None = None,
) -> Scored:
    """A stream of attempts with a verifier's verdicts; those it fails on are told to `unscored` and have none.

    Logs are in memory `GROUP` at a time, and all at once for a verifier that compares attempts.
    """
    size = None if judges_together(verifier) else GROUP
    gathered, verdicts = Gathering(), dict[str, Verdict]()
    stream = iter(attempts)
    while part := list(islice(stream, size)):
        verdicts |= score([item.trajectory for item in part], verifier, unscored=unscored, progress=progress)
        for item in part:
            gathered.add(item)
    return gathered.scored(verdicts)


def _figures(verdict: Verdict) -> list[float]:
    if not 0 <= verdict.score <= 1:
        raise VerifierError(f"{verdict.verifier}: attempt {verdict.attempt_id}: score {verdict.score} is not in [0, 1]")
    told = (verdict.verdict_mass, verdict.prompt_tokens, verdict.truncated_tokens, verdict.seconds)
    return [verdict.score, verdict.raw_score, *(math.nan if figure is None else figure for figure in told)]


def _author(names: Collection[str]) -> str | None:
    if len(names) > 1:
        raise VerifierError(f"verdicts of {len(names)} verifiers in one evaluation: {', '.join(sorted(names)[:3])}")
    return next(iter(names), None)
