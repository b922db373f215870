"""The verifier `mean:A,B`: the mean of several verifiers' scores, each with its weight."""

from collections.abc import Iterable, Sequence
from operator import mul
from typing import TypeVar

from swe_rm.errors import VerifierError
from swe_rm.trajectory import Trajectory
from swe_rm.verdict import Verdict, Verifier, by_id, close, following, judges_together, reads_origin, spent

Number = TypeVar("Number", int, float)


class Mean:
    """Scores an attempt by the weighted mean of its members' scores.

    Tokens read and seconds are summed over the members that report them, `truncated_tokens` is the largest cut any
    member made; log-probabilities of different models have no mean and are left out. Raises VerifierError without
    members, and whenever a member gives no verdict on an attempt.
    """

    def __init__(self, verifiers: Sequence[Verifier], weights: Sequence[float] | None = None) -> None:
        """`weights` are one for each verifier, above 0; all the same without them."""
        if not verifiers:
            raise VerifierError("a mean needs at least one verifier")
        self._verifiers = tuple(verifiers)
        self._weights = tuple(weights or [1.0] * len(verifiers))

    @property
    def name(self) -> str:
        """mean(a@1,0.5*b@2): the members with their versions, and with their weights where these are not 1."""
        shares = [f"{weight:g}*" if weight != 1 else "" for weight in self._weights]
        return f"mean({','.join(s + verifier.name for s, verifier in zip(shares, self._verifiers, strict=True))})"

    def __call__(self, trajectories: Sequence[Trajectory], /) -> list[Verdict]:
        """One verdict for each trajectory, members joined by attempt id."""
        answers = [by_id(trajectories, verifier(trajectories)) for verifier in self._verifiers]
        name = self.name
        return [_mean([answer[t.attempt_id] for answer in answers], self._weights, name) for t in trajectories]

    @property
    def judges_together(self) -> bool:
        """Whether a score depends on what else is judged in the same call: where a member's does."""
        return any(map(judges_together, self._verifiers))

    @property
    def reads_origin(self) -> bool:
        """Whether a score depends on whose attempt it is: where a member's does."""
        return any(map(reads_origin, self._verifiers))

    @property
    def spent(self) -> str | None:
        """What members have asked of engines so far."""
        told = [f"{verifier.name} {found}" for verifier in self._verifiers if (found := spent(verifier)) is not None]
        return "; ".join(told) or None

    def close(self) -> None:
        """Close the members."""
        for verifier in self._verifiers:
            close(verifier)

    def following(self) -> "Mean":
        """The same, of members that follow one attempt as it grows."""
        return Mean([following(verifier) for verifier in self._verifiers], self._weights)

    def explain(self, trajectory: Trajectory) -> list[str]:
        """Each member's score, its weight where that is not 1, and below it what the member says about it."""
        lines = []
        for verifier, weight in zip(self._verifiers, self._weights, strict=True):
            answer = by_id([trajectory], verifier([trajectory]))[trajectory.attempt_id]
            lines.append(f"{verifier.name}: {answer.score:.3f}{'' if weight == 1 else f', weight {weight:g}'}")
            reasons = getattr(verifier, "explain", None)
            lines += [f"  {line}" for line in (reasons(trajectory) if reasons else ())]
        return lines


def _mean(verdicts: Sequence[Verdict], weights: Sequence[float], name: str) -> Verdict:
    return Verdict(
        attempt_id=verdicts[0].attempt_id,
        score=_average([verdict.score for verdict in verdicts], weights),
        raw_score=_average([verdict.raw_score for verdict in verdicts], weights),
        bounds=_bounds(verdicts, weights),
        prompt_tokens=sum(tokens) if (tokens := _known(v.prompt_tokens for v in verdicts)) else None,
        truncated_tokens=max(_known(v.truncated_tokens for v in verdicts), default=None),
        seconds=sum(seconds) if (seconds := _known(v.seconds for v in verdicts)) else None,
        verifier=name,
    )


def _bounds(verdicts: Sequence[Verdict], weights: Sequence[float]) -> tuple[float, float] | None:
    """What the members' bounds allow the mean of raw scores to be; None where no member has any."""
    if all(verdict.bounds is None for verdict in verdicts):
        return None
    low, high = zip(*(verdict.bounds or (verdict.raw_score, verdict.raw_score) for verdict in verdicts), strict=True)
    return _average(low, weights), _average(high, weights)


def _average(scores: Sequence[float], weights: Sequence[float]) -> float:
    total: float = sum(map(mul, scores, weights))
    return min(1.0, total / sum(weights))


def _known(values: Iterable[Number | None]) -> list[Number]:
    return [value for value in values if value is not None]
