"""Verdict, the Verifier protocol, and rank: what a verifier answers and what one does with it first."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pydantic import Field, model_validator

from swe_rm.errors import VerifierError
from swe_rm.trajectory import Noun, Trajectory


class Verdict(Noun):
    """One verifier's answer about one attempt."""

    attempt_id: str
    score: float = Field(ge=0, le=1, allow_inf_nan=False)
    """P(YES) / (P(YES) + P(NO)), after calibration: the probability that the attempt resolves its task."""
    raw_score: float = Field(ge=0, le=1, allow_inf_nan=False)
    """The same before calibration; equal to `score` where nothing is calibrated."""
    logprob_yes: float | None = Field(default=None, le=1e-6, allow_inf_nan=False)
    logprob_no: float | None = Field(default=None, le=1e-6, allow_inf_nan=False)
    """Natural log-probabilities over the full vocabulary, where the verifier has them."""
    bounds: tuple[float, float] | None = None
    """Only where a server did not show all that the score needs: what it allows; `raw_score` lies
    between."""
    prompt_tokens: int | None = Field(default=None, ge=0)
    truncated_tokens: int | None = Field(default=None, ge=0)
    """Tokens of the attempt that the length policy cut."""
    seconds: float | None = Field(default=None, ge=0)
    verifier: str
    """name@version."""

    @model_validator(mode="after")
    def _both_or_neither(self) -> "Verdict":
        if (self.logprob_yes is None) != (self.logprob_no is None):
            raise ValueError("logprob_yes and logprob_no come together")
        return self

    @property
    def verdict_mass(self) -> float | None:
        """P(YES) + P(NO): near 1 when the model really answers; None where there are no log-probabilities."""
        if self.logprob_yes is None or self.logprob_no is None:
            return None
        return min(1.0, math.exp(self.logprob_yes) + math.exp(self.logprob_no))


NUMBERS = re.compile(r"\+(?:bfloat16|float16)")
"""What a verifier's name ends in where its weights are not fp32: they answer otherwise, by up to 0.03 of a score."""


def numbers(name: str) -> str:
    """The numbers that a verifier's name says its weights are in, as `+bfloat16`; "" for fp32 and for no weights."""
    found = NUMBERS.search(name)
    return found[0] if found else ""


class Verifier(Protocol):
    """Anything that yields verdicts. Verdicts carry ids and are joined by them, never by position."""

    @property
    def name(self) -> str:
        """name@version, as it stands in every output; with `numbers` at its end where weights are not fp32."""
        ...

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """One verdict for each trajectory, in any order.

        Raises VerifierError where no verdict can be given: a failure is never a score.
        """
        ...


def following(verifier: Verifier) -> Verifier:
    """The verifier, made ready to judge the states of ONE attempt as it grows, in one call or in one call for each.

    It is the verifier itself unless that has a `following() -> Verifier`: what remembers what it has read of the
    attempt, or gives the verdicts of whole attempts only. Raises VerifierError where the latter is so.
    """
    own = getattr(verifier, "following", None)
    found: Verifier = own() if own else verifier
    return found


class PartlyScoredError(VerifierError):
    """Some attempts got no verdict; the verdicts on the others are not lost."""

    def __init__(self, verifier: Verifier, verdicts: Sequence[Verdict], reasons: Mapping[str, str]) -> None:
        """`reasons` says by attempt id why there is none; `verifier` is whose verdicts they are."""
        super().__init__("; ".join(dict.fromkeys(reasons.values())))
        self.verifier = verifier
        self.verdicts = verdicts
        self.reasons = reasons


def by_id(trajectories: Sequence[Trajectory], verdicts: Sequence[Verdict]) -> dict[str, Verdict]:
    """Verdicts keyed by attempt id, exactly one for each trajectory.

    Raises VerifierError when one is missing, given twice, or about an attempt that was not asked for.
    """
    found = {verdict.attempt_id: verdict for verdict in verdicts}
    asked = {trajectory.attempt_id for trajectory in trajectories}
    if len(found) != len(verdicts):
        raise VerifierError("the verifier gave two verdicts on one attempt")
    if found.keys() != asked:
        missing, stray = len(asked - found.keys()), len(found.keys() - asked)
        raise VerifierError(f"the verifier gave no verdict on {missing} attempts and {stray} that nobody asked for")
    return found


class Candidate(Noun):
    """One attempt in the ranking of its task."""

    attempt_id: str
    policy: str
    attempt: str
    score: float
    rank: int
    """1 is best; equal scores share the best of their ranks."""


class Ranking(Noun):
    """One task's candidates, best first."""

    instance_id: str
    candidates: tuple[Candidate, ...]


def judges_together(verifier: Verifier) -> bool:
    """Whether its verdict on an attempt depends on which others it is shown with it; such verifiers say so."""
    return bool(getattr(verifier, "judges_together", False))


def reads_origin(verifier: Verifier) -> bool:
    """Whether its verdict depends on whose attempt it is, which `content_hash` leaves out; such verifiers say so."""
    return bool(getattr(verifier, "reads_origin", False))


def spent(verifier: Verifier) -> object | None:
    """What a verifier that asks an engine has asked for so far, as text; None for one that asks nobody."""
    found: object | None = getattr(verifier, "spent", None)
    return found


def close(verifier: Verifier) -> None:
    """Nobody waits for its verdicts any more: what it still asks of an engine is given up."""
    if own := getattr(verifier, "close", None):
        own()


def rank(trajectories: Sequence[Trajectory], verdicts: Mapping[str, Verdict]) -> list[Ranking]:
    """Rank the candidates of every task by score.

    Tasks come in order of first appearance; ties are ordered by (policy, attempt), so the result does not depend on
    file order, and share their rank.
    """
    rows = ((t.task.instance_id, verdicts[t.attempt_id].score, *t.key[1:], t.attempt_id) for t in trajectories)
    return ranked(rows)


def ranked(rows: Iterable[tuple[str, float, str, str, str]]) -> list[Ranking]:
    """`rank` of (instance_id, score, policy, attempt, attempt_id)."""
    groups: dict[str, list[tuple[float, str, str, str]]] = defaultdict(list)
    for task, score, policy, attempt, id_ in rows:
        groups[task].append((-score, policy, attempt, id_))
    return [Ranking(instance_id=task, candidates=_candidates(sorted(group))) for task, group in groups.items()]


def _candidates(group: Sequence[tuple[float, str, str, str]]) -> tuple[Candidate, ...]:
    scores = [score for score, *_ in group]
    return tuple(
        Candidate(attempt_id=id_, policy=policy, attempt=attempt, score=-score, rank=scores.index(score) + 1)
        for score, policy, attempt, id_ in group
    )
